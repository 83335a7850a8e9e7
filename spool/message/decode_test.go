package message

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"math/rand/v2"
	"mime/quotedprintable"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"
)

func readAll(t testing.TB, r io.Reader) string {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestDecode(t *testing.T) {
	for _, test := range []struct{ encoding, in, want string }{
		{"7bit", "a=3D\x00\xff", "a=3D\x00\xff"},
		{"x-uuencode", "begin", "begin"},
		{"base64", "", ""},
		{"BASE64 (x)", "aGVsbG8=", "hello"},
		{"base64", "aGVs\r\nbG8g d2\t9y\nbGQ=\n", "hello world"},
		{"base64", "!aG*Vs>bG8", "hello"},
		{"base64", "aGVsbG8", "hello"},
		{"base64", "aGVsb", "hel"},
		{"base64", "aGVsbG8=\n-- \nlist footer", "hello"},
		{"base64", "=aGVsbG8==", "hello"},
		{"quoted-printable", "", ""},
		{"quoted_printable", "=46=6f=6F=\r\n bar  \r\n\tx \t\n", "Foo bar\r\n\tx\n"},
		{"quoted-printable", "soft = \t\nbreak=", "soft break"},
		{"quoted-printable", "soft=", "soft"},
		{"quoted-printable", "a=ZZ=4=\r=", "a=ZZ=4=\r"},
		{"quoted-printable", "\x00\xff\x1b bare\rCR  ", "\x00\xff\x1b bare\rCR"},
		{"quoted-printable", strings.Repeat(" ", 3000) + "x", strings.Repeat(" ", 3000) + "x"},
		{"quoted-printable", "=" + strings.Repeat(" ", 3000) + "x", "=" + strings.Repeat(" ", 3000) + "x"},
	} {
		if got := readAll(t, Decode(strings.NewReader(test.in), test.encoding)); got != test.want {
			t.Errorf("%s %q: got %q, want %q", test.encoding, test.in, got, test.want)
		}
		if got := readAll(t, iotest.OneByteReader(Decode(iotest.HalfReader(iotest.DataErrReader(strings.NewReader(test.in))), test.encoding))); got != test.want {
			t.Errorf("%s %q in pieces: got %q, want %q", test.encoding, test.in, got, test.want)
		}
	}
}

func TestDecodeKeepsReadErrors(t *testing.T) {
	broken := errors.New("broken")
	for _, encoding := range []string{"7bit", "base64", "quoted-printable"} {
		r := io.MultiReader(strings.NewReader("YWJj"), iotest.ErrReader(broken))
		b, err := io.ReadAll(Decode(r, encoding))
		if len(b) < 3 || !errors.Is(err, broken) {
			t.Errorf("%s: %q, %v", encoding, b, err)
		}
	}
}

// TestDecodeAgrees compares with the encoders of the standard library.
func TestDecodeAgrees(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		want := make([]byte, rng.IntN(20_000))
		for i := range want {
			if want[i] = byte(rng.Uint32()); rng.IntN(3) == 0 {
				want[i] = " \t=a\n"[rng.IntN(5)]
			}
		}
		encoded := base64.StdEncoding.EncodeToString(want)
		if got := readAll(t, Decode(strings.NewReader(encoded), "base64")); got != string(want) {
			t.Fatalf("base64 of %q", want)
		}
		var b bytes.Buffer
		w := quotedprintable.NewWriter(&b)
		w.Binary = true
		w.Write(want)
		w.Close()
		if got := readAll(t, Decode(&b, "quoted-printable")); got != string(want) {
			t.Fatalf("quoted-printable of %q", want)
		}
	}
}

