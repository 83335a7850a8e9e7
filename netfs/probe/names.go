package probe

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/bobbinmail/bobbin/netfs"
)

// slots tries all ways to create a slot, and what a new spool would take.
func (p *prober) slots(ctx context.Context) error {
	works := false
	for _, w := range []netfs.Way{netfs.ViaSymlink, netfs.ViaLink, netfs.ViaDir} {
		check := "slots by " + w.String()
		longest, err := longestRecord(ctx, p.h, p.dir, w)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			p.add(Finding{check, reason(err), Note, "H19", ""})
		case Suits(p.h.Profile, w) != nil:
			p.add(Finding{check, "work, and are not safe on this kind of share", Note, "H67", "Bobbin does not use them here"})
		default:
			works = true
			p.ok(check, "records up to %d bytes", longest)
		}
	}
	if !works {
		p.add(Finding{"slots", "no way to create a name only if it is absent", Unfit, "H19", "use another kind of share"})
		return nil
	}
	c, err := Choose(ctx, p.h, p.dir, Choice{})
	if err != nil {
		p.add(Finding{"file names", reason(err), Unfit, "H58", "use a share that keeps names as they are made"})
		return nil
	}
	p.Choice = &c
	return nil
}

// hardLinks are for copies without copying bytes.
func (p *prober) hardLinks(ctx context.Context) error {
	if err := errors.Join(p.write(ctx, "link.from", "x"), p.mkdir(ctx, "link.dir")); err != nil {
		return err
	}
	share := p.h.Share
	err := share.Link(ctx, p.at("link.from"), p.at("link.dir/same"))
	if err == nil {
		p.ok("hard links", "also between directories")
		return nil
	}
	f := Finding{"hard links", reason(err), Note, "H19", "copies of messages take their bytes again"}
	if err := share.Link(ctx, p.at("link.from"), p.at("link.to")); err == nil {
		f.Result, f.Hazard = "within a directory alone", "H20"
	}
	p.add(f)
	return nil
}

// renames must work between directories: a delivery is one.
func (p *prober) renames(ctx context.Context) error {
	if err := errors.Join(p.mkdir(ctx, "from"), p.mkdir(ctx, "to"), p.write(ctx, "from/f", "x"), p.write(ctx, "to/g", "x")); err != nil {
		return err
	}
	if err := p.h.Share.Rename(ctx, p.at("from/f"), p.at("to/f")); err != nil {
		p.add(Finding{"rename between directories", reason(err), Unfit, "H23", "mail is delivered by such a rename; use one file system for the whole spool"})
		return nil
	}
	p.ok("rename between directories", "works")
	err := p.h.Share.Rename(ctx, p.at("from"), p.at("to"))
	_, serr := p.h.Share.Stat(ctx, p.at("to/f"))
	if err == nil || serr != nil {
		p.add(Finding{"rename onto a full directory", "it replaced the directory", Unfit, "H19", "two mailboxes could become one; use another kind of share"})
		return nil
	}
	p.ok("rename onto a full directory", "refused: %s", reason(err))
	return nil
}

// awkwardNames are names whose fate a person may want to know.
var awkwardNames = []struct {
	what, name     string
	hazard, advice string
}{
	{"names with ':'", "1.a.b:2,S", "H58", "flags stand after ';' in file names; mutt and others must be told"},
	{"names with ';'", "1.a.b;2,S", "H58", ""},
	{"names in Unicode", "n\u00e9e \u65e5\u672c.\U0001f4e7", "H119", "use folder names in ASCII, or let Bobbin encode them"},
}

// nameTarget is the longest name that Bobbin makes, in bytes.
const nameTarget = 200

func (p *prober) names(ctx context.Context) error {
	for _, n := range awkwardNames {
		err := keepsName(ctx, p.h, p.dir, n.name)
		if err == nil {
			p.ok(n.what, "kept")
		} else {
			p.add(Finding{n.what, reason(err), Note, n.hazard, n.advice})
		}
	}
	longest := 0
	for _, n := range []int{255, nameTarget, 143, 100} {
		if keepsName(ctx, p.h, p.dir, strings.Repeat("n", n)) == nil {
			longest = n
			break
		}
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case longest < nameTarget:
		p.add(Finding{"long names", fmt.Sprintf("up to %d bytes", longest), Unfit, "H118", fmt.Sprintf("names of messages need %d bytes", nameTarget)})
	default:
		p.ok("long names", "%d bytes", longest)
	}
	if err := p.write(ctx, "Case", "x"); err != nil {
		return err
	}
	if _, err := p.h.Share.Stat(ctx, p.at("cASE")); err == nil {
		p.add(Finding{"upper and lower case", "the same name", Note, "H59", "Bobbin's own names are lower case; two folders must differ in more than case"})
	} else {
		p.ok("upper and lower case", "different names")
	}
	return nil
}

// syncs tells what fsync does.
func (p *prober) syncs(ctx context.Context) error {
	err := p.h.Share.SyncDir(ctx, p.dir)
	switch {
	case err != nil:
		p.add(Finding{"fsync of a directory", reason(err), Note, "H103", "on network file systems names are durable when the server answers"})
	case p.h.Profile.DirSync:
		p.ok("fsync of a directory", "works, and is used")
	default:
		p.ok("fsync of a directory", "not needed here")
	}
	return nil
}

// openFiles: a reader goes on when the file it reads is removed.
func (p *prober) openFiles(ctx context.Context) error {
	if err := errors.Join(p.mkdir(ctx, "open"), p.write(ctx, "open/f", "text")); err != nil {
		return err
	}
	f, err := p.h.Share.Open(ctx, p.at("open/f"))
	if err != nil {
		return err
	}
	rerr := p.h.Share.Remove(ctx, p.at("open/f"))
	b := make([]byte, 4)
	_, err = f.ReadAt(b, 0)
	if names, lerr := p.h.Share.ReadDir(ctx, p.at("open")); lerr == nil && len(names) > 0 && rerr == nil {
		p.add(Finding{"removing an open file", "leaves " + names[0] + " until it is closed", Note, "H25", "Bobbin passes over it"})
		return f.Close()
	}
	switch {
	case rerr != nil:
		p.add(Finding{"removing an open file", reason(rerr), Note, "H27", "expunged mail is cleared away later"})
	case err != nil && !errors.Is(err, syscall.ESTALE):
		return errors.Join(err, f.Close())
	case err != nil:
		p.add(Finding{"removing an open file", "it cannot be read on", Note, "H26", "expunged files stay for an hour in bobbin/x"})
	default:
		p.ok("removing an open file", "it is read on")
	}
	return f.Close()
}
