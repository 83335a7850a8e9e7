package imap_test

import (
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/bobbinmail/bobbin/readers/imap"
)

var update = flag.Bool("update", false, "write the transcripts anew")

// varying are the parts of answers that differ from run to run.
var varying = []struct {
	is   *regexp.Regexp
	text string
}{
	{regexp.MustCompile(`(UIDVALIDITY|APPENDUID|COPYUID) \d+`), "$1 V"},
	{regexp.MustCompile(`INTERNALDATE "[^"]*202[6-9][^"]*"`), `INTERNALDATE "(now)"`},
}

// TestTranscripts: what is said in sessions is what the transcripts have. A line
// "a> TEXT" is what client a says, who is at the host whose place in the alphabet
// is odd or even; "a? " waits for a line that comes unasked; "! TEXT" delivers a
// message, in which | ends a line. All other lines are what the server says.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(want))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if got != string(want) && !*update {
				a, b := strings.Split(got, "\n"), strings.Split(string(want), "\n")
				for i := range min(len(a), len(b)) {
					if a[i] != b[i] {
						t.Fatalf("line %d: %s\nwant %s", i+1, a[i], b[i])
					}
				}
				t.Fatalf("%d lines, want %d", len(a), len(b))
			}
		})
	}
}

var step = regexp.MustCompile(`^(?:([a-h])([>?])|(!)|(#)) ?(.*)$`)

func play(t *testing.T, script string) string {
	s := open(t, imap.Options{MaxSize: 10_000})
	clients := map[string]*client{}
	var said strings.Builder
	for line := range strings.SplitSeq(script, "\n") {
		m := step.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		said.WriteString(line + "\n")
		switch {
		case m[4] != "":
		case m[3] != "":
			s.deliver(strings.ReplaceAll(m[5], "|", "\n"))
		default:
			c := clients[m[1]]
			if c == nil {
				c = s.dial(int(m[1][0]-'a') % 2)
				clients[m[1]] = c
				greeting, err := c.line()
				if err != nil {
					t.Fatal(err)
				}
				if strings.HasSuffix(m[5], "greeting") {
					said.WriteString(normal(greeting))
					continue
				}
			}
			if m[2] == "?" {
				text, err := c.line()
				if err != nil && err != io.EOF {
					t.Fatalf("%s\n%s: %v", said.String(), line, err)
				}
				said.WriteString(normal(text))
				continue
			}
			said.WriteString(normal(c.answer(strings.ReplaceAll(m[5], `\r\n`, "\r\n"))))
		}
	}
	return said.String()
}

func normal(text string) string {
	for _, v := range varying {
		text = v.is.ReplaceAllString(text, v.text)
	}
	return text
}
