package spool_test

// ofTheLog are the rules of the log in docs/spool-format.md, with the code that
// keeps them.
var ofTheLog = []mutation{
	{
		rule: "an acknowledgement follows the witness", file: "commitlog/commit.go",
		old: "	if err := l.witness(ctx); err != nil {\n		return false, err\n	}\n	l.won = r.Seq",
		new: "	l.won = r.Seq",
		pkg: "commitlog", run: "TestExplore$",
	},
	{
		rule: "the witness compares the record", file: "commitlog/log.go",
		old: "case firstLine(text) != l.at.line:", new: "case text == \"\":",
		pkg: "commitlog", run: "TestExplore/two_commits_while",
	},
	{
		rule: "the winner's record is believed only if its predecessor stands", file: "commitlog/commit.go",
		old: "	if cerr := l.confirm(ctx); cerr != nil {\n		return cerr // what",
		new: "	if cerr := error(nil); cerr != nil {\n		return cerr // what",
		pkg: "commitlog", run: "TestMeetBehind",
	},
	{
		rule: "what was read is synced before it counts", file: "commitlog/log.go",
		old: "		if serr := l.harden(ctx); serr != nil {",
		new: "		if serr := error(nil); serr != nil {",
		pkg: "commitlog", run: "TestUnsyncedSlot",
	},
	{
		rule: "the winner's record is synced before it counts", file: "commitlog/commit.go",
		old: "	if serr := l.harden(ctx); serr != nil {",
		new: "	if serr := error(nil); serr != nil {",
		pkg: "commitlog", run: "TestUnsyncedSlot",
	},
	{
		rule: "bases go before slots", file: "commitlog/rotate.go",
		old: "	if err := netfs.Unlink(ctx, l.Host, l.FS, path.Join(l.Dir, \"s\", g.name())); err != nil {\n		return err\n	}\n	// A generation that repair ended, of which all but the directory is gone, is\n	// followed by a number far ahead.\n	for seq := g.first + 1",
		new: "	defer netfs.Unlink(ctx, l.Host, l.FS, path.Join(l.Dir, \"s\", g.name()))\n	for seq := g.first + 1",
		pkg: "commitlog", run: "TestExplore$",
	},
	{
		rule: "slots go in ascending order", file: "commitlog/rotate.go",
		old: "	for seq := g.first + 1; seq <= min(last, g.first+slotsMax); seq++ {",
		new: "	for seq := min(last, g.first+slotsMax); seq > g.first; seq-- {",
		pkg: "commitlog", run: "TestExplore$",
	},
	{
		rule: "after an ambiguous commit the tokens are asked", file: "commitlog/commit.go",
		old: "	if _, ok := l.gen.tokens[token]; ok {", new: "	if false {",
		pkg: "commitlog", run: "TestGenerations",
	},
	{
		rule: "a generation's directory is made after its rotation", file: "commitlog/rotate.go",
		old: "	text, err := l.Way.Put(ctx, l.Host, l.FS, l.slot(r.Seq), l.withTail(r.line))\n	switch {",
		new: "	_ = netfs.MkdirAll(ctx, l.Host, l.FS, path.Join(l.Dir, (&generation{first: r.Seq, base: id}).dir()))\n	text, err := l.Way.Put(ctx, l.Host, l.FS, l.slot(r.Seq), l.withTail(r.line))\n	switch {",
		pkg: "commitlog", run: "TestRotationForestalled",
	},
	{
		rule: "the first generation stays", file: "commitlog/rotate.go",
		old: "if g.first == 0 || i+2", new: "if i+2",
		pkg: "commitlog", run: "TestRotation",
	},
	{
		rule: "only what no slot can name is swept", file: "commitlog/rotate.go",
		old: "!ok || seq > until || keep[n]", new: "!ok || seq > until+1<<40 || keep[n]",
		pkg: "commitlog", run: "TestGenerations",
	},
	{
		rule: "a put that failed is resolved", file: "../netfs/put.go",
		old: "case gerr == nil && got == data:", new: "case false:",
		pkg: "commitlog", run: "TestExplore$",
	},
	{
		rule: "a payload is durable before its slot", file: "commitlog/commit.go",
		old: "		if err := l.place(ctx, d, r, body); err != nil {\n			return false, err\n		}",
		new: "		defer l.place(ctx, d, r, body)",
		pkg: "commitlog", run: "TestGenerations",
	},
	{
		rule: "a record names its predecessor's hash", file: "commitlog/log.go",
		old: "if r.stored.Seq != l.at.seq+1 || r.stored.Prev != l.at.hash {",
		new: "if r.stored.Seq != l.at.seq+1 {",
		pkg: "commitlog", run: "TestRollBackWhileReading",
	},
	{
		rule: "a share that went back is noticed", file: "commitlog/wentback.go",
		old: "	if lost {\n",
		new: "	if lost && false {\n",
		pkg: "commitlog", run: "TestRollBack",
	},
	{
		rule: "what the table of commits does not reach is unknown", file: "commitlog/commit.go",
		old: "	if tried < l.gen.since {",
		new: "	if false {",
		pkg: "commitlog", run: "TestLeftBehind|TestGenerations",
	},
	{
		rule: "a payload bears its slot's number", file: "commitlog/payload.go",
		old: "	if d.name == name && d.body == body {",
		new: "	if d.body == body {",
		pkg: "commitlog", run: "TestPayload|TestGenerations",
	},
	{
		rule: "a payload's hash is compared", file: "commitlog/payload.go",
		old: "	if payloadOp(string(b)) != r.Ops[0] {",
		new: "	if false {",
		pkg: "commitlog", run: "TestDamage|TestPayload",
	},
	{
		rule: "slots are kept for requests that come late", file: "commitlog/rotate.go",
		old: "return err == nil && now.Mtime.Sub(then.Mtime) >= cmp.Or(l.KeepFor, keepSlots), err",
		new: "return err == nil && (now.Mtime.Sub(then.Mtime) >= 0 || true), err",
		pkg: "commitlog", run: "TestKeep",
	},
	{
		rule: "slots are counted and not listed", file: "commitlog/rotate.go",
		old: "	for seq := g.first + 1; seq <= min(last, g.first+slotsMax); seq++ {\n		if err := l.Way.Remove(ctx, l.Host, l.FS, l.slotIn(g, seq)); err != nil {\n			return err\n		}\n	}\n",
		new: "",
		pkg: "commitlog", run: "TestExplore",
	},
	{
		rule: "a base is what its name says", file: "commitlog/base.go",
		old: "idOf(content) != id {",
		new: "idOf(content) == id+\".\" {",
		pkg: "commitlog", run: "TestDamagedBase",
	},
	{
		rule: "the witness of a base is its size too", file: "commitlog/generation.go",
		old: "if errors.Is(err, fs.ErrNotExist) || err == nil && i.Size != l.gen.size {",
		new: "if errors.Is(err, fs.ErrNotExist) || err == nil && i.Size < 0 {",
		pkg: "commitlog", run: "TestEmptyBase",
	},
	{
		rule: "a segment written before the generation of its record means nothing", file: "segments.go",
		old: "return n > gen && n <= record &&", new: "return n <= record &&",
		pkg: ".", run: "TestSuspendedSegmentWriter",
	},
	{
		rule: "a segment that the newest base names stays", file: "commitlog/rotate.go",
		old: "	for _, n := range l.named() {\n		keep[n] = true\n	}\n", new: "",
		pkg: ".", run: "TestSegmentsRace",
	},
	{
		rule: "who stood still sweeps only by what it has read", file: "commitlog/rotate.go",
		old: "return g.first > l.gen.first })", new: "return false })",
		pkg: ".", run: "TestSuspendedSweeper",
	},
	{
		rule: "what was read is believed only if its start stands", file: "commitlog/log.go",
		old: "	if cerr := l.confirm(ctx); cerr != nil {\n		return cerr\n	}\n	if errors.Is(err, fs.ErrNotExist) {",
		new: "	if errors.Is(err, fs.ErrNotExist) {",
		pkg: "commitlog", run: "TestFalseSlot",
	},
	{
		rule: "nothing to do is believed only after a fresh look", file: "commitlog/commit.go",
		old: "if fresh || len(batch) == 0 {",
		new: "if fresh || true {",
		pkg: "commitlog", run: "TestNothingToDo",
	},
	{
		rule: "who cannot read to the end does not write", file: "commitlog/commit.go",
		old: "if err == nil && (!l.whole || l.doubt != nil) {",
		new: "if err == nil && (l.gen == nil || l.doubt != nil) {",
		pkg: "commitlog", run: "TestNothingGoesIntoAGap",
	},
	{
		rule: "who was first lately falls silent before certain records", file: "commitlog/fair.go",
		old: "return g.length", new: "return 0",
		pkg: "commitlog", run: "TestFairness",
	},
	{
		rule: "before a record further off one is silent longer", file: "commitlog/fair.go",
		old: "return g.length", new: "return min(g.length, 20*time.Millisecond)",
		pkg: "commitlog", run: "TestFairness",
	},
	{
		rule: "all who were first lately fall silent at once", file: "commitlog/fair.go",
		old: "next-l.won <= every/2", new: "next-l.won <= 1",
		pkg: "commitlog", run: "TestFairness",
	},
	{
		rule: "who is alone is hardly silent", file: "commitlog/fair.go",
		old: "every := g.alone", new: "every := g.every",
		pkg: "commitlog", run: "TestGapsOfALoneHost",
	},
	{
		rule: "who was beaten twice reads on by tails", file: "commitlog/commit.go",
		old: "	if again {", new: "	if false {",
		pkg: "commitlog", run: "TestBeatenTwice",
	},
	{
		rule: "who falls behind begins with the newest base", file: "commitlog/log.go",
		old: "if turns > turnsMax && l.Load != nil {", new: "if false && turns > turnsMax {",
		pkg: "commitlog", run: "TestBeatenTwice",
	},
	{
		rule: "who is beaten by a record that is gone has no doubt", file: "commitlog/fair.go",
		old: "	if errors.Is(err, errCollected) {", new: "	if false {",
		pkg: "commitlog", run: "TestBeatenTwice",
	},
	{
		rule: "repair puts a void where a view could write", file: "commitlog/salvage.go",
		old: "			s.open = append(s.open, fence{seq + 1, r.hash()})",
		new: "			_ = r.hash()",
		pkg: "commitlog", run: "TestRenewBeside",
	},
	{
		rule: "repair reads again after it put a void", file: "commitlog/renew.go",
		old: "	return len(s.open) > 0, nil",
		new: "	return false, nil",
		pkg: "commitlog", run: "TestRenewBeside",
	},
	{
		rule: "a void ends a view", file: "commitlog/log.go",
		old: "	if rec.voids() {",
		new: "	if rec.voids() && rec == nil {",
		pkg: "commitlog", run: "TestRenewBeside",
	},
	{
		rule: "who begins by a listing reads the record before", file: "commitlog/log.go",
		old: "		if err == nil && seq == newest && seq > from {",
		new: "		if err == nil && seq == newest && seq > from && false {",
		pkg: "commitlog", run: "TestExplore/a_commit_while_the_tail",
	},
	{
		rule: "a base is durable before its rotation", file: "commitlog/base.go",
		old: "	if err := netfs.WriteFile(ctx, l.FS, full, content); err != nil {",
		new: "	f, err := l.FS.Create(ctx, full, 0o600)\n	if err == nil {\n		_, err = f.Write(content)\n		_ = f.Close()\n	}\n	if err != nil {",
		pkg: "commitlog", run: "TestBaseIsDurable",
	},
	{
		rule: "what is written is synced before it has a name", file: "../netfs/durable.go",
		old: "		n.err = n.file.Sync()", new: "		n.err = nil",
		pkg: ".", run: "TestPowerFails",
	},
}
