package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/delivery"
	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/spool"
	"github.com/bobbinmail/bobbin/spool/commitlog"
)

// backupFolders are the folders of the one user of these tests.
var backupFolders = []string{spool.Inbox, "Archive"}

// operationsBlock returns the commands that docs/operations.md has below the
// comment "tested: NAME".
func operationsBlock(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "\n<!-- tested: "+name+" -->\n```sh\n")
	block, _, ended := strings.Cut(rest, "\n```\n")
	if !found || !ended {
		t.Fatalf("docs/operations.md has no commands called %s", name)
	}
	return block + "\n"
}

// living is a spool in which workers deliver, flag, move and expunge.
type living struct {
	t           *testing.T
	dir, backup string

	mu      sync.Mutex
	acked   map[string]string // texts of acknowledged messages by id
	removed map[string]bool   // ids of messages that somebody began to expunge
	done    map[string]int    // steps by kind
}

func newLiving(t *testing.T) *living {
	t.Helper()
	needTool(t, "rsync")
	needTool(t, "tar")
	dir := t.TempDir()
	l := &living{
		t: t, dir: filepath.Join(dir, "spool"), backup: filepath.Join(dir, "copy"),
		acked: map[string]string{}, removed: map[string]bool{}, done: map[string]int{},
	}
	l.sh("bobbin init \"$SPOOL\"\nbobbin user add alice --spool \"$SPOOL\"\nbobbin folder create Archive --spool \"$SPOOL\" --user alice\n")
	for range 30 {
		l.deliver(l.open(l.dir))
	}
	return l
}

// sh runs commands as an administrator would.
func (l *living) sh(commands string) {
	l.t.Helper()
	cmd := exec.Command("sh", "-ec", commands)
	cmd.Env = append(os.Environ(), "SPOOL="+l.dir, "COPY="+l.backup, "XDG_STATE_HOME="+filepath.Join(filepath.Dir(l.backup), "state"))
	if out, err := cmd.CombinedOutput(); err != nil {
		l.t.Fatalf("%s\n%v: %.3000s", commands, err, out)
	}
}

// document runs blocks of docs/operations.md in one shell.
func (l *living) document(names ...string) {
	l.t.Helper()
	var commands strings.Builder
	for _, n := range names {
		commands.WriteString(operationsBlock(l.t, n))
	}
	l.sh(commands.String())
}

func (l *living) open(dir string) *spool.Spool {
	l.t.Helper()
	h, err := netfs.OpenHost(dir)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { _ = h.Share.Close() })
	s, err := spool.Open(l.t.Context(), h)
	if err != nil {
		l.t.Fatal(err)
	}
	return s
}

func (l *living) deliver(s *spool.Spool) {
	id := rand.Text()
	text := fmt.Sprintf("X-Id: %s\nSubject: test\n\n%s\n", id, strings.Repeat(id+"\n", mathrand.IntN(300)))
	e := delivery.Envelope{Users: []string{"alice"}, Folder: spool.Inbox}
	if err := delivery.Deliver(context.Background(), s, e, strings.NewReader(text)); err != nil {
		l.t.Errorf("deliver: %v", err)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acked[id] = text
	l.done["deliver"]++
}

// count counts a step that succeeded.
func (l *living) count(kind string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done[kind]++
}

// remember returns what is acknowledged and not being expunged.
func (l *living) remember() map[string]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.removed = map[string]bool{}
	return maps.Clone(l.acked)
}

// forget takes out of the list what was expunged since remember.
func (l *living) forget(texts map[string]string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	maps.DeleteFunc(texts, func(id, _ string) bool { return l.removed[id] })
}

func readText(ctx context.Context, m *spool.Mailbox, uid uint32) (string, error) {
	f, _, err := m.OpenMessage(ctx, uid)
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(f)
	return string(b), errors.Join(err, f.Close())
}

// idOf finds the id that deliver has put into a message.
func idOf(text string) string {
	_, rest, _ := strings.Cut(text, "X-Id: ")
	id, _, _ := strings.Cut(rest, "\n")
	return id
}

// views are a worker's open mailboxes.
type views struct{ inbox, archive *spool.Mailbox }

func openViews(ctx context.Context, s *spool.Spool) (v views, err error) {
	for _, folder := range backupFolders {
		b, err := s.Box(ctx, "alice", folder)
		if err != nil {
			return v, err
		}
		m, err := b.Open(ctx)
		if err != nil {
			return v, err
		}
		v.inbox, v.archive = cmp.Or(v.inbox, m), m
	}
	return v, nil
}

