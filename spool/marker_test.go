package spool

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/spool/commitlog"
)

func TestMarkerRoundTrip(t *testing.T) {
	for _, m := range []Marker{
		{Level: 1, Share: strings.Repeat("a", netfs.TokenLen), Slots: "link", RecordMax: 4000, Separator: ";"},
		{Level: 2, Share: strings.Repeat("a", netfs.TokenLen), Slots: "link", RecordMax: 4000, Separator: ";", Foreign: markerOff, Project: markerOff},
	} {
		b, err := m.encode()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), "foreign") != (m.Foreign != "") {
			t.Errorf("what is on must not be written, as level 1 does not know it:\n%s", b)
		}
		got, way, err := parseMarker(b)
		if err != nil || got != m || way != netfs.ViaLink {
			t.Errorf("%+v by %s, %v; want %+v", got, way, err, m)
		}
	}
}

func TestMarkerRefuses(t *testing.T) {
	good := map[string]string{
		"level": "1", "share": `"` + strings.Repeat("a", netfs.TokenLen) + `"`, "slots": `"symlink"`, "record_max": "4000", "separator": `":"`,
	}
	tests := []struct {
		key, value string
		want       error
	}{
		{"level", "3", commitlog.ErrNewer},
		{"level", "0", commitlog.ErrCorrupt},
		{"share", `"short"`, commitlog.ErrCorrupt},
		{"slots", `"carrier pigeon"`, commitlog.ErrCorrupt},
		{"record_max", "1", commitlog.ErrCorrupt},
		{"record_max", "1000000", commitlog.ErrCorrupt},
		{"separator", `"/"`, commitlog.ErrCorrupt},
		{"foreign", `"off"`, commitlog.ErrCorrupt}, // at level 1
		{"project", `"off"`, commitlog.ErrCorrupt},
		{"foreign", `"on"`, commitlog.ErrCorrupt},
		{"project", `true`, commitlog.ErrCorrupt},
		{"colour", `"red"`, commitlog.ErrCorrupt},
		{"level", "\x00", commitlog.ErrCorrupt},
	}
	for _, tt := range tests {
		var b strings.Builder
		for k, v := range good {
			if k != tt.key {
				b.WriteString(k + " = " + v + "\n")
			}
		}
		b.WriteString(tt.key + " = " + tt.value + "\n")
		if _, _, err := parseMarker([]byte(b.String())); !errors.Is(err, tt.want) || !strings.Contains(err.Error(), markerName) {
			t.Errorf("%s = %q: %v, want %v that names %s", tt.key, tt.value, err, tt.want, markerName)
		}
	}
}

func TestInitWhereSomethingIs(t *testing.T) {
	dir := t.TempDir()
	h, err := netfs.OpenHost(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Share.Close()
	file := filepath.Join(dir, "thesis.tex")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Init(t.Context(), h, InitOptions{}); !errors.Is(err, ErrExists) || !strings.Contains(err.Error(), "thesis.tex") {
		t.Errorf("init in a used directory: %v", err)
	}
	if names, _ := os.ReadDir(dir); len(names) != 1 {
		t.Errorf("it left %v", names)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if _, err := Init(t.Context(), h, InitOptions{Slots: "smoke"}); err == nil {
		t.Error("init by an unknown way")
	}
	if _, err := Init(t.Context(), h, InitOptions{Separator: "/"}); !errors.Is(err, ErrBadName) {
		t.Errorf("init with a slash as separator: %v", err)
	}
	if _, err := Init(t.Context(), h, InitOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := Init(t.Context(), h, InitOptions{}); !errors.Is(err, ErrExists) {
		t.Errorf("init twice: %v", err)
	}
}

// shortLinks is a share whose links hold at most 1,023 bytes, as on XFS.
type shortLinks struct{ netfs.FS }

func (f shortLinks) Symlink(ctx context.Context, target, name string) error {
	if len(target) > 1023 {
		return syscall.ENAMETOOLONG
	}
	return f.FS.Symlink(ctx, target, name)
}

func TestInitFindsRecordMax(t *testing.T) {
	h, err := netfs.OpenHost(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer h.Share.Close()
	h.Share = shortLinks{h.Share}
	s, err := Init(t.Context(), h, InitOptions{})
	if err != nil || s.Marker.RecordMax != 1000 {
		t.Errorf("record_max %+v, %v; want 1000", s, err)
	}
}

// withAlice makes a spool with one user.
func withAlice(t *testing.T) (*Spool, *Accounts, string) {
	t.Helper()
	dir := t.TempDir()
	h, err := netfs.OpenHost(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Share.Close() })
	s, err := Init(t.Context(), h, InitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	a, err := s.Accounts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Add(t.Context(), "alice", nil); err != nil {
		t.Fatal(err)
	}
	return s, a, dir
}

// Only a user whom the accounts do not know is unknown: mail for him bounces.
func TestWhyNot(t *testing.T) {
	s, _, dir := withAlice(t)
	if _, err := s.Box(t.Context(), "bob", Inbox); !errors.Is(err, ErrNoUser) {
		t.Errorf("an unknown user: %v", err)
	}
	if err := os.Rename(filepath.Join(dir, "users/alice"), filepath.Join(dir, "users/elsewhere")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Box(t.Context(), "alice", Inbox); err == nil || errors.Is(err, ErrNoUser) {
		t.Errorf("a user whose mailbox is away: %v", err)
	}
	if err := os.Rename(filepath.Join(dir, "users"), filepath.Join(dir, "gone")); err != nil {
		t.Fatal(err)
	}
	fresh, err := netfs.OpenHost(dir)
	if err != nil {
		t.Fatal(err)
	}
	s.Host = fresh
	defer s.Host.Share.Close()
	if _, err := s.Box(t.Context(), "bob", Inbox); err == nil || errors.Is(err, ErrNoUser) {
		t.Errorf("without users/: %v", err)
	}
}

// A delete that is broken off does not leave mail for the next of the name.
func TestDeleteBrokenOff(t *testing.T) {
	_, a, dir := withAlice(t)
	if err := errors.Join(os.Remove(filepath.Join(dir, "trash")), os.WriteFile(filepath.Join(dir, "trash"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Delete(t.Context(), "alice"); err == nil {
		t.Fatal("deleted without trash")
	}
	if err := a.Add(t.Context(), "alice", nil); !errors.Is(err, ErrExists) {
		t.Errorf("adding the user again: %v, want ErrExists", err)
	}
	if err := os.Remove(filepath.Join(dir, "trash")); err != nil {
		t.Fatal(err)
	}
	trash, err := a.Delete(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, trash)); err != nil {
		t.Error(err)
	}
}

// TestOpenByAClientThatCannot: a spool with slots by symlink is not opened
// through SMB, whose client may emulate such links (H67).
func TestOpenByAClientThatCannot(t *testing.T) {
	h, err := netfs.OpenHost(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Init(t.Context(), h, InitOptions{Slots: "symlink"}); err != nil {
		t.Fatal(err)
	}
	h.Profile = netfs.ProfileFor("smb", nil)
	if _, err := Open(t.Context(), h); err == nil || !strings.Contains(err.Error(), "H67") {
		t.Errorf("%v", err)
	}
}
