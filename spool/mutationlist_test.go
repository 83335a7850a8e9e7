package spool_test

// mutations lists the rules of docs/spool-format.md with the code that keeps
// them.
var mutations = []mutation{
	{
		rule: "an acknowledgement follows the witness", file: "commitlog/commit.go",
		old: "	if err := l.witness(ctx); err != nil {\n		return false, err\n	}\n	l.wins++",
		new: "	l.wins++",
		pkg: "commitlog", run: "TestExplore$",
	},
	{
		rule: "the witness compares the record", file: "commitlog/log.go",
		old: "case firstLine(text) != l.at.line:", new: "case text == \"\":",
		pkg: "commitlog", run: "TestExplore$",
	},
	{
		rule: "what was read is believed only if its start stands", file: "commitlog/log.go",
		old: "	if cerr := l.confirm(ctx); cerr != nil {\n		return cerr\n	}\n	if errors.Is(err, fs.ErrNotExist) {",
		new: "	if errors.Is(err, fs.ErrNotExist) {",
		pkg: "commitlog", run: "TestExplore$",
	},
	{
		rule: "the winner's record is believed only if its predecessor stands", file: "commitlog/commit.go",
		old: "	if cerr := l.confirm(ctx); cerr != nil {\n		return cerr // what",
		new: "	if cerr := error(nil); cerr != nil {\n		return cerr // what",
		pkg: "commitlog", run: "TestExplore$",
	},
	{
		rule: "bases go before slots", file: "commitlog/rotate.go",
		old: "	if err := netfs.Unlink(ctx, l.Host, l.FS, path.Join(l.Dir, \"s\", g.name())); err != nil {\n		return err\n	}\n	for seq := g.first + 1",
		new: "	defer netfs.Unlink(ctx, l.Host, l.FS, path.Join(l.Dir, \"s\", g.name()))\n	for seq := g.first + 1",
		pkg: "commitlog", run: "TestExplore$",
	},
	{
		rule: "slots go in ascending order", file: "commitlog/rotate.go",
		old: "	for seq := g.first + 1; seq <= last; seq++ {",
		new: "	for seq := last; seq > g.first; seq-- {",
		pkg: "commitlog", run: "TestExplore$",
	},
	{
		rule: "after an ambiguous commit the tokens are asked", file: "commitlog/commit.go",
		old: "	if _, ok := l.gen.tokens[token]; ok {", new: "	if false {",
		pkg: "commitlog", run: "TestExplore$",
	},
	{
		rule: "a generation's directory is made after its rotation", file: "commitlog/rotate.go",
		old: "	text, err := l.Way.Put(ctx, l.Host, l.FS, l.slot(r.Seq), l.withTail(r.line))\n	switch {",
		new: "	_ = netfs.MkdirAll(ctx, l.Host, l.FS, path.Join(l.Dir, (&generation{first: r.Seq, base: id}).dir()))\n	text, err := l.Way.Put(ctx, l.Host, l.FS, l.slot(r.Seq), l.withTail(r.line))\n	switch {",
		pkg: "commitlog", run: "TestExplore$",
	},
	{
		rule: "the first generation stays", file: "commitlog/rotate.go",
		old: "if g.first == 0 || i+2", new: "if i+2",
		pkg: "commitlog", run: "TestExplore$",
	},
	{
		rule: "only what no slot can name is swept", file: "commitlog/rotate.go",
		old: "!ok || seq > until || keep[n]", new: "!ok || seq > until+1<<40 || keep[n]",
		pkg: "commitlog", run: "TestExplore$",
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
		pkg: "commitlog", run: "TestExplore$",
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
}
