package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// served is "bobbin serve" as a process that root starts.
type served struct {
	*system
	socket string
	log    *syncBuffer
}

// serve starts the server. With squashed it has none of root's rights over the
// files of others, as on a share that is exported with root_squash.
func (s *system) serve(squashed bool, words ...string) *served {
	s.t.Helper()
	v := &served{system: s, socket: filepath.Join(s.t.TempDir(), "lmtp"), log: new(syncBuffer)}
	words = append([]string{s.program, "serve", "--log", "json", "--lmtp", "unix:" + v.socket}, words...)
	if squashed {
		words = append([]string{"setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner", "--"}, words...)
	}
	cmd := exec.Command(words[0], words[1:]...)
	var out syncBuffer
	cmd.Stdout, cmd.Stderr, cmd.Dir = &out, v.log, "/"
	cmd.Env = append([]string{"PATH=" + s.directory}, s.more...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	s.do(cmd.Start())
	s.t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil {
			s.t.Errorf("serve: %v, %s", err, v.log)
		}
	})
	for end := time.Now().Add(time.Minute); !strings.Contains(out.String(), "LMTP at"); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("serve: %s", v.log)
		}
	}
	return v
}

func (v *served) deliver(id, text string, to ...string) []string {
	v.t.Helper()
	c, err := dialLMTP(v.socket)
	v.do(err)
	defer c.conn.Close()
	replies, err := c.deliver(id, text, to...)
	v.do(err)
	return replies
}

// refusals counts the lines of the log about recipients who do not get their mail.
func (v *served) refusals() int { return strings.Count(v.log.String(), `"reply":"`) }

// refusal waits for one line more, which comes through a pipe of its own.
func (v *served) refusal(seen int) string {
	v.t.Helper()
	for end := time.Now().Add(time.Minute); v.refusals() == seen; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			v.t.Fatalf("nothing new in the log: %s", v.log)
		}
	}
	lines := strings.Split(strings.TrimSpace(v.log.String()), "\n")
	return lines[len(lines)-1]
}

// Mail for users of the system comes in by LMTP at once: each delivery is its user's,
// who alone can look into his home.
func TestServeSystemUsers(t *testing.T) {
	s := newSystem(t)
	quota := filepath.Join(s.dir, "quota")
	s.do(os.WriteFile(quota, []byte("* * - 9\n"), 0o644))
	v := s.serve(true, "--location", "%h/Maildir", "--local-domains", "example.org", "--duplicates", "drop", "--quota", quota)
	const clients, each = 3, 3
	users := []string{"alice", "nosuchuser", "bob@example.org", "away", "broken"}
	failed := make(chan error, clients)
	for i := range clients {
		go func() {
			failed <- func() error {
				c, err := dialLMTP(v.socket)
				if err != nil {
					return err
				}
				defer c.conn.Close()
				for n := range each {
					id := fmt.Sprintf("%dX%d", i, n)
					got, err := c.deliver(id, "Subject: "+id+"\r\n\r\n.\r\n", users...)
					if err != nil {
						return err
					}
					for i, want := range []string{"250 2.0.0 delivered to alice", "550 5.1.1 ", "250 2.0.0 delivered to bob", "451 4.", "451 4."} {
						if !strings.HasPrefix(got[i], want) {
							return fmt.Errorf("%s: %s, want %s", users[i], got[i], want)
						}
					}
				}
				return nil
			}()
		}()
	}
	for range clients {
		if err := <-failed; err != nil {
			t.Fatalf("%v\n%s", err, v.log)
		}
	}
	for end := time.Now().Add(time.Minute); v.refusals() < 3*clients*each; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("log: %s", v.log)
		}
	}
	if log := v.log.String(); !regexp.MustCompile(`"msg":"delivered","user":"alice","folder":"INBOX","size":\d+,"queue":"0X0",.*"operations":[1-9]`).MatchString(log) {
		t.Errorf("log: %s", log)
	}
	if got := v.deliver("new", "Subject: new\r\n\r\n", "bob")[0]; got != "452 4.2.2 the mailbox is full" {
		t.Errorf("one too many: %s", got)
	}
	if line := v.refusal(3 * clients * each); !strings.Contains(line, "over quota") {
		t.Errorf("log: %s", line)
	}
	for user, uid := range map[string]int{"alice": aliceUID, "bob": bobUID} {
		s.wantOwned(filepath.Join(s.dir, "home", user, "Maildir"), uid)
		list := s.run(uid, "", "list", "--user", user)
		for i := range clients {
			for n := range each {
				if strings.Count(list.out, fmt.Sprintf("%dX%d\n", i, n)) != 1 {
					t.Errorf("%s: message %dX%d is not there once:\n%s", user, i, n, list.out)
				}
			}
		}
		s.want(0, s.run(uid, "", "check", "--user", user), "Nothing wrong")
	}
	if _, err := os.Stat(filepath.Join(s.dir, "home/away")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing home was made: %v", err)
	}
}

