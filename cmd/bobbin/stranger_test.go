package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/spool"
)

// strangers is a spool that Bobbin shares with testdata/stranger.py, a client
// in another language that was written from docs/spool-format.md alone.
type strangers struct {
	t               *testing.T
	python, program string
	dir             string
	box             *spool.Box
	mailbox         *spool.Mailbox
}

// strangeList is what the other client's list prints.
type strangeList struct {
	UIDValidity, UIDNext, ModSeq uint64
	Messages                     []strangeMessage
}

type strangeMessage struct {
	UID      uint32
	Flags    string
	Keywords []string
	ModSeq   uint64
	Size     int64
	Date     int64
	Name     string
	File     string          `json:",omitempty"`
	Summary  *strangeSummary `json:",omitempty"`
}

type strangeSummary struct{ Subject string }

// strangeWork is what its work says was acknowledged, by subject.
type strangeWork struct{ Delivered, Expunged []string }

func newStrangers(t *testing.T, slots string) *strangers {
	t.Helper()
	s := &strangers{t: t, dir: filepath.Join(t.TempDir(), "spool")}
	// What is called python3 may be a script that takes long to find it.
	s.python = strings.TrimSpace(s.run("", needTool(t, "python3"), "-c", "import sys; print(sys.executable)"))
	program, err := exec.LookPath("bobbin")
	s.do(err)
	s.program = program
	s.bobbin("", "init", "--slots", slots, s.dir)
	s.bobbin("", "user", "add", "alice")
	return s
}

func (s *strangers) do(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// run runs one of the two programs; it may be called by several goroutines.
func (s *strangers) run(stdin, program string, args ...string) string {
	cmd := exec.CommandContext(s.t.Context(), program, args...)
	cmd.Env = append(os.Environ(), "BOBBIN_SPOOL="+s.dir, "BOBBIN_USER=alice")
	var out, complaint bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &complaint
	if err := cmd.Run(); err != nil {
		s.t.Errorf("%s %q: %v: %.2000s%.2000s", program, args, err, &out, &complaint)
	}
	return out.String()
}

func (s *strangers) bobbin(stdin string, args ...string) string {
	return s.run(stdin, s.program, args...)
}

func (s *strangers) stranger(stdin string, args ...string) string {
	return s.run(stdin, s.python, append([]string{"-I", "-S", "testdata/stranger.py", s.dir, "alice"}, args...)...)
}

func read[T any](s *strangers, text string) (v T) {
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		s.t.Errorf("%v: %.500q", err, text)
	}
	return v
}

// open opens a folder with a host that stays to the end of the test.
func (s *strangers) open(folder string) {
	s.t.Helper()
	ctx := s.t.Context()
	h, err := netfs.OpenHost(s.dir)
	s.do(err)
	sp, err := spool.Open(ctx, h)
	s.do(err)
	s.box, err = sp.Box(ctx, "alice", folder)
	s.do(err)
	s.mailbox, err = s.box.Open(ctx)
	s.do(err)
	m, b := s.mailbox, s.box
	s.t.Cleanup(func() { m.Close(ctx); _ = b.Close() })
}

