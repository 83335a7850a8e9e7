package spool_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
)

// foreign is a Maildir program that knows nothing of the log: it moves new
// mail, turns the flag F on and off, removes files and adds some.
func (w *worker) foreign(ctx context.Context, steps int) {
	const home = "users/alice/"
	for range steps {
		if ctx.Err() != nil {
			return
		}
		_ = w.h.Sleep(ctx, time.Duration(w.rng.IntN(20))*time.Millisecond)
		dir := []string{"new", "cur"}[w.rng.IntN(2)]
		names, err := w.h.Share.ReadDir(ctx, home+dir)
		if err != nil || len(names) == 0 {
			continue
		}
		name := names[w.rng.IntN(len(names))]
		base, sep, letters := cutFlags(name)
		switch k := w.rng.IntN(8); {
		case k == 0:
			w.foreignRemove(ctx, home+dir+"/"+name)
		case k == 1:
			w.n++
			text := fmt.Sprintf("Subject: %s-%d\n\nforeign\n", w.id, w.n)
			tmp := fmt.Sprintf("%stmp/%d.%s", home, w.n, w.id)
			if netfs.WriteFile(ctx, w.h.Share, tmp, []byte(text)) == nil &&
				w.h.Share.Rename(ctx, tmp, fmt.Sprintf("%snew/%d.%s", home, w.n, w.id)) == nil &&
				netfs.SyncDir(ctx, w.h, w.h.Share, home+"new") == nil {
				w.hist.mu.Lock()
				w.hist.acked[text] = true
				w.hist.mu.Unlock()
			}
		default:
			was := letters
			if letters = strings.ReplaceAll(letters, "F", ""); letters == was {
				letters = merged(letters + "F")
			}
			_ = w.h.Share.Rename(ctx, home+dir+"/"+name, home+"cur/"+base+sep+letters)
		}
	}
}

// cutFlags splits a file's name. Some shares want another separator.
func cutFlags(name string) (base, sep, letters string) {
	for _, sep := range []string{":2,", ";2,"} {
		if base, letters, ok := strings.Cut(name, sep); ok {
			return base, sep, letters
		}
	}
	return name, ";2,", ""
}

func merged(letters string) string {
	b := []byte(letters)
	slices.Sort(b)
	return string(b)
}

func (w *worker) foreignRemove(ctx context.Context, name string) {
	b, err := netfs.ReadFile(ctx, w.h.Share, name, 1<<20)
	if err != nil {
		return
	}
	w.hist.mu.Lock()
	w.hist.expunged[string(b)] = true
	w.hist.mu.Unlock()
	_ = w.h.Share.Remove(ctx, name)
}
