// Package pop serves POP3 (RFC 1939), POP2 (RFC 937) and POP (RFC 918) over
// mailboxes of the spool, by one kind of snapshot. A session is
// a snapshot of INBOX: it takes no lock, and what other hosts and programs do
// meanwhile is seen by the next one. Messages are marked as seen, and those
// with DELE removed, by QUIT; that is when the client is told whether it worked.
package pop
