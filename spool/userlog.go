package spool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/spool/commitlog"
)

// userLogDir is the user's own log, in his mail root.
const userLogDir = "bobbin-user"

// UserState is what a user has beside his mail: subscriptions, what special
// folders are for, which messages of the shared folders he has seen, and values
// that programs keep for him. It is a commit log of its own. Its methods may be
// called from several goroutines. It needs feature level 2.
type UserState struct {
	home home
	fs   netfs.FS
	log  *commitlog.Log
	id   string // the token of its first record; "" if nobody asked for it

	mu      sync.RWMutex // guards what follows; never held across a call to the share
	missing bool         // there is no log yet
	state   userState
	taking  map[string]takes // by the record under construction
}

// UserState follows a user's log to its end. It writes nothing. The error
// wraps [ErrNoUser], or matches [commitlog.ErrWentBack] when the log lacks what
// an earlier process on this host read. The caller closes it.
func (s *Spool) UserState(ctx context.Context, user string) (*UserState, error) {
	h, err := s.home(user)
	if err != nil {
		return nil, err
	}
	return h.state(ctx)
}

func (h home) state(ctx context.Context) (*UserState, error) {
	f, err := h.open(ctx)
	if err != nil {
		return nil, err
	}
	u := &UserState{home: h, fs: f, state: newUserState()}
	u.log = h.spool.log(f, userLogDir, u.machine())
	if err = u.Refresh(ctx); err == nil {
		err = u.recall(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return u, nil
}

func (u *UserState) machine() machine {
	return machine{apply: u.apply, snapshot: u.snapshot, load: u.load, begin: u.begin}
}

func (u *UserState) begin() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.taking = map[string]takes{}
}

// Refresh takes in what was committed since. While nothing changes it costs
// one operation.
func (u *UserState) Refresh(ctx context.Context) error {
	_, err := u.log.Refresh(ctx)
	missing := errors.Is(err, fs.ErrNotExist) && !errors.Is(err, commitlog.ErrCorrupt)
	u.mu.Lock()
	u.missing = missing
	u.mu.Unlock()
	if missing {
		return nil
	}
	return u.wrap(err)
}

// Close ends the use of u. If enough was committed, it writes the state down
// for the next process. The host remembers what u has read.
func (u *UserState) Close(ctx context.Context) error {
	u.mu.RLock()
	missing := u.missing
	u.mu.RUnlock()
	if !missing {
		u.log.Close(ctx)
		u.remember(ctx)
	}
	return u.fs.Close()
}

func (u *UserState) wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("state of %s: %w", u.home.user, err)
}

func (u *UserState) apply(r *commitlog.Record) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.state.apply(r.Ops)
}

// snapshot writes the operations that make the state, a line each.
func (u *UserState) snapshot(uint64) ([]byte, uint64) {
	u.mu.RLock()
	defer u.mu.RUnlock()
	if u.state.newer != nil {
		return nil, 0
	}
	text := []byte{}
	for _, op := range u.state.ops() {
		text = append(text, op+"\n"...)
	}
	return text, 0
}

func (u *UserState) load(text []byte) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if text == nil {
		u.state = newUserState()
	}
	return u.state.apply(strings.Fields(string(text)))
}

// commit appends the operations that build returns for the state as it then
// is, making the log if there is none.
func (u *UserState) commit(ctx context.Context, build func(s *userState) []string) error {
	return u.tryCommit(ctx, func(s *userState) ([]string, error) { return build(s), nil })
}

// tryCommit is commit for a build that may refuse.
func (u *UserState) tryCommit(ctx context.Context, build func(s *userState) ([]string, error)) error {
	if err := u.home.spool.needs("the user's log", 2); err != nil {
		return u.wrap(err)
	}
	u.mu.RLock()
	missing := u.missing
	u.mu.RUnlock()
	if missing {
		for _, d := range commitlog.Dirs(userLogDir) {
			if err := netfs.MkdirAll(ctx, u.home.spool.Host, u.fs, d); err != nil {
				return u.wrap(err)
			}
		}
		if err := u.Refresh(ctx); err != nil {
			return err
		}
	}
	return u.wrap(u.log.Commit(ctx, func() ([]string, error) {
		u.mu.Lock()
		defer u.mu.Unlock()
		ops, err := build(&u.state)
		if err == nil && len(ops) > 0 && u.state.newer != nil {
			return nil, u.state.newer
		}
		return ops, err
	}))
}

