package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

//go:embed build.sh guest
var scripts embed.FS

// cache is the folder with what guests are booted from, and with their state.
type cache struct{ dir string }

func (c cache) path(name ...string) string { return filepath.Join(append([]string{c.dir}, name...)...) }

// openCache finds the folder, $BOBBIN_LAB or one in the user's cache, and
// builds what it lacks, which takes about a minute.
func openCache(ctx context.Context) (cache, error) {
	c := cache{os.Getenv("BOBBIN_LAB")}
	if c.dir == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return c, fmt.Errorf("set BOBBIN_LAB to a folder for the lab: %w", err)
		}
		c.dir = filepath.Join(user, "bobbin-lab")
	}
	if os.Geteuid() != 0 {
		return c, errors.New("the lab must be run by root: the guest's root folder belongs to it")
	}
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return c, err
	}
	lock, err := os.OpenFile(c.path("lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return c, err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return c, err
	}
	if err := c.unpack(); err != nil {
		return c, err
	}
	if _, err := os.Stat(c.path("linux.uml")); err == nil {
		return c, nil
	}
	fmt.Fprintln(os.Stderr, "lab: building in", c.dir)
	cmd := exec.CommandContext(ctx, c.path("build.sh"), c.dir)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return c, fmt.Errorf("build the lab in %s: %w", c.dir, err)
	}
	return c, nil
}

// unpack writes the scripts that the guests run.
func (c cache) unpack() error {
	return fs.WalkDir(scripts, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(c.path(name), 0o755)
		}
		text, err := scripts.ReadFile(name)
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o644)
		if strings.HasPrefix(string(text), "#!") {
			mode = 0o755
		}
		// Renamed, because a guest may be reading the old one.
		temp := c.path(name + ".new")
		if err := os.WriteFile(temp, text, mode); err != nil {
			return err
		}
		return os.Rename(temp, c.path(name))
	})
}
