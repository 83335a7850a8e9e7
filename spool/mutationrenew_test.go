package spool_test

// ofRenewals are the rules about logs that were lost in part and begun anew.
var ofRenewals = []mutation{
	{
		rule: "a record's sum is compared", file: "commitlog/record.go",
		old: "if !ok || checksum(body) != sum {", new: "if !ok || sum == \"\" {",
		pkg: "commitlog", run: "TestDamage|TestRecord|TestParse|TestGolden",
	},
	{
		rule: "who came by a listing asks for the rotation", file: "commitlog/wentback.go",
		old: "		return l.turnLost(ctx, was.gen)", new: "		return false, nil",
		pkg: "commitlog", run: "TestWentBack|TestGenerationLost|TestRollBack",
	},
	{
		rule: "a comparison that failed is still owed", file: "commitlog/log.go",
		old: "	if l.doubt != nil {\n		return l.refreshAnew(ctx)\n	}\n	before", new: "	l.doubt = nil\n	before",
		pkg: "commitlog", run: "TestWentBack|TestGenerationLost|TestRollBack",
	},
	{
		rule: "what the host remembers is looked for", file: "commitlog/recall.go",
		old: "return seq < l.gen.since || l.gen.tokens[token] == seq", new: "return true",
		pkg: "commitlog", run: "TestRemains",
	},
	{
		rule: "a renewed log has an empty table", file: "commitlog/renew.go",
		old: "next: first, man", new: "next: old.next, man",
		pkg: "commitlog", run: "TestRenew|TestRemainsAfterRepair",
	},
	{
		rule: "a restored log raises UIDVALIDITY", file: "repairlog.go",
		old: "restored || loss == commitlog.LostSome ||", new: "loss == commitlog.LostSome ||",
		pkg: ".", run: "TestRe",
	},
	{
		rule: "the witness of a base is its rotation too", file: "commitlog/generation.go",
		old: "if err != nil || l.gen.turn.slot == \"\" {", new: "if err != nil || true {",
		pkg: "commitlog", run: "TestRotationLost",
	},
	{
		rule: "a directory that was seen is not made again", file: "commitlog/generation.go",
		old: "	if l.gen.seen {\n		return l.dirGone(ctx)\n	}\n	err := netfs", new: "	err := netfs",
		pkg: "commitlog", run: "TestDirectoryLost",
	},
	{
		rule: "a listing that lacks files is made again", file: "commitlog/generation.go",
		old: "gens[len(gens)-1]); !errors.Is(err, fs.ErrNotExist) {", new: "gens[len(gens)-1]); true {",
		pkg: "commitlog", run: "TestListingOfThePast",
	},
	{
		rule: "what the host remembers is looked for again", file: "commitlog/recall.go",
		old: "try == recallTries", new: "try == 0",
		pkg: "commitlog", run: "TestRemainsLooksAgain",
	},
	{
		rule: "a view whose generation has an end stops", file: "commitlog/wentback.go",
		old: "	} else if ended {\n", new: "	} else if ended && false {\n",
		pkg: "commitlog", run: "TestGivenUp",
	},
	{
		rule: "a lost tail may have given UIDs", file: "repairlog.go",
		old: "	case loss == commitlog.LostTail:\n", new: "	case false:\n",
		pkg: ".", run: "TestUIDsAfterLoss",
	},
	{
		rule: "a lost part raises UIDVALIDITY", file: "repairlog.go",
		old: "restored || loss == commitlog.LostSome ||", new: "restored ||",
		pkg: ".", run: "TestUIDsAfterLoss",
	},
	{
		rule: "in a restored log tombstones end", file: "repairlog.go",
		old: "		s.tombs = map[string]tomb{}\n", new: "",
		pkg: ".", run: "TestRestoredMail",
	},
	{
		rule: "a view of a mailbox with another UIDVALIDITY stops", file: "mailbox.go",
		old: "		if m.validity != 0 && m.validity != now {", new: "		if false {",
		pkg: ".", run: "TestLogMadeAnew",
	},
	{
		rule: "a restored log begins far ahead", file: "commitlog/renew.go",
		old: "old.first) + 1 + o.Ahead",
		new: "old.first) + 1",
		pkg: "commitlog", run: "TestRemains",
	},
}
