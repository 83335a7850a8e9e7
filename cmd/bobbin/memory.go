package main

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/bobbinmail/bobbin/netfs"
)

// systemState is where root, and whoever may write there, keeps what a host
// remembers.
const systemState = "/var/lib/bobbin"

// stateDir is the local directory of what this host remembers; "" for none.
func stateDir(getenv func(string) string) string {
	if dir := getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "bobbin")
	}
	if os.Geteuid() == 0 || unix.Access(systemState, unix.W_OK|unix.X_OK) == nil {
		return systemState
	}
	if home := getenv("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".local", "state", "bobbin")
	}
	return ""
}

// remembering gives a host on the directory share its memory.
func remembering(h *netfs.Host, err error, share string) (*netfs.Host, error) {
	if err != nil {
		return nil, err
	}
	dir := stateDir(os.Getenv)
	share, err = filepath.Abs(share)
	if dir != "" && err == nil {
		h.Memory = netfs.OpenMemory(dir, share)
	}
	return h, nil
}
