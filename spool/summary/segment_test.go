package summary_test

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/spool/summary"
)

// randomRows makes summaries of texts such as senders may choose.
func randomRows(r *rand.Rand, n int) []*summary.Summary {
	text := func() string {
		var b strings.Builder
		for range r.IntN(20) {
			b.WriteString([]string{"a", "ü", "\t", "\n", "%", "%41", "\x00", "\x7f", "\u0085", "日", " ", `"`, "\u2028"}[r.IntN(13)])
		}
		return b.String()
	}
	rows := make([]*summary.Summary, n)
	uid := uint32(0)
	for i := range rows {
		uid += 1 + r.Uint32N(5)
		rows[i] = &summary.Summary{
			UID: uid, Size: r.Int64N(1 << 40), Wire: r.Int64N(3) - 1, Date: time.Unix(r.Int64N(1<<33)-1<<32, 0),
			Marks: summary.Marks(r.IntN(64)), Sent: text(), From: text(), Subject: text(), MessageID: text(), Preview: text(),
			Envelope: text(), Body: text(),
		}
	}
	return rows
}

func parse(t testing.TB, seg summary.Segment) []*summary.Summary {
	t.Helper()
	table, err := summary.ParseList(seg.Content[:seg.List], seg.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := table.AddStructures(seg.Content[seg.List:]); err != nil {
		t.Fatal(err)
	}
	rows := make([]*summary.Summary, len(table.Rows))
	for i := range rows {
		rows[i] = &table.Rows[i]
	}
	return rows
}

func TestSegmentIdentity(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 200 {
		rows := randomRows(r, i%40)
		seg := summary.Format(rows, "nonce")
		got := parse(t, seg)
		if !slices.EqualFunc(got, rows, func(a, b *summary.Summary) bool { return reflect.DeepEqual(a, b) }) {
			t.Fatalf("%d rows are not what they were:\n%s", len(rows), seg.Content)
		}
		if again := summary.Format(got, "nonce"); !bytes.Equal(again.Content, seg.Content) || again.ID != seg.ID {
			t.Fatalf("%d rows are written otherwise", len(rows))
		}
	}
}

// Every changed byte, and every cut, is noticed.
func TestDamageIsNoticed(t *testing.T) {
	seg := summary.Format(randomRows(rand.New(rand.NewPCG(3, 4)), 5), "nonce")
	noticed := func(content []byte) bool {
		if int64(len(content)) < seg.List {
			return true // the reader compares the file's size
		}
		table, err := summary.ParseList(content[:seg.List], seg.ID)
		return err != nil || table.AddStructures(content[seg.List:]) != nil
	}
	for i := range seg.Content {
		for _, flip := range []byte{1, 0x20, 0x80} {
			b := bytes.Clone(seg.Content)
			if b[i] ^= flip; !noticed(b) {
				t.Errorf("byte %d may change by %#x", i, flip)
			}
		}
		if !noticed(seg.Content[:i]) {
			t.Errorf("%d bytes pass for %d", i, len(seg.Content))
		}
	}
}

// FuzzSegment takes any content for a list whose id is right: what is accepted
// is written again as it stood.
func FuzzSegment(f *testing.F) {
	for n := range 3 {
		seg := summary.Format(randomRows(rand.New(rand.NewPCG(5, 6)), n), "nonce")
		f.Add(seg.Content, int(seg.List))
	}
	f.Add([]byte("b1 segment 0 x y\n"), 17)
	f.Fuzz(func(t *testing.T, content []byte, list int) {
		list = min(max(list, 0), len(content))
		table, err := summary.ParseList(content[:list], summary.ID(content[:list]))
		if err != nil {
			return
		}
		if table.AddStructures(content[list:]) != nil {
			return
		}
		rows := make([]*summary.Summary, len(table.Rows))
		for i := range rows {
			rows[i] = &table.Rows[i]
		}
		head, _, _ := bytes.Cut(content, []byte("\n"))
		nonce := head[bytes.LastIndexByte(head, ' ')+1:]
		if again := summary.Format(rows, string(nonce)); !bytes.Equal(again.Content, content) {
			t.Fatalf("%q is written as %q", content, again.Content)
		}
	})
}

// FuzzOf takes any message: its summary is kept as it is.
func FuzzOf(f *testing.F) {
	f.Add([]byte(multipart))
	f.Add([]byte("From: a\nTo: b: c;\nContent-Type: text/html\n\n<p"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := summary.Of(summary.Source{ReaderAt: bytes.NewReader(text), Size: int64(len(text)), Wire: -1})
		if err != nil {
			t.Fatal(err)
		}
		s.UID, s.Date = 1, time.Unix(5, 0)
		got := parse(t, summary.Format([]*summary.Summary{s}, "nonce"))
		if !reflect.DeepEqual(got[0], s) {
			t.Fatalf("%+v is kept as %+v", s, got[0])
		}
		if _, ok := summary.ParseEnvelope(s.Envelope); !ok && s.Marks&summary.NoEnvelope == 0 {
			t.Fatalf("%s is no envelope", s.Envelope)
		}
	})
}

func BenchmarkOf(b *testing.B) {
	b.SetBytes(int64(len(multipart)))
	b.ReportAllocs()
	for b.Loop() {
		of(b, multipart)
	}
}

func BenchmarkParseList(b *testing.B) {
	rows := make([]*summary.Summary, 1000)
	for i := range rows {
		s := *of(b, multipart)
		s.UID = uint32(i + 1)
		rows[i] = &s
	}
	seg := summary.Format(rows, "nonce")
	b.SetBytes(seg.List)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := summary.ParseList(seg.Content[:seg.List], seg.ID); err != nil {
			b.Fatal(err)
		}
	}
}
