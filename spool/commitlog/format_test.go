package commitlog

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/bobbinmail/bobbin/netfs"
)

// randomToken is a token of r's.
func randomToken(r *rand.Rand) string {
	b := make([]byte, 16)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return netfs.Encode32(b)
}

// randomText is up to n of any bytes, now and then of few kinds.
func randomText(r *rand.Rand, n int) string {
	b := make([]byte, r.IntN(n+1))
	few := r.IntN(2) == 0
	for i := range b {
		b[i] = byte(r.Uint32())
		if few {
			b[i] = ` :%|aA0é`[r.IntN(9)]
		}
	}
	return string(b)
}

// randomChain is a chain of records with random operations.
func randomChain(r *rand.Rand, n int) (out []*Record) {
	prev := noPrev
	for seq := range uint64(n) {
		ops := make([]string, 1+r.IntN(3))
		for i := range ops {
			ops[i] = "op:" + Encode(randomText(r, 20))
		}
		rec := newRecord(Record{Seq: seq + 1, Token: randomToken(r), Writer: "h", Prev: prev, Ops: ops})
		out, prev = append(out, rec), rec.hash()
	}
	return out
}

// A slot holds its record and as many of those before it as there is room for,
// and is read as just these.
func TestSlotRoundTrip(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		chain := randomChain(r, 1+r.IntN(12))
		l := &Log{Config: Config{Host: &netfs.Host{Profile: netfs.Profile{RecordMax: 4000}}, RecordMax: 500 + r.IntN(2000)}}
		for _, rec := range chain[:len(chain)-1] {
			l.recent = append([]string{rec.line}, l.recent...)
		}
		last := chain[len(chain)-1]
		text := l.withTail(last.line)
		got, err := parseSlot(last.Seq, text)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for i, rec := range got {
			want := chain[len(chain)-1-i]
			if rec.line != want.line || rec.Token != want.Token || !slices.Equal(rec.Ops, want.Ops) {
				t.Errorf("seed %d: record %d is read as %+v", seed, want.Seq, rec)
			}
		}
		if firstLine(text) != last.line {
			t.Errorf("seed %d: the slot begins with %q", seed, firstLine(text))
		}
		if len(got) < len(chain) {
			next := chain[len(chain)-1-len(got)].line
			if len(text) > l.RecordMax || len(text)+len(separator)+len(next) <= l.RecordMax {
				t.Errorf("seed %d: %d records in %d bytes of %d, although the next has %d", seed, len(got), len(text), l.RecordMax, len(next))
			}
		}
	}
}

func TestEncodeRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 5000 {
		s := randomText(r, 40)
		e := Encode(s)
		if d, err := Decode(e); d != s || err != nil {
			t.Fatalf("%q is written as %q and read as %q, %v", s, e, d, err)
		}
		if strings.ContainsAny(e, " :|\n") || Plain(s) != (e == s) {
			t.Fatalf("%q is written as %q", s, e)
		}
	}
}

// randomBase is a base for the rotation seq.
func randomBase(r *rand.Rand, seq uint64) *base {
	b := &base{tokens: map[string]uint64{}}
	b.since = 1 + r.Uint64N(seq)
	b.next = b.since + r.Uint64N(seq-b.since+1)
	for n := b.since; n < seq; n++ {
		b.tokens[randomToken(r)] = n
	}
	for range r.IntN(4) {
		p := part{from: b.from, to: b.from + r.Uint64N(seq-b.from), size: 1 + r.Int64N(1<<40)}
		p.file = fileName(p.to+1, randomToken(r))
		b.parts, b.from = append(b.parts, p), p.to
	}
	b.text = []byte(randomText(r, 100))
	return b
}

func TestBaseRoundTrip(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 2))
		seq := 1 + r.Uint64N(60)
		want := randomBase(r, seq)
		content := want.encode(seq, randomToken(r))
		got, err := parseBase(content, seq)
		if err != nil {
			t.Fatalf("seed %d: %v in\n%s", seed, err, content)
		}
		if got.since != want.since || got.next != want.next || got.from != want.from || !slices.Equal(got.parts, want.parts) ||
			!maps.Equal(got.tokens, want.tokens) || !bytes.Equal(got.text, want.text) {
			t.Errorf("seed %d: read as\n%+v, want\n%+v", seed, got, want)
		}
		if _, err := parseBase(content, seq+1); err == nil {
			t.Errorf("seed %d: taken for the base of another rotation", seed)
		}
	}
}

func FuzzParseBase(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 3))
	for range 4 {
		f.Add(randomBase(r, 9).encode(9, randomToken(r)))
	}
	f.Add([]byte("b1 base 9 aaaaaaaaaaaaaaaaaaaaaaaaaa\ntokens 1 1\ntext 0\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		b, err := parseBase(content, 9)
		if err != nil {
			return
		}
		for _, p := range b.parts {
			if p.size <= 0 || p.to < p.from || p.to >= 9 {
				t.Errorf("part %+v", p)
			}
		}
		for token, seq := range b.tokens {
			if seq < b.since || seq >= 9 {
				t.Errorf("token %s of record %d in the table since %d", token, seq, b.since)
			}
		}
		nonce := string(bytes.Fields(content)[3])
		if again := b.encode(9, nonce); !bytes.Equal(again, content) {
			t.Errorf("%q is written again as %q", content, again)
		}
	})
}

func FuzzParsePart(f *testing.F) {
	p := part{from: 3, to: 7}
	f.Add(p.encode([]byte("m 1"), strings.Repeat("a", 26)))
	f.Add([]byte("b1 part 3 7 x\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		text, err := p.text(content)
		if err != nil {
			return
		}
		nonce := string(bytes.Fields(content)[4])
		if again := p.encode(text, nonce); !bytes.Equal(again, content) {
			t.Errorf("%q is written again as %q", content, again)
		}
	})
}

// What an operation of the log's own says is read as it was written.
func TestReferences(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 4))
	for range 500 {
		rot := rotation{randomToken(r), 1 + r.Int64N(1<<62)}
		if got, ok, err := rotationOf(&Record{Ops: []string{rot.String()}}); !ok || err != nil || got != rot {
			t.Errorf("%s is read as %+v, %v, %v", rot, got, ok, err)
		}
		body := "op:" + randomText(r, 200)
		if size, err := payloadSize(payloadOp(body)); err != nil || size != int64(len(body)) {
			t.Errorf("%s is read as %d bytes, %v", payloadOp(body), size, err)
		}
	}
}

func FuzzReference(f *testing.F) {
	f.Add("rotate:aaaaaaaaaaaaaaaaaaaaaaaaaa:9")
	f.Add(payloadOp("flags:1:+S"))
	f.Add("payload:07:00")
	f.Fuzz(func(t *testing.T, op string) {
		rot, ok, err := rotationOf(&Record{Ops: []string{op}})
		if ok && err == nil && rot.String() != op {
			t.Errorf("%q is written again as %q", op, rot)
		}
		if size, err := payloadSize(op); err == nil {
			if prefix := fmt.Sprintf("payload:%d:", size); !strings.HasPrefix(op, prefix) || len(op) != len(prefix)+64 || size > payloadMax {
				t.Errorf("%q is read as %d bytes", op, size)
			}
		}
	})
}
