package spool_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/spool"
)

// kernelCounts are the requests that this machine's kernel has sent to a
// server, by kind.
type kernelCounts map[string]int

// readKernel reads them for a mount: /proc/self/mountstats knows them of each
// NFS mount, /proc/fs/cifs/Stats of all SMB mounts, which must be idle then.
func readKernel(t *testing.T, mount string) kernelCounts {
	t.Helper()
	m, err := netfs.MountOf(mount)
	if err != nil {
		t.Fatal(err)
	}
	out := kernelCounts{}
	add := func(kind, number string) {
		n, err := strconv.Atoi(number)
		if err != nil {
			t.Fatalf("%s %q: %v", kind, number, err)
		}
		out[kind] += n
	}
	switch {
	case strings.HasPrefix(m.Type, "nfs"):
		b, err := os.ReadFile("/proc/self/mountstats")
		if err != nil {
			t.Fatal(err)
		}
		_, after, ok := strings.Cut(string(b), " mounted on "+m.Point+" with ")
		if !ok {
			t.Fatalf("%s is not in mountstats", m.Point)
		}
		after, _, _ = strings.Cut(after, "\ndevice ")
		_, ops, _ := strings.Cut(after, "per-op statistics")
		for line := range strings.Lines(ops) {
			if f := strings.Fields(line); len(f) > 2 {
				add(strings.TrimSuffix(f[0], ":"), f[1])
			}
		}
	case m.Type == "cifs" || m.Type == "smb3":
		b, err := os.ReadFile("/proc/fs/cifs/Stats")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			if f := strings.Fields(line); len(f) == 5 && f[2] == "total" {
				add(strings.ToUpper(strings.TrimSuffix(f[0], ":")), f[1])
			}
		}
	default:
		t.Skipf("the requests of %s are not known", m.Type)
	}
	return out
}

func (k kernelCounts) since(before kernelCounts) kernelCounts {
	out := kernelCounts{}
	for kind, n := range k {
		if n -= before[kind]; n != 0 {
			out[kind] = n
		}
	}
	return out
}

func (k kernelCounts) total() (n int) {
	for _, one := range k {
		n += one
	}
	return n
}

func (k kernelCounts) String() string {
	var w []string
	for kind, n := range k {
		w = append(w, fmt.Sprint(kind, " ", n))
	}
	slices.Sort(w)
	return strings.Join(w, ", ")
}

// counter measures what operations cost on a mounted share.
type counter struct {
	mount string
	h     *netfs.Host
}

// cost is what one call sent, and what netfs counted of it.
type cost struct {
	sent    kernelCounts
	counted netfs.Counts
}

// sent calls fn some times and returns what the middle one of the calls cost.
// Others are disturbed by caches that run out meanwhile. It prints what
// docs/shares.md is made of.
func (c counter) sent(t *testing.T, name string, times int, fn func(i int) error) cost {
	t.Helper()
	var all []cost
	for i := range times {
		before, ops := readKernel(t, c.mount), c.h.Ops.Read()
		if err := fn(i); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all = append(all, cost{readKernel(t, c.mount).since(before), c.h.Ops.Read().Sub(ops)})
	}
	slices.SortStableFunc(all, func(a, b cost) int { return a.sent.total() - b.sent.total() })
	m := all[len(all)/2]
	fmt.Printf("count: %s: %d (%s); counted %d (%s)\n", name, m.sent.total(), m.sent, m.counted.Total(), m.counted)
	return m
}

// measure compares what sent finds with what netfs counted and with the limit.
func (c counter) measure(t *testing.T, name string, limit, times int, fn func(i int) error) {
	t.Helper()
	m := c.sent(t, name, times, fn)
	switch c.h.Profile.Kind {
	case "nfs3":
		limit++
	case "nfs4":
	default: // a request of SMB is something else: told, not judged
		return
	}
	if n := m.sent.total(); n > limit {
		t.Errorf("%s: the kernel sent %d (%s), want at most %d", name, n, m.sent, limit)
	}
	if d := int64(m.sent.total()) - m.counted.Total(); times > 1 && (d < -1 || d > 1) {
		t.Errorf("%s: the kernel sent %d (%s), netfs counted %d (%s)", name, m.sent.total(), m.sent, m.counted.Total(), m.counted)
	}
}

