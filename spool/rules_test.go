package spool_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/simfs"
	"github.com/bobbinmail/bobbin/spool"
)

// What was acknowledged before the power fails is there afterwards, on a disk
// that keeps of the rest what it likes.
func TestPowerFails(t *testing.T) {
	for seed := range uint64(12) {
		o := simfs.Case{Seed: seed, Share: "local"}.Options()
		simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) {
			h := s.Host("a")
			makeAlice(t, h, "")
			b := inboxAt(t, h)
			m := open(t, b)
			in := receive(t, b, "Subject: appended\n\n")
			s.Go(h, func(ctx context.Context, h *netfs.Host) {
				s.SetFaults(simfs.Faults{Forget: 1e-9}) // the past is kept from here on
				mustPut(t, b, "Subject: delivered\n\n")
				if seed%2 == 0 {
					if _, err := m.Append(ctx, spool.NewMessage{In: in}); err != nil {
						t.Error(err)
					}
				}
				s.SetFaultsKeepingPast(simfs.Faults{PowerLoss: 1})
				_, _ = h.Share.Stat(ctx, ".")
			})
			if err := s.Run(); err != nil || s.Disasters() != 1 {
				t.Fatalf("%d disasters, %v", s.Disasters(), err)
			}
			s.SetFaults(simfs.Faults{})
			want := 2 - int(seed%2)
			audit := open(t, inboxAt(t, s.Host("audit")))
			if got := len(audit.Messages()); got != want {
				t.Errorf("%d messages are left of %d", got, want)
			}
			for _, msg := range audit.Messages() {
				if text := read(t, audit, msg.UID); !strings.HasPrefix(text, "Subject: ") {
					t.Errorf("message %d has %q", msg.UID, text)
				}
			}
		})
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// renamer renames a file before some calls, so that it is never where it is
// looked for, and always within one tick of the server's clock.
type renamer struct {
	netfs.FS
	server *simfs.Server
	on     *bool
	script map[string][2]string // operation and name -> what is renamed before
}

func (m renamer) Sub(ctx context.Context, name string) (netfs.FS, error) {
	sub, err := m.FS.Sub(ctx, name)
	m.FS = sub
	return m, err
}

func (m renamer) come(what string) {
	if r, ok := m.script[what]; ok && *m.on {
		_ = m.server.Rename("users/alice/"+r[0], "users/alice/"+r[1])
	}
}

func (m renamer) ReadDir(ctx context.Context, name string) ([]string, error) {
	m.come("readdir " + name)
	return m.FS.ReadDir(ctx, name)
}

func (m renamer) Stat(ctx context.Context, name string) (netfs.Info, error) {
	m.come("stat " + name)
	return m.FS.Stat(ctx, name)
}

// A file that is renamed within one tick, before a complete scan and during
// it, is missed by every look, and the stamps do not tell: only the wait before
// the scan makes them. (What is renamed here in that order, a program that sets
// flags and clears them renames sooner or later.)
func TestScanWaitsForRest(t *testing.T) {
	o := simfs.Options{Seed: 1, Tick: time.Second, Pace: time.Millisecond, Profile: simfs.NFS4()}
	o.Profile.Grain = 1100 * time.Millisecond
	simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) {
		h := s.Host("a")
		makeAlice(t, h, "")
		b := inboxAt(t, h)
		mustPut(t, b, "Subject: x\n\n")
		base := open(t, b).Messages()[0].Name
		on := false
		script := map[string][2]string{
			"readdir new":              {"new/" + base, "cur/" + base + ":2,"},
			"readdir cur":              {"cur/" + base + ":2,", "new/" + base},
			"stat bobbin/hold/" + base: {"new/" + base, "cur/" + base + ":2,F"},
		}
		h.Share = renamer{h.Share, s.Server(), &on, script}
		m := open(t, inboxAt(t, h))
		on = true
		if err := s.Server().Rename("users/alice/new/"+base, "users/alice/cur/"+base+":2,"); err != nil {
			t.Fatal(err)
		}
		if err := m.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(m.Messages()) != 1 {
			t.Error("a message whose file was renamed is gone")
		}
	})
}