// step changes something in a mailbox.
func (l *living) step(ctx context.Context, v views) error {
	m := v.inbox
	if mathrand.IntN(3) == 0 {
		m = v.archive
	}
	if err := m.Refresh(ctx); err != nil {
		return err
	}
	all := m.Messages()
	if len(all) == 0 {
		return nil
	}
	uid := all[mathrand.IntN(len(all))].UID
	switch k := mathrand.IntN(12); {
	case k < 8:
		change := spool.FlagChange{Add: spool.Seen, Remove: spool.Flagged, AddKeywords: []string{"kept"}}
		if k%2 == 0 {
			change = spool.FlagChange{Add: spool.Flagged, Remove: spool.Seen}
		}
		_, err := m.SetFlags(ctx, spool.SetOf(uid), change)
		l.count("flag")
		return errors.Join(err, m.Project(ctx))
	case k < 10 && m == v.inbox:
		_, err := m.Move(ctx, spool.SetOf(uid), v.archive)
		l.count("move")
		return errors.Join(err, v.archive.Project(ctx), m.Project(ctx))
	case k == 10:
		text, err := readText(ctx, m, uid)
		if err != nil {
			return err
		}
		l.mu.Lock()
		l.removed[idOf(text)] = true
		l.mu.Unlock()
		_, err = m.Expunge(ctx, spool.SetOf(uid))
		l.count("expunge")
		return errors.Join(err, m.Project(ctx))
	}
	return nil
}

// work lets two hosts work until the returned function is called. A host
// whose view of the log ended opens its mailboxes again.
func (l *living) work() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for range 2 {
		s := l.open(l.dir)
		v, err := openViews(ctx, s)
		if err != nil {
			l.t.Fatal(err)
		}
		all.Go(func() {
			for ctx.Err() == nil && !l.t.Failed() {
				l.deliver(s)
				for range 3 {
					err := l.step(ctx, v)
					if errors.Is(err, commitlog.ErrWentBack) {
						l.count("reopen")
						var again views
						if again, err = openViews(ctx, s); err == nil {
							v = again
						}
					}
					if err != nil && ctx.Err() == nil && !errors.Is(err, spool.ErrNoMessage) && !errors.Is(err, commitlog.ErrWentBack) {
						l.t.Errorf("while others copy: %v", err)
						return
					}
					time.Sleep(300 * time.Millisecond)
				}
			}
		})
	}
	stop = func() { cancel(); all.Wait() }
	l.t.Cleanup(stop)
	return stop
}

// audit wants all these messages in the folders of a spool, and nothing wrong.
func (l *living) audit(dir string, want map[string]string) {
	l.t.Helper()
	ctx := l.t.Context()
	v, err := openViews(ctx, l.open(dir))
	if err != nil {
		l.t.Fatal(err)
	}
	found := map[string]string{}
	for _, m := range []*spool.Mailbox{v.inbox, v.archive} {
		for _, msg := range m.Messages() {
			text, err := readText(ctx, m, msg.UID)
			if err != nil {
				l.t.Errorf("UID %d: %v", msg.UID, err)
			}
			found[idOf(text)] = text
		}
	}
	lost := 0
	for id, text := range want {
		if !strings.HasSuffix(found[id], text) {
			lost++
		}
	}
	if lost > 0 || len(want) == 0 {
		l.t.Errorf("%d of %d messages are lost or altered", lost, len(want))
	}
	l.sh("bobbin check --spool '" + dir + "'")
}

