package spool_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/twofuse"
	"github.com/bobbinmail/bobbin/spool"
)

// stressEnv makes the test binary one process of the stress test: it holds
// directory, name, number of operations and seed.
const stressEnv = "BOBBIN_STRESS_PROCESS"

func TestMain(m *testing.M) {
	if spec := os.Getenv(stressEnv); spec != "" {
		if err := stressProcess(spec); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// stressProcess does mixed operations and prints a line for each that was
// acknowledged, and one before each that removes something.
func stressProcess(spec string) error {
	var dir, name string
	var ops int
	var seed uint64
	if _, err := fmt.Sscan(spec, &dir, &name, &ops, &seed); err != nil {
		return err
	}
	h, err := netfs.OpenHost(dir)
	if err != nil {
		return err
	}
	h.Tag = name
	ctx := context.Background()
	s, err := spool.Open(ctx, h)
	if err != nil {
		return err
	}
	b, err := s.Box(ctx, "alice", spool.Inbox)
	if err != nil {
		return err
	}
	m, err := b.Open(ctx)
	if err != nil {
		return err
	}
	p := &stressed{name: name, box: b, m: m, rng: rand.New(rand.NewPCG(seed, 0))}
	for n := range ops {
		if err := p.step(ctx, n); err != nil {
			return fmt.Errorf("%s, operation %d: %w", name, n, err)
		}
		fmt.Println("done")
	}
	return nil
}

type stressed struct {
	name string
	box  *spool.Box
	m    *spool.Mailbox
	rng  *rand.Rand
}

func (p *stressed) step(ctx context.Context, n int) error {
	all := p.m.Messages()
	k := p.rng.IntN(10)
	if len(all) == 0 && k >= 6 {
		k = 5
	}
	switch {
	case k < 4:
		body := fmt.Sprintf("Subject: %s %d\n\n%s\n", p.name, n, strings.Repeat("x", p.rng.IntN(3000)))
		sum := sha256.Sum256([]byte(body))
		text := fmt.Sprintf("X-Sum: %s\n%s", hex.EncodeToString(sum[:]), body)
		if _, err := put(ctx, p.box, text); err != nil {
			return err
		}
		fmt.Println("delivered", hex.EncodeToString(sum[:]))
	case k < 6:
		if err := p.m.Refresh(ctx); err != nil {
			return err
		}
		for _, msg := range p.m.Messages() {
			if p.rng.IntN(50) == 0 {
				fmt.Println("uid", msg.UID, msg.Name)
			}
		}
	case k < 8:
		kw := fmt.Sprintf("%s-%d", p.name, n)
		msg := all[p.rng.IntN(len(all))]
		done, err := p.m.SetFlags(ctx, spool.SetOf(msg.UID), spool.FlagChange{Add: spool.Seen, AddKeywords: []string{kw}})
		if err != nil {
			return err
		}
		if done.Contains(msg.UID) {
			fmt.Println("keyword", msg.UID, kw)
		}
	case k < 9:
		msg := all[p.rng.IntN(len(all))]
		fmt.Println("expunge", msg.UID, msg.Name)
		if _, err := p.m.Expunge(ctx, spool.SetOf(msg.UID)); err != nil {
			return err
		}
	default:
		return p.m.Project(ctx)
	}
	return nil
}

// stress is what the processes said.
type stress struct {
	mu        sync.Mutex
	t         *testing.T
	dir       string
	delivered map[string]bool
	expunged  map[uint32]bool
	names     map[uint32]string
	keywords  map[string]uint32
	done      map[string]int // operations by process
	kills     int
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
		if err := cmd.Wait(); err != nil && !killed {
			s.t.Errorf("%s: %v: %s", name, err, &stderr)
			return
		}
	}
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
			runStress(t, slots, stressRun{[]string{dir}, processes, ops, every})
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
	runStress(t, "", stressRun{dirs[:], 4, ops, 200 * time.Millisecond})
}

// TestStressShare is the same on the mounts of a share that
// BOBBIN_TEST_SHARE=/mnt/a:/mnt/b names, as many as there are.
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
	runStress(t, os.Getenv("BOBBIN_TEST_SLOTS"), stressRun{dirs, 2 * len(dirs), ops, time.Second})
}

// stressRun says where and how much: process n works in the directory n modulo
// their number, and each interval one is killed.
type stressRun struct {
	dirs           []string
	processes, ops int
	every          time.Duration
}

func runStress(t *testing.T, slots string, r stressRun) {
	sp := initSpool(t, openHost(t, r.dirs[0]), spool.InitOptions{Slots: slots})
	s := &stress{
		t: t, dir: r.dirs[0], delivered: map[string]bool{}, expunged: map[uint32]bool{}, names: map[uint32]string{},
		keywords: map[string]uint32{}, done: map[string]int{}, running: map[*exec.Cmd]bool{},
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
	for i := range r.processes {
		workers.Go(func() { s.process(r.dirs[i%len(r.dirs)], "p"+string(rune('a'+i)), r.ops) })
	}
	workers.Wait()
	close(stop)
	killer.Wait()
	if s.kills == 0 {
		t.Error("nobody was killed: the run proves nothing")
	}
	s.audit(inbox(t, sp))
	t.Logf("%d deliveries, %d expunges, %d keywords, %d kills", len(s.delivered), len(s.expunged), len(s.keywords), s.kills)
}

func (s *stress) audit(b *spool.Box) {
	t := s.t
	t.Helper()
	m := open(t, b)
	seen := map[string]uint32{}
	for _, msg := range m.Messages() {
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
		if seen["X-Sum: "+sum] == 0 && !gone["X-Sum: "+sum] {
			t.Errorf("lost: %s", sum)
		}
	}
	for kw, uid := range s.keywords {
		msg, err := m.Message(uid)
		if errors.Is(err, spool.ErrNoMessage) && s.expunged[uid] {
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
