package spool_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/simfs"
	"github.com/bobbinmail/bobbin/spool"
	"github.com/bobbinmail/bobbin/spool/commitlog"
)

const aliceHome = "users/alice/"

// damage is something that can happen to a mailbox of five messages, of which
// UID 2 has a keyword and UID 3 is flagged.
type damage struct {
	name string
	do   func(d *damaged)
	code string // of the finding
	// gone and fresh are how many messages are lost for good and how many get
	// a new UID.
	gone, fresh int
	keyword     bool // of UID 2 is lost
	validity    bool // UIDVALIDITY changes
	recordMax   int
}

// damaged is a mailbox to damage.
type damaged struct {
	t     *testing.T
	s     *simfs.Sim
	names map[uint32]string // files below alice's, by UID
	texts map[uint32]string
}

func (d *damaged) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d *damaged) slots() []string {
	names, err := d.s.Server().List(aliceHome + "bobbin/g.0")
	d.must(err)
	slices.SortFunc(names, func(a, b string) int { return len(a)*100 + strings.Compare(a, b) - len(b)*100 })
	return names
}

func (d *damaged) corrupt(name string, to string) {
	d.must(d.s.Server().Corrupt(aliceHome+name, func([]byte) []byte { return []byte(to) }))
}

func (d *damaged) last() string {
	slots := d.slots()
	return "bobbin/g.0/" + slots[len(slots)-1]
}

// damages are what check names and repair mends.
var damages = []damage{
	{name: "last slot empty", code: "slot-empty", do: func(d *damaged) { d.corrupt(d.last(), "") }},
	{name: "last slot garbled", code: "slot-damaged", do: func(d *damaged) { d.corrupt(d.last(), "b1 x") }},
	{name: "slot garbled, and in the tail of the next", code: "slot-damaged", do: func(d *damaged) { d.corrupt("bobbin/g.0/2", "x") }},
	{name: "slot gone, and in the tail of the next", code: "slot-missing", do: func(d *damaged) {
		d.must(d.s.Server().Remove(aliceHome + "bobbin/g.0/2"))
	}},
	{name: "first slot garbled", code: "slot-damaged", do: func(d *damaged) { d.corrupt("bobbin/g.0/1", "x") }},
	{name: "all slots garbled", code: "slot-damaged", fresh: 5, keyword: true, validity: true, do: func(d *damaged) {
		for _, n := range d.slots() {
			d.corrupt("bobbin/g.0/"+n, "x")
		}
	}},
	{name: "payload gone", code: "payload", recordMax: 500, validity: true, keyword: true, do: func(d *damaged) {
		names, err := d.s.Server().List(aliceHome + "bobbin/p")
		d.must(err)
		d.must(d.s.Server().Remove(aliceHome + "bobbin/p/" + names[0]))
	}},
	{name: "message gone", code: "message-missing", gone: 1, do: func(d *damaged) {
		d.must(d.s.Server().Remove(aliceHome + d.names[4]))
	}},
	{name: "message is a link", code: "message-irregular", gone: 1, do: func(d *damaged) {
		d.must(d.s.Server().Remove(aliceHome + d.names[4]))
		d.must(d.s.Server().Symlink("/etc/passwd", aliceHome+d.names[4]))
	}},
	{name: "message is shorter", code: "message-size", fresh: 1, do: func(d *damaged) { d.corrupt(d.names[2], "Subject: 2\n") }},
	{name: "two names", code: "name-twice", do: func(d *damaged) {
		text, err := d.s.Server().ReadFile(aliceHome + d.names[4])
		d.must(err)
		d.must(d.s.Server().WriteFile(aliceHome+"cur/"+base(d.names[4])+":2,FS", text))
	}},
	{name: "two names of different files", code: "name-twice", fresh: -1, do: func(d *damaged) {
		d.must(d.s.Server().WriteFile(aliceHome+"cur/"+base(d.names[4])+":2,FS", []byte("Subject: other\n\n")))
	}},
	{name: "directory gone", code: "dir-missing", do: func(d *damaged) { d.must(d.s.Server().RemoveAll(aliceHome + "bobbin/x")) }},
	{name: "directory is a link", code: "dir-irregular", do: func(d *damaged) {
		d.must(d.s.Server().RemoveAll(aliceHome + "tmp"))
		d.must(d.s.Server().Symlink("cur", aliceHome+"tmp"))
	}},
	{name: "payload that nothing names", code: "orphan", do: func(d *damaged) {
		d.must(d.s.Server().WriteFile(aliceHome+"bobbin/p/2.aaaaaaaaaaaaaaaaaaaaaaaaaa", []byte("x")))
	}},
	{name: "repair broken off", code: "repair-unfinished", do: func(d *damaged) {
		h := d.s.Host("broken")
		h.Share = &hooked{h.Share, func(op, name string) error {
			if op == "symlink" && strings.HasSuffix(name, "/end") {
				return syscall.EROFS
			}
			return nil
		}}
		b, err := spoolBox(d.t.Context(), h)
		d.must(err)
		if err := b.Repair(d.t.Context(), spool.RepairOptions{Restored: true}); !errors.Is(err, syscall.EROFS) {
			d.t.Errorf("the repair was not broken off: %v", err)
		}
	}},
}

