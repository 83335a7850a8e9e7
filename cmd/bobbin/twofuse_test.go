package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs/twofuse"
)

// twoHosts is what processes on two mounts of one spool did and were told.
// Messages are known by their subjects.
type twoHosts struct {
	t      *testing.T
	binary string
	spools [2]string

	mu        sync.Mutex
	texts     map[string]string         // all that were tried to deliver
	acked     map[string]bool           // those that were acknowledged
	expunging map[string]bool           // those that somebody tried to expunge
	moving    map[string]bool           // those that somebody tried to move
	brokenOff map[string]bool           // those whose move may be in both folders, and be moved and changed twice from then on
	keywords  map[string][]string       // acknowledged, by subject
	uids      map[string]map[int]string // by folder and UID: subjects
	endings   map[string]map[ending]int // by command
}

// ending is how a process ended: its exit code, or that it was killed.
type ending int

const wasKilled ending = -1

// listed is what list --json tells of a message.
type listed struct {
	UID      int      `json:"uid"`
	Subject  string   `json:"subject"`
	Keywords []string `json:"keywords"`
}

func newTwoHosts(t *testing.T, o twofuse.Options) (*twoHosts, [2]*twofuse.Mount) {
	t.Helper()
	mounts, dirs := twofuse.NewPair(t, o)
	h := &twoHosts{
		t: t, binary: filepath.Join(t.TempDir(), "bobbin"),
		texts: map[string]string{}, acked: map[string]bool{}, expunging: map[string]bool{}, moving: map[string]bool{}, brokenOff: map[string]bool{},
		keywords: map[string][]string{}, uids: map[string]map[int]string{}, endings: map[string]map[ending]int{},
	}
	for i, dir := range dirs {
		h.spools[i] = filepath.Join(dir, "spool")
	}
	if out, err := exec.Command("go", "build", "-o", h.binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v: %s", err, out)
	}
	h.must(0, "init", h.spools[0])
	h.must(0, "user", "add", "alice")
	if err := os.Mkdir(filepath.Join(mounts[0].Backing(), "spool/users/alice/.Saved"), 0o700); err != nil {
		t.Fatal(err)
	}
	return h, mounts
}

