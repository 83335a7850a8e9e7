// Package lmtp is a server for LMTP (RFC 2033): a mail system hands in a
// message for several recipients and learns about each what became of it.
//
// It has PIPELINING, 8BITMIME (RFC 6152), SMTPUTF8 (RFC 6531),
// ENHANCEDSTATUSCODES (RFC 2034), SIZE (RFC 1870), CHUNKING and BINARYMIME (RFC
// 3030), STARTTLS (RFC 3207), takes the parameters of DSN (RFC 3461), and from
// trusted peers Postfix's XCLIENT and XFORWARD. A reply with 250 means that the
// message is durable in the recipient's mailbox.
//
// The server is ours and not go-smtp's, whose client is its peer in tests.
// That server (0.25.1) misses the end of a message whose last line ends in
// \r\r\n and then waits for ever, loses bytes of a line that begins ".\r", takes
// no recipient without a domain, ends the session at a long line or else
// bounds no line at all, reads byte by byte (a tenth of what a share can
// take), has no XCLIENT and XFORWARD, no context and no limit of connections.
package lmtp
