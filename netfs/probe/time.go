package probe

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
)

// stampTime bounds how long the grain of time stamps is looked for.
const stampTime = 5 * time.Second

// stamps measures how far apart two changes must be to have different stamps
// (H35), and how far the server's clock is from this host's (H117).
func (p *prober) stamps(ctx context.Context) error {
	h := p.h
	if err := p.mkdir(ctx, "stamps"); err != nil {
		return err
	}
	var seen []time.Time
	var offset time.Duration
	waits := time.Duration(1 << 62) // after the worst of these stamps
	start := h.Boot()
	for n := 0; len(seen) < 6 && h.Boot()-start < stampTime; n++ {
		before := h.Wall()
		if err := p.write(ctx, "stamps/"+strconv.Itoa(n), "x"); err != nil {
			return err
		}
		i, err := h.Share.Stat(ctx, p.at("stamps"))
		if err != nil {
			return err
		}
		if len(seen) == 0 || !seen[len(seen)-1].Equal(i.Mtime) {
			offset = i.Mtime.Sub(before.Add(h.Wall().Sub(before) / 2))
			seen = append(seen, i.Mtime)
			waits = min(waits, h.Grain(i.Stamp()))
		}
		// Fine enough for any grain, and some hundred files at most.
		if err := h.Sleep(ctx, max(time.Millisecond, (h.Boot()-start)/50)); err != nil {
			return err
		}
	}
	p.grain(seen, waits)
	// The stamp may be as old as its grain.
	f := Finding{Check: "server's clock", Result: fmt.Sprintf("%v from this host's", offset.Round(time.Millisecond))}
	if offset.Abs() > time.Minute {
		f.Grade, f.Hazard, f.Advice = Note, "H91", "Bobbin compares no clocks; programs that break locks by age do: let hosts and server use NTP"
	}
	p.add(f)
	return nil
}

// grain judges the distance of stamps that followed each other by what Bobbin
// waits for after one of them.
func (p *prober) grain(seen []time.Time, waits time.Duration) {
	const check = "grain of time stamps"
	if len(seen) < 3 {
		p.add(Finding{check, fmt.Sprintf("more than %v", stampTime/2), OneHost, "H35", "changes would be seen late or never; use another kind of share"})
		return
	}
	// The first may be older than what was measured.
	grain := time.Duration(1 << 62)
	for i := 2; i < len(seen); i++ {
		grain = min(grain, seen[i].Sub(seen[i-1]))
	}
	switch {
	case grain > waits:
		p.add(Finding{check, fmt.Sprint(grain), OneHost, "H35", fmt.Sprintf("Bobbin counts on %v here; changes could be missed", waits)})
	case waits > p.h.Profile.Grain:
		p.add(Finding{check, fmt.Sprint(grain), Note, "H35", fmt.Sprintf("Bobbin sees it by the stamps and waits %v; changes are seen so much later", waits)})
	default:
		p.ok(check, "at most %v; Bobbin waits %v", grain.Round(10*time.Microsecond), waits)
	}
}

// listings looks whether names get lost in a larger directory (H48, H55).
func (p *prober) listings(ctx context.Context) error {
	const files = 200
	if err := p.mkdir(ctx, "list"); err != nil {
		return err
	}
	for n := range files {
		f, err := p.h.Share.Create(ctx, p.at("list/"+strconv.Itoa(n)), 0o600)
		if err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	names, err := p.h.Share.ReadDir(ctx, p.at("list"))
	if err != nil {
		return err
	}
	slices.Sort(names)
	if n := len(slices.Compact(names)); n != files {
		p.add(Finding{"listing", fmt.Sprintf("shows %d of %d files", n, files), OneHost, "H55", "mail would be taken for removed"})
		return nil
	}
	p.ok("listing", "complete")
	return nil
}

// rounds is how often the operations of speed are repeated.
const rounds = 20

// speed times the core of a delivery, a poll and a commit.
func (p *prober) speed(ctx context.Context) error {
	if p.Choice == nil || p.Grade() == Unfit {
		return nil
	}
	way, err := netfs.ParseWay(p.Choice.Slots)
	if err != nil {
		return err
	}
	for _, d := range []string{"tmp", "new", "slots"} {
		if err := p.mkdir(ctx, d); err != nil {
			return err
		}
	}
	message := make([]byte, 2048)
	for i := range message {
		message[i] = "bobbin\n"[i%7]
	}
	for _, t := range []struct {
		what string
		do   func(n string) error
	}{
		{"delivery of 2 KB", func(n string) error {
			if err := netfs.WriteFile(ctx, p.h.Share, p.at("tmp/"+n), message); err != nil {
				return err
			}
			return netfs.Move(ctx, p.h, p.h.Share, p.at("tmp/"+n), p.at("new/"+n))
		}},
		{"commit of a change", func(n string) error {
			if _, err := way.Put(ctx, p.h, p.h.Share, p.at("slots/"+n), n); err != nil {
				return err
			}
			_, err := way.Fresh(ctx, p.h.Share, p.at("slots/"+n))
			return err
		}},
		{"poll of a directory", func(string) error {
			_, err := netfs.Fresh(ctx, p.h.Share, p.at("new"))
			return err
		}},
	} {
		if err := p.timed(t.what, t.do); err != nil {
			return fmt.Errorf("%s: %w", t.what, err)
		}
	}
	for n := range rounds {
		if err := way.Remove(ctx, p.h, p.h.Share, p.at("slots/"+strconv.Itoa(n))); err != nil {
			return err
		}
	}
	return nil
}

func (p *prober) timed(what string, do func(n string) error) error {
	took := make([]time.Duration, rounds)
	before := p.h.Ops.Read()
	for n := range took {
		start := p.h.Boot()
		if err := do(strconv.Itoa(n)); err != nil {
			return err
		}
		took[n] = p.h.Boot() - start
	}
	slices.Sort(took)
	ops := p.h.Ops.Read().Sub(before).Total()
	p.ok(what, "%v, %.0f server operations", took[rounds/2].Round(10*time.Microsecond), float64(ops)/rounds)
	return nil
}
