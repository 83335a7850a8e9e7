package main

import (
	"flag"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
)

var update = flag.Bool("update", false, "write the rows of docs/shares.md anew")

const tableFile = "../../docs/shares.md"

// tableLock is held while the file is read and written.
var tableLock sync.Mutex

var (
	initLine  = regexp.MustCompile(`slots by (\w+), flags after "(.)"`)
	countLine = regexp.MustCompile(`(?m)^count: ([^:]*): (\d+) `)
)

// columns are the counts that docs/shares.md shows, in this order.
var columns = []string{"delivery", "idle poll", "flags of 1,000 messages", "open of 10,000 messages", "the same by a host that knows nothing", "delivery by procmail", "delivery by maildrop", "delivery by dovecot-lda"}

// row is the measured part of a share's row: slots, separator, counts.
func row(fs string, said map[string]string) string {
	way := initLine.FindStringSubmatch(said["init"])
	if way == nil {
		way = []string{"", "?", "?"}
	}
	counts := map[string]string{}
	for _, m := range countLine.FindAllStringSubmatch(said["counts"]+said["counts of other programs"], -1) {
		counts[m[1]] = m[2]
	}
	cells := []string{"", fs, way[1], "`" + way[2] + "`"}
	for _, c := range columns {
		if counts[c] == "" {
			counts[c] = "–"
		}
		cells = append(cells, counts[c])
	}
	return strings.TrimSpace(strings.Join(cells, " | ")) + " |"
}

// withRow replaces the row of a share in the text's first table, or adds it
// below the other rows.
func withRow(text, fs, row string) string {
	lines := strings.SplitAfter(text, "\n")
	last := -1
	for i, line := range lines {
		if strings.HasPrefix(line, "| "+fs+" |") {
			lines[i] = row + "\n"
			return strings.Join(lines, "")
		}
		if strings.HasPrefix(line, "|") {
			last = i
		} else if last >= 0 {
			break
		}
	}
	lines[last] += row + "\n"
	return strings.Join(lines, "")
}

func updateTable(t *testing.T, fs string, said map[string]string) {
	tableLock.Lock()
	defer tableLock.Unlock()
	text, err := os.ReadFile(tableFile)
	if err == nil {
		err = os.WriteFile(tableFile, []byte(withRow(string(text), fs, row(fs, said))), 0o644)
	}
	if err != nil {
		t.Error(err)
	}
}

func TestRow(t *testing.T) {
	said := map[string]string{
		"init":                     `/mnt/A/spool is a spool now: file system nfs4, slots by symlink, flags after ":".`,
		"counts":                   "=== RUN\ncount: delivery: 4 (CLOSE 1); counted 4 (open 1)\ncount: idle poll: 2 (GETATTR 2); counted 2 (getattr 2)\n",
		"counts of other programs": "count: delivery by procmail: 11 (LOOKUP 2); counted 0 ()\n",
	}
	want := "| nfs4 | symlink | `:` | 4 | 2 | – | – | – | 11 | – | – |"
	got := row("nfs4", said)
	if got != want {
		t.Errorf("%q, want %q", got, want)
	}
	table := "x\n\n| share |\n|---|\n| nfs4 | old |\n\n| smb3 | other table |\n"
	if got := withRow(table, "nfs4", want); got != strings.Replace(table, "| nfs4 | old |", want, 1) {
		t.Errorf("replaced: %q", got)
	}
	if got := withRow(table, "smb3", "| smb3 |"); got != strings.Replace(table, "old |\n", "old |\n| smb3 |\n", 1) {
		t.Errorf("added: %q", got)
	}
}