// same compares what the two find in a folder, and lets both check it.
func (s *strangers) same() strangeList {
	s.t.Helper()
	s.do(s.mailbox.Refresh(s.t.Context()))
	got := read[strangeList](s, s.stranger("", "--folder", s.box.Folder, "list"))
	s.do(s.mailbox.Refresh(s.t.Context()))
	want := strangeList{uint64(s.mailbox.UIDValidity()), uint64(s.mailbox.UIDNext()), s.mailbox.ModSeq(), nil}
	for _, m := range s.mailbox.Messages() {
		keywords := append([]string{}, m.Keywords...)
		slices.Sort(keywords)
		letters := strings.Trim(m.Flags.Letters(), "-")
		want.Messages = append(want.Messages, strangeMessage{UID: m.UID, Flags: letters, Keywords: keywords,
			ModSeq: m.ModSeq, Size: m.Size, Date: m.Date.Unix(), Name: m.Name})
	}
	full := got
	got.Messages = slices.Clone(got.Messages)
	for i := range got.Messages {
		got.Messages[i].File, got.Messages[i].Summary = "", nil
	}
	if len(got.Messages) != len(want.Messages) {
		s.t.Fatalf("the stranger sees %d messages, want %d", len(got.Messages), len(want.Messages))
	}
	for i := range got.Messages {
		if !reflect.DeepEqual(got.Messages[i], want.Messages[i]) {
			s.t.Fatalf("the stranger sees %+v, want %+v", got.Messages[i], want.Messages[i])
		}
	}
	got.Messages, want.Messages = nil, nil
	if !reflect.DeepEqual(got, want) {
		s.t.Fatalf("the stranger sees %+v, want %+v", got, want)
	}
	if out := s.stranger("", "--folder", s.box.Folder, "check"); out != "" {
		s.t.Fatalf("the stranger complains: %.2000s", out)
	}
	if out := s.bobbin("", "check"); !strings.HasPrefix(out, "Nothing wrong.") {
		s.t.Fatalf("check: %.2000s", out)
	}
	return full
}

// change makes n random changes by records of all kinds.
func (s *strangers) change(rng *rand.Rand, n int) {
	s.t.Helper()
	ctx := s.t.Context()
	for range n {
		live := s.mailbox.Messages()
		uid := live[rng.IntN(len(live))].UID
		set := spool.UIDSet{{First: uid, Last: uid + uint32(rng.IntN(20))}}
		if rng.IntN(10) == 0 {
			_, err := s.mailbox.Expunge(ctx, set[:1])
			s.do(err)
			continue
		}
		words := []string{"+seen", "-seen", "+flagged,-answered", "+answered", "+draft", "+kw:work", "-kw:work", "+kw:50:|~", "+deleted,+kw:$Junk"}
		c, err := spool.ParseFlagChange(words[rng.IntN(len(words))])
		s.do(err)
		_, err = s.mailbox.SetFlags(ctx, set, c)
		s.do(err)
	}
	s.do(s.mailbox.Project(ctx))
}

// foreign puts files of another program into the Maildir.
func (s *strangers) foreign(n int) {
	s.t.Helper()
	for i := range n {
		text := fmt.Sprintf("Subject: foreign %d\n\nText\n", i)
		name := filepath.Join(s.dir, "users/alice/new", fmt.Sprintf("%d.M%dP1Q%d.some.host", 1700000000+i/3, i, i%7))
		switch i % 5 {
		case 1:
			name = filepath.Join(s.dir, "users/alice/cur", filepath.Base(name)+":2,FSab")
		case 2:
			name = filepath.Join(filepath.Dir(name), fmt.Sprintf("odd name %d: 100%%", i))
		}
		s.do(os.WriteFile(name, []byte(text), 0o600))
	}
}

// ways are those to put slots; one is enough for a short run.
func ways() []string {
	if testing.Short() {
		return []string{"symlink"}
	}
	return []string{"symlink", "link", "directory"}
}

// TestStrangerReads lets the other client read what Bobbin wrote: payloads,
// bases, parts and their differences, tombstones, segments, folders.
func TestStrangerReads(t *testing.T) {
	for _, way := range ways() {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			files, changes := 120, 40
			if way == "symlink" || os.Getenv("BOBBIN_TEST_FULL") != "" {
				files, changes = 600, 320
			}
			s := newStrangers(t, way)
			s.foreign(files)
			s.bobbin("", "list")
			s.open(spool.Inbox)
			s.same()
			rng := rand.New(rand.NewPCG(1, 1))
			s.change(rng, changes)
			s.mailbox.Summarize(t.Context(), files)
			summaries := 0
			for _, m := range s.same().Messages {
				if m.Summary != nil {
					summaries++
				}
			}
			if live := len(s.mailbox.Messages()); summaries != live {
				t.Errorf("the stranger found %d summaries of %d messages", summaries, live)
			}
			name := "Entwürfe/a & b/example.com"
			s.bobbin("", "folder", "create", name)
			s.bobbin("", "copy", "1-*", name)
			if got := read[[]string](s, s.stranger("", "folders")); !slices.Equal(got, []string{name, spool.Inbox}) {
				t.Errorf("the stranger finds folders %q", got)
			}
			s.open(name)
			s.same()
		})
	}
}

