package spool_test

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
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
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs/twofuse"
	"github.com/bobbinmail/bobbin/spool"
)

func TestMain(m *testing.M) {
	if spec := os.Getenv(stressEnv); spec != "" {
		if err := stressProcess(spec); err != nil {
			fmt.Fprintln(os.Stderr, err)
			if temporary(err) {
				os.Exit(exitTemporary)
			}
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// stress is what the processes said.
type stress struct {
	mu        sync.Mutex
	t         *testing.T
	dir       string
	delivered map[string]bool
	expunged  map[uint32]bool
	removed   map[string]bool // sums of files that a foreign program removes
	names     map[uint32]string
	keywords  map[string]uint32
	done      map[string]int // operations by process
	kills     int
	faults    bool
	crashes   int // processes that went with their host
	temporary int // processes that a fault broke off
	killed    int // operations done at the last kill
	running   map[*exec.Cmd]bool
}

func (s *stress) line(process, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := strings.Fields(text)
	uid := uint32(0)
	if len(f) == 3 {
		n, _ := strconv.ParseUint(f[1], 10, 32)
		uid = uint32(n)
	}
	switch {
	case text == "done":
		s.done[process]++
	case f[0] == "delivered" && len(f) == 2:
		s.delivered[f[1]] = true
	case f[0] == "removing" && len(f) == 2:
		s.removed[f[1]] = true
	case f[0] == "keyword" && uid > 0:
		s.keywords[f[2]] = uid
	case (f[0] == "expunge" || f[0] == "uid") && uid > 0:
		if was, ok := s.names[uid]; ok && was != f[2] {
			s.t.Errorf("UID %d is %s and %s", uid, was, f[2])
		}
		s.names[uid] = f[2]
		if f[0] == "expunge" {
			s.expunged[uid] = true
		}
	default:
		s.t.Errorf("%s said %q", process, text)
	}
}

// process runs one process and, when it is killed, another for what is left.
func (s *stress) process(dir, name string, ops int) {
	for life := 0; ; life++ {
		s.mu.Lock()
		left := ops - s.done[name]
		s.mu.Unlock()
		if left <= 0 || s.t.Failed() {
			return
		}
		s.wait(dir)
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s%d %d %d", stressEnv, dir, name, life, left, 1000*life+int(name[1])))
		var stderr strings.Builder
		cmd.Stderr = &stderr
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			s.t.Error(err)
			return
		}
		s.mu.Lock()
		s.running[cmd] = true
		s.mu.Unlock()
		for lines := bufio.NewScanner(out); lines.Scan(); {
			s.line(name, lines.Text())
		}
		s.mu.Lock()
		killed := !s.running[cmd]
		delete(s.running, cmd)
		s.mu.Unlock()
		err = cmd.Wait()
		if s.faults && !killed {
			switch cmd.ProcessState.ExitCode() {
			case exitTemporary:
				s.count(&s.temporary)
				continue
			case -1: // by a signal: with its host
				s.count(&s.crashes)
				continue
			}
		}
		if err != nil && !killed {
			s.t.Errorf("%s: %v: %s", name, err, &stderr)
			return
		}
	}
}

func (s *stress) count(n *int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*n++
}

// wait returns when the spool is there: a host that crashed comes back.
func (s *stress) wait(dir string) {
	for range 3000 {
		if _, err := os.Stat(filepath.Join(dir, "bobbin.toml")); err == nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	s.t.Errorf("%s is not there", dir)
}

// killOne kills any of the running processes, if something was done since the
// last kill: on a slow machine a process would never live long enough.
func (s *stress) killOne(rng *rand.Rand) {
	s.mu.Lock()
	defer s.mu.Unlock()
	done := 0
	for _, n := range s.done {
		done += n
	}
	if done < s.killed+3 {
		return
	}
	s.killed = done
	skip := rng.IntN(max(1, len(s.running)))
	for cmd, live := range s.running {
		if skip--; skip >= 0 || !live {
			continue
		}
		if cmd.Process.Kill() == nil {
			s.kills++
			s.running[cmd] = false
		}
		return
	}
}

// TestStress lets real processes work in one mailbox while one is killed now
// and then, and looks for everything that was acknowledged.
func TestStress(t *testing.T) {
	processes, ops, every := 4, 150, 200*time.Millisecond
	if full() {
		processes, ops, every = 8, 2000, time.Second
	}
	for _, slots := range []string{"symlink", "link", "directory"} {
		t.Run(slots, func(t *testing.T) {
			if slots != "symlink" {
				processes, ops, every = 3, 100, 30*time.Millisecond
			}
			dir := t.TempDir()
			runStress(t, spool.InitOptions{Slots: slots}, stressRun{dirs: []string{dir}, processes: processes, ops: ops, every: every, foreign: slots != "symlink"})
		})
	}
}

// TestStressTwoMounts is the same with half of the processes on another mount.
func TestStressTwoMounts(t *testing.T) {
	ops := 8 // a look into a mailbox where others work takes seconds here
	if full() {
		ops = 80
	}
	_, dirs := twofuse.NewPair(t, twofuse.Usual)
	runStress(t, spool.InitOptions{}, stressRun{dirs: dirs[:], processes: 4, ops: ops, every: 200 * time.Millisecond})
}

// TestStressShare is the same on the mounts of a share that
// BOBBIN_TEST_SHARE=/mnt/a:/mnt/b names, as many as there are. With
// BOBBIN_TEST_FOREIGN=1 another Maildir program works on the last of them.
// BOBBIN_TEST_FAULTS holds commands, one a line, that each break something:
// they are run one after the other as the work goes on.
func TestStressShare(t *testing.T) {
	mounts := filepath.SplitList(os.Getenv("BOBBIN_TEST_SHARE"))
	if len(mounts) == 0 {
		t.Skip("BOBBIN_TEST_SHARE names no mounted share")
	}
	ops := 20
	if full() {
		ops = 200
	}
	dir, err := os.MkdirTemp(mounts[0], "stress-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	var dirs []string
	for _, mount := range mounts {
		dirs = append(dirs, filepath.Join(mount, filepath.Base(dir)))
	}
	r := stressRun{dirs: dirs, processes: 2 * len(dirs), ops: ops, every: time.Second, foreign: os.Getenv("BOBBIN_TEST_FOREIGN") != ""}
	for line := range strings.Lines(os.Getenv("BOBBIN_TEST_FAULTS")) {
		r.faults = append(r.faults, strings.TrimSpace(line))
	}
	runStress(t, spool.InitOptions{Slots: os.Getenv("BOBBIN_TEST_SLOTS"), Separator: os.Getenv("BOBBIN_TEST_SEPARATOR")}, r)
}

// stressRun says where and how much: process n works in the directory n modulo
// their number, and each interval one is killed. A foreign Maildir program
// works in the last directory; faults are commands that each break something.
type stressRun struct {
	dirs           []string
	processes, ops int
	every          time.Duration
	foreign        bool
	faults         []string
}

func runStress(t *testing.T, o spool.InitOptions, r stressRun) {
	sp := initSpool(t, openHost(t, r.dirs[0]), o)
	s := &stress{
		t: t, dir: r.dirs[0], delivered: map[string]bool{}, expunged: map[uint32]bool{}, removed: map[string]bool{}, names: map[uint32]string{},
		keywords: map[string]uint32{}, done: map[string]int{}, running: map[*exec.Cmd]bool{}, faults: len(r.faults) > 0,
	}
	stop := make(chan struct{})
	var killer, workers sync.WaitGroup
	killer.Go(func() {
		rng := rand.New(rand.NewPCG(1, 2))
		for {
			select {
			case <-stop:
				return
			case <-time.After(r.every):
				s.killOne(rng)
			}
		}
	})
	killer.Go(func() { s.breakThings(r, stop) })
	if r.foreign {
		workers.Go(func() { s.process(r.dirs[len(r.dirs)-1], foreignPrefix+"a", min(r.ops, 200)) })
	}
	for i := range r.processes {
		workers.Go(func() { s.process(r.dirs[i%len(r.dirs)], "p"+string(rune('a'+i)), r.ops) })
	}
	workers.Wait()
	close(stop)
	killer.Wait()
	if s.kills == 0 {
		t.Error("nobody was killed: the run proves nothing")
	}
	uids := s.audit(inbox(t, sp))
	for _, dir := range r.dirs[1:] {
		other, err := spool.Open(t.Context(), openHost(t, dir))
		if err != nil {
			t.Fatal(err)
		}
		if got := uidsAndNames(open(t, inbox(t, other))); !slices.Equal(got, uids) {
			t.Errorf("%s has other messages than %s:\n%v\n%v", dir, r.dirs[0], got, uids)
		}
	}
	t.Logf("%d deliveries, %d expunges, %d foreign removals, %d keywords, %d kills, %d faults: %d processes lost with their host, %d told to try again",
		len(s.delivered), len(s.expunged), len(s.removed), len(s.keywords), s.kills, len(r.faults), s.crashes, s.temporary)
}

// breakThings runs the commands of r, spread over the work.
func (s *stress) breakThings(r stressRun, stop <-chan struct{}) {
	for i, fault := range r.faults {
		for start := (i + 1) * r.processes * r.ops / (len(r.faults) + 2); s.total() < start; {
			select {
			case <-stop:
				s.t.Errorf("%s: the work ended before its turn", fault)
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
		if out, err := exec.Command("sh", "-c", fault).CombinedOutput(); err != nil {
			s.t.Errorf("%s: %v: %s", fault, err, out)
		}
	}
}

func (s *stress) total() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, done := range s.done {
		n += done
	}
	return n
}

func uidsAndNames(m *spool.Mailbox) []string {
	var out []string
	for _, msg := range m.Messages() {
		out = append(out, fmt.Sprint(msg.UID, " ", msg.Name))
	}
	return out
}

func (s *stress) audit(b *spool.Box) []string {
	t := s.t
	t.Helper()
	m := open(t, b)
	seen, last := map[string]uint32{}, uint32(0)
	for _, msg := range m.Messages() {
		if msg.UID <= last {
			t.Errorf("UID %d comes after %d", msg.UID, last)
		}
		last = msg.UID
		if was, ok := s.names[msg.UID]; ok && was != msg.Name {
			t.Errorf("UID %d is %s and was %s", msg.UID, msg.Name, was)
		}
		head, body, _ := strings.Cut(read(t, m, msg.UID), "\n")
		sum := sha256.Sum256([]byte(body))
		if head != "X-Sum: "+hex.EncodeToString(sum[:]) {
			t.Errorf("UID %d is altered", msg.UID)
		}
		if other := seen[head]; other != 0 {
			t.Errorf("UIDs %d and %d are the same message", other, msg.UID)
		}
		seen[head] = msg.UID
	}
	gone := s.expungedSums()
	for sum := range s.delivered {
		if seen["X-Sum: "+sum] == 0 && !gone["X-Sum: "+sum] && !s.removed[sum] {
			t.Errorf("lost: %s", sum)
		}
	}
	for kw, uid := range s.keywords {
		msg, err := m.Message(uid)
		if errors.Is(err, spool.ErrNoMessage) && (s.expunged[uid] || len(s.removed) > 0) {
			continue
		}
		if err != nil || !strings.Contains(" "+strings.Join(msg.Keywords, " ")+" ", " "+kw+" ") {
			t.Errorf("keyword %s of UID %d is lost: %v", kw, uid, err)
		}
	}
	found, err := b.Check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		if f.Wrong {
			t.Errorf("check: %s", f)
		}
	}
	return uidsAndNames(m)
}

// expungedSums reads the messages that somebody tried to expunge, wherever
// their files are: who was killed may not have moved them away.
func (s *stress) expungedSums() map[string]bool {
	out := map[string]bool{}
	for uid := range s.expunged {
		for _, dir := range []string{"bobbin/x", "new", "cur"} {
			files, err := filepath.Glob(filepath.Join(s.dir, "users/alice", dir, s.names[uid]) + "*")
			if err != nil {
				s.t.Fatal(err)
			}
			for _, name := range files {
				text, err := os.ReadFile(name)
				if err != nil {
					s.t.Fatal(err)
				}
				head, _, _ := strings.Cut(string(text), "\n")
				out[head] = true
			}
		}
	}
	return out
}
