package spool_test

import (
	"fmt"
	"path"
	"strings"
	"testing"

	"github.com/bobbinmail/bobbin/netfs/simfs"
	"github.com/bobbinmail/bobbin/spool"
)

// TestDamage changes single bytes of the slots, payloads, bases and parts of
// the golden trees. Whoever reads a log afterwards is told the file's name, or
// the byte did not matter to him: he reads the same. Nothing is written.
func TestDamage(t *testing.T) {
	for _, name := range goldenShares {
		onGolden(t, name, func(t *testing.T, sim *simfs.Sim) {
			server := sim.Server()
			tree := readGolden(t, name+".tree")
			restore(t, server, tree)
			s, err := spool.Open(t.Context(), goldenHost(sim))
			if err != nil {
				t.Fatal(err)
			}
			noticed := damageLog(t, server, "accounts", func() (string, error) {
				a, err := s.Accounts(t.Context())
				if err != nil {
					return "", err
				}
				return strings.Join(a.Names(), " "), nil
			})
			for _, folder := range []string{spool.Inbox, "Archive"} {
				b, err := s.Box(t.Context(), "alice", folder)
				if err != nil {
					t.Fatal(err)
				}
				dir := map[string]string{"Archive": "/.Archive"}[folder]
				noticed += damageLog(t, server, "users/alice"+dir+"/bobbin", func() (string, error) {
					return stateText(t, b)
				})
				if err := b.Close(); err != nil {
					t.Fatal(err)
				}
			}
			if noticed < 100 {
				t.Errorf("only %d changes mattered", noticed)
			}
			if server.Dump() != tree {
				t.Error("something was written on top of the damage")
			}
		})
	}
}

// stateText says what a mailbox has by its log.
func stateText(t *testing.T, b *spool.Box) (string, error) {
	m, err := b.Open(t.Context())
	if err != nil {
		return "", err
	}
	var w strings.Builder
	for _, msg := range m.Messages() {
		fmt.Fprintf(&w, "%d %s %q %d %d %d %q\n", msg.UID, msg.Flags.Letters(), msg.Keywords, msg.Date.Unix(), msg.Size, msg.ModSeq, msg.Name)
	}
	return fmt.Sprintf("%d %d %d\n%s", m.UIDValidity(), m.UIDNext(), m.ModSeq(), &w), nil
}

// damageLog changes bytes of the files of a log, one at a time, and returns
// how many changes kept read from reading it.
func damageLog(t *testing.T, server *simfs.Server, log string, read func() (string, error)) (noticed int) {
	t.Helper()
	want, err := read()
	if err != nil {
		t.Fatal(err)
	}
	step := 23
	if full() {
		step = 1
	}
	for _, file := range logFiles(t, server, log) {
		slot := strings.TrimSuffix(file, "/r")
		name := path.Join(path.Base(path.Dir(slot)), path.Base(slot))
		var was []byte
		size := 1
		for i := 0; i < size; i += step {
			if err := server.Corrupt(file, func(b []byte) []byte {
				was, size = b, len(b)
				bad := append([]byte(nil), b...)
				bad[i] ^= 1 << (i % 7)
				return bad
			}); err != nil {
				t.Fatal(err)
			}
			switch got, err := read(); {
			case err == nil && got != want:
				t.Errorf("%s, byte %d: read as\n%s, want\n%s", file, i, got, want)
			case err != nil && !strings.Contains(err.Error(), name):
				t.Errorf("%s, byte %d: the error does not name the file: %v", file, i, err)
			case err != nil:
				noticed++
			}
			if err := server.Corrupt(file, func([]byte) []byte { return was }); err != nil {
				t.Fatal(err)
			}
		}
	}
	return noticed
}

// logFiles lists the files and links of a log.
func logFiles(t *testing.T, server *simfs.Server, log string) (files []string) {
	t.Helper()
	for line := range strings.Lines(server.Dump()) {
		name, _, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		rest, below := strings.CutPrefix(name, log+"/")
		if dir, _, _ := strings.Cut(rest, "/"); below && !strings.HasSuffix(name, "/") && (dir[:1] == "g" || dir == "p" || dir == "s") {
			files = append(files, name)
		}
	}
	if len(files) == 0 {
		t.Fatalf("%s has no files", log)
	}
	return files
}
