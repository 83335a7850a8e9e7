// Package message reads the structure of stored mail (RFC 5322, RFC 2045 to
// 2047, RFC 2231, RFC 6532) without ever failing.
//
// A [Scanner] takes the bytes as they stand on disk, in chunks of any size,
// and gives back a [Message]: for every entity where its header and its body
// lie, how many lines they have and what the header says about their type.
// It copies no content, so a message of any size is scanned in flat memory
// while it streams to disk. Whatever the bytes are, there is an answer: lines
// may end in LF or CRLF, mixed; bare CR, NUL and 8-bit bytes are ordinary; a
// header line that is none does not end the header.
//
// The answer depends on the bytes alone, never on how they were cut into
// chunks: every decision is taken when a line is complete, from the line's
// length and a prefix of fixed maximal length.
//
// # Linear time
//
// Every byte is looked at a constant number of times. Lines are found with
// [bytes.IndexByte]; in a body outside multiparts nothing else happens, inside
// one the line's first two bytes are looked at as well. A line that begins
// with "--" and is short enough is looked up in one table of all open
// boundaries, at most twice, so that the cost does not grow with the number of
// open multiparts. A delimiter of an outer multipart closes the inner ones,
// but each entity is opened and closed once.
//
// # Reading what was found
//
// [Header] looks up and decodes fields in header bytes, [Entity.Content] and
// [Entity.Text] decode bodies. These do not fail on bad content either: what
// cannot be decoded is passed on as it stands, or replaced by U+FFFD.
package message
