package netfstest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/bobbinmail/bobbin/netfs"
)

// on opens a real directory twice, by the names that two mounts give it.
func on(a, b string) Open {
	return func(t *testing.T, fn func(t *testing.T, a, b *netfs.Host)) {
		var hosts [2]*netfs.Host
		for i, dir := range []string{a, b} {
			h, err := netfs.OpenHost(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer h.Share.Close()
			hosts[i] = h
		}
		fn(t, hosts[0], hosts[1])
	}
}

func TestLocalDirectory(t *testing.T) {
	dir := t.TempDir()
	Run(t, on(dir, dir))
}

// TestShare runs on a directory of a mounted share, or on two mounts of one,
// as BOBBIN_TEST_SHARE=/mnt/a:/mnt/b says.
func TestShare(t *testing.T) {
	mounts := filepath.SplitList(os.Getenv("BOBBIN_TEST_SHARE"))
	if len(mounts) == 0 {
		t.Skip("BOBBIN_TEST_SHARE names no mounted share")
	}
	Run(t, on(mounts[0], mounts[len(mounts)-1]))
}
