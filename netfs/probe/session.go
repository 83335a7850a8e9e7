package probe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
)

// meetingDir is where two probes find each other, below the share's root.
const meetingDir = workPrefix + "-peers"

// ErrNoPeer means that no second probe came to the share in time.
var ErrNoPeer = errors.New("no other probe came to this share")

// session is what two probes say to each other, by files of new names in a
// directory of both. No name is looked up before it was listed.
type session struct {
	h            *netfs.Host
	dir          string // of the session; its name has both tokens
	mine, theirs string
	patience     time.Duration
	said, heard  int
	listed       int      // directories that this probe has listed
	left         []string // what this probe left in meetingDir
}

// first tells which of the two this one is.
func (s *session) first() bool { return s.mine < s.theirs }

const pollPause = 20 * time.Millisecond

// meet finds the other probe. Each leaves its token and answers every token
// that it sees; who was answered by a probe knows that it is alive, and not
// one that died here once.
func meet(ctx context.Context, h *netfs.Host, patience time.Duration) (*session, error) {
	mine, err := h.Token()
	if err != nil {
		return nil, err
	}
	if err := netfs.MkdirAll(ctx, h, h.Share, meetingDir); err != nil {
		return nil, err
	}
	s := &session{h: h, mine: mine, patience: patience}
	if err := s.leave(ctx, mine); err != nil {
		return nil, err
	}
	answered := map[string]bool{}
	err = s.await(ctx, func() (bool, error) {
		names, err := s.list(ctx, meetingDir)
		if err != nil {
			return false, err
		}
		for _, n := range names {
			other, me, isAnswer := strings.Cut(n, ".")
			switch {
			case isAnswer && me == mine:
				s.theirs = other
			case !isAnswer && other != mine && len(other) == netfs.TokenLen && !answered[other]:
				answered[other] = true
				if err := s.leave(ctx, mine+"."+other); err != nil {
					return false, err
				}
			}
		}
		return s.theirs != "" && answered[s.theirs], nil
	})
	if errors.Is(err, errLate) {
		err = fmt.Errorf("%w in %v: run 'bobbin probe DIR --peer' on a second host, or on a second mount", ErrNoPeer, patience)
	}
	if err != nil {
		s.tidy(context.WithoutCancel(ctx))
		return nil, err
	}
	s.dir = path.Join(meetingDir, "s."+min(s.mine, s.theirs)+"."+max(s.mine, s.theirs))
	return s, netfs.MkdirAll(ctx, h, h.Share, s.dir)
}

func (s *session) leave(ctx context.Context, name string) error {
	s.left = append(s.left, name)
	return netfs.WriteFile(ctx, s.h.Share, path.Join(meetingDir, name), nil)
}

// tidy removes what this probe left for others to see.
func (s *session) tidy(ctx context.Context) {
	for _, name := range s.left {
		_ = netfs.Unlink(ctx, s.h, s.h.Share, path.Join(meetingDir, name))
	}
	_ = s.h.Share.Remove(ctx, meetingDir) // refused while others use it
}

// errLate means that the other one let too much time pass.
var errLate = errors.New("the other probe does not answer any more")

// await calls done until it says true.
func (s *session) await(ctx context.Context, done func() (bool, error)) error {
	start := s.h.Boot()
	for {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		if s.h.Boot()-start > s.patience {
			return errLate
		}
		if err := s.h.Sleep(ctx, pollPause); err != nil {
			return err
		}
	}
}

// list lists a directory that is waited for to change.
//
// Problem: a listing on NFSv3 that was made in the tick of a change stays as it
// is until the next change (H35), for which both would wait in vain (seen in the
// lab). What we do there: make a change of our own first.
func (s *session) list(ctx context.Context, dir string) ([]string, error) {
	if s.h.Profile.EarlyLookSticks {
		s.listed++
		temp := path.Join(dir, fmt.Sprintf("t.%s.l%d", s.mine, s.listed))
		if err := netfs.WriteFile(ctx, s.h.Share, temp, nil); err != nil {
			return nil, err
		}
		if err := netfs.Unlink(ctx, s.h, s.h.Share, temp); err != nil {
			return nil, err
		}
	}
	return s.h.Share.ReadDir(ctx, dir)
}

// exchange tells the other probe mine and waits for what it tells here; then
// both have come as far. What it tells is nobody's data but a probe's.
func (s *session) exchange(ctx context.Context, mine, theirs any) error {
	if err := s.say(ctx, mine); err != nil {
		return err
	}
	return s.hear(ctx, theirs)
}

func (s *session) say(ctx context.Context, what any) error {
	b, err := json.Marshal(what)
	if err != nil {
		return err
	}
	s.said++
	temp, name := fmt.Sprintf("t.%s.%d", s.mine, s.said), fmt.Sprintf("%s.%d", s.mine, s.said)
	if err := netfs.WriteFile(ctx, s.h.Share, path.Join(s.dir, temp), b); err != nil {
		return err
	}
	return netfs.Move(ctx, s.h, s.h.Share, path.Join(s.dir, temp), path.Join(s.dir, name))
}

func (s *session) hear(ctx context.Context, what any) error {
	s.heard++
	name := fmt.Sprintf("%s.%d", s.theirs, s.heard)
	var b []byte
	err := s.await(ctx, func() (bool, error) {
		names, err := s.list(ctx, s.dir)
		if err != nil || !slices.Contains(names, name) {
			return false, err
		}
		b, err = netfs.ReadFile(ctx, s.h.Share, path.Join(s.dir, name), 64<<10)
		if gone(err) {
			return false, nil
		}
		return true, err
	})
	if err != nil {
		return err
	}
	return json.Unmarshal(b, what)
}

// part ends the session: the first probe clears away what both have left, so
// the other one says that it needs nothing more.
func (s *session) part(ctx context.Context) error {
	if !s.first() {
		return s.say(ctx, "bye")
	}
	var word string
	return s.hear(ctx, &word)
}

// barrier waits until the other probe has come as far.
func (s *session) barrier(ctx context.Context) error {
	var word string
	return s.exchange(ctx, "here", &word)
}
