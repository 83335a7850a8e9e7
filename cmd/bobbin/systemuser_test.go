package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Users of the test's own directory service.
const (
	aliceUID, bobUID = 40001, 40002
	staffGID         = 40100
)

// system is a host whose users come from a directory service, and where this
// program is installed. It needs root.
type system struct {
	t         *testing.T
	dir       string
	program   string
	directory string   // PATH with its getent
	more      []string // further environment
}

func newSystem(t *testing.T) *system {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can be several users")
	}
	s := &system{t: t, dir: t.TempDir()}
	s.do(os.Chmod(filepath.Dir(s.dir), 0o755)) // TempDir's parent
	s.do(os.Chmod(s.dir, 0o755))
	self, err := exec.LookPath("bobbin")
	s.do(err)
	b, err := os.ReadFile(self)
	s.do(err)
	bin := filepath.Join(s.dir, "bin")
	s.do(os.Mkdir(bin, 0o755))
	s.program = filepath.Join(bin, "bobbin")
	s.do(os.WriteFile(s.program, b, 0o755))
	s.directory = bin + ":" + os.Getenv("PATH")
	s.getent(fmt.Sprintf(`case "$1 $2" in
"passwd alice") echo "alice:x:%[2]d:%[2]d::%[1]s/home/alice:/bin/sh";;
"passwd bob") echo "bob:x:%[3]d:%[3]d::%[1]s/home/bob:/bin/sh";;
"passwd away") echo "away:x:40003:40003::%[1]s/home/away:/bin/sh";;
"passwd 40001") echo "alice:x:%[2]d:%[2]d::%[1]s/home/alice:/bin/sh";;
"passwd broken") exit 1;;
"initgroups "*) echo "$2 %[4]d";;
*) exit 2;;
esac`, s.dir, aliceUID, bobUID, staffGID))
	for user, uid := range map[string]int{"alice": aliceUID, "bob": bobUID} {
		home := filepath.Join(s.dir, "home", user)
		s.do(os.MkdirAll(home, 0o700))
		s.do(os.Chmod(filepath.Dir(home), 0o755))
		s.do(os.Chown(home, uid, uid))
	}
	return s
}

func (s *system) do(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *system) getent(script string) {
	s.t.Helper()
	s.do(os.WriteFile(filepath.Join(s.dir, "bin/getent"), []byte("#!/bin/sh\n"+script+"\n"), 0o755))
}

// run runs the program as a uid with the user's own group and further ones.
func (s *system) run(uid int, stdin string, words ...string) result {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), s.program, words...)
	var out, complaint strings.Builder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &complaint
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + s.directory, "BOBBIN_LOCATION=%h/Maildir"}
	cmd.Env = append(cmd.Env, s.more...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid), Groups: []uint32{staffGID}}}
	if uid == 0 {
		cmd.SysProcAttr = nil
	}
	err := cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		s.t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), complaint.String()}
}

func (s *system) want(code int, r result, says string) {
	s.t.Helper()
	if r.code != code || !strings.Contains(r.out+r.err, says) {
		s.t.Errorf("exit code %d, %q, %q; want %d and %q", r.code, r.out, r.err, code, says)
	}
}

// wantOwned checks that everything below a mail root is its owner's alone.
func (s *system) wantOwned(dir string, uid int) {
	s.t.Helper()
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		i, err := d.Info()
		if err != nil {
			return err
		}
		st := i.Sys().(*syscall.Stat_t)
		mode := map[bool]fs.FileMode{true: 0o700, false: 0o600}[d.IsDir()]
		if int(st.Uid) != uid || int(st.Gid) != uid || d.Type() != fs.ModeSymlink && i.Mode().Perm() != mode {
			s.t.Errorf("%s is %d:%d %v, want %d and %v", name, st.Uid, st.Gid, i.Mode(), uid, mode)
		}
		return nil
	})
	s.do(err)
}

