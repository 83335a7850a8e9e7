package message

import (
	"bytes"
	"strings"
)

// frame is an entity that is still open.
type frame struct {
	entity   int32
	header   bool   // no blank line yet
	boundary string // the delimiter it waits for; empty when none or closed
	outer    int    // the frame that waited for the same boundary before; -1 when none
	start    mark
	body     mark // where the header ended
}

// push opens a new entity at a place where a header begins.
func (s *Scanner) push(parent int32, at mark) {
	e := Entity{Type: "text", Subtype: "plain", Encoding: "7bit"}
	if parent >= 0 {
		up := &s.entities[parent]
		e.Depth = up.Depth + 1
		if up.Multipart() && up.Subtype == "digest" {
			e.Type, e.Subtype = "message", "rfc822"
		}
	}
	s.frames = append(s.frames, frame{entity: int32(len(s.entities)), header: true, outer: -1, start: at})
	s.entities = append(s.entities, e)
	s.parents = append(s.parents, parent)
	s.fields.reset()
	s.inHeader = true
}

func (s *Scanner) top() *frame { return &s.frames[len(s.frames)-1] }

// headerLine takes one complete line of a header.
func (s *Scanner) headerLine(prefix []byte, n int64, start mark) {
	if n <= maxField && blank(prefix) {
		s.endHeader(s.pos, 0)
		return
	}
	s.headerText(prefix, start)
}

func (s *Scanner) headerText(prefix []byte, start mark) {
	if s.pos.off-s.top().start.off > s.Limits.Header {
		s.endHeader(start, HeaderLimit)
		return
	}
	s.fields.line(prefix[:min(len(prefix), maxField)])
}

// blank tells whether a line, without its LF, ends a header. Mail that had its
// line ends converted twice has blank lines of several CRs.
func blank(line []byte) bool {
	if len(line) > maxField {
		return false
	}
	for _, c := range line {
		if c != '\r' {
			return false
		}
	}
	return true
}

// endHeader begins the body of the innermost entity and opens what is in it.
func (s *Scanner) endHeader(at mark, flags Flags) {
	f := s.top()
	f.header, f.body = false, at
	s.inHeader = false
	e := &s.entities[f.entity]
	e.Flags |= flags
	s.fields.describe(e)
	opens := e.Boundary != "" || e.Nested() && identity(e.Encoding)
	switch {
	case !opens || flags.Limited():
	case e.Depth >= s.Limits.Depth:
		e.Flags |= DepthLimit
	case e.Boundary != "":
		s.await(len(s.frames)-1, e.Boundary)
	case len(s.entities) >= s.Limits.Parts:
		e.Flags |= PartsLimit
	default:
		s.push(f.entity, at)
	}
}

func (s *Scanner) await(i int, boundary string) {
	if s.open == nil {
		s.open = make(map[string]int)
	}
	f := &s.frames[i]
	f.boundary, f.outer = boundary, -1
	if j, ok := s.open[boundary]; ok {
		f.outer = j
	}
	s.open[boundary] = i
}

// forget ends the wait of frame i. Of the frames that wait for the same
// boundary it must be the innermost.
func (s *Scanner) forget(i int) {
	f := &s.frames[i]
	switch {
	case f.boundary == "":
	case f.outer >= 0:
		s.open[f.boundary] = f.outer
	default:
		delete(s.open, f.boundary)
	}
	f.boundary = ""
}

// isDelimiter acts on a line that is a delimiter of an open multipart (RFC
// 2046, section 5.1.1) and says whether it was one. All of the line but
// trailing white space must agree: "--foobar" does not delimit "foo". When it
// could be two things, the innermost multipart wins.
func (s *Scanner) isDelimiter(prefix []byte, n int64, start, next mark) bool {
	if len(s.open) == 0 || n > maxDelimiter || !bytes.HasPrefix(prefix, dashes) {
		return false
	}
	name := bytes.TrimRight(prefix[2:], " \t\r")
	i, found := s.open[string(name)]
	closing := false
	if inner, ok := bytes.CutSuffix(name, dashes); ok {
		if j, ok := s.open[string(inner)]; ok && (!found || j > i) {
			i, found, closing = j, true, true
		}
	}
	if !found {
		return false
	}
	s.closeFrames(i+1, s.beforeLineEnd(start))
	f := &s.frames[i]
	e := &s.entities[f.entity]
	s.inHeader = false
	switch {
	case closing:
		s.forget(i)
	case len(s.entities) >= s.Limits.Parts:
		e.Flags |= PartsLimit
		s.forget(i)
	default:
		s.push(f.entity, next)
	}
	return true
}

