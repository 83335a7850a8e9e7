package spool

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/spool/commitlog"
)

func TestMarkerRoundTrip(t *testing.T) {
	m := Marker{Level: 1, Share: strings.Repeat("a", netfs.TokenLen), Slots: "link", RecordMax: 4000, Separator: ";"}
	b, err := m.encode()
	if err != nil {
		t.Fatal(err)
	}
	got, way, err := parseMarker(b)
	if err != nil || got != m || way != netfs.ViaLink {
		t.Errorf("%+v by %s, %v; want %+v", got, way, err, m)
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
		{"level", "2", commitlog.ErrNewer},
		{"level", "0", commitlog.ErrCorrupt},
		{"share", `"short"`, commitlog.ErrCorrupt},
		{"slots", `"carrier pigeon"`, commitlog.ErrCorrupt},
		{"record_max", "1", commitlog.ErrCorrupt},
		{"record_max", "1000000", commitlog.ErrCorrupt},
		{"separator", `"/"`, commitlog.ErrCorrupt},
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