// Root delivers to users of the system as these users; they and their groups
// read it, under any umask of root's.
func TestSystemUsers(t *testing.T) {
	s := newSystem(t)
	const message = "Subject: hello\n\n"
	s.want(0, s.run(0, message, "deliver", "alice"), "")
	s.want(0, s.run(0, message, "deliver", "--queue-id", "1", "alice", "bob"), "")
	s.want(0, s.run(aliceUID, "", "list", "--user", "alice"), "     2  ")
	s.want(0, s.run(aliceUID, "", "flag", "--user", "alice", "+seen,+kw:x", "1"), "")
	s.want(0, s.run(0, "", "flag", "--user", "alice", "+answered", "2"), "")
	s.want(0, s.run(bobUID, "", "check", "--user", "bob"), "Nothing wrong")
	s.wantOwned(filepath.Join(s.dir, "home/alice/Maildir"), aliceUID)
	s.wantOwned(filepath.Join(s.dir, "home/bob/Maildir"), bobUID)

	// Details and domains, as root and as the user.
	s.want(0, s.run(aliceUID, "", "folder", "create", "Lists", "--user", "alice"), "")
	s.want(0, s.run(0, message, "deliver", "alice+lists@example.org", "--local-domains", "example.org"), "")
	s.want(0, s.run(aliceUID, message, "deliver", "alice+lists"), "")
	s.want(0, s.run(0, message, "deliver", "--local-domains", "example.org", "alice+lists@example.org", "bob+lists"), "")
	s.want(0, s.run(aliceUID, "", "list", "--user", "alice", "--folder", "Lists"), "     3  ")
	s.want(exitNoUser, s.run(0, message, "deliver", "nosuchuser+lists"), "no such user")
	s.want(exitTempFail, s.run(0, message, "deliver", "broken+lists"), "look up user broken")

	// One user does not see another's mail, by any name.
	s.want(exitNoPerm, s.run(aliceUID, "", "list", "--user", "bob"), "permission denied")
	s.want(exitTempFail, s.run(aliceUID, message, "deliver", "bob"), "permission denied")

	// Unknown for good; not to be found out; away.
	s.want(exitNoUser, s.run(0, message, "deliver", "nosuchuser"), "no such user")
	s.want(exitNoUser, s.run(0, message, "deliver", "40001"), "no such user")
	s.want(exitTempFail, s.run(0, message, "deliver", "broken"), "look up user broken")
	s.want(exitTempFail, s.run(0, message, "deliver", "away"), "no such file or directory")
	if _, err := os.Stat(filepath.Join(s.dir, "home/away")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing home was made: %v", err)
	}

	// Of several each gets it or not; the retry doubles nothing.
	s.want(exitTempFail, s.run(0, message, "deliver", "--queue-id", "2", "alice", "away", "bob"), "1 of 3 users did not get the message")
	s.want(0, s.run(0, message, "deliver", "--queue-id", "2", "alice"), "")
	s.want(0, s.run(0, message, "deliver", "--queue-id", "2", "alice", "bob"), "")
	for uid, want := range map[int]int{aliceUID: 3, bobUID: 3} {
		user := map[int]string{aliceUID: "alice", bobUID: "bob"}[uid]
		if got := s.run(uid, "", "list", "--json", "--user", user); strings.Count(got.out, `"uid"`) != want {
			t.Errorf("%s has %s, want %d messages", user, got.out, want)
		}
	}
}