// Subscriptions lists the names that the user subscribed to, in order. Not
// all of them need exist (RFC 9051 section 6.3.8).
func (u *UserState) Subscriptions() []string {
	u.mu.RLock()
	defer u.mu.RUnlock()
	return slices.Sorted(maps.Keys(u.state.subscribed))
}

// Subscribe adds a name to the subscriptions, or removes it. That the folder
// exists is not looked for. The error wraps [ErrBadName].
func (u *UserState) Subscribe(ctx context.Context, folder string, on bool) error {
	folder, err := u.home.spool.folderName(folder)
	if err != nil {
		return err
	}
	return u.commit(ctx, func(s *userState) []string {
		switch {
		case s.subscribed[folder] == on:
			return nil
		case on:
			return []string{folderOp(opSubscribe, folder)}
		}
		return []string{folderOp(opUnsubscribe, folder)}
	})
}

// Uses tells which folder each special use has.
func (u *UserState) Uses() map[Use]string {
	u.mu.RLock()
	defer u.mu.RUnlock()
	return maps.Clone(u.state.uses)
}

// SetUses makes a folder the one for the uses, and for no others. Each use has
// one folder: it is taken from the one that had it.
func (u *UserState) SetUses(ctx context.Context, folder string, uses ...Use) error {
	folder, err := u.home.spool.folderName(folder)
	if err != nil {
		return err
	}
	for _, use := range uses {
		if !use.known() {
			return fmt.Errorf("use %q: %w: it is one of %s", use, ErrBadName, UseNames())
		}
	}
	return u.commit(ctx, func(s *userState) (ops []string) {
		for _, use := range allUses {
			switch has, want := s.uses[use] == folder, slices.Contains(uses, use); {
			case want && !has:
				ops = append(ops, useOp(use, folder))
			case has && !want:
				ops = append(ops, opUnuse+":"+string(use))
			}
		}
		return ops
	})
}

// Value returns what was set for key, or "".
func (u *UserState) Value(key string) string {
	u.mu.RLock()
	defer u.mu.RUnlock()
	return u.state.values[key]
}

// SetValue keeps a value for key; "" forgets it. Keys begin with the name of
// the protocol or command that uses them and a dot.
func (u *UserState) SetValue(ctx context.Context, key, value string) error {
	if key == "" {
		return fmt.Errorf("key %q: %w", key, ErrBadName)
	}
	return u.commit(ctx, func(s *userState) []string {
		if s.values[key] == value {
			return nil
		}
		return []string{valueOp(key, value)}
	})
}

// allocate returns a UIDVALIDITY that no mailbox of this mail root had before
// (RFC 9051 section 2.3.1.1): above every one that was given, and not below
// the time.
func (u *UserState) allocate(ctx context.Context) (n uint32, err error) {
	now := u.home.spool.Host.Wall().Unix()
	err = u.commit(ctx, func(s *userState) []string {
		n = max(s.validity+1, uint32(max(1, min(now, maxUID-1))))
		if n <= s.validity {
			n = 0
			return nil
		}
		return []string{numberOp(opValidity, n)}
	})
	if err == nil && n == 0 {
		err = u.wrap(errors.New("all values of UIDVALIDITY are used up"))
	}
	return n, err
}

// buried notes that a folder has ended which had the UIDVALIDITY n: what was
// special of its name is forgotten, and n is not given again.
func (u *UserState) buried(ctx context.Context, folder string, n uint32) error {
	return u.commit(ctx, func(s *userState) (ops []string) {
		for _, use := range allUses {
			if s.uses[use] == folder {
				ops = append(ops, opUnuse+":"+string(use))
			}
		}
		if n > s.validity {
			ops = append(ops, numberOp(opValidity, n))
		}
		return append(ops, s.uncount(folder)...)
	})
}

// renamed lets subscriptions and uses follow a folder and those below it, and
// tells whether there were any.
func (u *UserState) renamed(ctx context.Context, from, to string) (any bool, err error) {
	err = u.commit(ctx, func(s *userState) []string {
		ops := s.renames(from, to)
		any = any || len(ops) > 0
		return ops
	})
	return any, err
}

