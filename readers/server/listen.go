package server

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

// unixPrefix begins the address of a unix socket.
const unixPrefix = "unix:"

// ErrAddress means that an address is none.
var ErrAddress = errors.New("an address is HOST:PORT or unix:PATH")

// Listen opens the listener at an address: HOST:PORT, or unix:PATH. A socket
// that nobody listens on any more is replaced. Who may write to a unix socket
// may deliver; it has the mode 0666, so the directory decides. The error wraps
// [ErrAddress] if address is neither.
func Listen(address string) (net.Listener, error) {
	path, ok := strings.CutPrefix(address, unixPrefix)
	if !ok {
		if _, _, err := net.SplitHostPort(address); err != nil {
			return nil, fmt.Errorf("%q: %w", address, ErrAddress)
		}
		return net.Listen("tcp", address)
	}
	if path == "" {
		return nil, fmt.Errorf("%q: %w", address, ErrAddress)
	}
	l, err := net.Listen("unix", path)
	if errors.Is(err, syscall.EADDRINUSE) {
		if c, derr := net.DialTimeout("unix", path, time.Second); derr == nil {
			_ = c.Close()
			return nil, fmt.Errorf("%w: another process listens", err)
		} else if !errors.Is(derr, syscall.ECONNREFUSED) {
			return nil, err
		}
		if err := syscall.Unlink(path); err != nil {
			return nil, fmt.Errorf("listen on %s: %w", address, err)
		}
		l, err = net.Listen("unix", path)
	}
	if err != nil {
		return nil, err
	}
	// The umask of the process is 0, and that of others should not matter.
	if err := syscall.Chmod(path, 0o666); err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("listen on %s: %w", address, &os.PathError{Op: "chmod", Path: path, Err: err})
	}
	return l, nil
}
