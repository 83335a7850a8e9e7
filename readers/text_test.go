package readers

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/bobbinmail/bobbin/spool/message"
)

const head = "From: a@b\nSubject: x\n"

var texts = []struct{ name, in, want string }{
	{"empty", "", "\n"},
	{"plain", "From: =?utf-8?q?J=C3=B6rg?= <j@x>\r\nTo: a@b,\r\n c@d\r\nX: y\r\nDate: Mon, 2 Jan 2006\r\nSubject: \x1b]0;x\x07\r\n\r\nbody\r\n",
		"From: Jörg <j@x>\nTo: a@b, c@d\nDate: Mon, 2 Jan 2006\nSubject: " + bad + "]0;x" + bad + "\n\nbody\n"},
	{"encoded", head + "Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\ngr=FC=DFe =1B[0m=",
		"From: a@b\nSubject: x\n\ngrüße " + bad + "[0m\n"},
	{"html", head + "Content-Type: text/html\n\n<p>x</p>\n", "From: a@b\nSubject: x\n\n[text/html, 9 B: no plain text]\n"},
	{"alternative", head + "Content-Type: multipart/alternative; boundary=b\n\n" +
		"--b\nContent-Type: text/html\n\n<p>\n--b\nContent-Type: text/plain\n\nplain\n" +
		"--b\nContent-Type: multipart/mixed; boundary=c\n\n--c\nContent-Type: application/pdf\nContent-Disposition: attachment; filename=a.pdf\n\nx\n--c--\n--b--\n",
		"From: a@b\nSubject: x\n\nplain\n[attachment: a.pdf, application/pdf, 1 B]\n"},
	{"related", head + "Content-Type: multipart/related; boundary=b\n\n--b\n\ntext\n--b\nContent-Type: image/png; name=\"a\tb.png\"\nContent-Transfer-Encoding: base64\n\nQUJD\nQUJD\n--b--\n",
		"From: a@b\nSubject: x\n\ntext\n[attachment: a b.png, image/png, 6 B]\n"},
	{"mixed", head + "Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b\n\ntwo\n--b\nContent-Disposition: attachment\n\nthree\n" +
		"--b\nContent-Type: message/rfc822\n\nSubject: inner\n\nbody\n--b\nContent-Type: message/delivery-status\n\nAction: failed\n--b--\n",
		"From: a@b\nSubject: x\n\none\n\ntwo\n[attachment: unnamed, text/plain, 5 B]\n[attachment: inner, message/rfc822, 20 B]\n\nAction: failed\n"},
	{"digest", head + "Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: one\n\nfirst\n--b\n\nSubject: two\n\nsecond\n--b--\n",
		"From: a@b\nSubject: x\n\nSubject: one\n\nfirst\nSubject: two\n\nsecond\n"},
	{"no boundary", head + "Content-Type: multipart/mixed\n\ntext\n", "From: a@b\nSubject: x\n\ntext\n"},
	{"evil type", head + "Content-Type: a\x9b/b\n\nx", "From: a@b\nSubject: x\n\nx\n"},
}

