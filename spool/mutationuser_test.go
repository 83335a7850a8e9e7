package spool_test

// ofUsers are the rules of users' own logs.
var ofUsers = []mutation{
	{
		rule: "a UIDVALIDITY is noted before it is used", file: "userlog.go",
		old: "		return []string{numberOp(opValidity, n)}",
		new: "		return nil",
		pkg: ".", run: "TestUIDValidity",
	},
	{
		rule: "there is room in the state that a delivery builds on", file: "usage.go",
		old: "	err = u.tryCommit(ctx, func(*userState) ([]string, error) {\n		if refused = admit",
		new: "	asked := 0\n	err = u.tryCommit(ctx, func(*userState) ([]string, error) {\n		if asked++; asked > 1 {\n			refused = nil\n		} else if refused = admit",
		pkg: ".", run: "TestTake",
	},
	{
		rule: "a count of an older record means nothing", file: "usage.go",
		old: "was.validity != c.validity || was.modSeq < c.modSeq {",
		new: "was.validity != c.validity || true {",
		pkg: ".", run: "TestUsage",
	},
	{
		rule: "a message that its folder counts is taken no longer", file: "usage.go",
		old: "		case m.knows(name):",
		new: "		case false:",
		pkg: ".", run: "TestUsage|TestSimulatedUsage",
	},
	{
		rule: "a message that is late counts no longer", file: "usage.go",
		old: "		case m.late(name):",
		new: "		case m.late(name) && false:",
		pkg: ".", run: "TestSimulatedUsage",
	},
	{
		rule: "a message that is late is looked for", file: "usage.go",
		old: "	if len(late) > 0 {\n		err",
		new: "	if false {\n		err",
		pkg: ".", run: "TestLateMessage",
	},
}
