package commitlog

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func sample(n int) []*Record {
	var out []*Record
	prev := noPrev
	for i := range n {
		r := newRecord(Record{
			Seq: uint64(i + 1), Token: strings.Repeat("a", 25) + string("abcdefgh"[i%8]),
			Writer: "host", Prev: prev, Ops: []string{"flags:1-5:+S", "keyword:1:+a%20b"},
		})
		prev = r.hash()
		out = append(out, r)
	}
	return out
}

func TestRecordRoundTrip(t *testing.T) {
	recs := sample(3)
	text := recs[2].line + separator + recs[1].line + separator + recs[0].line
	got, err := parseSlot(3, text)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range got {
		want := recs[2-i]
		if r.line != want.line || r.Seq != want.Seq || r.Token != want.Token || r.Prev != want.Prev || !slices.Equal(r.Ops, want.Ops) {
			t.Errorf("record %d: %+v, want %+v", i, r, want)
		}
	}
}

// Any single byte that changes is noticed.
func TestRecordDamage(t *testing.T) {
	recs := sample(2)
	text := recs[1].line + separator + recs[0].line
	for i := range text {
		for _, c := range []byte{'x', ' ', 0, '|', text[i] ^ 1} {
			bad := text[:i] + string([]byte{c}) + text[i+1:]
			if bad == text {
				continue
			}
			if _, err := parseSlot(2, bad); err == nil {
				t.Fatalf("byte %d changed to %q went unnoticed: %s", i, c, bad)
			}
		}
		if _, err := parseSlot(2, text[:i]); err == nil && text[:i] != recs[1].line {
			t.Fatalf("cut after %d bytes unnoticed", i)
		}
	}
	if _, err := parseSlot(3, text); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a record under another number: %v", err)
	}
	other := newRecord(Record{Seq: 1, Token: recs[0].Token, Writer: "evil", Prev: noPrev, Ops: recs[0].Ops})
	if _, err := parseSlot(2, recs[1].line+separator+other.line); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a tail of another chain: %v", err)
	}
}

func TestEncode(t *testing.T) {
	for _, s := range []string{"", "plain,S=1", "a b", "a:2,S", "100%", "a|b", "ä", "\x00\n\x7f", "%41"} {
		e := Encode(s)
		if strings.ContainsAny(e, " :|\n\x00") {
			t.Errorf("%q encodes to %q", s, e)
		}
		if d, err := Decode(e); d != s || err != nil {
			t.Errorf("%q comes back as %q, %v", s, d, err)
		}
	}
	for _, bad := range []string{"%", "%4", "%41", "%zz", "%0a", "a b", "a:b", "\x01"} {
		if d, err := Decode(bad); err == nil {
			t.Errorf("%q was taken as %q", bad, d)
		}
	}
}

func FuzzParseSlot(f *testing.F) {
	recs := sample(2)
	f.Add(recs[1].line + separator + recs[0].line)
	f.Add("b1 2 x")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parseSlot(2, text)
		if err != nil {
			return
		}
		var lines []string
		for _, r := range got {
			again := newRecord(Record{Seq: r.Seq, Token: r.Token, Writer: r.Writer, Prev: r.Prev, Ops: r.Ops})
			lines = append(lines, again.line)
		}
		if s := strings.Join(lines, separator); s != text {
			t.Errorf("%q is written again as %q", text, s)
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add("a%20b")
	f.Fuzz(func(t *testing.T, s string) {
		if d, err := Decode(s); err == nil && Encode(d) != s {
			t.Errorf("%q decodes to %q, which encodes to %q", s, d, Encode(d))
		}
	})
}