// TestStrangerWrites lets Bobbin read what the other client wrote, from the
// first record on, and answer it.
func TestStrangerWrites(t *testing.T) {
	for _, way := range ways() {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			s := newStrangers(t, way)
			s.foreign(200)
			s.stranger("Subject: one\r\n\r\nText\r\n", "deliver")
			s.stranger("", "assign")
			s.open(spool.Inbox)
			s.same()
			s.stranger("", "flag", "1-7,9,11-40", "+FS-R")
			s.stranger("", "keyword", "2-5", "+50:|~")
			s.stranger("", "expunge", "3,100-140")
			s.same()
			s.change(rand.New(rand.NewPCG(2, 2)), 40)
			s.stranger("", "flag", "1-200", "-S")
			want := "Return-Path: <>\nDelivered-To: alice\nSubject: one\n\nText\n"
			found := slices.ContainsFunc(s.same().Messages, func(m strangeMessage) bool {
				b, err := os.ReadFile(filepath.Join(s.dir, "users/alice", m.File))
				return err == nil && string(b) == want
			})
			if !found {
				t.Error("the delivered message is not there")
			}
		})
	}
}

// TestStrangersAtOnce runs processes of both programs on one mailbox at the
// same time: nothing acknowledged is lost or there twice.
func TestStrangersAtOnce(t *testing.T) {
	steps, rounds := 40, 4
	if os.Getenv("BOBBIN_TEST_FULL") != "" {
		steps, rounds = 200, 40
	}
	for _, way := range ways() {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			s := newStrangers(t, way)
			var wg sync.WaitGroup
			done := make([]strangeWork, 6)
			for i := range 3 {
				wg.Go(func() {
					done[i] = read[strangeWork](s, s.stranger("", "work", fmt.Sprint(i), fmt.Sprint(steps)))
				})
				wg.Go(func() { done[3+i] = s.work(i, rounds) })
			}
			wg.Wait()
			s.open(spool.Inbox)
			s.same()
			var delivered, expunged, got []string
			for _, w := range done {
				delivered, expunged = append(delivered, w.Delivered...), append(expunged, w.Expunged...)
			}
			want := slices.DeleteFunc(delivered, func(subject string) bool { return slices.Contains(expunged, subject) })
			for _, m := range read[[]listed](s, s.bobbin("", "list", "--json")) {
				got = append(got, m.Subject)
			}
			slices.Sort(want)
			slices.Sort(got)
			if len(want) == 0 || len(expunged) == 0 || !slices.Equal(got, want) {
				t.Errorf("%d messages, want %d: %.2000q, want %.2000q", len(got), len(want), got, want)
			}
		})
	}
}

// work is a process of Bobbin after another, until what it did is done.
func (s *strangers) work(id, rounds int) (w strangeWork) {
	rng := rand.New(rand.NewPCG(uint64(id), 3))
	for i := range rounds {
		subject := fmt.Sprintf("bobbin %d %d", id, i)
		s.bobbin("Subject: "+subject+"\n\nText\n", "deliver", "alice")
		w.Delivered = append(w.Delivered, subject)
		all := read[[]listed](s, s.bobbin("", "list", "--json"))
		if len(all) == 0 {
			s.t.Errorf("%s is not listed", subject)
			return w
		}
		mine := slices.IndexFunc(all, func(m listed) bool { return m.Subject == subject })
		if mine < 0 {
			s.t.Errorf("%s is not listed", subject)
			return w
		}
		change := cmp.Or(map[int]string{0: "+seen,-flagged", 1: "+kw:work,+flagged"}[rng.IntN(3)], "-kw:later,-seen")
		s.bobbin("", "flag", change, "1-*")
		if i%3 == 1 {
			s.bobbin("", "delete", "--expunge", fmt.Sprint(all[mine].UID))
			w.Expunged = append(w.Expunged, subject)
		}
	}
	return w
}
