package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

func TestClosest(t *testing.T) {
	names := []string{"list", "log", "deliver", "delete", "flag"}
	for word, want := range map[string]string{
		"list": "list", "lst": "list", "lsit": "list", "li": "list", "lgo": "log", "delivre": "deliver",
		"dele": "delete", "flags": "flag", "": "", "x": "", "help": "", "undelivered": "",
	} {
		if got := closest(word, names); got != want {
			t.Errorf("closest(%q) = %q, want %q", word, got, want)
		}
	}
}

func TestWrap(t *testing.T) {
	text := "one two  three\nfour überaus"
	for width, want := range map[int]string{
		80: "one two three four überaus",
		12: "one two|three four|überaus",
		3:  "one|two|three|four|überaus",
	} {
		if got := strings.Join(wrap(text, width), "|"); got != want {
			t.Errorf("width %d: %q, want %q", width, got, want)
		}
	}
	if got := wrap("", 10); got != nil {
		t.Errorf("nothing becomes %q", got)
	}
}

func TestParagraphs(t *testing.T) {
	var got []string
	for _, p := range paragraphs("One\ntwo.\n\n  code\n    more\n\n\n  half\ncode\n") {
		kind := "text"
		if p.verbatim {
			kind = "code"
		}
		got = append(got, kind+":"+strings.Join(p.lines, "|"))
	}
	want := []string{"text:One|two.", "code:code|  more", "text:  half|code"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestWriteJSONIsSafe(t *testing.T) {
	var b strings.Builder
	in := "a\x1b\x7f\u009b\u202eä😀\n"
	if err := writeJSON(&b, in); err != nil {
		t.Fatal(err)
	}
	if want := `"a\u001b\u007f\u009b\u202eä😀\n"` + "\n"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
	var back string
	if err := json.Unmarshal([]byte(b.String()), &back); err != nil || back != in {
		t.Errorf("it reads back as %q, %v", back, err)
	}
}
