package pop_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/readers/pop"
	"github.com/bobbinmail/bobbin/spool"
)

// postbox takes letters.
type postbox struct {
	letters []string
	refuse  error
}

type testLetter struct {
	bytes.Buffer
	box *postbox
}

func (l *testLetter) Close() error { return nil }

func (l *testLetter) Send(context.Context) error {
	if l.box.refuse == nil {
		l.box.letters = append(l.box.letters, l.String())
	}
	return l.box.refuse
}

// options are what a transcript may ask for by "O: NAME".
var options = map[string]func(t *testing.T, o *pop.Options, p *postbox){
	"lock":  func(_ *testing.T, o *pop.Options, _ *postbox) { o.Lock = true },
	"delay": func(_ *testing.T, o *pop.Options, _ *postbox) { o.LoginDelay = time.Minute },
	"tls":   func(t *testing.T, o *pop.Options, _ *postbox) { o.TLS = testTLS(t) },
	"send": func(_ *testing.T, o *pop.Options, p *postbox) {
		o.MaxSize = 40
		o.Post = func(context.Context, string) (pop.Letter, error) { return &testLetter{box: p}, nil }
	},
	"refused": func(_ *testing.T, _ *pop.Options, p *postbox) { p.refuse = pop.ErrRefused },
	"offline": func(_ *testing.T, _ *pop.Options, p *postbox) { p.refuse = errors.New("no route") },
}

// TestTranscripts plays the sessions of testdata. Before them stand options (O:), messages
// of INBOX (M:, quoted) and of shared folders (B: FOLDER, quoted). C: is a line of
// the client, R: raw bytes of it, X: HELO with so many letters, S: a line that the server must say, T: text of it without an end, N: how a line
// of it begins, L: a letter that it must have sent; END: it must be gone. NEW: begins another session. The
// ending of the file's name is the protocol.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.*")
	if err != nil || len(files) == 0 {
		t.Fatalf("%q, %v", files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			play(t, strings.TrimPrefix(filepath.Ext(file), "."), strings.Split(strings.TrimSuffix(string(text), "\n"), "\n"))
		})
	}
}

// wanted are the options that a transcript asks for.
func wanted(t *testing.T, lines []string, p *postbox) (o pop.Options) {
	for _, line := range lines {
		if name, ok := strings.CutPrefix(line, "O: "); ok {
			options[name](t, &o, p)
		}
	}
	return o
}

func play(t *testing.T, protocol string, lines []string) {
	t.Helper()
	p := new(postbox)
	s := &shop{t: t, dir: t.TempDir(), protocol: protocol}
	s.make(wanted(t, lines, p))
	var letters []string
	var c *client
	for n, line := range lines {
		what, arg, _ := strings.Cut(line, ": ")
		raw := ""
		if what == "M" || what == "B" || what == "R" || what == "L" {
			var err error
			if raw, err = strconv.Unquote(arg[strings.Index(arg, `"`):]); err != nil {
				t.Fatalf("line %d: %v", n+1, err)
			}
		}
		if c == nil && (what == "S" || what == "C" || what == "R") {
			c = s.connect()
		}
		switch what {
		case "M":
			s.deliver(raw)
		case "B":
			s.deliverShared(strings.TrimSpace(arg[:strings.Index(arg, `"`)]), raw)
		case "C":
			c.write(arg + "\r\n")
		case "R":
			c.write(raw)
		case "X":
			length, err := strconv.Atoi(arg)
			if err != nil {
				t.Fatal(err)
			}
			c.write("HELO " + strings.Repeat("x", length-1) + "\r\n")
		case "S":
			if got := strings.TrimSuffix(c.line(), "\r\n"); got != arg {
				t.Fatalf("line %d: the server says %q, want %q", n+1, got, arg)
			}
		case "T":
			got := make([]byte, len(arg))
			if _, err := io.ReadFull(c.r, got); err != nil || string(got) != arg {
				t.Fatalf("line %d: the server says %q, want %q (%v)", n+1, got, arg, err)
			}
		case "N":
			if got := c.line(); !strings.HasPrefix(got, arg) {
				t.Fatalf("line %d: the server says %q, want %q", n+1, got, arg)
			}
		case "L":
			letters = append(letters, raw)
		case "END:":
			if rest, err := io.ReadAll(c.r); err != nil || len(rest) > 0 {
				t.Fatalf("line %d: %q and %v at the end", n+1, rest, err)
			}
		case "NEW:":
			c = s.connect()
		case "O":
		default:
			if line != "" && line[0] != '#' {
				t.Fatalf("line %d: %q", n+1, line)
			}
		}
	}
	if !slices.Equal(p.letters, letters) {
		t.Errorf("%q was sent, want %q", p.letters, letters)
	}
}

func (c *client) write(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, text); err != nil {
		c.t.Fatal(err)
	}
}

// deliverShared delivers to a shared folder, which it makes; no text makes it
// alone.
func (s *shop) deliverShared(folder, text string) {
	s.t.Helper()
	if err := s.spool.CreateFolder(s.t.Context(), "alice", folder); err != nil && !errors.Is(err, spool.ErrExists) {
		s.t.Fatal(err)
	}
	b, err := s.spool.Box(s.t.Context(), "alice", folder)
	if err != nil {
		s.t.Fatal(err)
	}
	defer b.Close()
	if text != "" {
		s.deliverTo(b, text)
	}
}
