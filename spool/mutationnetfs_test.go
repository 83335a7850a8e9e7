package spool_test

// ofThePrimitives are the rules of the primitives and of the token lock.
var ofThePrimitives = []mutation{
	{
		rule: "a name is missing only after a look at its directory", file: "../netfs/put.go",
		old: "	if errors.Is(err, fs.ErrNotExist) {\n		if err = afresh(ctx, p.h, p.f, dir); err == nil {",
		new: "	if errors.Is(err, fs.ErrNotExist) && false {\n		if err = afresh(ctx, p.h, p.f, dir); err == nil {",
		pkg: "../netfs", run: "TestPut|TestResolve",
	},
	{
		rule: "an open outcome is told as such", file: "../netfs/put.go",
		old: "			return \"\", uncertain(\"put\", name, err)\n		default:",
		new: "			return \"\", err\n		default:",
		pkg: "../netfs", run: "TestPut|TestResolve",
	},
	{
		rule: "a rename that failed is resolved", file: "../netfs/durable.go",
		old: "		if nerr == nil {\n			return moved(ctx, h, f, newname)\n		}",
		new: "",
		pkg: "../netfs", run: "TestResolve",
	},
	{
		rule: "what is gone is removed", file: "../netfs/durable.go",
		old: "if err == nil || errors.Is(err, fs.ErrNotExist) {\n			return nil\n		}\n		if hopeless",
		new: "if err == nil {\n			return nil\n		}\n		if hopeless",
		pkg: "../netfs", run: "TestResolve|TestRemove",
	},
	{
		rule: "where an early look sticks the directory rests first", file: "../netfs/fresh.go",
		old: "	case h.Profile.EarlyLookSticks || w.started && !h.Profile.NamesFollow:",
		new: "	case false:",
		pkg: "../netfs/simfs", run: "TestEarlyLook",
	},
	{
		rule: "two stats a grain apart are compared", file: "../netfs/fresh.go",
		old: "err == nil && now == last {",
		new: "err == nil {",
		pkg: "../netfs/simfs", run: "TestRestIsCompared",
	},
	{
		rule: "a sync's error counts", file: "../netfs/durable.go",
		old: "		n.err = n.file.Sync()",
		new: "		_ = n.file.Sync()",
		pkg: ".", run: "TestSimulation",
	},
	{
		rule: "a directory slot is looked at before", file: "../netfs/putdir.go",
		old: "	if _, err := getDir(ctx, p.f, p.name); err == nil {",
		new: "	if _, err := getDir(ctx, p.f, p.name); err == nil || true {\n		return p.fillDir(ctx, temp)\n	} else if err == nil {",
		pkg: "../netfs", run: "TestPut",
	},
	{
		rule: "a directory that may be the slot keeps its record", file: "../netfs/put.go",
		old: "	case p.taken: // else",
		new: "	default: // else",
		pkg: "../netfs", run: "TestPut",
	},
	{
		rule: "a directory whose rename found nothing is given up", file: "../netfs/putdir.go",
		old: "		p.temp = \"\"\n		err = uncertain",
		new: "		err = uncertain",
		pkg: "../netfs", run: "TestPut",
	},
	{
		rule: "a directory slot is renamed before it is emptied", file: "../netfs/putdir.go",
		old: "	switch err := Move(ctx, h, f, name, temp); {",
		new: "	discardDir(ctx, h, f, name)\n	switch err := Move(ctx, h, f, name, temp); {",
		pkg: "../netfs", run: "TestRemove",
	},
	{
		rule: "a lock is watched for 45 seconds", file: "../locking/token.go",
		old: "	return sent-w.first >= deadAfter",
		new: "	return sent-w.first >= deadAfter/3",
		pkg: "../locking", run: "TestWatch|TestTokenDeadHolder|TestTokenSimulation",
	},
	{
		rule: "a lock is watched without a gap", file: "../locking/token.go",
		old: " || now-w.last > watchGap {",
		new: " {",
		pkg: "../locking", run: "TestWatch|TestTokenGap",
	},
	{
		rule: "a watch counts from before the listing", file: "../locking/token.go",
		old: "	return sent-w.first >= deadAfter",
		new: "	return now-w.first >= deadAfter",
		pkg: "../locking", run: "TestWatch",
	},
	{
		rule: "a beat counts from before its first try", file: "../locking/lease.go",
		old: "			l.until.Store(int64(start + holdFor))",
		new: "			l.until.Store(int64(t.Host.Boot() + holdFor))",
		pkg: "../locking", run: "TestToken",
	},
	{
		rule: "a lock that was taken too slowly is not believed in", file: "../locking/token.go",
		old: "	case a.Host.Boot()-start >= holdFor:",
		new: "	case false:",
		pkg: "../locking", run: "TestTokenTooLate",
	},
	{
		rule: "a beat in doubt is looked for", file: "../locking/lease.go",
		old: "	if l.doubt && errors.Is(err, netfs.ErrVanished) {",
		new: "	if false {",
		pkg: "../locking", run: "TestTokenBeatInDoubt",
	},
	{
		rule: "a stale listing makes the directory change", file: "../locking/token.go",
		old: "	if v.found && v.state.name() == a.watch.lost {",
		new: "	if false {",
		pkg: "../locking", run: "TestTokenStaleListing",
	},
	{
		rule: "a rename in doubt is told as such", file: "../netfs/durable.go",
		old: "		case final && !doubt:",
		new: "		case final:",
		pkg: "../netfs", run: "TestMoveInDoubt",
	},
	{
		rule: "a stamp counts after a grain", file: "../netfs/fresh.go",
		old: "w.seen = now, false, boot",
		new: "w.seen = now, true, boot",
		pkg: "../netfs", run: "TestWatch",
	},
	{
		rule: "a name is durable before it is acknowledged", file: "../netfs/durable.go",
		old: "	if err := SyncDir(ctx, h, f, path.Dir(newname)); err != nil {",
		new: "	if err := error(nil); err != nil {",
		pkg: ".", run: "TestPowerFails",
	},
	{
		rule: "a slot is durable before it is acknowledged", file: "../netfs/put.go",
		old: "	if err := SyncDir(ctx, p.h, p.f, path.Dir(p.name)); err != nil {",
		new: "	if err := error(nil); err != nil {",
		pkg: ".", run: "TestPowerFails",
	},
	{
		rule: "a holder stops by itself", file: "../locking/lease.go",
		old: "	l.lose(fmt.Errorf(\"lock %s: %w: could not renew it for %v\", l.t.Dir, ErrLost, holdFor))\n	return true",
		new: "	_ = fmt.Errorf(\"lock %s: %w: could not renew it for %v\", l.t.Dir, ErrLost, holdFor)\n	return true",
		pkg: "../locking", run: "TestTokenHolderStops",
	},
	{
		rule: "a holder that stood still asks the clock", file: "../locking/lease.go",
		old: "	c.l.expire()\n	return c.Context.Err()",
		new: "	return c.Context.Err()",
		pkg: "../locking", run: "TestToken",
	},
	{
		rule: "where names lag only the first look is early", file: "../netfs/fresh.go",
		old: "h.Profile.EarlyLookSticks || w.started && !h.Profile.NamesFollow:", new: "h.Profile.EarlyLookSticks:",
		pkg: "../netfs/simfs", run: "TestEarlyLook",
	},
	{
		rule: "a look that failed was a look", file: "../netfs/fresh.go",
		old: "*w = Watch{started: w.started}", new: "*w = Watch{}",
		pkg: "../netfs", run: "TestWatchAgain",
	},
}
