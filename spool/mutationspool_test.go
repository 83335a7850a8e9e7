package spool_test

// ofMessages are the rules of messages and their files.
var ofMessages = []mutation{
	{
		rule: "a vanished file is looked for in cur", file: "incoming.go",
		old: "	if !errors.Is(err, netfs.ErrVanished) {\n		return err\n	}\n	// A reader",
		new: "	if err != nil || err == nil {\n		return err\n	}\n	// A reader",
		pkg: ".", run: "TestExplore/deliver",
	},
	{
		rule: "a message is complete before it has a public name", file: "incoming.go",
		old: "	if err := in.file.Commit(); err != nil {\n		return err\n	}\n	size := in.file.Size()",
		new: "	defer in.file.Commit()\n	size := in.file.Size()",
		pkg: ".", run: "TestExplore|TestSimulation",
	},
	{
		rule: "a name is assigned once", file: "scan.go",
		old: "			if s.taken(msg.Name) || m.draft.names[msg.Name] {\n				continue\n			}",
		new: "",
		pkg: ".", run: "TestExplore|TestSimulation",
	},
	{
		rule: "an expunge leaves a tombstone", file: "state.go",
		old: "			s.tombs[m.Name] = tomb{m.UID, seq}",
		new: "			_ = m",
		pkg: ".", run: "TestExplore|TestDeliverFlagExpunge|TestSimulation",
	},
	{
		rule: "a tombstone ends in a complete scan alone", file: "absent.go",
		old: "		if m.state.odd[name] == nil {\n			out",
		new: "		if true {\n			out",
		pkg: ".", run: "TestForeign|TestSimulation",
	},
	{
		rule: "flags are compared with all since the base", file: "state.go",
		old: "			n.past = n.past.with(n.Flags)",
		new: "			n.past = flagStates(0).with(n.Flags)",
		pkg: ".", run: "TestExplore|TestSimulation",
	},
	{
		rule: "the nearest value is taken for what was shown", file: "state.go",
		old: "		if m.past.has(d) && far < best {",
		new: "		if m.past.has(d) && far < best && best == 100 {",
		pkg: ".", run: "TestMergeWithStaleName|TestSimulation",
	},
	{
		rule: "an import begins the set anew", file: "state.go",
		old: "	n.past = flagStates(0).with(f).with(n.Flags)",
		new: "	n.past = m.past.with(f).with(n.Flags)",
		pkg: ".", run: "TestForeign|TestMergeWithStaleName|TestSimulation",
	},
	{
		rule: "stamps are compared after the last look-up", file: "absent.go",
		old: "		if after == before {",
		new: "		if after == before || true {",
		pkg: ".", run: "TestExplore|TestHeldAreNoRemovals",
	},
	{
		rule: "what is not listed is asked for by name", file: "absent.go",
		old: "		if err == nil {\n			return true, nil\n		}",
		new: "		if err == nil {\n			continue\n		}",
		pkg: ".", run: "TestUnlisted",
	},
	{
		rule: "an expunged file is kept for an hour", file: "sweep.go",
		old: "	return m.removeAged(ctx, aged{dir: goneDir, names: names, now: dir.Mtime, keep: keepGone})",
		new: "	return m.removeAged(ctx, aged{dir: goneDir, names: names, now: dir.Mtime})",
		pkg: ".", run: "TestSweep|TestOpenAfterExpunge",
	},
	{
		rule: "a held file is dropped before it is unlinked", file: "sweep.go",
		old: "		err = m.commit(ctx, func(s *state) (ops []string) {\n			for _, n := range old {",
		new: "		dropped = append(dropped, old...)\n		err = m.commit(ctx, func(s *state) (ops []string) {\n			for _, n := range old[:0] {",
		pkg: ".", run: "TestExplore|TestDrop",
	},
	{
		rule: "a dropped file is not assigned", file: "hold.go",
		old: "if _, dropped := s.dropped[e.msg.Name]; dropped || m.draft.names[e.msg.Name] {",
		new: "if m.draft.names[e.msg.Name] {",
		pkg: ".", run: "TestExplore|TestDrop",
	},
	{
		rule: "the held file of an unknown outcome stays", file: "hold.go",
		old: "		if errors.Is(err, netfs.ErrUncertain) {\n			return err // the",
		new: "		if false {\n			return err // the",
		pkg: ".", run: "TestUncertainAppendStays",
	},
	{
		rule: "a second move finds the first one's copy", file: "copy.go",
		old: "	if len(want) == 0 {\n		return found\n	}",
		new: "	if len(want) >= 0 {\n		return found\n	}",
		pkg: ".", run: "TestExplore|TestMoveAgain",
	},
	{
		rule: "a message that changed is not moved away", file: "copy.go",
		old: "			case msg.ModSeq == e.msg.ModSeq:",
		new: "			case true:",
		pkg: ".", run: "TestMoveTakesFlagsAlong|TestMoversRace",
	},
	{
		rule: "a copy that changed waits", file: "copy.go",
		old: "			case msg.ModSeq == seen[e.uid]:",
		new: "			case true:",
		pkg: ".", run: "TestMoversRace|TestSecondMoverIsLate",
	},
	{
		rule: "a copy that was found was told nothing", file: "copy.go",
		old: "		if e.found {\n			// What",
		new: "		if false {\n			// What",
		pkg: ".", run: "TestMoversRace|TestMoveAgain",
	},
	{
		rule: "a retry of a delivery finds what there is", file: "incoming.go",
		old: "	case err == nil:\n		return in.publish(ctx, in.name)\n	case !errors.Is(err, fs.ErrExist):",
		new: "	case err == nil || errors.Is(err, fs.ErrExist):\n		return in.publish(ctx, in.name)\n	case !errors.Is(err, fs.ErrExist):",
		pkg: "../delivery", run: "TestRetry",
	},
	{
		rule: "without hard links the first text is the marker's", file: "marker.go",
		old: "\t\ttext = first\n",
		new: "",
		pkg: ".", run: "TestInitRace",
	},
	{
		rule: "on a full disk an expunge makes room first", file: "expunge.go",
		old: "	if diskFull(err) {",
		new: "	if false {",
		pkg: ".", run: "TestExpungeOnFullShare",
	},
	{
		rule: "what was expunged before makes room first", file: "expunge.go",
		old: "	if n > 0 {",
		new: "	if n < 0 {",
		pkg: ".", run: "TestExpungeFreesTheExpungedFirst",
	},
	{
		rule: "of two names neither is believed", file: "scan.go",
		old: "at.tells && !at.twice && at.msg", new: "at.tells && at.msg",
		pkg: ".", run: "TestTwoNames",
	},
	{
		rule: "of two names every one shows a value afterwards", file: "twin.go",
		old: "	for _, f := range append(names, msg.unite(names)) {",
		new: "	for _, f := range []Flags{msg.unite(names)} {",
		pkg: ".", run: "TestTwoNames",
	},
	{
		rule: "a name that is behind says nothing of flags that were cleared", file: "twin.go",
		old: "		if m.foreign(f) {\n			touched", new: "		if true {\n			touched",
		pkg: ".", run: "TestTwoNames",
	},
	{
		rule: "of two names none clears what another shows", file: "twin.go",
		old: "(removed&^shown)", new: "removed",
		pkg: ".", run: "TestTwoNames",
	},
}
