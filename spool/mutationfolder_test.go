package spool_test

// ofFolders are the rules of folders.
var ofFolders = []mutation{
	{
		rule: "who delivers looks whether the folder is deleted", file: "folderdelete.go",
		old: "	if b.leaf == \".\" || b.spool.Level() < 2 {", new: "	if true {",
		pkg: ".", run: "TestFolderRaces|TestDeleteSaves|TestOpenWhile",
	},
	{
		rule: "a mark is looked for in a listing", file: "folderdelete.go",
		old: "	marked, err := netfs.There(ctx, b.spool.Host, b.fs, deletedMark)\n	if missing(err) || err == nil && !marked {",
		new: "	_, err := b.fs.Stat(ctx, deletedMark)\n	if missing(err) {",
		pkg: ".", run: "TestFolderRaces",
	},
	{
		rule: "mail that a deleted folder's log does not know is saved", file: "folderdelete.go",
		old: "	return m.rescue(ctx, r, path.Join(folderTrash, token, grave))", new: "	return nil",
		pkg: ".", run: "TestFolderRaces|TestDeleteSaves",
	},
	{
		rule: "who follows a log to its end finishes the deletion", file: "folderdelete.go",
		old: "	r, err := m.box.home.root(ctx)\n	if err == nil {\n		err = errors.Join(m.bury(ctx, r), r.Close())\n	}", new: "	err := error(nil)",
		pkg: ".", run: "TestFolderRaces|TestDeleteSaves|TestOpenWhile",
	},
	{
		rule: "a deleted folder stays in the trash for a week", file: "foldertrash.go",
		old: "case now.Sub(i.Mtime) < keepFolder:", new: "case now.Sub(i.Mtime) < 0:",
		pkg: ".", run: "TestFolder|TestDelete",
	},
	{
		rule: "a purge saves mail that the log does not know", file: "foldertrash.go",
		old: "			if err := m.rescueFile(ctx, p.root, path.Join(dir, d), n); err != nil {\n				return false, err\n			}",
		new: "			_ = n",
		pkg: ".", run: "TestFolder|TestDelete",
	},
	{
		rule: "folders below are renamed first", file: "folderrename.go",
		old: "strings.Compare(b.from, a.from)", new: "strings.Compare(a.from, b.from)",
		pkg: ".", run: "TestRenameGivenAgain",
	},
	{
		rule: "a mailbox that lives is not purged", file: "foldertrash.go",
		old: "if len(m.state.msgs) > 0 && m.state.deleted == \"\" {", new: "if false {",
		pkg: ".", run: "TestPurgeSparesTheLiving",
	},
	{
		rule: "a log is purged last", file: "foldertrash.go",
		old: "range []string{\"new\", \"cur\", \".\"} {", new: "range []string{\".\"} {",
		pkg: ".", run: "TestPurgeInParts",
	},
	{
		rule: "a mailbox that was taken for another goes back", file: "folderdelete.go",
		old: "	if err != nil || there == id || there == \"\" {", new: "	if true {",
		pkg: ".", run: "TestTakenForAnother",
	},
	{
		rule: "the mailbox under a name is asked which it is", file: "folderdelete.go",
		old: "		if here != id || herr != nil {", new: "		if herr != nil || here == \"\" {",
		pkg: ".", run: "TestNameOfThePurged",
	},
	{
		rule: "a deleted folder is listed after a change of one's own", file: "folderdelete.go",
		old: "	if !r.spool.Host.Profile.NamesFollow {\n		token", new: "	if false {\n		token",
		pkg: ".", run: "TestDeletedFolderIsListedAnew",
	},
	{
		rule: "the user's log knows the number of a deleted folder", file: "userlog.go",
		old: "		if n > s.validity {\n			ops", new: "		if false {\n			ops",
		pkg: ".", run: "TestNumberOfTheDeleted",
	},
}
