package main

import (
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/bobbinmail/bobbin/delivery"
	"github.com/bobbinmail/bobbin/spool"
)

// A message that was forwarded, as the commands of these tests see it.
const forwarded = "Subject: hello\n\nFrom here on\n"

// forwardSystem is a system whose users' .forward counts, with a sendmail that writes down
// what it gets.
func forwardSystem(t *testing.T) *system {
	s := newSystem(t)
	s.do(os.WriteFile(filepath.Join(s.dir, "bin/sendmail"), []byte("#!/bin/sh\necho \"$@\" >> \"$0.$(/usr/bin/id -u)\"\n/bin/cat >> \"$0.$(/usr/bin/id -u)\"\n"), 0o755))
	s.do(os.Chmod(filepath.Join(s.dir, "bin"), 0o777|os.ModeSticky))
	s.more = []string{"BOBBIN_FORWARD=on", "BOBBIN_OUTGOING=" + filepath.Join(s.dir, "bin/sendmail")}
	return s
}

// forward writes a user's .forward.
func (s *system) forward(user string, uid int, text string) string {
	s.t.Helper()
	name := filepath.Join(s.dir, "home", user, ".forward")
	s.do(os.WriteFile(name, []byte(strings.ReplaceAll(text, "$HOME", filepath.Dir(name))), 0o600))
	s.do(os.Chown(name, uid, uid))
	return name
}

func (s *system) wantFile(name, text string) {
	s.t.Helper()
	if got, err := os.ReadFile(filepath.Join(s.dir, name)); err != nil || string(got) != text {
		s.t.Errorf("%s is %q, %v; want %q", name, got, err, text)
	}
}

func (s *system) wantMessages(user string, n int) {
	s.t.Helper()
	r := s.run(0, "", "search", "--user", user, "--count", "subject:hello")
	if got := strings.TrimSpace(r.out); got != strings.TrimSpace(string(rune('0'+n))) {
		s.t.Errorf("%s has %q messages, %s; want %d", user, got, r.err, n)
	}
}

func TestForward(t *testing.T) {
	s := forwardSystem(t)
	s.forward("alice", aliceUID, `# where my mail goes
\alice, Bob <bob@example.org>, ann@example.org
"|/bin/cat > got; /usr/bin/id -u > uid; /usr/bin/env > environment; umask > mask"
$HOME/mbox
$HOME/Other/
`)
	s.want(0, s.run(0, "From joe@x Mon Nov 23 04:00:00 2026\r\n"+strings.ReplaceAll(forwarded, "\n", "\r\n"), "deliver", "alice"), "")
	s.wantMessages("alice", 1)
	copied := "Delivered-To: alice\n" + forwarded
	s.wantFile("bin/sendmail.40001", "-i -f joe@x -- bob@example.org ann@example.org\n"+copied)
	s.wantFile("home/alice/uid", "40001\n")
	s.wantFile("home/alice/mask", "0077\n")
	home := filepath.Join(s.dir, "home/alice")
	environment, err := os.ReadFile(filepath.Join(home, "environment"))
	s.do(err)
	for line := range strings.Lines(string(environment)) {
		name, _, _ := strings.Cut(line, "=")
		if !strings.Contains(" PATH SHELL LANG HOME USER LOGNAME SENDER BOBBIN_FORWARDING PWD OLDPWD SHLVL _ ", " "+name+" ") {
			t.Errorf("the environment has %q", line)
		}
	}
	for name, from := range map[string]string{"got": "From here on\n", "mbox": ">From here on\n\n"} {
		text, err := os.ReadFile(filepath.Join(home, name))
		s.do(err)
		first, rest, _ := strings.Cut(string(text), "\n")
		if !strings.HasPrefix(first, "From joe@x ") || rest != "Return-Path: <joe@x>\nDelivered-To: alice\nSubject: hello\n\n"+from {
			t.Errorf("%s is %q", name, text)
		}
	}
	files, err := filepath.Glob(filepath.Join(home, "Other/new/*"))
	if err != nil || len(files) != 1 {
		t.Errorf("the Maildir has %q, %v", files, err)
	}

	// Each of several users has his own; the switch turns it off; a loop is none of anybody's.
	s.forward("bob", bobUID, "bob")
	s.want(0, s.run(0, forwarded, "deliver", "alice", "bob"), "")
	s.wantMessages("bob", 1)
	s.wantMessages("alice", 2)
	s.want(0, s.run(0, forwarded, "deliver", "--forward", "off", "alice"), "")
	s.want(exitUnavailable, s.run(0, copied, "deliver", "alice"), "5.4.6 bobbin: user alice: mail forwarding loop")
	if text, _ := os.ReadFile(filepath.Join(s.dir, "bin/sendmail.40001")); strings.Count(string(text), "-i -f") != 2 {
		t.Errorf("sent: %q", text)
	}
	// A command may deliver to its user: he is not asked again.
	s.forward("bob", bobUID, "|BOBBIN_LOCATION=%h/Maildir BOBBIN_FORWARD=on PATH="+s.directory+" "+s.program+" deliver bob")
	s.want(0, s.run(0, forwarded, "deliver", "bob"), "")
	s.wantMessages("bob", 2)
}

