package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/bobbinmail/bobbin/netfs"
)

// rig is a spool in a directory of the test's. Commands run on it in this
// process, by default for alice.
type rig struct {
	t   *testing.T
	dir string
}

// newRig makes a spool with alice and bob.
func newRig(t *testing.T, flags ...string) *rig {
	t.Helper()
	r := &rig{t, filepath.Join(t.TempDir(), "spool")}
	r.must("", append([]string{"init", r.dir}, flags...)...)
	r.must("", "user", "add", "alice")
	r.must("", "user", "add", "bob")
	return r
}

// result is how a command ended.
type result struct {
	code     int
	out, err string
}

// hang is how long no command takes; one that waits for a FIFO takes for ever.
const hang = time.Minute

// impatient makes the waits for other hosts short: in a rig there are none.
func impatient(sleep func(context.Context, time.Duration) error) func(context.Context, time.Duration) error {
	return func(ctx context.Context, d time.Duration) error {
		if d >= time.Second {
			d /= 100
		}
		return sleep(ctx, d)
	}
}

func (r *rig) run(stdin string, words ...string) result {
	r.t.Helper()
	var out, complaint bytes.Buffer
	var shares []netfs.FS
	env := processEnvironment()
	env.Stdin, env.Stdout, env.Stderr = strings.NewReader(stdin), &out, &complaint
	env.Getenv = func(name string) string { return map[string]string{"BOBBIN_SPOOL": r.dir}[name] }
	env.Login = func() (string, error) { return "alice", nil }
	open := env.Host
	env.Host = func(ctx context.Context, dir string) (*netfs.Host, error) {
		h, err := open(ctx, dir)
		if err == nil {
			shares = append(shares, h.Share)
			h.Sleep = impatient(h.Sleep)
		}
		return h, err
	}
	done := make(chan int, 1)
	go func() { done <- run(r.t.Context(), words, env) }()
	select {
	case code := <-done:
		for _, s := range shares {
			_ = s.Close()
		}
		return result{code, out.String(), complaint.String()}
	case <-time.After(hang):
		r.t.Fatalf("bobbin %q hangs", words)
		panic("not reached")
	}
}

// must runs a command that is to end well, and returns its output.
func (r *rig) must(stdin string, words ...string) string {
	r.t.Helper()
	got := r.run(stdin, words...)
	if got.code != 0 || got.err != "" {
		r.t.Fatalf("bobbin %.200q: exit code %d: %.500q", words, got.code, got.err)
	}
	return got.out
}

// mail delivers a message and gives it its UID.
func (r *rig) mail(user, text string) {
	r.t.Helper()
	r.must(text, "deliver", user)
	r.must("", "list", "--user", user)
}

// steers finds the first character that could command a terminal or turn
// text around. Spelled out anew, so that a gap in the program's own list
// shows.
func steers(text string) string {
	for i, r := range text {
		_, n := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == '\n' || r == '\t':
		case r == utf8.RuneError && n == 1, unicode.IsControl(r),
			r == 0x61c, r == 0x200e, r == 0x200f, 0x202a <= r && r <= 0x202e, 0x2066 <= r && r <= 0x2069:
			return fmt.Sprintf("%U at byte %d of %.300q", r, i, text)
		}
	}
	return ""
}

// wantSafe checks what a command printed.
func (got result) wantSafe(t *testing.T, words ...string) {
	t.Helper()
	for _, text := range []string{got.out, got.err} {
		if bad := steers(text); bad != "" {
			t.Errorf("bobbin %.100q printed %s", words, bad)
		}
	}
}

// wantComplaint checks that a command failed with one line that names what.
func (got result) wantComplaint(t *testing.T, code int, what string) {
	t.Helper()
	got.wantSafe(t)
	if got.code != code || strings.Count(got.err, "\n") != 1 || !complaint.MatchString(got.err) || !strings.Contains(got.err, what) {
		t.Errorf("exit code %d, %q; want %d and one line with %q", got.code, got.err, code, what)
	}
}

