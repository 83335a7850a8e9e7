package main

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

// With a log for it each delivery has a line for each user, and standard error
// has what mail systems expect.
func TestDeliverLog(t *testing.T) {
	r := newRig(t)
	r.must("", "folder", "create", "Lists")
	socket := filepath.Join(t.TempDir(), "log")
	d := logDaemon(t, socket)
	deliver := func(code int, words ...string) (stderr string) {
		t.Helper()
		env := processEnvironment()
		var out, complaint bytes.Buffer
		env.Stdin, env.Stdout, env.Stderr, env.Syslog = strings.NewReader("Subject: x\n\n"), &out, &complaint, socket
		env.Getenv = func(name string) string { return map[string]string{"BOBBIN_SPOOL": r.dir}[name] }
		words = append([]string{"deliver", "--log-to", "syslog", "--log", "json", "--sender", "joe@example.org", "--queue-id", "4F1"}, words...)
		if got := run(t.Context(), words, env); got != code || out.Len() > 0 {
			t.Fatalf("%q: exit code %d, output %q, %s", words, got, &out, &complaint)
		}
		return complaint.String()
	}
	line := func() (l map[string]any) {
		t.Helper()
		_, text, _ := strings.Cut(received(t, d), "]: ")
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		return l
	}
	want := func(want map[string]any) {
		t.Helper()
		l := line()
		for name, value := range want {
			if l[name] != value {
				t.Errorf("%s is %v, want %v", name, l[name], value)
			}
		}
		if took, _ := l["took"].(float64); took <= 0 {
			t.Errorf("took: %v", l["took"])
		}
		if n, _ := l["operations"].(float64); n < 1 {
			t.Errorf("operations: %v", l["operations"])
		}
	}
	common := map[string]any{"sender": "joe@example.org", "queue": "4F1"}
	with := func(more map[string]any) map[string]any {
		for name, value := range common {
			more[name] = value
		}
		return more
	}
	if got := deliver(0, "alice+lists"); got != "" {
		t.Errorf("standard error: %q", got)
	}
	size := float64(len("Return-Path: <joe@example.org>\nDelivered-To: alice\nSubject: x\n\n"))
	want(with(map[string]any{"msg": "delivered", "user": "alice", "folder": "Lists", "size": size, "users": nil, "again": nil}))
	for i := range 2 {
		deliver(0, "--duplicates", "drop", "alice", "bob")
		again := map[int]any{0: nil, 1: true}[i]
		want(with(map[string]any{"msg": "delivered", "user": "alice", "folder": "INBOX", "users": 2.0, "again": again}))
		want(with(map[string]any{"msg": "delivered", "user": "bob", "again": again}))
	}
	if got := deliver(exitNoUser, "nobody"); !strings.HasPrefix(got, "5.1.1 bobbin: ") || strings.Count(got, "\n") != 1 {
		t.Errorf("standard error: %q", got)
	}
	want(with(map[string]any{"msg": "not delivered", "level": "ERROR", "user": "nobody", "status": "5.1.1", "folder": nil}))
}
