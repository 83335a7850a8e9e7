package search_test

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/readers/search"
	"github.com/bobbinmail/bobbin/spool"
)

var noon = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)

func TestParseErrors(t *testing.T) {
	for words, want := range map[string]string{
		"":                                   "something is missing",
		"from:":                              "needs a value",
		"from:a and":                         "something is missing",
		"and from:a":                         "stands where a criterion should",
		"( seen":                             `")" is missing`,
		"seen )":                             "has no match",
		"since:later":                        "write a day",
		"larger:5X":                          "write a size",
		"uid:0":                              "write UIDs",
		"x:y":                                "is not known",
		"header:=x":                          "write header:NAME",
		strings.Repeat("not ", 101) + "seen": "nested too deep",
	} {
		if _, err := search.Parse(strings.Fields(words), noon); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", words, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("from:a or ( not seen since:7d ) larger:3M uid:1-*")
	f.Fuzz(func(t *testing.T, line string) {
		k, err := search.Parse(strings.Split(line, " "), noon)
		if err == nil && k.Op < search.All {
			t.Fatalf("%q: %+v", line, k)
		}
	})
}

// filled makes a mailbox with the given messages, which it does not list.
func filled(t *testing.T, texts ...string) (*spool.Mailbox, *netfs.Host) {
	t.Helper()
	h, err := netfs.OpenHost(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s, err := spool.Init(t.Context(), h, spool.InitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	a, err := s.Accounts(t.Context())
	if err == nil {
		err = a.Add(t.Context(), "alice", nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.Box(t.Context(), "alice", spool.Inbox)
	if err != nil {
		t.Fatal(err)
	}
	m, err := b.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range texts {
		in, err := b.Receive(t.Context())
		if err == nil {
			_, err = io.WriteString(in, text)
		}
		if err == nil {
			err = in.Finish(int64(strings.Count(text, "\n")), false)
		}
		if err == nil {
			_, err = m.Append(t.Context(), spool.NewMessage{In: in, Date: noon})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return m, h
}

func find(t *testing.T, m *spool.Mailbox, words ...string) string {
	t.Helper()
	k, err := search.Parse(words, noon)
	if err != nil {
		t.Fatal(err)
	}
	found, problems, err := search.Find(t.Context(), m, k)
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	return found.String()
}

func TestFind(t *testing.T) {
	long := strings.Repeat("some words, ", 40_000)
	m, _ := filled(t,
		"From: A <a@x>\nTo: B <b@y>\nDate: 1 Feb 2003 10:00 +0000\nSubject: =?utf-8?q?=C3=84rger?=\n\nSTRASSE\n",
		"From: c@z\nSubject: "+strings.Repeat("s", 900)+"needle\n\n"+long+"Ende\n"+long,
		"From: "+strings.Repeat("p@q, ", 200)+"last@far\nCc: "+strings.Repeat("p@q, ", 2000)+"deep@far\n\nA\u030a\n",
	)
	if _, err := m.SetFlags(t.Context(), spool.SetOf(2), spool.FlagChange{Add: spool.Seen, AddKeywords: []string{"Work"}}); err != nil {
		t.Fatal(err)
	}
	for words, want := range map[string]string{
		"from:A@X": "1", "to:b": "1", "cc:deep@": "3", "from:last@far": "3", "subject:NEEDLE": "2", "subject:ärger": "1", "subject:ÄRGER": "1",
		"body:straße": "1", "body:ENDE": "2", "body:Å": "3", "body:needle": "", "text:needle": "2", "header:subject=needle": "2", "header:date": "1",
		"seen": "2", "unseen": "1,3", "keyword:work": "2", "uid:*": "3", "uid:2-*": "2-3", "not uid:2": "1,3", "all": "1-3",
		"larger:500k": "2", "smaller:500k": "1,3", "on:today": "1-3", "before:today": "", "since:2026-03-10": "1-3", "since:2026-03-11": "",
		"senton:2003-02-01": "1", "sentbefore:today": "1", "sentsince:today": "2-3",
		"from:a@x or seen": "1-2", "not seen not from:a@x": "3", "( from:a@x or seen ) ende": "2", "seen and larger:1M": "",
	} {
		if got := find(t, m, strings.Fields(words)...); got != want {
			t.Errorf("%q: %q, want %q", words, got, want)
		}
	}
}

// A text that lies across the pieces that are read together is found.
func TestFindAcrossPieces(t *testing.T) {
	var texts []string
	for _, at := range []int{65_400, 65_530, 65_536, 65_600, 131_000} {
		texts = append(texts, "Subject: x\n\n"+strings.Repeat("ä", at/2)+"Größe der Nadel"+strings.Repeat("y", 70_000))
	}
	m, _ := filled(t, texts...)
	if got := find(t, m, "body:GRÖSSE DER NADEL"); got != fmt.Sprintf("1-%d", len(texts)) {
		t.Errorf("found in %q", got)
	}
}

// Only messages that the other criteria leave are opened.
func TestOpensOnlyWhatIsLeft(t *testing.T) {
	var texts []string
	for i := range 40 {
		texts = append(texts, fmt.Sprintf("From: f%d@x\nTo: t%d@x\nSubject: s\n\nbody\n", i%4, i))
	}
	m, h := filled(t, texts...)
	m.Summarize(t.Context(), len(texts))
	for words, want := range map[string]int64{"unseen": 0, "from:f1": 1, "to:t7@": 2, "body:body from:f1": 11, "body:body seen": 0} {
		before := h.Ops.Read()
		find(t, m, strings.Fields(words)...)
		if got := h.Ops.Read().Sub(before)[netfs.OpOpen]; got != want {
			t.Errorf("%q opened %d files, want %d", words, got, want)
		}
	}
}