func TestSteers(t *testing.T) {
	for text, want := range map[string]bool{
		"plain\ttext ü\ufffd\n": false, "\x1b[m": true, "\u009b": true, "\x9b": true, "\r": true, "\u202e": true, "\x00": true,
	} {
		if got := steers(text); (got != "") != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}

// envelopeLine is "From SENDER DATE" as mbox has it (RFC 4155).
var envelopeLine = regexp.MustCompile(`^From (\S+) .*[A-Z][a-z]{2} +[A-Z][a-z]{2} +\d{1,2} +\d{1,2}:\d{2}.*\n`)

// storedForm is how a message for user is stored, by the format's rule.
func storedForm(text, user string) string {
	sender := ""
	if m := envelopeLine.FindStringSubmatch(text); m != nil {
		sender, text = strings.TrimPrefix(m[1], "MAILER-DAEMON"), text[len(m[0]):]
	}
	if strings.Count(text, "\n") == strings.Count(text, "\r\n") {
		text = strings.ReplaceAll(text, "\r\n", "\n")
	}
	return "Return-Path: <" + sender + ">\nDelivered-To: " + user + "\n" + text
}

// through delivers a message that alice alone has, and reads it in every way.
func (r *rig) through(text string) {
	t := r.t
	t.Helper()
	stored := storedForm(text, "alice")
	r.must(text, "deliver", "alice")
	for _, words := range [][]string{{"list"}, {"list", "--json"}, {"show", "1"}} {
		got := r.run("", words...)
		if got.code != 0 || got.err != "" {
			t.Errorf("%q: exit code %d: %q", words, got.code, got.err)
		}
		got.wantSafe(t, words...)
		if n := strings.Count(got.out, "\n"); words[0] == "list" && n != 1 {
			t.Errorf("%q: %d lines", words, n)
		}
	}
	var list []struct {
		UID  int   `json:"uid"`
		Size int64 `json:"size"`
	}
	if err := json.Unmarshal([]byte(r.must("", "list", "--json")), &list); err != nil {
		t.Error(err)
	} else if len(list) != 1 || list[0].UID != 1 || list[0].Size != int64(len(stored)) {
		t.Errorf("listed as %+v, want UID 1 with %d bytes", list, len(stored))
	}
	if raw := r.must("", "show", "--raw", "1"); raw != stored {
		t.Errorf("stored %d bytes %.200q, want %d bytes %.200q", len(raw), raw, len(stored), stored)
	}
	if got := r.must("", "check"); got != "Nothing wrong. Mailboxes checked: 2.\n" {
		t.Errorf("check: %q", got)
	}
}

// TestSamples sends the samples of CPython's test suite through a mailbox:
// awkward messages, and pictures and sounds, which are no messages at all.
func TestSamples(t *testing.T) {
	names, err := filepath.Glob("/usr/lib/python3*/test/test_email/data/*")
	switch {
	case err != nil:
		t.Fatal(err)
	case len(names) > 0:
	case os.Getenv("BOBBIN_TEST_FULL") != "":
		t.Fatal("the samples of CPython's test suite are needed for the full tests: install the package libpython3.11-testsuite")
	default:
		t.Skip("the samples of CPython's test suite are missing: install the package libpython3.11-testsuite")
	}
	envelopes, stripped := 0, 0
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			newRig(t).through(string(text))
			if envelopeLine.Match(text) {
				envelopes++
			}
			if bytes.Contains(text, []byte("\r\n")) && !strings.Contains(storedForm(string(text), "alice"), "\r\n") {
				stripped++
			}
		})
	}
	// The rule is worth little if no sample has what it is about.
	if len(names) < 40 || envelopes == 0 || stripped == 0 {
		t.Errorf("%d samples, %d with an envelope, %d with CRLF: fewer than expected", len(names), envelopes, stripped)
	}
}