// TestShareCounts compares what operations cost with what was promised, by the
// kernel's counters, on the mounts that BOBBIN_TEST_SHARE names.
// BOBBIN_TEST_SERVER is the server's own view of them.
func TestShareCounts(t *testing.T) {
	mounts := filepath.SplitList(os.Getenv("BOBBIN_TEST_SHARE"))
	server := os.Getenv("BOBBIN_TEST_SERVER")
	if len(mounts) < 2 || server == "" {
		t.Skip("BOBBIN_TEST_SHARE and BOBBIN_TEST_SERVER name no two mounts of a share and its directory on the server")
	}
	const messages = 10_000
	dir, err := os.MkdirTemp(mounts[0], "count-")
	if err != nil {
		t.Fatal(err)
	}
	base := filepath.Base(dir)
	t.Cleanup(func() { _ = os.RemoveAll(filepath.Join(server, base)) })
	s := initSpool(t, openHost(t, dir), spool.InitOptions{})
	b := inbox(t, s)
	c := counter{mounts[0], s.Host}

	numbered(t, b, 3)
	c.measure(t, "delivery", 4, 11, func(i int) error {
		_, err := put(t.Context(), b, "Subject: x\n\n"+strings.Repeat("x", 2000))
		return err
	})
	text := bytes.Repeat([]byte("x"), 100)
	for i := range messages {
		// Without flags: SMB gives colons another name on the server.
		name := fmt.Sprintf("%d.count%d.bench,S=100,W=100", 1_700_000_000+i, i)
		if err := os.WriteFile(filepath.Join(server, base, "users/alice/cur", name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m := open(t, b)
	if n := len(m.Messages()); n < messages {
		t.Fatalf("%d messages, want %d more", n, messages)
	}
	rest := func() error {
		return errors.Join(s.Host.Sleep(t.Context(), 2*s.Host.Grain()), m.Refresh(t.Context()))
	}
	if err := errors.Join(rest(), rest()); err != nil {
		t.Fatal(err)
	}
	c.measure(t, "idle poll", 3, 7, func(int) error { return m.Refresh(t.Context()) })
	first := m.Messages()[0].UID
	thousand := spool.UIDSet{{First: first, Last: first + 999}}
	c.measure(t, "flags of 1,000 messages", 2, 7, func(i int) error {
		_, err := m.SetFlags(t.Context(), thousand, spool.FlagChange{AddKeywords: []string{"k" + strconv.Itoa(i)}})
		return err
	})
	m.Close(t.Context())

	// By a new process, and by one on a host whose caches know nothing.
	again := openHost(t, dir)
	c.h = again
	c.measure(t, "open of 10,000 messages", 40, 1, func(int) error { return openAll(t, again, messages) })
	cold := openHost(t, filepath.Join(mounts[1], base))
	c = counter{mounts[1], cold}
	c.measure(t, "the same by a host that knows nothing", 60, 1, func(int) error { return openAll(t, cold, messages) })

	c = counter{mounts[0], s.Host}
	m = open(t, b)
	if err := errors.Join(rest(), rest()); err != nil {
		t.Fatal(err)
	}
	c.relists(t, m, filepath.Join(server, base, "users/alice/cur"))
	m.Close(t.Context())
}

// relists counts how often cur is listed while it changes without pause:
// spool-format.md allows a hundredth of the time, or once a minute.
func (c counter) relists(t *testing.T, m *spool.Mailbox, cur string) {
	t.Helper()
	least := 15 * time.Second
	if testing.Short() {
		least = 5 * time.Second
	}
	quickest := time.Hour
	start, polls, listings := time.Now(), 0, 0
	// At least half of a poll that lists is the listing.
	allowed := func() int { return 2 + int(time.Since(start)/min(time.Minute, 50*quickest)) }
	for ; time.Since(start) < least || polls < 2*allowed(); polls++ {
		name := filepath.Join(cur, fmt.Sprintf("%d.again%d.bench,S=0,W=0", 1_800_000_000+polls, polls))
		if err := errors.Join(os.WriteFile(name, nil, 0o600), c.h.Sleep(t.Context(), c.h.Grain())); err != nil {
			t.Fatal(err)
		}
		before, begun := c.h.Ops.Read(), time.Now()
		if err := m.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); c.h.Ops.Read().Sub(before)[netfs.OpReaddir] > 4 && took > 20*time.Millisecond {
			listings++
			quickest = min(quickest, took)
		}
	}
	fmt.Printf("count: listings of a cur of 10,000 in %d changes: %d\n", polls, listings)
	if listings > allowed() {
		t.Errorf("%d listings in %d polls, want at most %d: the quickest took %v", listings, polls, allowed(), quickest)
	}
}

// openAll opens alice's mailbox in a spool that was not open.
func openAll(t *testing.T, h *netfs.Host, messages int) error {
	s, err := spool.Open(t.Context(), h)
	if err != nil {
		return err
	}
	b, err := s.Box(t.Context(), "alice", spool.Inbox)
	if err != nil {
		return err
	}
	m, err := b.Open(t.Context())
	if err == nil && len(m.Messages()) < messages {
		err = fmt.Errorf("%d messages", len(m.Messages()))
	}
	return err
}