// What a user plants where his mail is to be leads root nowhere: not to
// another user's mail, not to a file of root's, and not into a wait.
func TestPlantedMailRoots(t *testing.T) {
	s := newSystem(t)
	s.want(0, s.run(0, "Subject: for bob\n\n", "deliver", "bob"), "")
	for name, plant := range map[string]func(s *system, mailRoot string) error{
		"link to bob": func(s *system, m string) error {
			return os.Symlink(filepath.Join(s.dir, "home/bob/Maildir"), m)
		},
		"link to root": func(s *system, m string) error {
			return os.Symlink(filepath.Join(s.dir, "bin"), m)
		},
		"link to nothing": func(s *system, m string) error { return os.Symlink("nothing", m) },
		"FIFO":            func(_ *system, m string) error { return syscall.Mkfifo(m, 0o600) },
		"file":            func(_ *system, m string) error { return os.WriteFile(m, nil, 0o600) },
		"directory of root": func(_ *system, m string) error {
			return os.Mkdir(m, 0o777)
		},
		"unreadable": func(_ *system, m string) error {
			return errors.Join(os.Mkdir(m, 0), os.Chown(m, aliceUID, aliceUID))
		},
		"linked tmp": func(s *system, m string) error {
			return errors.Join(os.Mkdir(m, 0o700), os.Chown(m, aliceUID, aliceUID), os.Symlink(filepath.Join(s.dir, "home/bob"), filepath.Join(m, "tmp")))
		},
		"linked log": func(s *system, m string) error {
			return errors.Join(os.Mkdir(m, 0o700), os.Chown(m, aliceUID, aliceUID), os.Symlink(filepath.Join(s.dir, "home/bob/Maildir/bobbin"), filepath.Join(m, "bobbin")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := &system{t, s.dir, s.program, s.directory, nil}
			planted := filepath.Join(s.dir, "home/alice/Maildir")
			s.do(os.RemoveAll(planted))
			s.do(plant(s, planted))
			before := tree(t, s.dir)
			if r := s.run(0, "Subject: x\n\n", "deliver", "alice"); r.code != exitTempFail {
				t.Errorf("deliver: exit code %d, %q", r.code, r.err)
			}
			for _, words := range [][]string{{"list"}, {"check"}} {
				for _, uid := range []int{0, aliceUID} {
					r := s.run(uid, "", append(words, "--user", "alice")...)
					if r.code == 0 || strings.Contains(r.out, "for bob") {
						t.Errorf("%q as uid %d: exit code %d, %q, %q", words, uid, r.code, r.out, r.err)
					}
				}
			}
			if name != "linked tmp" { // there the log may be made beside it
				wantSame(t, before, tree(t, s.dir))
			}
			wantSame(t, part(before, "/home/bob"), part(tree(t, s.dir), "/home/bob"))
		})
	}
}

// part keeps the lines of a tree that speak of a directory.
func part(tree, dir string) string {
	var b strings.Builder
	for line := range strings.Lines(tree) {
		if strings.Contains(line, dir) {
			b.WriteString(line)
		}
	}
	return b.String()
}

// A hard link to another's message shows its reader nothing that he may not
// read: he reads it as himself.
func TestHardLinkToOthersMail(t *testing.T) {
	s := newSystem(t)
	s.want(0, s.run(0, "Subject: secret of bob\n\n", "deliver", "bob"), "")
	s.want(0, s.run(0, "Subject: x\n\n", "deliver", "alice"), "")
	files, err := filepath.Glob(filepath.Join(s.dir, "home/bob/Maildir/new/*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%q, %v", files, err)
	}
	s.do(os.Link(files[0], filepath.Join(s.dir, "home/alice/Maildir/new/1700000000.x.y")))
	for _, uid := range []int{0, aliceUID} {
		for _, words := range [][]string{{"list"}, {"show", "1"}, {"show", "1", "--raw"}, {"check"}} {
			r := s.run(uid, "", append(words, "--user", "alice")...)
			if strings.Contains(r.out+r.err, "secret") {
				t.Errorf("%q as uid %d shows %q", words, uid, r.out)
			}
		}
	}
	s.want(0, s.run(0, "", "delete", "--user", "alice", "--expunge", "1-*"), "")
	s.want(0, s.run(bobUID, "", "list", "--user", "bob"), "secret of bob")
}

// Several users with a common group share a mailbox: each sees what the other
// did, whatever his umask, and one without the group sees nothing.
func TestSharedMailbox(t *testing.T) {
	s := newSystem(t)
	dir := filepath.Join(s.dir, "shared")
	s.do(os.Mkdir(dir, 0o770))
	s.do(os.Chown(dir, aliceUID, staffGID))
	s.do(os.Chmod(dir, 0o770))
	in := func(uid int, stdin string, words ...string) result {
		return s.run(uid, stdin, append(words, "--spool", dir, "--location", "")...)
	}
	s.want(0, s.run(aliceUID, "", "init", dir), "")
	s.want(0, s.run(aliceUID, "", "user", "add", "team", "--spool", dir), "")
	for _, words := range [][]string{{"chgrp", "-R", fmt.Sprint(staffGID), dir}, {"chmod", "-R", "g+rwX", dir + "/users"}, {"chmod", "750", dir + "/users"}} {
		s.do(exec.Command(words[0], words[1:]...).Run())
	}
	team := filepath.Join(dir, "users/team")
	s.do(os.WriteFile(filepath.Join(s.dir, "masked"), []byte("#!/bin/sh\numask 077\nexec "+s.program+" \"$@\"\n"), 0o755))
	plain := s.program
	for _, program := range []string{plain, filepath.Join(s.dir, "masked")} {
		s.program = program
		s.want(0, in(aliceUID, "Subject: from alice\n\n", "deliver", "team"), "")
		s.want(0, in(bobUID, "Subject: from bob\n\n", "deliver", "team"), "")
		s.want(0, in(bobUID, "", "flag", "--user", "team", "+seen,+kw:b", "1-*"), "")
		s.want(0, in(aliceUID, "", "flag", "--user", "team", "+flagged,+kw:a", "1-*"), "")
		s.want(0, in(bobUID, "", "check", "--user", "team"), "Nothing wrong")
		s.want(0, in(aliceUID, "", "show", "--user", "team", "2"), "from bob")
	}
	s.do(filepath.WalkDir(team, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.Type() == fs.ModeSymlink {
			return err
		}
		i, err := d.Info()
		if err != nil {
			return err
		}
		want := map[bool]fs.FileMode{true: 0o770, false: 0o660}[d.IsDir()]
		if st := i.Sys().(*syscall.Stat_t); st.Gid != staffGID || i.Mode().Perm() != want {
			t.Errorf("%s has group %d and %v, want %v", name, st.Gid, i.Mode(), want)
		}
		return nil
	}))
	// Whoever may write one mailbox may not read the passwords.
	s.want(exitNoPerm, s.run(bobUID, "", "user", "list", "--spool", dir), "permission denied")
	// Nobody works where he could not rename another's file.
	s.do(os.Chmod(team, 0o770|fs.ModeSticky))
	s.want(exitNoPerm, in(aliceUID, "", "list", "--user", "team"), "sticky bit")
	s.want(exitTempFail, in(aliceUID, "Subject: x\n\n", "deliver", "team"), "sticky bit")
}
