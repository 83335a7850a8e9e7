package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"
)

// logDaemon takes datagrams, as syslog and the journal do.
func logDaemon(t *testing.T, path string) *net.UnixConn {
	t.Helper()
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func received(t *testing.T, c *net.UnixConn) string {
	t.Helper()
	b := make([]byte, 1<<16)
	_ = c.SetReadDeadline(time.Now().Add(time.Minute))
	n, err := c.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n])
}

// nasty is what a client may have sent.
const nasty = "a\x1b[2J\r\nb\x7f\u0085\u202e\xff\t\u2028c"

// clean tells whether a text is one line that commands nothing.
func clean(line string) bool {
	return strings.IndexFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

// No control character gets into a line, whatever a client sent.
func TestLogLines(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		var out bytes.Buffer
		log, err := environment{Stderr: &out}.logger("stderr", format)
		if err != nil {
			t.Fatal(err)
		}
		log.With("with", nasty).WithGroup("g").Error(nasty, nasty, nasty, "error", errors.New(nasty))
		line, rest, _ := strings.Cut(out.String(), "\n")
		if rest != "" || !clean(line) || strings.Count(line, "2J") != 5 {
			t.Errorf("%s: %q", format, out.String())
		}
		if format == "json" && !json.Valid([]byte(line)) {
			t.Errorf("no JSON: %s", line)
		}
	}
	for _, tt := range []struct{ to, format string }{{"file", "text"}, {"stderr", "xml"}} {
		if _, err := (environment{}).logger(tt.to, tt.format); !errors.Is(err, errConfig) {
			t.Errorf("%v: %v", tt, err)
		}
	}
}

// Syslog gets a line with its priority; when there is no daemon, standard error
// does, and a new daemon is found.
func TestSyslog(t *testing.T) {
	var out bytes.Buffer
	socket := filepath.Join(t.TempDir(), "log")
	log, err := environment{Stderr: &out, Syslog: socket}.logger("syslog", "text")
	if err != nil {
		t.Fatal(err)
	}
	log.Info("early")
	if !strings.HasSuffix(out.String(), "no such file or directory: level=INFO msg=early\n") {
		t.Errorf("without a daemon: %q", out.String())
	}
	out.Reset()
	for range 2 {
		d := logDaemon(t, socket)
		log.Info("delivered", "user", "alice")
		log.Error("not delivered", "error", nasty+strings.Repeat("long", 1<<16))
		got := received(t, d)
		if !regexp.MustCompile(`^<22>[A-Z][a-z]{2} [ 0-9]\d \d\d:\d\d:\d\d bobbin\[\d+\]: level=INFO msg=delivered user=alice$`).MatchString(got) {
			t.Errorf("got %q", got)
		}
		if got = received(t, d); !strings.HasPrefix(got, "<19>") || len(got) > maxLogLine+100 || !clean(got) {
			t.Errorf("got %d bytes: %.200q", len(got), got)
		}
		if err := errors.Join(d.Close(), os.Remove(socket)); err != nil {
			t.Fatal(err)
		}
	}
	if out.Len() > 0 {
		t.Errorf("standard error has %q", out.String())
	}
}

// A daemon that reads nothing holds nobody up for long, nor twice.
func TestSyslogHangs(t *testing.T) {
	var out bytes.Buffer
	socket := filepath.Join(t.TempDir(), "log")
	d := logDaemon(t, socket)
	_ = d.SetReadBuffer(1)
	log, err := environment{Stderr: &out, Syslog: socket}.logger("syslog", "json")
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; out.Len() == 0; i++ {
		if i > 1e5 {
			t.Fatal("the daemon's queue has no end")
		}
		log.Info("x")
	}
	out.Reset()
	log.Info("y")
	if want := errLogPause.Error() + `: {"level":"INFO","msg":"y"}` + "\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

// The journal gets each value as a field.
func TestJournal(t *testing.T) {
	var out bytes.Buffer
	socket := filepath.Join(t.TempDir(), "journal")
	d := logDaemon(t, socket)
	log, err := environment{Stderr: &out, Journal: socket}.logger("journal", "text")
	if err != nil {
		t.Fatal(err)
	}
	log.Warn("a message", "user", "alice", "queue-id", nasty, "took", time.Second, slog.Int("size", 7))
	fields := map[string]string{}
	for got := received(t, d); got != ""; {
		name, rest, _ := strings.Cut(got, "\n")
		key, value, plain := strings.Cut(name, "=")
		if !plain {
			n := binary.LittleEndian.Uint64([]byte(rest))
			value, rest = rest[8:8+n], rest[8+n:]
			if rest[0] != '\n' {
				t.Fatalf("field %s does not end", key)
			}
			rest = rest[1:]
		}
		if !clean(value) {
			t.Errorf("%s is %q", key, value)
		}
		fields[key], got = value, rest
	}
	for key, want := range map[string]string{
		"PRIORITY": "4", "SYSLOG_FACILITY": "2", "SYSLOG_IDENTIFIER": "bobbin", "BOBBIN_USER": "alice", "BOBBIN_QUEUE_ID": printable(nasty), "BOBBIN_TOOK": "1s", "BOBBIN_SIZE": "7",
	} {
		if fields[key] != want {
			t.Errorf("%s is %q, want %q", key, fields[key], want)
		}
	}
	if m := fields["MESSAGE"]; !strings.HasPrefix(m, `level=WARN msg="a message" user=alice queue-id="a\x1b[2J`) || out.Len() > 0 {
		t.Errorf("message %q, standard error %q", m, out.String())
	}
}
