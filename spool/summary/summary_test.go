package summary_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/bobbinmail/bobbin/spool/summary"
)

const multipart = "From: =?utf-8?Q?J=C3=B6rg?= <joerg@example.org>\n" +
	"Date: Mon, 2 Jan 2006 15:04:05 +0100\n" +
	"To: A \"Q\" B <a@b.example>, team: x@y.example;\n" +
	"Subject: =?utf-8?Q?gr=C3=BC=C3=9Fe?=\n" +
	"Message-ID: <1@example.org>\n" +
	"Content-Type: multipart/mixed; boundary=b\n" +
	"\n" +
	"--b\n" +
	"Content-Type: text/plain; charset=iso-8859-1\n" +
	"Content-Transfer-Encoding: quoted-printable\n" +
	"\n" +
	"gr=FC=DFe\n" +
	"  aus  Bonn\n" +
	"--b\n" +
	"Content-Type: message/rfc822\n" +
	"Content-Disposition: attachment; filename=\"a b\"\n" +
	"\n" +
	"Subject: inner\n" +
	"\n" +
	"text\n" +
	"--b--\n"

func of(t testing.TB, text string) *summary.Summary {
	t.Helper()
	s, err := summary.Of(summary.Source{ReaderAt: strings.NewReader(text), Size: int64(len(text)), Wire: -1, Whole: true})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestOf(t *testing.T) {
	s := of(t, multipart)
	got := fmt.Sprintf("%d %d %d\n%s\n%s\n%s\n%s\n%s\n%s\n%s", s.Size, s.Wire, s.Marks, s.Sent, s.From, s.Subject, s.MessageID, s.Preview, s.Envelope, s.Body)
	want := fmt.Sprintf("%d %d 0\n", len(multipart), len(multipart)+strings.Count(multipart, "\n")) +
		"2006-01-02T15:04:05+01:00\nJörg <joerg@example.org>\ngrüße\n1@example.org\ngrüße aus Bonn\n" +
		`("Mon, 2 Jan 2006 15:04:05 +0100" "=?utf-8?Q?gr=C3=BC=C3=9Fe?=" (("=?utf-8?Q?J=C3=B6rg?=" NIL "joerg" "example.org")) ` +
		`(("=?utf-8?Q?J=C3=B6rg?=" NIL "joerg" "example.org")) (("=?utf-8?Q?J=C3=B6rg?=" NIL "joerg" "example.org")) ` +
		`(("A Q B" NIL "a" "b.example")(NIL NIL "team" NIL)(NIL NIL "x" "y.example")(NIL NIL NIL NIL)) NIL NIL NIL "<1@example.org>")` + "\n" +
		`(("text" "plain" ("charset" "iso-8859-1") NIL NIL "quoted-printable" 22 1 NIL NIL NIL NIL)` +
		`("message" "rfc822" NIL NIL NIL "7bit" 22 (NIL "inner" NIL NIL NIL NIL NIL NIL NIL NIL) ` +
		`("text" "plain" NIL NIL NIL "7bit" 4 0 NIL NIL NIL NIL) 2 NIL ("attachment" ("filename" "a b")) NIL NIL) ` +
		`"mixed" ("boundary" "b") NIL NIL NIL)`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestHTMLPreview(t *testing.T) {
	for text, want := range map[string]string{
		"<html><head><title>t</title><style>p{}</style></head><body><p>Hello&nbsp;<b>world</b> &amp; all</p><!-- <x> -->": "Hello world & all",
		"no tags < at all":                "no tags",
		"a<br>b<STYLE type=x>c</Style >d": "a b",
		"<script>x</script>y":             "y",
	} {
		if s := of(t, "Content-Type: text/html\n\n"+text); s.Preview != want {
			t.Errorf("%q: %q, want %q", text, s.Preview, want)
		}
	}
}

// countingReader notes how far it was read.
type countingReader struct {
	io.ReaderAt
	end int64
}

func (c *countingReader) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.ReaderAt.ReadAt(p, off)
	c.end = max(c.end, off+int64(n))
	return n, err
}

func TestReadsNoMoreThanNeeded(t *testing.T) {
	text := "Subject: long\n\n" + strings.Repeat("0123456789abcde\n", 64<<10)
	size := int64(len(text))
	for _, tt := range []struct {
		wire  int64
		whole bool
		read  int64
		marks summary.Marks
	}{
		{size + 5, false, summary.Part, summary.UnknownBody},
		{-1, false, size, 0},
		{size + 5, true, size, 0},
	} {
		r := &countingReader{ReaderAt: strings.NewReader(text)}
		s, err := summary.Of(summary.Source{ReaderAt: r, Size: size, Wire: tt.wire, Whole: tt.whole})
		if err != nil {
			t.Fatal(err)
		}
		wire := int64(strings.Count(text, "\n")) + size
		if tt.marks != 0 {
			wire = tt.wire
		}
		if r.end != tt.read || s.Marks != tt.marks || s.Wire != wire || s.Subject != "long" || (s.Body == "") != (tt.marks != 0) {
			t.Errorf("%+v: read %d, %+v", tt, r.end, s)
		}
	}
	if _, err := summary.Of(summary.Source{ReaderAt: strings.NewReader("short"), Size: 9, Wire: 9}); !errors.Is(err, io.EOF) {
		t.Errorf("a file shorter than its size: %v", err)
	}
}

// What a sender can make long does not make a summary long.
func TestLimits(t *testing.T) {
	many := strings.Repeat("ä@example.org, ", 20_000)
	parts := strings.Repeat("--b\nContent-Type: text/x; a=b; c=d\n\nx\n", 9000)
	deep := ""
	for i := range 99 {
		deep += fmt.Sprintf("Content-Type: multipart/mixed; boundary=%040d\n\n--%040d\n", i, i)
	}
	tests := map[string]struct {
		text  string
		marks summary.Marks
	}{
		"addresses": {"From: " + many + "\nTo: " + many + "\n\n", summary.CutFrom | summary.NoEnvelope},
		"subject":   {"Subject: " + strings.Repeat("ü ", 3000) + "\n\n", summary.CutSubject},
		"id":        {"Message-ID: <" + strings.Repeat("i", 3000) + ">\n\n", summary.CutID},
		"parts":     {"Content-Type: multipart/mixed; boundary=b\n\n" + parts, summary.LongBody},
		"deep":      {deep, summary.LongBody},
		"header":    {strings.Repeat("X: y\n", 200_000) + "From: late@example.org\n\n", 0},
		"controls":  {"Subject: " + strings.Repeat("\x01%", 5000) + "\n\n\x00\x01", summary.CutSubject | summary.NoEnvelope},
	}
	for name, tt := range tests {
		s := of(t, tt.text)
		if s.Marks&tt.marks != tt.marks {
			t.Errorf("%s: marks %b, want %b", name, s.Marks, tt.marks)
		}
		rows := []*summary.Summary{s}
		if s.UID = 1; !summary.Fits(rows) {
			t.Errorf("%s: one row does not fit", name)
		}
		if seg := summary.Format(rows, "n"); len(seg.Content) > 50<<10 {
			t.Errorf("%s: a row of %d bytes", name, len(seg.Content))
		}
	}
}

func TestEnvelopeRoundTrip(t *testing.T) {
	e, ok := summary.ParseEnvelope(of(t, multipart).Envelope)
	if !ok || e.MessageID != "<1@example.org>" || len(e.To) != 4 || e.To[0].Phrase != "A Q B" || e.To[2].Host != "y.example" || e.From[0].Name() != "Jörg" {
		t.Errorf("%v %+v", ok, e)
	}
	odd := of(t, "From: \"a\\\\\\\"b\" <NIL@NIL>\nTo: nobody\n\n").Envelope
	if e, ok = summary.ParseEnvelope(odd); !ok || e.From[0].Phrase != `a\"b` || e.From[0].Local != "NIL" || e.To[0].Local != "nobody" {
		t.Errorf("%s: %v %+v", odd, ok, e)
	}
	for _, bad := range []string{"", "()", odd + " ", odd[:len(odd)-1]} {
		if _, ok := summary.ParseEnvelope(bad); ok {
			t.Errorf("%q is an envelope", bad)
		}
	}
}
