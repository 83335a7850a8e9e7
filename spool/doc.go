// Package spool is the mail spool itself: the marker file, where mailboxes
// are, message files, and each mailbox's commit log with the state it makes.
//
// A mailbox is a Maildir that any Maildir program can use, with a directory
// bobbin/ beside tmp, new and cur that holds what a Maildir cannot: UIDs,
// keywords, modification sequence, expunges. Files follow the log: a change is
// committed first and shown in file names afterwards (projection).
//
// docs/spool-format.md is the normative text.
package spool