// run runs the program on one of the mounts and tells how it ended.
func (h *twoHosts) run(ctx context.Context, mount int, stdin string, args ...string) (string, ending) {
	h.t.Helper()
	cmd := exec.CommandContext(ctx, h.binary, args...)
	cmd.Env = append(os.Environ(), "BOBBIN_SPOOL="+h.spools[mount], "BOBBIN_USER=alice")
	cmd.Stdin = strings.NewReader(stdin)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	code := ending(cmd.ProcessState.ExitCode())
	exit, ok := errors.AsType[*exec.ExitError](err)
	switch {
	case err == nil:
	case !ok && ctx.Err() == nil:
		h.t.Errorf("bobbin %q: %v", args, err)
	case !ok || exit.Sys().(syscall.WaitStatus).Signaled():
		code = wasKilled
	case code != exitTempFail && code != 1 || strings.Contains(stderr.String(), "panic"):
		h.t.Errorf("bobbin %q: exit code %d: %s", args, code, &stderr)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.endings[args[0]] == nil {
		h.endings[args[0]] = map[ending]int{}
	}
	h.endings[args[0]][code]++
	return stdout.String(), code
}

func (h *twoHosts) must(mount int, args ...string) string {
	h.t.Helper()
	out, code := h.run(h.t.Context(), mount, "", args...)
	if code != 0 {
		h.t.Fatalf("bobbin %q ended with %d", args, code)
	}
	return out
}

// list lists a folder and checks that no UID changed its message.
func (h *twoHosts) list(ctx context.Context, mount int, folder string) []listed {
	h.t.Helper()
	out, code := h.run(ctx, mount, "", "list", "--json", "--folder", folder)
	if code != 0 {
		return nil
	}
	var all []listed
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		h.t.Errorf("list --json: %v: %.200s", err, out)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.uids[folder] == nil {
		h.uids[folder] = map[int]string{}
	}
	for _, m := range all {
		if was, ok := h.uids[folder][m.UID]; ok && was != m.Subject {
			h.t.Errorf("UID %d of %s is %s and was %s", m.UID, folder, m.Subject, was)
		}
		h.uids[folder][m.UID] = m.Subject
	}
	return all
}

// life is how long a process lives: one in six is killed after a while.
func (h *twoHosts) life(rng *rand.Rand) (context.Context, context.CancelFunc) {
	if rng.IntN(6) > 0 {
		return context.WithCancel(h.t.Context())
	}
	return context.WithTimeout(h.t.Context(), time.Duration(1+rng.IntN(100))*time.Millisecond)
}

// step does one command on one of the mounts.
func (h *twoHosts) step(mount int, id string, rng *rand.Rand) {
	kind := rng.IntN(10)
	if kind < 4 {
		ctx, cancel := h.life(rng)
		defer cancel()
		h.deliver(ctx, mount, id, rng.IntN(4000))
		return
	}
	folder, other := "INBOX", "Saved"
	if rng.IntN(4) == 0 {
		folder, other = other, folder
	}
	all := h.list(h.t.Context(), mount, folder)
	if len(all) == 0 {
		return
	}
	m := all[rng.IntN(len(all))]
	uid := strconv.Itoa(m.UID)
	ctx, cancel := h.life(rng)
	defer cancel()
	switch {
	case kind < 6:
		if _, code := h.run(ctx, mount, "", "flag", "--folder", folder, "+seen,+kw:"+id, uid); code == 0 {
			h.note(func() { h.keywords[m.Subject] = append(h.keywords[m.Subject], id) })
		}
	case kind < 9:
		h.note(func() { h.moving[m.Subject] = true })
		if _, code := h.run(ctx, mount, "", "move", "--folder", folder, uid, other); code != 0 {
			h.note(func() { h.brokenOff[m.Subject] = true })
		}
	default:
		h.note(func() { h.expunging[m.Subject] = true })
		h.run(ctx, mount, "", "delete", "--expunge", "--folder", folder, uid)
	}
}

func (h *twoHosts) note(what func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	what()
}

func (h *twoHosts) deliver(ctx context.Context, mount int, id string, size int) {
	text := fmt.Sprintf("From: joe@example.org\nSubject: %s\n\n%s\n", id, strings.Repeat("x", size))
	h.note(func() { h.texts[id] = text })
	if _, code := h.run(ctx, mount, text, "deliver", "alice"); code == 0 {
		h.note(func() { h.acked[id] = true })
	}
}

// audit looks at everything from both mounts.
func (h *twoHosts) audit() {
	t := h.t
	t.Helper()
	there := map[string]int{}
	keywords := map[string][]string{}
	for _, folder := range []string{"INBOX", "Saved"} {
		a, b := h.list(t.Context(), 0, folder), h.list(t.Context(), 1, folder)
		if !slices.EqualFunc(a, b, func(x, y listed) bool { return x.UID == y.UID && x.Subject == y.Subject }) {
			t.Errorf("%s is %v to one host and %v to the other", folder, a, b)
		}
		here := map[string]bool{}
		for _, m := range a {
			if here[m.Subject] && !h.brokenOff[m.Subject] {
				t.Errorf("%s is in %s twice", m.Subject, folder)
			}
			here[m.Subject] = true
			there[m.Subject]++
			keywords[m.Subject] = append(keywords[m.Subject], m.Keywords...)
		}
		h.auditTexts(folder, a)
		for mount := range h.spools {
			h.must(mount, "check", "--user", "alice", "--folder", folder)
		}
	}
	for id := range h.acked {
		if there[id] == 0 && !h.expunging[id] {
			t.Errorf("%s is lost", id)
		}
	}
	for id, n := range there {
		if n > 1 && !h.moving[id] {
			t.Errorf("%s is there %d times and nobody moved it", id, n)
		}
		for _, kw := range h.keywords[id] {
			if !slices.Contains(keywords[id], kw) && !h.brokenOff[id] {
				t.Errorf("%s has lost the keyword %s", id, kw)
			}
		}
	}
	t.Logf("%d messages there of %d acknowledged; by command and exit code: %v", len(there), len(h.acked), h.endings)
}

// auditTexts compares the messages of a folder with what was delivered.
func (h *twoHosts) auditTexts(folder string, all []listed) {
	h.t.Helper()
	if len(all) == 0 {
		return
	}
	dir := filepath.Join(h.t.TempDir(), folder)
	h.must(1, "save", "--folder", folder, "1-*", dir)
	for _, m := range all {
		b, err := os.ReadFile(filepath.Join(dir, strconv.Itoa(m.UID)+".eml"))
		if text := h.texts[m.Subject]; text == "" || !strings.HasSuffix(string(b), "\n"+text) || err != nil {
			h.t.Errorf("UID %d of %s, %s, is altered: %.300q, %v", m.UID, folder, m.Subject, b, err)
		}
	}
}

// TestTwoHosts lets the program run on two mounts of one spool at once, while
// processes are killed and requests fail, done and not done.
func TestTwoHosts(t *testing.T) {
	type run struct {
		name     string
		o        twofuse.Options
		commands int
		rate     float64 // of faults
	}
	runs := []run{{"usual", twofuse.Usual, 10, 0.01}}
	if os.Getenv("BOBBIN_TEST_FULL") != "" {
		runs = []run{
			{"usual", twofuse.Usual, 50, 0.01},
			{"names kept for 30 s", twofuse.Options{Attributes: 30 * time.Second, Names: 30 * time.Second}, 30, 0.01},
		}
	}
	for _, r := range runs {
		t.Run(r.name, func(t *testing.T) {
			h, mounts := newTwoHosts(t, r.o)
			faulty := append(slices.Clone(twofuse.Changing), twofuse.Lookup, twofuse.Getattr, twofuse.Open, twofuse.Read, twofuse.Readlink)
			var wg sync.WaitGroup
			for i, m := range mounts {
				m.Inject(twofuse.Random(uint64(i), r.rate, faulty, []syscall.Errno{syscall.EIO, syscall.ETIMEDOUT, syscall.ESTALE}))
				for j := range 2 {
					rng := rand.New(rand.NewPCG(uint64(i), uint64(j)))
					wg.Go(func() {
						for n := range r.commands {
							h.step(i, fmt.Sprintf("%c%d-%d", 'a'+i, j, n), rng)
						}
					})
				}
			}
			wg.Wait()
			for _, m := range mounts {
				m.Inject(nil)
			}
			time.Sleep(r.o.Names + 100*time.Millisecond)
			h.audit()
		})
	}
}