func TestToUTF8(t *testing.T) {
	for _, test := range []struct{ charset, in, want string }{
		{"", "grüße", "grüße"},
		{"", "gr\xfc\xdfe", "grüße"},
		{"us-ascii", "gr\xfc\xc3\x9fe \xe2\x82", "grüße â‚"},
		{" \"UTF-8\" (x)", "gr\xfcn", "gr\ufffdn"},
		{"ansi", "\x80", "€"},
		{"ISO-8859-1", "\x80\xfc", "€ü"},
		{"unknown-8bit", "\xfc", "ü"},
		{"nonsense", "\xfc", "ü"},
		{"cp-850", "\x81", "ü"},
		{"cp850", "\x81", "ü"},
		{"cp_1251", "\xff", "я"},
		{"win-1251", "\xff", "я"},
		{"windows1252", "\x80", "€"},
		{"iso8859_15", "\xa4", "€"},
		{"ks_c_5601-1987", "\xb0\xa1", "가"},
		{"cp949", "\xb0\xa1", "가"},
		{"cp932", "\x82\xa0", "あ"},
		{"iso-2022-kr", "text", "text"},
		{"csISO2022KR", "text", "text"},
		{"replacement", "text", "text"},
		{"hz-gb-2312", "~{VPND~}", "中文"},
		{"utf-16", "\xfe\xff\x00a", "a"},
		// RFC 2152.
		{"utf-7", "A+ImIDkQ.", "A≢Α."},
		{"utf-7", "Hi Mom -+Jjo--!", "Hi Mom -☺-!"},
		{"utf-7", "+ZeVnLIqe-", "日本語"},
		{"utf-7", "1 +- 1 +2D3eAA- +2D0- +2D0", "1 + 1 😀 \ufffd \ufffd"},
		{"utf-7", "\xfc\xc3\xbc +APw", "üü ü"},
	} {
		if got := readAll(t, ToUTF8(strings.NewReader(test.in), test.charset)); got != test.want {
			t.Errorf("%s %q: got %q, want %q", test.charset, test.in, got, test.want)
		}
		if got := readAll(t, iotest.OneByteReader(ToUTF8(iotest.OneByteReader(strings.NewReader(test.in)), test.charset))); got != test.want {
			t.Errorf("%s %q in pieces: got %q, want %q", test.charset, test.in, got, test.want)
		}
	}
}

// TestToUTF8Always feeds every charset that is known with arbitrary bytes.
func TestToUTF8Always(t *testing.T) {
	names := strings.Fields(`utf-16 utf-16le gb18030 gbk big5 euc-jp euc-kr iso-2022-jp hz-gb-2312 shift_jis
		koi8-r macintosh windows-874 ibm037 utf-7 utf-8 x-mac-cyrillic iso-8859-8-i tis-620`)
	for name := range charsetAliases {
		names = append(names, name)
	}
	rng := rand.New(rand.NewPCG(5, 6))
	in := make([]byte, 10_000)
	for i := range in {
		in[i] = byte(rng.Uint32())
	}
	for _, name := range names {
		got := readAll(t, ToUTF8(bytes.NewReader(in), name))
		if !utf8.ValidString(got) || utf8.RuneCountInString(got) < len(in)/8 {
			t.Errorf("%s: %d bytes, valid %v", name, len(got), utf8.ValidString(got))
		}
	}
}

func TestEntityReaders(t *testing.T) {
	in := "Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\ngr=FC=DFe\n"
	r := strings.NewReader(in)
	e := Scan([]byte(in)).Root()
	if got := readAll(t, e.Raw(r)); got != "gr=FC=DFe\n" {
		t.Errorf("raw %q", got)
	}
	if got := readAll(t, e.Content(r)); got != "gr\xfc\xdfe\n" {
		t.Errorf("content %q", got)
	}
	if got := readAll(t, e.Text(r)); got != "grüße\n" {
		t.Errorf("text %q", got)
	}
	h, err := e.ReadHeader(r)
	if err != nil || h.Get("Content-Transfer-Encoding") != "quoted-printable" {
		t.Errorf("header %q, %v", h, err)
	}
	if h, err := e.ReadHeader(strings.NewReader(in[:20])); err == nil || len(h) != 20 {
		t.Errorf("header %q, %v", h, err)
	}
}
