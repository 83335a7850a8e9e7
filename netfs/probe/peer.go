package probe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
)

// pair is a probe that works with another one.
type pair struct {
	*prober
	s *session
	n int // directories used so far
}

// introduction is what each probe tells of itself.
type introduction struct {
	Host, Boot string
	Device     uint64
	Kind       string
	Wall       time.Time
}

// Peer waits for a second probe of the same share, and tries with it what
// takes two hosts. Both return the same findings, which are added to r, a
// report of [Run]. The error is for what kept them from looking; it wraps
// [ErrNoPeer] if nobody came.
func Peer(ctx context.Context, h *netfs.Host, o Options, r *Report) error {
	if o.Say != nil {
		o.Say("waiting for 'bobbin probe DIR --peer' on another host, or on another mount of the share")
	}
	s, err := meet(ctx, h, cmp.Or(o.Patience, 2*time.Minute))
	if err != nil {
		return err
	}
	p := &pair{prober: &prober{Options: o, h: h, dir: s.dir}, s: s}
	p.Report = *r
	defer func() {
		if s.first() {
			p.clean(context.WithoutCancel(ctx), s.dir)
		}
		s.tidy(context.WithoutCancel(ctx))
	}()
	for _, check := range []func(context.Context) error{
		p.introduce, p.names, p.races, p.lookups, p.caches, p.heldLocks, p.s.part,
	} {
		if err := check(ctx); err != nil {
			return fmt.Errorf("probe with a second host: %w", err)
		}
	}
	*r = p.Report
	return nil
}

// introduce compares what the two are.
func (p *pair) introduce(ctx context.Context) error {
	me := introduction{Host: p.h.Tag, Kind: p.Kind, Wall: p.h.Wall()}
	if p.Dir != "" {
		boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id") // no file: another system
		me.Boot = strings.TrimSpace(string(boot))
		i, err := os.Stat(p.Dir)
		if err != nil {
			return err
		}
		if st, ok := i.Sys().(*syscall.Stat_t); ok {
			me.Device = st.Dev
		}
	}
	var you introduction
	if err := p.s.exchange(ctx, me, &you); err != nil {
		return err
	}
	f := Finding{Check: "second host", Result: fmt.Sprintf("%s, by %s", you.Host, you.Kind)}
	switch {
	case me.Boot == you.Boot && me.Boot != "" && me.Device == you.Device:
		f.Grade, f.Result = Note, "the same mount on the same host"
		f.Advice = "what follows says nothing about two hosts: run one of the two on another mount"
	case me.Boot == you.Boot && me.Boot != "":
		f.Result = "another mount on the same host, by " + you.Kind
	}
	p.add(f)
	if me.Kind != you.Kind {
		p.add(Finding{"two kinds of client", me.Kind + " and " + you.Kind, Note, "H122", "make the spool with --slots link --separator ';'"})
		if p.Choice != nil {
			p.Choice.Slots, p.Choice.Separator = netfs.ViaLink.String(), ";"
		}
	}
	if apart := me.Wall.Sub(you.Wall); apart.Abs() > time.Minute {
		p.add(Finding{"clocks of the hosts", fmt.Sprintf("about %v apart", apart.Round(time.Second)), Note, "H91", "Bobbin compares no clocks; programs that break locks by age do: use NTP"})
	}
	return nil
}

// room is a new directory that both have seen.
func (p *pair) room(ctx context.Context) (string, error) {
	p.n++
	name := "d" + strconv.Itoa(p.n)
	if p.s.first() {
		if err := p.mkdir(ctx, name); err != nil {
			return "", err
		}
	}
	return name, p.s.barrier(ctx)
}

// names makes on one host what the other must list in the same way.
func (p *pair) names(ctx context.Context) error {
	room, err := p.room(ctx)
	if err != nil {
		return err
	}
	if p.s.first() {
		for _, n := range awkwardNames {
			// What this host cannot make it has told already.
			_ = p.write(ctx, path.Join(room, n.name), "x")
		}
	}
	if err := p.s.barrier(ctx); err != nil {
		return err
	}
	mine, err := p.h.Share.ReadDir(ctx, p.at(room))
	if err != nil {
		return err
	}
	var theirs []string
	if err := p.s.exchange(ctx, mine, &theirs); err != nil {
		return err
	}
	if slices.Equal(mine, theirs) {
		p.ok("names on both hosts", "the same")
	} else {
		p.add(Finding{"names on both hosts", "they differ", Note, "H58", "make the spool with --separator ';'; keep to ASCII in folder names"})
	}
	return nil
}

