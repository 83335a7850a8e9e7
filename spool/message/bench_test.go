package message

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

// typical builds the mail that fills most mailboxes: a header of 2.4 KB, text
// in two forms and an attachment of a given size.
func typical(attachment int) []byte {
	var b bytes.Buffer
	for i := range 20 {
		fmt.Fprintf(&b, "Received: from mx%d.example.org (mx%d.example.org [192.0.2.%d])\r\n\tby mail.example.com with ESMTPS id 1234567890abc\r\n\tfor <someone@example.com>; Mon, 23 Nov 2026 10:00:%02d +0000\r\n", i, i, i, i)
	}
	b.WriteString("From: =?utf-8?Q?J=C3=B6rg?= <joerg@example.org>\r\nTo: someone@example.com\r\nSubject: =?utf-8?B?R3LDvMOfZQ==?=\r\n")
	b.WriteString("Date: Mon, 23 Nov 2026 10:00:00 +0100\r\nMessage-ID: <1@example.org>\r\nMIME-Version: 1.0\r\n")
	b.WriteString("Content-Type: multipart/mixed; boundary=\"outer\"\r\n\r\n--outer\r\nContent-Type: multipart/alternative; boundary=\"inner\"\r\n\r\n")
	text := strings.Repeat("A line of text as people write it, neither long nor short.\r\n", 40)
	fmt.Fprintf(&b, "--inner\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n%s\r\n", text)
	fmt.Fprintf(&b, "--inner\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>%s</p>\r\n--inner--\r\n", text)
	b.WriteString("--outer\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n")
	line := make([]byte, 76)
	rng := rand.New(rand.NewPCG(1, 2))
	for n := 0; n < attachment; n += len(line) + 2 {
		for i := range line {
			line[i] = base64Alphabet[rng.IntN(64)]
		}
		b.Write(line)
		b.WriteString("\r\n")
	}
	b.WriteString("--outer--\r\n")
	return b.Bytes()
}

func BenchmarkScan(b *testing.B) {
	simple := typical(0)
	header, _, _ := bytes.Cut(simple, []byte("MIME-Version"))
	simple = append(bytes.Clone(header), "\r\n"+strings.Repeat("A line of text as people write it, neither long nor short.\r\n", 20)...)
	for _, mail := range []struct {
		name string
		in   []byte
	}{
		{"simple", simple},
		{"multipart", typical(0)},
		{"attachment100K", typical(100 << 10)},
		{"attachment10M", typical(10 << 20)},
		{"short lines", append([]byte("A: b\r\n\r\n"), bytes.Repeat([]byte("\n"), 1<<20)...)},
		{"delimiters", append(bytes.Clone(nested(100)[:3000]), bytes.Repeat([]byte("--x\n"), 1<<18)...)},
	} {
		b.Run(mail.name, func(b *testing.B) {
			b.SetBytes(int64(len(mail.in)))
			b.ReportAllocs()
			for b.Loop() {
				Scan(mail.in)
			}
		})
	}
}

func BenchmarkScannerStream(b *testing.B) {
	in := typical(10 << 20)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		var s Scanner
		for rest := in; len(rest) > 0; {
			n := min(32<<10, len(rest))
			s.Write(rest[:n])
			rest = rest[n:]
		}
		s.Finish()
	}
}

func BenchmarkHeader(b *testing.B) {
	in := typical(0)
	h := Header(in[:Scan(in).Root().Header.End])
	for _, test := range []struct {
		name string
		run  func()
	}{
		{"fields", func() {
			for range h.Fields() {
			}
		}},
		{"get", func() { h.Get("Message-ID") }},
		{"text", func() { h.Text("Subject") }},
		{"addresses", func() { h.Addresses("From") }},
		{"date", func() { h.Date() }},
	} {
		b.Run(test.name, func(b *testing.B) {
			b.SetBytes(int64(len(h)))
			b.ReportAllocs()
			for b.Loop() {
				test.run()
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	in := typical(1 << 20)
	m := Scan(in)
	r := bytes.NewReader(in)
	for _, enc := range []string{"base64", "quoted-printable"} {
		b.Run(enc, func(b *testing.B) {
			e := m.Entities[len(m.Entities)-1]
			e.Encoding = enc
			b.SetBytes(e.Body.Len())
			b.ReportAllocs()
			for b.Loop() {
				io.Copy(io.Discard, e.Content(r))
			}
		})
	}
}