var dashes = []byte("--")

// beforeLineEnd returns the place before the line end that comes before the
// line at start: it belongs to the delimiter.
func (s *Scanner) beforeLineEnd(start mark) mark {
	if s.lastBare {
		return mark{start.off - 1, start.lines - 1, start.bare - 1}
	}
	return mark{start.off - 2, start.lines - 1, start.bare}
}

// closeFrames ends the entities from frame i inwards. The outermost of them
// keeps a blank line that both ends its header and belongs to the delimiter;
// those in it never reach beyond its body.
func (s *Scanner) closeFrames(i int, end mark) {
	for j := len(s.frames) - 1; j >= i; j-- {
		f := &s.frames[j]
		if f.boundary != "" {
			s.entities[f.entity].Flags |= NoClosing
		}
		s.forget(j)
	}
	for j := i; j < len(s.frames); j++ {
		f := &s.frames[j]
		e := &s.entities[f.entity]
		if f.header {
			f.body = later(f.start, end)
			e.Flags |= NoBlankLine
			s.fields.describe(e)
		}
		if j > i {
			f.start, f.body = earlier(f.start, end), earlier(f.body, end)
		} else {
			end = later(f.body, end)
		}
		e.Header, e.Body = f.start.until(f.body), f.body.until(end)
	}
	s.frames = s.frames[:i]
}

// link turns the scanner's indices into pointers.
func link(m *Message, parents []int32) {
	all := m.Entities
	counts := make([]int32, len(all))
	for _, p := range parents[1:] {
		counts[p]++
	}
	pool := make([]*Entity, len(all)-1)
	for i := range all {
		m.Flags |= all[i].Flags
		if n := counts[i]; n > 0 {
			all[i].Children, pool = pool[:0:n], pool[n:]
		}
	}
	for i, p := range parents[1:] {
		e, up := &all[i+1], &all[p]
		e.Parent = up
		up.Children = append(up.Children, e)
	}
}

// identity tells whether a body in this encoding is stored as it is.
func identity(encoding string) bool {
	return encoding == "7bit" || encoding == "8bit" || encoding == "binary"
}

// fields collects the fields of one header that decide the structure.
type fields struct {
	contentType field
	encoding    field
	current     *field // the one that continuation lines go on with
}

type field struct {
	seen  bool
	value []byte // unfolded, at most maxField bytes
}

func (f *field) add(b []byte) {
	b = bytes.TrimRight(b, "\r")
	f.value = append(f.value, b[:min(len(b), maxField-len(f.value))]...)
}

func (fs *fields) reset() {
	fs.current = nil
	for _, f := range []*field{&fs.contentType, &fs.encoding} {
		f.seen, f.value = false, f.value[:0]
	}
}

// line takes one header line. Of several fields with one name the first counts.
func (fs *fields) line(line []byte) {
	if line[0] == ' ' || line[0] == '\t' {
		if fs.current != nil {
			fs.current.add(line)
		}
		return
	}
	fs.current = nil
	if c := line[0] | 0x20; c != 'c' {
		return
	}
	nameEnd, value, ok := splitField(line)
	if !ok {
		return
	}
	var f *field
	switch name := line[:nameEnd]; {
	case equalFold(name, "content-type"):
		f = &fs.contentType
	case equalFold(name, "content-transfer-encoding"):
		f = &fs.encoding
	}
	if f != nil && !f.seen {
		f.seen = true
		f.add(line[value:])
		fs.current = f
	}
}

// describe puts into e what the header says.
func (fs *fields) describe(e *Entity) {
	if fs.encoding.seen {
		e.Encoding = intern(NormalEncoding(string(fs.encoding.value)))
	}
	if !fs.contentType.seen {
		return
	}
	t := ParseMediaType(string(fs.contentType.value))
	e.Type, e.Subtype = intern(t.Type), intern(t.Subtype)
	switch e.Type {
	case "text":
		e.Charset = intern(shortCharset(t.Params.Get("charset")))
	case "multipart":
		e.Boundary = cleanBoundary(t.Params.raw("boundary"))
	}
}

func cleanBoundary(b string) string {
	b = strings.TrimRight(b, " \t\r\n")
	if len(b) > MaxBoundary {
		return ""
	}
	return strings.Clone(b)
}
