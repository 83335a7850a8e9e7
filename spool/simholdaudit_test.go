package spool_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs/simfs"
	"github.com/bobbinmail/bobbin/spool"
)

// auditMoves lets days go by on a quiet share, has everything swept, and
// compares what is there with the history.
func auditMoves(t *testing.T, s *simfs.Sim, hist *moves) {
	t.Helper()
	h := s.Host("audit")
	sp, err := spool.Open(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	there := map[string][]*spool.Message{}
	for i, folder := range folders {
		b, err := sp.Box(t.Context(), "alice", folder)
		if err != nil {
			t.Fatal(err)
		}
		const sweep = "Subject: sweep\n\n"
		// Several times: litter that is a link to a message's file looks young
		// when another of its names is moved or removed.
		for range 4 {
			if err := h.Sleep(t.Context(), 40*time.Hour); err != nil {
				t.Fatal(err)
			}
			m := open(t, b)
			if _, err := m.Append(t.Context(), spool.NewMessage{In: receive(t, b, sweep)}); err != nil {
				t.Fatal(err)
			}
			project(t, m)
			project(t, m)
		}
		home := "users/alice/"
		if i > 0 {
			home += ".Archive/"
		}
		for _, dir := range []string{"tmp", "bobbin/hold"} {
			if names, err := s.Server().List(home + dir); err != nil || len(names) > 0 {
				t.Errorf("%s%s still has %q, %v", home, dir, names, err)
			}
		}
		m := open(t, b)
		for _, msg := range m.Messages() {
			if text := read(t, m, msg.UID); text != sweep {
				there[text] = append(there[text], msg)
			}
		}
		checkRight(t, b)
	}
	auditTexts(t, hist, there)
	for _, texts := range hist.batches {
		seen := 0
		for _, text := range texts {
			if len(there[text]) > 0 || hist.told[text].expunged {
				seen++
			}
		}
		if seen != 0 && seen != len(texts) {
			t.Errorf("%d of %d messages were appended: %.60q", seen, len(texts), texts)
		}
	}
}

// checkRight wants nothing wrong; delays may be.
func checkRight(t *testing.T, b *spool.Box) {
	t.Helper()
	found, err := b.Check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		if f.Wrong {
			t.Errorf("check: %s", f)
		}
	}
}

func auditTexts(t *testing.T, hist *moves, there map[string][]*spool.Message) {
	t.Helper()
	acked := 0
	for text, k := range hist.told {
		n := len(there[text])
		var keywords []string
		for _, msg := range there[text] {
			keywords = append(keywords, msg.Keywords...)
			if !msg.Date.Equal(k.date) || !slices.Contains(msg.Keywords, k.keyword) {
				t.Errorf("%.40q began with %v and %s and has %v and %q", text, k.date, k.keyword, msg.Date, msg.Keywords)
			}
		}
		if k.acked {
			acked++
		}
		switch {
		case k.refused && n > 0:
			t.Errorf("reported as not appended, and there: %.40q", text)
		case k.acked && n == 0 && !k.expunged:
			t.Errorf("lost: %.40q", text)
		case n > 1 && k.copies == 0 && k.doubtful == 0 && (hist.oneWay || !k.moved):
			t.Errorf("doubled: %d of %.40q", n, text)
		case n > 0 && k.gone && k.copies == 0 && !k.moved:
			t.Errorf("expunged and back: %.40q", text)
		}
		for kw := range k.keywords {
			if !k.expunged && !slices.Contains(keywords, kw) {
				t.Errorf("an acknowledged keyword is lost: %s of %.40q", kw, text)
			}
		}
	}
	for text := range there {
		if hist.told[text] == nil {
			t.Errorf("nobody wrote %.60q", strings.ToValidUTF8(text, "?"))
		}
	}
	if acked == 0 {
		t.Error("nothing was appended: the run proves nothing")
	}
}