func render(t testing.TB, in string, o TextOptions) string {
	t.Helper()
	var b bytes.Buffer
	if err := Text(&b, strings.NewReader(in), int64(len(in)), o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestText(t *testing.T) {
	for _, test := range texts {
		t.Run(test.name, func(t *testing.T) {
			if got := render(t, test.in, TextOptions{}); got != test.want {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
			if got := render(t, test.in, TextOptions{Message: message.Scan([]byte(test.in))}); got != test.want {
				t.Errorf("with structure: %q", got)
			}
		})
	}
}

func TestTextOptions(t *testing.T) {
	in := "From: a@b\nX-Y: z\n\n0123456789"
	for _, test := range []struct {
		o    TextOptions
		want string
	}{
		{TextOptions{Fields: []string{"X-y", "Nothing"}}, "X-y: z\n\n0123456789\n"},
		{TextOptions{Fields: []string{}, MaxText: 4}, "\n0123\n[text cut after 4 B]\n"},
		{TextOptions{Fields: []string{}, MaxText: 10}, "\n0123456789\n"},
		{TextOptions{Fields: []string{}, MaxText: 9}, "\n012345678\n[text cut after 9 B]\n"},
		{TextOptions{Fields: []string{}, MaxText: -1}, "\n0123456789\n"},
	} {
		if got := render(t, in, test.o); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
	if got := render(t, "\n€€€", TextOptions{MaxText: 4}); got != "\n€\n[text cut after 4 B]\n" {
		t.Errorf("got %q", got)
	}
	long := "From: \n\nSubject: x"
	if got := render(t, "Subject: "+strings.Repeat("ü", maxValue)+"\n\n", TextOptions{}); len(got) != len("Subject: \n\n")+maxValue+len("…") {
		t.Errorf("%d bytes", len(got))
	}
	if got := render(t, long, TextOptions{}); got != "From: \n\nSubject: x\n" {
		t.Errorf("got %q", got)
	}
}

func TestTextErrors(t *testing.T) {
	in := texts[1].in
	broken := errors.New("broken")
	if err := Text(io.Discard, brokenReaderAt{broken}, 100, TextOptions{}); !errors.Is(err, broken) {
		t.Error(err)
	}
	if err := Text(io.Discard, brokenReaderAt{broken}, 100, TextOptions{Message: message.Scan([]byte(in))}); !errors.Is(err, broken) {
		t.Error(err)
	}
	if err := Text(&failingWriter{left: 3}, strings.NewReader(in), int64(len(in)), TextOptions{}); !errors.Is(err, errFull) {
		t.Error(err)
	}
}

type brokenReaderAt struct{ err error }

func (b brokenReaderAt) ReadAt([]byte, int64) (int, error) { return 0, b.err }

// huge is a message of any size that takes no memory: after its beginning one
// byte is repeated.
type huge struct{ head string }

func (h huge) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	if off < int64(len(h.head)) {
		n = copy(p, h.head[off:])
	}
	for i := n; i < len(p); i++ {
		p[i] = 'A'
	}
	return len(p), nil
}

func TestTextOfHugeMessages(t *testing.T) {
	for name, in := range map[string]string{
		"text":       "Subject: x\n\n",
		"base64":     "Content-Transfer-Encoding: base64\n\n",
		"header":     "Subject: ",
		"attachment": "Content-Type: a/b\n\n",
		"multipart":  "Content-Type: multipart/mixed; boundary=b\n\n--b\n\n",
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := Text(io.Discard, huge{in}, 100<<20, TextOptions{}); err != nil {
			t.Error(err)
		}
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > 4<<20 {
			t.Errorf("%s: %d bytes allocated", name, got)
		}
	}
}

func FuzzText(f *testing.F) {
	for _, test := range texts {
		f.Add([]byte(test.in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		got := render(t, string(in), TextOptions{MaxText: 1000})
		if !utf8.ValidString(got) {
			t.Fatalf("%q is no UTF-8", got)
		}
		for _, r := range got {
			if forbidden(r) {
				t.Fatalf("%q holds %U", got, r)
			}
		}
		var b bytes.Buffer
		if err := Text(&b, iotestReaderAt{in}, int64(len(in)), TextOptions{MaxText: 1000}); err != nil || b.String() != got {
			t.Fatalf("%q in pieces, %v", b.String(), err)
		}
	})
}

// iotestReaderAt hands out little at a time where it may.
type iotestReaderAt struct{ b []byte }

func (r iotestReaderAt) ReadAt(p []byte, off int64) (int, error) {
	if off >= int64(len(r.b)) {
		return 0, io.EOF
	}
	n, err := io.ReadFull(iotest.HalfReader(bytes.NewReader(r.b[off:])), p)
	if err == io.ErrUnexpectedEOF {
		err = io.EOF
	}
	return n, err
}
