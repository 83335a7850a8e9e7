// Package summary makes summaries of messages, what a list and IMAP's ENVELOPE
// and BODYSTRUCTURE (RFC 9051, section 7.5.2) say of them, and writes many of
// them into one immutable file, a segment, so that a mailbox can be listed
// without opening its messages. docs/spool-format.md has the grammar.
//
// Summaries are a cache. Whatever is wrong with one, the message says it again.
package summary
