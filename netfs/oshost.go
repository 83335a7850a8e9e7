//go:build linux

package netfs

import (
	"context"
	"errors"
	"os"
	"strings"
	"time"
)

// OpenHost returns a host on the real directory dir: the machine's clocks and
// randomness, the mounted file system as [Detect] sees it, everything counted.
func OpenHost(dir string) (*Host, error) {
	share, err := openOS(dir)
	if err != nil {
		return nil, err
	}
	p, err := Detect(dir)
	if err != nil {
		return nil, errors.Join(err, share.Close())
	}
	name, _ := os.Hostname()
	ops := new(Ops)
	return &Host{
		Share:    Counted(share, ops, p),
		Profile:  p,
		Tag:      hostTag(name),
		Parallel: 16,
		Rand:     kernelRandom{},
		Wall:     time.Now,
		Boot:     bootTime,
		Sleep:    sleep,
		Ops:      ops,
	}, nil
}

// hostTag makes up to 8 characters of [0-9a-z] of a host name.
func hostTag(name string) string {
	name, _, _ = strings.Cut(strings.ToLower(name), ".")
	tag := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, name)
	if tag == "" {
		return "host"
	}
	return tag[:min(8, len(tag))]
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}