// A host that was behind gives UIDs from the state that it has after it
// learned so.
func TestUIDsOfThePresent(t *testing.T) {
	s, _ := newSpool(t, spool.InitOptions{})
	behind, active := open(t, inbox(t, s)), open(t, inbox(t, s))
	for i := range 2 {
		for range 3 {
			if _, err := active.Append(t.Context(), spool.NewMessage{In: receive(t, inbox(t, s), "Subject: x\n\n")}); err != nil {
				t.Fatal(err)
			}
		}
		uids, err := behind.Append(t.Context(), spool.NewMessage{In: receive(t, inbox(t, s), "Subject: y\n\n")})
		if want := uint32(4 + 4*i); err != nil || len(uids) != 1 || uids[0] != want {
			t.Errorf("the message has UIDs %v, %v; want %d", uids, err, want)
		}
		if err := active.Refresh(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// Names of expunged messages whose files are still there stay known, so that
// the files are no new mail.
func TestTombstonesOfFiles(t *testing.T) {
	s, dir := newSpool(t, spool.InitOptions{})
	b := inbox(t, s)
	const many = 64 // so many tombstones without a file are worth a record
	for range many + 1 {
		mustPut(t, b, "Subject: x\n\n")
	}
	m := open(t, b)
	last, err := m.Message(many + 1)
	if err != nil {
		t.Fatal(err)
	}
	var uids []uint32
	for uid := range last.UID - 1 {
		uids = append(uids, uid+1)
	}
	if _, err := m.Expunge(t.Context(), spool.SetOf(uids...)); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "users/alice/new", last.Name)); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the first finds that one is gone by a complete scan
		if m = open(t, b); len(m.Messages()) > 0 {
			t.Errorf("%d messages came back", len(m.Messages()))
		}
	}
}

// A log that lost something gives no UID a second time.
func TestUIDsAfterLoss(t *testing.T) {
	for _, c := range []struct {
		name  string
		slots []string // those that are garbled
		tail  bool
	}{{"tail", []string{"4"}, true}, {"middle", []string{"3", "4", "5"}, false}} {
		t.Run(c.name, func(t *testing.T) {
			simfs.Run(t, simfs.Options{}, func(t *testing.T, s *simfs.Sim) {
				makeAlice(t, s.Host("init"), "")
				b := inboxAt(t, s.Host("a"))
				m := open(t, b) // the genesis is record 1
				records := 3
				if !c.tail {
					records = 6
				}
				for range records {
					mustPut(t, b, "Subject: x\n\n")
					if err := m.Refresh(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				for _, n := range c.slots {
					text := strings.Repeat("x", 8)
					if err := s.Server().Corrupt(aliceHome+"bobbin/g.0/"+n, func([]byte) []byte { return []byte(text) }); err != nil {
						t.Fatal(err)
					}
				}
				if !c.tail { // and nothing is left of them in tails
					for n := 6; n <= 7; n++ {
						name := fmt.Sprintf(aliceHome+"bobbin/g.0/%d", n)
						if err := s.Server().Corrupt(name, func(b []byte) []byte { return bytes.Split(b, []byte(" | "))[0] }); err != nil {
							t.Fatal(err)
						}
					}
				}
				repairAll(t, inboxAt(t, s.Host("repair")), spool.RepairOptions{})
				after := open(t, inboxAt(t, s.Host("after")))
				msgs := after.Messages()
				if len(msgs) != records {
					t.Fatalf("%d messages, want %d", len(msgs), records)
				}
				last := msgs[len(msgs)-1].UID
				if same := after.UIDValidity() == m.UIDValidity(); same != c.tail || c.tail && last < 1<<20 {
					t.Errorf("UIDVALIDITY is the same: %v; the last UID is %d", same, last)
				}
			})
		})
	}
}

// A file that was restored from a backup is mail, though the log saw it expunged.
func TestRestoredMail(t *testing.T) {
	s, dir := newSpool(t, spool.InitOptions{})
	b := inbox(t, s)
	name := mustPut(t, b, "Subject: x\n\n")
	m := open(t, b)
	if _, err := m.Expunge(t.Context(), spool.SetOf(1)); err != nil {
		t.Fatal(err)
	}
	project(t, m)
	home := filepath.Join(dir, "users/alice")
	if err := os.Rename(filepath.Join(home, "bobbin/x", name), filepath.Join(home, "new", name)); err != nil {
		t.Fatal(err)
	}
	repairAll(t, b, spool.RepairOptions{Restored: true})
	if n := len(open(t, b).Messages()); n != 1 {
		t.Errorf("%d messages, want the one that was put back", n)
	}
}
