// Package imap serves IMAP4rev1 (RFC 3501) and IMAP4rev2 (RFC 9051) over
// mailboxes of the spool, which other hosts and programs change meanwhile: each
// session has its own numbering of a mailbox, and learns at the end of a command,
// or while it idles, what was committed since.
//
// The codec and the server are ours. go-imap's server has no way to write what
// the spool has ready, an ENVELOPE for one, to be told of another host's changes,
// or to learn a command; its client is a peer in tests.
package imap
