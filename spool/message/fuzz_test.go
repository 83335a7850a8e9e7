package message

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"
	"unicode/utf8"
)

func FuzzScan(f *testing.F) {
	for i, test := range structures {
		f.Add([]byte(test.in), uint8(i), uint16(i))
	}
	f.Add(nested(120), uint8(50), uint16(3))
	f.Fuzz(func(t *testing.T, in []byte, size uint8, seed uint16) {
		small := Limits{Depth: 1 + int(seed%4), Parts: 1 + int(seed>>2%8), Header: 1 + int64(seed>>5)}
		for _, limits := range []Limits{{}, small} {
			want := chunked(in, limits, len(in)+1)
			check(t, in, want)
			same(t, chunked(in, limits, int(size)), want)
			same(t, chunked(in, limits, 1+int(seed%7), int(size), 1+int(seed>>7)), want)
			if max := limits.Parts; max > 0 && len(want.Entities) > max {
				t.Fatalf("%d entities", len(want.Entities))
			}
			for i := range want.Entities {
				if e := &want.Entities[i]; limits.Header > 0 && e.Header.Len() > limits.Header+2+int64(bytes.Count(in, []byte("\r"))) || limits.Depth > 0 && e.Depth > limits.Depth {
					t.Fatalf("entity %d: %+v", i, e)
				}
			}
		}
	})
}

func FuzzHeader(f *testing.F) {
	f.Add([]byte(oddHeader))
	f.Add([]byte("To: =?utf-8?Q?a,b?= \"x\\\"\" (c) <@r:a@b>, g: c@d;\nDate: Mon, 2 Jan 2006 15:04:05 +0100\n"))
	f.Add([]byte("Content-Type: a/b; n*0*=utf-8''%41; n*1=b; m=\"x\\\"y\nMessage-ID: <a@b>\nSubject: =?x?b?QQ?= \xff\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		h := Header(in)
		at := 0
		for field := range h.Fields() {
			if field.Start != at || field.NameEnd < at || field.ValueStart < field.NameEnd || field.ValueEnd < field.ValueStart || field.End < field.ValueEnd {
				t.Fatalf("field %+v at %d", field, at)
			}
			if at = field.End; at > len(in) {
				t.Fatalf("field %+v beyond %d", field, len(in))
			}
			value := h.Value(field)
			texts := []string{DecodeText(value)}
			for _, a := range ParseAddresses(value) {
				texts = append(texts, a.String())
			}
			for _, p := range ParseMediaType(value).Params.All() {
				texts = append(texts, ParseMediaType(value).Params.Get(p.Name))
			}
			for _, text := range texts {
				if !utf8.ValidString(text) {
					t.Fatalf("%q is no UTF-8, from %q", text, value)
				}
			}
			ParseDate(value)
			ParseMessageIDs(value)
			NormalEncoding(value)
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("aGVsbG8=\n--footer"), "base64", "utf-8")
	f.Add([]byte("a=\n=3D =\t\nx \t\r\n"), "quoted-printable", "iso-8859-1")
	f.Add([]byte("1 +- 1 +2D3eAA- +2D0"), "8bit", "utf-7")
	f.Add([]byte("\x1b$B\xff\xe2\x82"), "", "iso-2022-jp")
	f.Fuzz(func(t *testing.T, in []byte, encoding, charset string) {
		var got [2]string
		for i, r := range []io.Reader{bytes.NewReader(in), iotest.OneByteReader(bytes.NewReader(in))} {
			b, err := io.ReadAll(ToUTF8(Decode(r, encoding), charset))
			if err != nil || !utf8.Valid(b) {
				t.Fatalf("%q, %v", b, err)
			}
			got[i] = string(b)
		}
		if got[0] != got[1] {
			t.Fatalf("%q, in pieces %q", got[0], got[1])
		}
	})
}

// FuzzWellFormed compares with go-message on mail that it can read.
func FuzzWellFormed(f *testing.F) {
	rng := rand.New(rand.NewPCG(7, 8))
	for n := range 60 {
		choices := make([]byte, 4*n)
		for i := range choices {
			choices[i] = byte(rng.Uint32())
		}
		f.Add(choices)
	}
	f.Fuzz(func(t *testing.T, choices []byte) {
		in := generate(choices[:min(len(choices), 400)])
		m := Scan(in)
		check(t, in, m)
		if m.Flags != 0 {
			t.Errorf("flags %b", m.Flags)
		}
		if err := (peer{in, true}).message(in, m.Root()); err != nil {
			t.Errorf("%v\n%s", err, in)
		}
	})
}

// TestPythonSamples reads the mail samples of CPython's test suite.
func TestPythonSamples(t *testing.T) {
	names, _ := filepath.Glob("/usr/lib/python3*/test/test_email/data/*.txt")
	if len(names) == 0 {
		t.Skip("the samples of CPython's test suite are missing: install the package libpython3.11-testsuite")
	}
	compared := 0
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			in, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			m := Scan(in)
			check(t, in, m)
			same(t, chunked(in, Limits{}, 13, 1), m)
			err = peer{in, false}.message(in, m.Root())
			var gaveUp errPeer
			switch {
			case errors.As(err, &gaveUp):
				t.Logf("go-message gives up: %v", err)
			case err != nil:
				t.Error(err)
			default:
				compared++
			}
		})
	}
	t.Logf("%d of %d compared", compared, len(names))
}
