// Package search finds messages. A program is a tree of [Key], which has the
// search keys of IMAP (RFC 9051, section 6.4.4); [Parse] makes one of the words
// of a command line. [Find] asks what is cheap first: the log, then the
// summaries, and opens only the messages that these leave in doubt.
package search
