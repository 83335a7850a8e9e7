package main

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/simfs"
)

// What one host does, another one tells of as it happens.
func TestWatch(t *testing.T) {
	simfs.Run(t, simfs.Options{}, func(t *testing.T, s *simfs.Sim) {
		h := s.Host("setup")
		makeSpool(t, h)
		bobbin(t, h, "", "folder", "create", "Work")
		watch := func(words ...string) *bytes.Buffer {
			env, out := simEnv(s.Host("watch"), "")
			s.Go(s.Host("watch"), func(ctx context.Context, h *netfs.Host) {
				env.Host = func(context.Context, string) (*netfs.Host, error) { return h, nil }
				if code := run(ctx, append([]string{"watch", "--folder", "Work", "--timeout", "1h"}, words...), env); code != 0 {
					t.Errorf("watch: exit code %d: %s", code, out)
				}
			})
			return out
		}
		all, text, one := watch("--json"), watch("--events", "new,expunge"), watch("--events", "flags", "--count", "1", "--json")
		s.Go(s.Host("other"), func(ctx context.Context, h *netfs.Host) {
			for _, words := range [][]string{
				{"deliver", "--folder", "Work", "alice"}, {"flag", "--folder", "Work", "+flagged,+kw:work", "1"},
				{"flag", "--folder", "Work", "-flagged", "1"}, {"delete", "--folder", "Work", "--expunge", "1"},
			} {
				_ = h.Sleep(ctx, time.Minute)
				env, out := simEnv(h, "From: Joe <j@x>\nSubject: \x1bHello\n\n")
				if code := run(ctx, words, env); code != 0 {
					t.Errorf("%q: exit code %d: %s", words, code, out)
				}
			}
		})
		if err := s.Run(); err != nil {
			t.Fatal(err)
		}
		const flagged = `{"event":"flags","uid":1,"flags":["flagged"],"keywords":["work"]}` + "\n"
		want := `{"event":"new","uid":1,"flags":[],"keywords":[],"subject":"\u001bHello","from":"Joe <j@x>","date":"","message_id":""}` + "\n" + flagged +
			`{"event":"flags","uid":1,"flags":[],"keywords":["work"]}` + "\n" + `{"event":"expunge","uid":1,"flags":[],"keywords":["work"]}` + "\n"
		if all.String() != want {
			t.Errorf("got\n%s, want\n%s", all, want)
		}
		if want := "new          1          Joe <j@x>                     \ufffdHello\nexpunge      1         work\n"; text.String() != want {
			t.Errorf("got\n%q, want\n%q", text, want)
		}
		if one.String() != flagged {
			t.Errorf("got %q", one)
		}
	})
}
