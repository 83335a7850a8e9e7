package message

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// TestSurrogate has the examples of RFC 6858 among its cases.
func TestSurrogate(t *testing.T) {
	const nobody = "<invalid@internationalized-address.invalid>"
	long := strings.Repeat("ü", 40)
	for _, c := range []struct{ in, want string }{
		{"Subject: plain\n\nbödy\n", "Subject: plain\n\nbödy\n"},
		{"Subject: grüße\n\n", "Subject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\n\n"},
		{"Subject: ü =?iso-8859-1?Q?=FC?=\r\nDate: x\r\n\r\nü\r\n", "Subject: =?utf-8?q?=C3=BC_=C3=BC?=\nDate: x\r\n\r\nü\r\n"},
		{"Subject: " + long + "\n\n", "Subject: =?utf-8?q?" + strings.Repeat("=C3=BC", 10) + "?=\n =?utf-8?q?" + strings.Repeat("=C3=BC", 10) + "?=\n =?utf-8?q?" +
			strings.Repeat("=C3=BC", 10) + "?=\n =?utf-8?q?" + strings.Repeat("=C3=BC", 10) + "?=\n\n"},
		{"From: Fred Foo <fred@exämple.com>\n\n", "From: =?utf-8?q?Fred_Foo_<fred@ex=C3=A4mple.com>?= " + nobody + "\n\n"},
		{"To: jörg@example.com, Jörg <a@example.com>, \"b c\" <b@example.com>, d@example.com\n\n",
			"To: =?utf-8?q?j=C3=B6rg@example.com?= " + nobody + ",\n =?utf-8?q?J=C3=B6rg?= <a@example.com>,\n \"b c\" <b@example.com>,\n d@example.com\n\n"},
		{"Cc: Gruppe ü: a@example.com, b@example.com;, c@example.com\n\n", "Cc: =?utf-8?q?Gruppe_=C3=BC?=: a@example.com,\n b@example.com;,\n c@example.com\n\n"},
		{"Content-Disposition: attachment; filename=fü\n\n", "Content-Disposition: attachment\n\n"},
		{"Content-Type: text/plain; name=\"a;\\\"ü\"; charset=utf-8\n\nü", "Content-Type: text/plain;\n charset=utf-8\n\nü"},
		{"Content-Type: ü; a=b\nMessage-ID: <ü@x>\nX: ü\n ü\nnoise ü\nTo: a@b\n\n", "To: a@b\n\n"},
		{"Subject: ü", "Subject: =?utf-8?q?=C3=BC?=\n"},
		{"To: ü\nContent-Type: multipart/mixed; boundary=b\n\nü\n--b\nContent-Disposition: inline; filename=ü; size=1\n\nü\n--b\nContent-Type: message/global\n\nSubject: ü\n\nü\n--b--\nü\n",
			"To: =?utf-8?q?=C3=BC?= " + nobody + "\nContent-Type: multipart/mixed; boundary=b\n\nü\n--b\nContent-Disposition: inline;\n size=1\n\nü\n--b\nContent-Type: message/global\n\nSubject: =?utf-8?q?=C3=BC?=\n\nü\n--b--\nü\n"},
	} {
		got, err := io.ReadAll(Surrogate(strings.NewReader(c.in), Scan([]byte(c.in))))
		if err != nil || string(got) != c.want {
			t.Errorf("%q becomes\n%q, want\n%q (%v)", c.in, got, c.want, err)
		}
	}
}

func TestInternationalized(t *testing.T) {
	for in, want := range map[string]bool{"Subject: ü\n\n": true, "Subject: a\n\nü": false, "Subject: \xfc\n\n": false, "": false, "To: ü": true, "Subject: ü\nTo: \xfc\n": false} {
		if got := Header(in).Internationalized(); got != want {
			t.Errorf("%q: %v", in, got)
		}
	}
}

type badReaderAt struct{}

func (badReaderAt) ReadAt([]byte, int64) (int, error) { return 0, iotest.ErrTimeout }

func TestSurrogateError(t *testing.T) {
	if _, err := io.ReadAll(Surrogate(badReaderAt{}, Scan([]byte("Subject: ü\n\n")))); !errors.Is(err, iotest.ErrTimeout) {
		t.Error(err)
	}
}

// FuzzSurrogate: all headers are ASCII, bodies are what they were, and another
// time nothing changes.
func FuzzSurrogate(f *testing.F) {
	for _, test := range structures {
		f.Add([]byte(test.in))
	}
	f.Add([]byte("To: ü, a <b@ü>, \"\x00\" <c>, g: d@e;\nSubject: ü\nContent-Type: multipart/mixed; boundary=b; x=ü\n\n--b\n\nü\n--b--\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		m := Scan(in)
		got, err := io.ReadAll(Surrogate(bytes.NewReader(in), m))
		if err != nil {
			t.Fatal(err)
		}
		again := Scan(got)
		if h := got[again.Root().Header.Start:again.Root().Header.End]; m.Flags&HeaderLimit == 0 && !ascii(h) {
			t.Errorf("%q becomes %q", in, got)
		}
		if body := in[m.Root().Body.Start:m.Root().Body.End]; len(m.Entities) == 1 && m.Flags == 0 && !bytes.HasSuffix(got, body) {
			t.Errorf("the body of %q becomes %q", in, got)
		}
	})
}
