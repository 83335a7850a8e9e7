package spool_test

// ofRenewals are the rules about logs that were lost in part and begun anew.
var ofRenewals = []mutation{
	{
		rule: "a record's sum is compared", file: "commitlog/record.go",
		old: "if !ok || checksum(body) != sum {", new: "if !ok || sum == \"\" {",
		pkg: "commitlog", run: "TestDamage|TestRecord|TestParse|TestGolden",
	},
	{
		rule: "where names lag only the first look is early", file: "../netfs/fresh.go",
		old: "h.Profile.EarlyLookSticks || w.started && !h.Profile.NamesFollow:", new: "h.Profile.EarlyLookSticks:",
		pkg: "../netfs/simfs", run: "TestEarlyLook|TestSMB|TestRule|TestCache",
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
}