// renames are the operations of a rename.
func (s *userState) renames(from, to string) (ops []string) {
	for _, name := range slices.Sorted(maps.Keys(s.subscribed)) {
		if rest, ok := below(name, from); ok {
			ops = append(ops, folderOp(opUnsubscribe, name))
			if !s.subscribed[to+rest] {
				ops = append(ops, folderOp(opSubscribe, to+rest))
			}
		}
	}
	for _, use := range allUses {
		if rest, ok := below(s.uses[use], from); ok {
			ops = append(ops, useOp(use, to+rest))
		}
	}
	return append(ops, s.renameUsage(from, to)...)
}

// below returns what comes after parent in the name of the folder itself, "",
// or of one below it.
func below(name, parent string) (rest string, ok bool) {
	rest, ok = strings.CutPrefix(name, parent)
	return rest, ok && (rest == "" || rest[0] == '/')
}

// seenIn returns the messages of a shared folder that the user has seen.
func (u *UserState) seenIn(validity uint32) UIDSet {
	u.mu.RLock()
	defer u.mu.RUnlock()
	return u.state.seen[validity]
}

// mark notes that the user has seen messages of a shared folder, or has not.
func (u *UserState) mark(ctx context.Context, validity uint32, uids UIDSet, seen bool) error {
	if len(uids) == 0 {
		return nil
	}
	return u.commit(ctx, func(s *userState) []string {
		change := minus(uids, s.seen[validity])
		if !seen {
			change = minus(uids, change)
		}
		if len(change) == 0 {
			return nil
		}
		return []string{seenOp(validity, change, seen)}
	})
}

// lastRead and setLastRead are Mailbox.LastRead and Mailbox.SetLastRead.
func (u *UserState) lastRead(validity uint32) uint32 {
	u.mu.RLock()
	defer u.mu.RUnlock()
	return u.state.lastRead[validity]
}

func (u *UserState) setLastRead(ctx context.Context, validity, uid uint32) error {
	return u.commit(ctx, func(s *userState) []string {
		if s.lastRead[validity] == uid {
			return nil
		}
		return []string{fmt.Sprintf("%s:%d:%d", opLastRead, validity, uid)}
	})
}

// shared lists the shared folders, by UIDVALIDITY, that the state speaks of.
func (u *UserState) shared() []uint32 {
	u.mu.RLock()
	defer u.mu.RUnlock()
	return u.state.shared()
}

// forget drops what is kept for shared folders that are gone.
func (u *UserState) forget(ctx context.Context, gone []uint32) error {
	return u.commit(ctx, func(s *userState) (ops []string) {
		for _, n := range s.shared() {
			if slices.Contains(gone, n) {
				ops = append(ops, numberOp(opForget, n))
			}
		}
		return ops
	})
}

// Use is a special use of a folder (RFC 6154, RFC 8457), in lower case and
// without backslash.
type Use string

// The special uses.
const (
	UseAll       Use = "all"
	UseArchive   Use = "archive"
	UseDrafts    Use = "drafts"
	UseFlagged   Use = "flagged"
	UseImportant Use = "important"
	UseJunk      Use = "junk"
	UseSent      Use = "sent"
	UseTrash     Use = "trash"
)

var allUses = []Use{UseAll, UseArchive, UseDrafts, UseFlagged, UseImportant, UseJunk, UseSent, UseTrash}

func (u Use) known() bool { return slices.Contains(allUses, u) }

// Attribute is the use as IMAP writes it.
func (u Use) Attribute() string { return `\` + strings.ToUpper(string(u[:1])) + string(u[1:]) }

// ParseUse reads a use in any case, with or without backslash. The error
// wraps [ErrBadName].
func ParseUse(s string) (Use, error) {
	use := Use(asciiLower(strings.TrimPrefix(s, `\`)))
	if !use.known() {
		return "", fmt.Errorf("use %q: %w: it is one of %s", s, ErrBadName, UseNames())
	}
	return use, nil
}

// UseNames lists all uses for people.
func UseNames() string {
	names := make([]string, len(allUses))
	for i, u := range allUses {
		names[i] = string(u)
	}
	return strings.Join(names, ", ")
}

// usesOf lists the uses of a folder.
func (u *UserState) usesOf(folder string) (uses []Use) {
	u.mu.RLock()
	defer u.mu.RUnlock()
	for _, use := range allUses {
		if u.state.uses[use] == folder {
			uses = append(uses, use)
		}
	}
	slices.SortFunc(uses, func(a, b Use) int { return cmp.Compare(a, b) })
	return uses
}