// faultySpool is a spool on a small disk of its own.
type faultySpool struct {
	*system
	dir string
}

func (f *faultySpool) path(name string) string { return filepath.Join(f.dir, name) }

// must runs a program and returns what it says.
func (f *faultySpool) must(words ...string) {
	f.t.Helper()
	if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
		f.t.Fatalf("%q: %v: %s", words, err, out)
	}
}

// mountFaulty mounts a small file system, which is alice's.
func mountFaulty(t *testing.T, s *system) *faultySpool {
	t.Helper()
	f := &faultySpool{s, filepath.Join(s.dir, "share")}
	f.do(os.Mkdir(f.dir, 0o755))
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=2m", "bobbin-test", f.dir).CombinedOutput(); err != nil {
		t.Skipf("needs to mount a tmpfs: %s", out)
	}
	t.Cleanup(func() { f.must("umount", "-l", f.dir) })
	f.do(os.Chown(f.dir, aliceUID, aliceUID))
	return f
}

// fill leaves no room.
func (f *faultySpool) fill() {
	f.t.Helper()
	for i, size := range []int{64 << 10, 4 << 10, 1} {
		g, err := os.Create(f.path(fmt.Sprintf("ballast%d", i)))
		f.do(err)
		for err == nil {
			_, err = g.Write(bytes.Repeat([]byte("x"), size))
		}
		f.do(g.Close())
		if !errors.Is(err, syscall.ENOSPC) {
			f.t.Fatal(err)
		}
	}
}

// Whatever may be mended, or may mend itself, is tried again: exit code 75, or 4 in
// the answer, a line that says why, and nothing is left behind.
func TestDeliveryFaults(t *testing.T) {
	s := newSystem(t)
	f := mountFaulty(t, s)
	quota := filepath.Join(s.dir, "quota")
	f.do(os.WriteFile(quota, []byte("bob * - 1\n"), 0o644))
	s.more = []string{"BOBBIN_SPOOL=" + f.dir, "BOBBIN_LOCATION=", "BOBBIN_QUOTA=" + quota}
	s.want(0, s.run(0, "", "init", f.dir), "")
	for _, user := range []string{"alice", "bob"} {
		s.want(0, s.run(0, "", "user", "add", user), "")
		s.want(0, s.run(0, "Subject: first\n\n", "deliver", user), "")
	}
	v := s.serve(false)
	away := f.dir + "-away"
	swap := func(from, to string) func() {
		return func() { f.do(os.Rename(f.path(from), f.path(to))) }
	}
	for _, tt := range []deliveryFault{
		{"quota", "bob", func() {}, func() { f.do(os.WriteFile(quota, nil, 0o644)) }, "4.2.2", "over quota"},
		{"disk full", "alice", f.fill, func() { f.must("sh", "-c", "rm "+f.dir+"/ballast*") }, "4.3.1", "no space left"},
		{"read-only", "alice", func() { f.must("mount", "-o", "remount,ro", f.dir) }, func() { f.must("mount", "-o", "remount,rw", f.dir) }, "4.3.0", "read-only"},
		{"permission", "alice", func() { f.do(os.Chmod(f.path("users/alice/tmp"), 0)) }, func() { f.do(os.Chmod(f.path("users/alice/tmp"), 0o700)) }, "4.2.0", "permission denied"},
		{"permission of new", "alice", func() { f.do(os.Chmod(f.path("users/alice/new"), 0o500)) }, func() { f.do(os.Chmod(f.path("users/alice/new"), 0o700)) }, "4.2.0", "permission denied"},
		{"no user's directory", "alice", swap("users/alice", "alice"), swap("alice", "users/alice"), "4.2.0", "is missing"},
		{"share gone", "alice", func() { f.must("sh", "-c", "mkdir "+away+" && mv "+f.dir+"/* "+away) }, func() { f.must("sh", "-c", "mv "+away+"/* "+f.dir+" && rmdir "+away) }, "4.", ""},
	} {
		f.deliver(v, tt)
	}
	s.want(0, s.run(0, "", "check"), "Nothing wrong")
}

