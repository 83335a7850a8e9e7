// Package pop serves POP3 (RFC 1939) over mailboxes of the spool. A session is
// a snapshot of INBOX: it takes no lock, and what other hosts and programs do
// meanwhile is seen by the next one. Messages are marked as seen, and those
// with DELE removed, by QUIT; that is when the client is told whether it worked.
package pop