// What cannot be done, for now and for good.
func TestForwardFails(t *testing.T) {
	s := forwardSystem(t)
	for text, want := range map[string]string{
		"|exit 75":                           "exit status 75",
		"|/nowhere/program":                  "exit status 127",
		"|kill -9 $$":                        "killed",
		"/nowhere/mbox":                      "/nowhere/mbox",
		"/nowhere/dir/":                      "/nowhere",
		"$HOME/":                             "", // his home is no Maildir yet, and may become one
		"a b":                                "line 1: syntax error",
		":include:/nowhere":                  "line 1: open /nowhere",
		":include:$HOME/.forward":            "include each other too deep",
		"\"|echo why; echo $0 >&2; exit 1\"": "5.3.0 bobbin: command",
	} {
		s.forward("alice", aliceUID, text)
		code := exitTempFail
		switch {
		case want == "":
			code = 0
		case want[0] == '5':
			code = exitUnavailable
		}
		s.want(code, s.run(0, forwarded, "deliver", "alice"), want)
	}
	s.wantMessages("alice", 0)

	// What others could have written does not count, and the mail stays.
	for name, spoil := range map[string]func(name string) error{
		"writable":  func(n string) error { return os.Chmod(n, 0o620) },
		"bob's":     func(n string) error { return firstOf(os.Chmod(n, 0o644), os.Chown(n, bobUID, bobUID)) },
		"a link":    func(n string) error { return firstOf(os.Rename(n, n+"2"), os.Symlink(n+"2", n)) },
		"two names": func(n string) error { return os.Link(n, n+"3") },
		"a home":    func(n string) error { return os.Chmod(filepath.Dir(n), 0o770) },
	} {
		s := forwardSystem(t)
		s.do(spoil(s.forward("alice", aliceUID, "|touch ran")))
		s.want(0, s.run(0, forwarded, "deliver", "alice"), "not trusted")
		s.wantMessages("alice", 1)
		if _, err := os.Stat(filepath.Join(s.dir, "home/alice/ran")); err == nil {
			t.Errorf("%s: the command ran", name)
		}
	}
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// A retry with the same queue id does what was not done.
func TestForwardRetry(t *testing.T) {
	s := forwardSystem(t)
	s.forward("alice", aliceUID, "\\alice, \"|echo x >> one\", \"|test -e ready || exit 75; echo x >> two\", \"|echo x >> three; exit 1\"")
	for range 2 {
		s.want(exitTempFail, s.run(0, forwarded, "deliver", "--queue-id", "7", "alice"), "exit status 75")
	}
	s.do(os.WriteFile(filepath.Join(s.dir, "home/alice/ready"), nil, 0o644))
	s.want(exitUnavailable, s.run(0, forwarded, "deliver", "--queue-id", "7", "alice"), "exit code 1")
	s.wantFile("home/alice/one", "x\n")
	s.wantFile("home/alice/two", "x\n")
	s.wantFile("home/alice/three", "x\nx\nx\n")
	s.wantMessages("alice", 1)
	// Another message may have the same id.
	s.want(exitUnavailable, s.run(0, forwarded+"\n", "deliver", "--queue-id", "7", "alice"), "exit code 1")
	s.wantFile("home/alice/one", "x\nx\n")
}

// Whether a step was done before cannot be told: none is done.
func TestForwardUnknown(t *testing.T) {
	s := forwardSystem(t)
	s.forward("alice", aliceUID, "\\alice, \"|echo x >> one\", \"|echo x >> two\"")
	second := forwardRun{
		envelope: delivery.Envelope{QueueID: "7"}, box: &spool.Box{User: "alice"}, digest: sha256.Sum256([]byte(forwarded)),
	}
	trace := filepath.Join(s.dir, "home/alice/Maildir/bobbin/q", second.key("|echo x >> two"))
	s.want(0, s.run(0, forwarded, "deliver", "--forward", "off", "alice"), "")
	s.do(os.MkdirAll(trace, 0o755))
	s.do(os.Chown(filepath.Dir(trace), aliceUID, aliceUID))
	s.want(exitTempFail, s.run(0, forwarded, "deliver", "--queue-id", "7", "alice"), "not a regular file")
	if _, err := os.Stat(filepath.Join(s.dir, "home/alice/one")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the first step: %v", err)
	}
	s.do(os.Remove(trace))
	s.want(0, s.run(0, forwarded, "deliver", "--queue-id", "7", "alice"), "")
	s.wantFile("home/alice/one", "x\n")
	s.wantFile("home/alice/two", "x\n")
	s.wantMessages("alice", 2)
}

// Only a CR before a LF goes, wherever the reads end.
func TestLineEnds(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "a\r\nb\r\n": "a\nb\n", "\r": "\r", "a\r\r\nb\rc\r": "a\r\nb\rc\r", "\r\n\r\n": "\n\n", "a\nb": "a\nb",
	} {
		for _, r := range []io.Reader{strings.NewReader(text), iotest.OneByteReader(strings.NewReader(text)), iotest.DataErrReader(strings.NewReader(text))} {
			got, err := io.ReadAll(&lineEnds{r: r})
			if err != nil || string(got) != want {
				t.Errorf("%q is read as %q, %v; want %q", text, got, err, want)
			}
		}
	}
}