func base(file string) string {
	_, name, _ := strings.Cut(file, "/")
	name, _, _ = strings.Cut(name, ":2,")
	return name
}

// makeDamaged makes the mailbox and damages it.
func makeDamaged(t *testing.T, s *simfs.Sim, dm damage) *damaged {
	h := s.Host("init")
	makeAlice(t, h, "")
	b, err := spoolBox(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	d := &damaged{t: t, s: s, names: map[uint32]string{}, texts: map[uint32]string{}}
	m := open(t, b)
	for i := range 5 {
		mustPut(t, b, fmt.Sprintf("Subject: %d\n\n", i+1))
		if i > 0 && i < 4 && dm.recordMax == 0 {
			d.must(m.Refresh(t.Context()))
		}
	}
	d.must(m.Refresh(t.Context()))
	setFlags(t, m, 2, "+kw:work")
	if long := ""; dm.recordMax > 0 {
		for _, k := range "abcdefghij" {
			long += ",+kw:" + strings.Repeat(string(k), 60)
		}
		setFlags(t, m, 1, long[1:])
		setFlags(t, m, 1, strings.ReplaceAll(long[1:], "+", "-"))
	}
	setFlags(t, m, 3, "+flagged")
	setFlags(t, m, 5, "+seen")
	setFlags(t, m, 5, "-seen")
	d.must(m.Project(t.Context()))
	for _, msg := range m.Messages() {
		f, name, err := m.OpenMessage(t.Context(), msg.UID)
		d.must(err)
		d.must(f.Close())
		d.names[msg.UID] = name
		d.texts[msg.UID] = read(t, m, msg.UID)
	}
	dm.do(d)
	return d
}

func setFlags(t *testing.T, m *spool.Mailbox, uid uint32, change string) {
	t.Helper()
	c, err := spool.ParseFlagChange(change)
	if err == nil {
		_, err = m.SetFlags(t.Context(), spool.SetOf(uid), c)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// inboxAt opens alice's INBOX as h's process would.
func inboxAt(t *testing.T, h *netfs.Host) *spool.Box {
	t.Helper()
	b, err := spoolBox(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestRepair damages a mailbox in each way: check names it, a dry run changes
// nothing, repair mends it, and what can be kept is kept.
func TestRepair(t *testing.T) {
	for _, dm := range damages {
		t.Run(strings.ReplaceAll(dm.name, " ", "_"), func(t *testing.T) {
			o := simfs.Options{Profile: simfs.NFS4()}
			if dm.recordMax > 0 {
				o.Profile.RecordMax = dm.recordMax
			}
			simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) {
				d := makeDamaged(t, s, dm)
				b := inboxAt(t, s.Host("repair"))
				found, err := b.Check(t.Context())
				if err != nil || !slices.ContainsFunc(found, func(f spool.Finding) bool { return f.Code == dm.code && f.Repair != "" }) {
					t.Fatalf("check: %v, %v; want %s", found, err, dm.code)
				}
				before := s.Server().Dump()
				said := repairAll(t, b, spool.RepairOptions{Dry: true})
				if after := s.Server().Dump(); after != before {
					t.Errorf("a dry run changed something:\n%s\n%s", before, after)
				}
				if !slices.Contains(said, dm.code) {
					t.Errorf("a dry run says %q", said)
				}
				if said := repairAll(t, b, spool.RepairOptions{}); !slices.Contains(said, dm.code) {
					t.Errorf("repair says %q", said)
				}
				d.checkRepaired(dm)
				if said := repairAll(t, b, spool.RepairOptions{}); len(said) > 0 {
					t.Errorf("repaired again: %q", said)
				}
			})
		})
	}
}

// repairAll repairs and returns the codes of what was said.
func repairAll(t *testing.T, b *spool.Box, o spool.RepairOptions) (codes []string) {
	t.Helper()
	o.Say = func(r spool.Repaired) {
		codes = append(codes, r.Code)
		if r.Err != nil {
			t.Errorf("repair: %s: %v", r.Finding, r.Err)
		}
	}
	if err := b.Repair(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	return codes
}

// checkRepaired wants nothing to be wrong, and all mail to be there.
func (d *damaged) checkRepaired(dm damage) {
	t := d.t
	t.Helper()
	b := inboxAt(t, d.s.Host("after"))
	m := open(t, b)
	found, err := b.Check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		if f.Wrong || f.Code == dm.code {
			t.Errorf("after repair: [%s] %s", f.Code, f)
		}
	}
	msgs := m.Messages()
	if want := 5 - dm.gone - min(dm.fresh, 0); len(msgs) != want {
		t.Errorf("%d messages, want %d", len(msgs), want)
	}
	texts := map[string]bool{}
	keywords := 0
	for _, msg := range msgs {
		texts[read(t, m, msg.UID)] = true
		keywords += len(msg.Keywords)
	}
	for uid, text := range d.texts {
		if !texts[text] && !(dm.gone > 0 && uid == 4) && !(dm.code == "message-size" && uid == 2) {
			t.Errorf("lost: UID %d %q", uid, text)
		}
	}
	if want := 1; keywords != want && !dm.keyword {
		t.Errorf("%d keywords, want %d", keywords, want)
	}
}

// TestRepairBrokenOff breaks a repair off at each of its operations, before,
// after and long before it takes effect, and lets each operation fail; another
// repair completes it.
func TestRepairBrokenOff(t *testing.T) {
	for _, dm := range damages {
		t.Run(strings.ReplaceAll(dm.name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			n := breakRepair(t, dm, simfs.Options{})
			step := 1
			if !full() {
				step = 7
			}
			for k := 0; k < n && !t.Failed(); k += step {
				for _, at := range []simfs.At{{Op: k}, {Op: k, Applied: true}, {Op: k, Late: true}} {
					at.Host = "victim"
					breakRepair(t, dm, simfs.Options{Seed: uint64(k), CrashAt: &at})
					breakRepair(t, dm, simfs.Options{Seed: uint64(k), FailAt: &at})
				}
			}
		})
	}
}

func breakRepair(t *testing.T, dm damage, o simfs.Options) (ops int) {
	o.Profile = simfs.NFS4()
	if dm.recordMax > 0 {
		o.Profile.RecordMax = dm.recordMax
	}
	simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) {
		d := makeDamaged(t, s, dm)
		victim := s.Host("victim")
		s.Go(victim, func(ctx context.Context, h *netfs.Host) {
			b, err := spoolBox(ctx, h)
			if err == nil {
				err = b.Repair(ctx, spool.RepairOptions{})
			}
			if errors.Is(err, commitlog.ErrCorrupt) && o.FailAt == nil {
				t.Errorf("repair: %v", err)
			}
		})
		if err := s.Run(); err != nil {
			t.Fatal(err)
		}
		ops = s.OpsOf(victim)
		repairAll(t, inboxAt(t, s.Host("again")), spool.RepairOptions{})
		// A file that got its new name and no record is new mail, without the keyword.
		dm.keyword = dm.keyword || dm.code == "message-size"
		d.checkRepaired(dm)
		if t.Failed() {
			t.Logf("crash %+v, fail %+v", o.CrashAt, o.FailAt)
		}
	})
	return ops
}