// The same where the mail is not in a spool, and each delivery a process.
func TestLocationFaults(t *testing.T) {
	s := newSystem(t)
	f := mountFaulty(t, s)
	f.do(os.Mkdir(f.path("alice"), 0o700))
	f.do(os.Chown(f.path("alice"), aliceUID, aliceUID))
	s.more = []string{"BOBBIN_LOCATION=" + f.dir + "/%u/Maildir"}
	s.want(0, s.run(0, "Subject: first\n\n", "deliver", "alice"), "")
	v := s.serve(false)
	swap := func(from, to string) func() {
		return func() { f.do(os.Rename(f.path(from), f.path(to))) }
	}
	for _, tt := range []deliveryFault{
		{"disk full", "alice", f.fill, func() { f.must("sh", "-c", "rm "+f.dir+"/ballast*") }, "4.3.1", "no space left"},
		{"read-only", "alice", func() { f.must("mount", "-o", "remount,ro", f.dir) }, func() { f.must("mount", "-o", "remount,rw", f.dir) }, "4.3.0", "read-only"},
		{"permission", "alice", func() { f.do(os.Chmod(f.path("alice/Maildir/tmp"), 0)) }, func() { f.do(os.Chmod(f.path("alice/Maildir/tmp"), 0o700)) }, "4.2.0", "permission denied"},
		{"share gone", "alice", swap("alice", "away"), swap("away", "alice"), "4.2.0", "no such file"},
	} {
		f.deliver(v, tt)
	}
	s.want(0, s.run(0, "", "check", "--user", "alice"), "Nothing wrong")
}

// deliveryFault is what goes wrong, for whom, and what is said of it.
type deliveryFault struct {
	name, user   string
	breaks, heal func()
	status, says string
}

// deliver tries while something is wrong, and afterwards.
func (f *faultySpool) deliver(v *served, tt deliveryFault) {
	f.t.Helper()
	before := f.listing()
	tt.breaks()
	broken := f.listing()
	r := f.run(0, "Subject: x\n\n", "deliver", tt.user)
	if r.code != exitTempFail || !strings.HasPrefix(r.err, tt.status) || !strings.Contains(r.err, tt.says) || strings.Count(r.err, "\n") != 1 {
		f.t.Errorf("%s: deliver: exit code %d, %q; want %s, %s", tt.name, r.code, r.err, tt.status, tt.says)
	}
	seen := v.refusals()
	got := v.deliver("", "Subject: x\r\n\r\n", tt.user)[0]
	if got[0] != '4' || !strings.HasPrefix(got[4:], tt.status) {
		f.t.Errorf("%s: LMTP: %s, want %s", tt.name, got, tt.status)
	}
	if line := v.refusal(seen); !strings.Contains(line, tt.says) {
		f.t.Errorf("%s: log: %q, want %q", tt.name, line, tt.says)
	}
	if now := f.listing(); now != broken {
		f.t.Errorf("%s: there was\n%s\nand is\n%s", tt.name, broken, now)
	}
	tt.heal()
	if now := f.listing(); now != before {
		f.t.Errorf("%s: there was\n%s\nand is\n%s", tt.name, before, now)
	}
	if r := f.run(0, "Subject: after "+tt.name+"\n\n", "deliver", tt.user); r.code != 0 {
		f.t.Errorf("%s: when all is well: %q", tt.name, r.err)
	}
	if got := v.deliver("", "Subject: x\r\n\r\n", "alice")[0]; got[:3] != "250" {
		f.t.Errorf("%s: LMTP when all is well: %s", tt.name, got)
	}
}

// listing is what stands in the directories where a delivery writes.
func (f *faultySpool) listing() string {
	var names []string
	for _, dir := range []string{"", "users/*/tmp", "users/*/new", "users/*/bobbin/q", "users/*", "*/Maildir", "*/Maildir/tmp", "*/Maildir/new"} {
		found, err := filepath.Glob(f.path(filepath.Join(dir, "*")))
		f.do(err)
		names = append(names, found...)
	}
	slices.Sort(names)
	return strings.Join(slices.DeleteFunc(names, func(n string) bool { return strings.HasSuffix(n, "bobbin-user") }), "\n")
}