// validity returns the UIDVALIDITY of a folder.
func (l *living) validity(dir, folder string) uint32 {
	l.t.Helper()
	b, err := l.open(dir).Box(l.t.Context(), "alice", folder)
	if err != nil {
		l.t.Fatal(err)
	}
	m, err := b.Open(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	return m.UIDValidity()
}

// wantHigher wants the UIDVALIDITY of folders above what it was.
func (l *living) wantHigher(was map[string]uint32, dir string) {
	l.t.Helper()
	for folder, old := range was {
		if now := l.validity(dir, folder); now <= old {
			l.t.Errorf("%s: UIDVALIDITY is %d and was %d", folder, now, old)
		}
	}
}

func (l *living) validities(folders ...string) map[string]uint32 {
	was := map[string]uint32{}
	for _, f := range folders {
		was[f] = l.validity(l.dir, f)
	}
	return was
}

// TestBackup copies a spool while others work in it, in each way that the
// manual knows, and restores it in a new place and over the old one.
func TestBackup(t *testing.T) {
	ways := []string{"rsync"}
	if os.Getenv("BOBBIN_TEST_FULL") != "" {
		ways = append(ways, "tar", "cp")
	}
	for _, way := range ways {
		t.Run(way, func(t *testing.T) {
			l := newLiving(t)
			stop := l.work()
			want := l.remember()
			l.document("pass-"+way, "backup", "backup-spool")
			l.forget(want)
			stop()
			was := l.validities(backupFolders...)
			old, err := openViews(t.Context(), l.open(l.dir))
			if err != nil {
				t.Fatal(err)
			}
			over := way == "rsync"
			if !over {
				l.dir = filepath.Join(t.TempDir(), "new")
			}
			if way == "tar" {
				l.document("pack-tar")
			}
			l.document("restore-" + way)
			l.audit(l.dir, want)
			l.wantHigher(was, l.dir)
			if over {
				l.wantWentBack(old)
			}
			t.Logf("%v", l.done)
		})
	}
}

// wantWentBack wants open views to say that the share went back, and the same
// host to go on with new ones.
func (l *living) wantWentBack(old views) {
	l.t.Helper()
	for _, m := range []*spool.Mailbox{old.inbox, old.archive} {
		if err := m.Refresh(l.t.Context()); !errors.Is(err, commitlog.ErrWentBack) {
			l.t.Errorf("a view of what was before: %v", err)
		}
	}
	want := l.remember()
	l.deliver(l.open(l.dir))
	maps.DeleteFunc(l.acked, func(id, _ string) bool { return want[id] != "" })
	l.audit(l.dir, l.acked)
}

// TestBackupOfPart copies one user or one folder while others work, loses the
// mail, and restores it while others go on.
func TestBackupOfPart(t *testing.T) {
	for part, folders := range map[string][]string{"user": backupFolders, "folder": {"Archive"}} {
		t.Run(part, func(t *testing.T) {
			l := newLiving(t)
			v, err := openViews(t.Context(), l.open(l.dir))
			if err != nil {
				t.Fatal(err)
			}
			if part == "folder" { // all of it is in this folder
				if _, err := v.inbox.Move(t.Context(), spool.AllUIDs(), v.archive); err != nil {
					t.Fatal(err)
				}
			}
			want := l.remember()
			stop := l.work()
			l.document("pass-rsync", "backup", "backup-"+part)
			l.forget(want)
			for _, m := range []*spool.Mailbox{v.inbox, v.archive} {
				err := m.Refresh(t.Context())
				if err == nil {
					_, err = m.Expunge(t.Context(), spool.AllUIDs())
				}
				if err != nil {
					t.Error(err)
				}
			}
			was := l.validities(folders...)
			l.remember()
			l.document("restore-" + part)
			stop()
			l.forget(want)
			l.audit(l.dir, want)
			l.wantHigher(was, l.dir)
			if err := v.archive.Refresh(t.Context()); !errors.Is(err, commitlog.ErrWentBack) {
				t.Errorf("a view of the log before it began anew: %v", err)
			}
			t.Logf("%v", l.done)
		})
	}
}

// TestRolledBack puts the files of an earlier moment in the place of the
// present ones, as a file server does that goes back to a snapshot.
func TestRolledBack(t *testing.T) {
	l := newLiving(t)
	l.work()()
	want := l.remember()
	l.sh(`cp -a "$SPOOL" "$COPY"`)
	l.work()()
	l.forget(want)
	was := l.validities(backupFolders...)
	old, err := openViews(t.Context(), l.open(l.dir))
	if err != nil {
		t.Fatal(err)
	}
	l.deliver(l.open(l.dir))
	for _, m := range []*spool.Mailbox{old.inbox, old.archive} {
		if _, err := m.SetFlags(t.Context(), spool.AllUIDs(), spool.FlagChange{AddKeywords: []string{"late"}}); err != nil {
			t.Fatal(err)
		}
	}
	l.sh(`rsync -a --delete "$COPY/" "$SPOOL/"`)
	l.document("rolled-back")
	l.audit(l.dir, want)
	l.wantHigher(was, l.dir)
	l.wantWentBack(old)
}