// contest is something that only one of two hosts may succeed in.
type contest struct {
	check  string
	hazard string
	grade  Grade // if both succeed, or none
	do     func(ctx context.Context, name string) error
	lost   error // what the loser is told
	before func(ctx context.Context, name string) error
}

const (
	contests = 40
	batch    = 4 // of contests between two barriers
)

func (p *pair) races(ctx context.Context) error {
	share := p.h.Share
	var list []contest
	for _, w := range waysFor(p.h.Profile) {
		list = append(list, contest{check: "slots by " + w.String() + ", two hosts", hazard: "H05", grade: OneHost, lost: fs.ErrExist,
			do: func(ctx context.Context, name string) error {
				_, err := w.Put(ctx, p.h, share, name, p.s.mine)
				return err
			}})
	}
	list = append(list, contest{check: "rename of one file by two hosts", hazard: "H08", grade: OneHost, lost: fs.ErrNotExist,
		before: func(ctx context.Context, name string) error { return netfs.WriteFile(ctx, share, name, nil) },
		do: func(ctx context.Context, name string) error {
			return share.Rename(ctx, name, name+"."+p.s.mine)
		}})
	if p.Dir != "" {
		list = append(list, contest{check: "exclusive creation by two hosts", hazard: "H01", grade: Note, lost: fs.ErrExist,
			do: func(_ context.Context, name string) error {
				f, err := os.OpenFile(path.Join(p.Dir, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
				if err != nil {
					return err
				}
				return f.Close()
			}})
	}
	for _, c := range list {
		if err := p.race(ctx, c); err != nil {
			return fmt.Errorf("%s: %w", c.check, err)
		}
	}
	return nil
}

// Outcomes of a contest, as the hosts tell each other.
const (
	won  = "won"
	lost = "lost"
)

func (p *pair) race(ctx context.Context, c contest) error {
	room, err := p.room(ctx)
	if err != nil {
		return err
	}
	if c.before != nil && p.s.first() {
		for n := range contests {
			if err := c.before(ctx, p.at(path.Join(room, strconv.Itoa(n)))); err != nil {
				return err
			}
		}
	}
	mine, theirs := make([]string, contests), []string(nil)
	for n := range contests {
		if n%batch == 0 {
			if err := p.s.barrier(ctx); err != nil {
				return err
			}
		}
		switch err := c.do(ctx, p.at(path.Join(room, strconv.Itoa(n)))); {
		case err == nil:
			mine[n] = won
		case errors.Is(err, c.lost):
			mine[n] = lost
		case ctx.Err() != nil:
			return ctx.Err()
		default:
			mine[n] = reason(err)
		}
	}
	if err := p.s.exchange(ctx, mine, &theirs); err != nil {
		return err
	}
	p.add(judge(c, mine, theirs))
	return nil
}

// judge wants exactly one winner of each contest.
func judge(c contest, mine, theirs []string) Finding {
	f := Finding{Check: c.check, Hazard: c.hazard}
	bad := 0
	for n := range min(len(mine), len(theirs)) {
		switch {
		case mine[n] == won && theirs[n] == lost, mine[n] == lost && theirs[n] == won:
		case mine[n] == won && theirs[n] == won:
			f.Grade, f.Result = c.grade, "both hosts succeeded"
			f.Advice = "two hosts cannot exclude each other here in this way"
			return f
		default:
			bad++
			f.Result = fmt.Sprintf("no winner: %s, %s", mine[n], theirs[n])
		}
	}
	if bad > 0 {
		// A way that does not work is no danger: it is not used.
		f.Grade, f.Advice = Note, "it does not work here"
		return f
	}
	return Finding{Check: c.check, Result: fmt.Sprintf("one winner each in %d races", len(mine))}
}
