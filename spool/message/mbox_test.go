package message

import (
	"bufio"
	"bytes"
	"io"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"
)

func TestQuoteFrom(t *testing.T) {
	for text, want := range map[string]string{
		"":                                     "",
		"a":                                    "a\n",
		"From ":                                ">From \n",
		"From":                                 "From\n",
		"a\nFrom b\r\nc\n":                     "a\n>From b\r\nc\n",
		">From b\n>>From\n":                    ">>From b\n>>From\n",
		">":                                    ">\n",
		"\nFrom a\n\n>>From b":                 "\n>From a\n\n>>>From b\n",
		"x From a\n":                           "x From a\n",
		strings.Repeat("x", 4096) + "From a\n": strings.Repeat("x", 4096) + "From a\n",
		strings.Repeat(">", 9999) + "From a\nFrom b\n": strings.Repeat(">", 10000) + "From a\n>From b\n",
	} {
		for _, r := range []io.Reader{strings.NewReader(text), iotest.OneByteReader(strings.NewReader(text))} {
			var b bytes.Buffer
			w := bufio.NewWriter(&b)
			if err := quoteFrom(w, bufio.NewReaderSize(r, 16)); err != nil {
				t.Fatal(err)
			}
			if err := w.Flush(); err != nil || b.String() != want {
				t.Errorf("%.40q becomes %.40q, %v; want %.40q", text, b.String(), err, want)
			}
		}
	}
	in := bufio.NewReader(iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader("From a\n"))))
	if err := quoteFrom(bufio.NewWriter(io.Discard), in); err == nil {
		t.Error("a read error is passed over")
	}
}

// What is taken out of an mbox by the rule is what was put in.
func FuzzQuoteFrom(f *testing.F) {
	f.Add("Subject: x\n\n>From a\nFrom b")
	quoted := regexp.MustCompile(`(?m)^>(>*From )`)
	plain := regexp.MustCompile(`(?m)^From `)
	f.Fuzz(func(t *testing.T, text string) {
		var b bytes.Buffer
		w := bufio.NewWriter(&b)
		if err := quoteFrom(w, bufio.NewReader(strings.NewReader(text))); err != nil || w.Flush() != nil {
			t.Fatal(err)
		}
		if plain.Match(b.Bytes()) {
			t.Errorf("%q has a line that begins a message", b.String())
		}
		want := text
		if want != "" && !strings.HasSuffix(want, "\n") {
			want += "\n"
		}
		if got := quoted.ReplaceAllString(b.String(), "$1"); got != want {
			t.Errorf("%q comes back as %q", want, got)
		}
	})
}

// No header can put a second line into the one that begins a message.
func TestEnvelopeSender(t *testing.T) {
	for header, want := range map[string]string{
		"":                                      "MAILER-DAEMON",
		"Return-Path: <>\n":                     "MAILER-DAEMON",
		"Return-Path: <a@b>\n":                  "a@b",
		"Return-Path: a b\tc\x00d\x7f\n":        "a-b-c-d-",
		"Return-Path: <a\r\n From b@c>\n":       "a-From-b@c",
		"Return-Path:\n  <x@y>\nSubject: z\n\n": "x@y",
	} {
		if got := envelopeSender(Header(header).Get("Return-Path")); got != want {
			t.Errorf("%q: %q, want %q", header, got, want)
		}
	}
}
