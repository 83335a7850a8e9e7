package spool_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/spool"
)

// stressEnv makes the test binary one process of the stress test: it holds
// directory, name, number of operations and seed.
const stressEnv = "BOBBIN_STRESS_PROCESS"

// exitTemporary is the exit status of such a process when the share does not
// answer: SMB mounts give up by themselves (H64).
const exitTemporary = 75

// errRestart is the kernel's own ERESTARTSYS, which an NFS client hands to
// programs when its mount is thrown away under them.
const errRestart = syscall.Errno(512)

// temporary tells whether err says that the share did not answer, and nothing
// else: what was asked for may be tried again.
func temporary(err error) bool {
	for _, e := range []error{
		errAway, netfs.ErrUncertain, syscall.EAGAIN, syscall.EHOSTDOWN, syscall.EIO, syscall.ETIMEDOUT,
		syscall.ECONNABORTED, syscall.ECONNRESET, syscall.ENOTCONN, syscall.EINTR, syscall.ESTALE, errRestart,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// foreignPrefix begins the names of the processes that are other Maildir
// programs.
const foreignPrefix = "f"

// stressProcess does mixed operations and prints a line for each that was
// acknowledged, and one before each that removes something.
func stressProcess(spec string) error {
	var dir, name string
	var ops int
	var seed uint64
	if _, err := fmt.Sscan(spec, &dir, &name, &ops, &seed); err != nil {
		return err
	}
	ctx := context.Background()
	h, s, err := openSpool(ctx, dir)
	if err != nil {
		return err
	}
	h.Tag = name
	if strings.HasPrefix(name, foreignPrefix) {
		f := &foreigner{name, filepath.Join(dir, "users/alice"), s.Marker.Separator, rand.New(rand.NewPCG(seed, 0))}
		return f.work(ops)
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

// errAway means that nothing is mounted where the spool should be: the host
// has just crashed.
var errAway = errors.New("the share is away")

func openSpool(ctx context.Context, dir string) (*netfs.Host, *spool.Spool, error) {
	h, err := netfs.OpenHost(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("%w: %v", errAway, err)
	}
	if err != nil {
		return nil, nil, err
	}
	s, err := spool.Open(ctx, h)
	if errors.Is(err, spool.ErrNotSpool) {
		err = fmt.Errorf("%w: %v", errAway, err)
	}
	return h, s, err
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
		sum, text := stressMail(p.name, n, p.rng)
		if _, err := put(ctx, p.box, text); err != nil {
			return err
		}
		fmt.Println("delivered", sum)
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

// stressMail is a message whose first line tells what the rest must be.
func stressMail(name string, n int, rng *rand.Rand) (sum, text string) {
	body := fmt.Sprintf("Subject: %s %d\n\n%s\n", name, n, strings.Repeat("x", rng.IntN(3000)))
	b := sha256.Sum256([]byte(body))
	sum = hex.EncodeToString(b[:])
	return sum, fmt.Sprintf("X-Sum: %s\n%s", sum, body)
}

// foreigner is a Maildir program that knows nothing of Bobbin: it delivers by
// rename, moves what is new to cur, sets flags in names, and removes files.
type foreigner struct {
	name, dir, separator string
	rng                  *rand.Rand
}

func (f *foreigner) work(ops int) error {
	for n := range ops {
		err := f.step(n)
		// Others rename and remove the same files.
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s, operation %d: %w", f.name, n, err)
		}
		fmt.Println("done")
		time.Sleep(time.Duration(f.rng.IntN(100)) * time.Millisecond)
	}
	return nil
}

func (f *foreigner) step(n int) error {
	if f.rng.IntN(3) == 0 {
		sum, text := stressMail(f.name, n, f.rng)
		leaf := fmt.Sprintf("%d.%s_%d_%d.foreign", time.Now().Unix(), f.name, os.Getpid(), n)
		if err := writeSynced(filepath.Join(f.dir, "tmp", leaf), text); err != nil {
			return err
		}
		if err := os.Rename(filepath.Join(f.dir, "tmp", leaf), filepath.Join(f.dir, "new", leaf)); err != nil {
			return err
		}
		fmt.Println("delivered", sum)
		return nil
	}
	where := []string{"new", "cur"}[f.rng.IntN(2)]
	list, err := os.ReadDir(filepath.Join(f.dir, where))
	if err != nil || len(list) == 0 {
		return err
	}
	leaf := list[f.rng.IntN(len(list))].Name()
	file := filepath.Join(f.dir, where, leaf)
	if where == "cur" && f.rng.IntN(2) == 0 {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		head, _, _ := strings.Cut(string(text), "\n")
		fmt.Println("removing", strings.TrimPrefix(head, "X-Sum: "))
		return os.Remove(file)
	}
	base, letters, found := strings.Cut(leaf, f.separator+"2,")
	if !found || !strings.Contains(letters, "S") {
		letters += "S" // the last of the letters that Bobbin shows, T aside
	}
	if strings.Contains(letters, "T") {
		return nil
	}
	return os.Rename(file, filepath.Join(f.dir, "cur", base+f.separator+"2,"+letters))
}

func writeSynced(name, text string) error {
	w, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = w.WriteString(text)
	return errors.Join(err, w.Sync(), w.Close())
}
