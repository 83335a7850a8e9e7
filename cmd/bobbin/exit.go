package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/bobbinmail/bobbin/delivery"
	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/spool"
	"github.com/bobbinmail/bobbin/spool/commitlog"
)

// The exit codes of sysexits.h that mail systems understand, and the 1 that
// everything else expects.
const (
	exitOK          = 0
	exitFailure     = 1
	exitUnfit       = 2
	exitUsage       = 64
	exitDataErr     = 65
	exitNoUser      = 67
	exitUnavailable = 69
	exitSoftware    = 70
	exitCantCreate  = 73
	exitIOErr       = 74
	exitTempFail    = 75
	exitNoPerm      = 77
	exitConfig      = 78
)

// exitMeanings says in the man pages what the codes mean, in their order.
var exitMeanings = []struct {
	code int
	text string
}{
	{exitOK, "Success."},
	{exitFailure, "Something went wrong; the message says what."},
	{exitUnfit, "The share is unfit for a spool."},
	{exitUsage, "The command line is wrong."},
	{exitDataErr, "The input is not what it should be."},
	{exitNoUser, "There is no such user."},
	{exitUnavailable, "The request is refused for good."},
	{exitSoftware, "Bobbin contradicts itself."},
	{exitCantCreate, "A file cannot be created: no room, or over quota."},
	{exitIOErr, "Output could not be written."},
	{exitTempFail, "It did not work now and may work later: the share is not mounted or does not answer, or the command was interrupted."},
	{exitNoPerm, "The permission is missing."},
	{exitConfig, "The configuration is wrong."},
}

// Errors that belong to the command line itself.
var (
	errNoSpool = errors.New("no spool given: use --spool DIR, set BOBBIN_SPOOL or see 'bobbin help config'")
	errOutput  = errors.New("write standard output")
)

// exitTable is the one place that turns errors into exit codes; the first row
// that matches counts. A mail system returns a message to its sender for most
// codes, so for commands that it runs whatever may mend itself, or a person
// can mend, is temporary.
var exitTable = []struct {
	err        error
	other, mta int
}{
	{errNoSpool, exitUsage, exitTempFail},
	{errConfig, exitConfig, exitTempFail},
	{errOutput, exitIOErr, exitTempFail},
	{spool.ErrNotSpool, exitTempFail, exitTempFail},
	{spool.ErrNoUser, exitNoUser, exitNoUser},
	{spool.ErrExists, exitCantCreate, exitTempFail},
	{spool.ErrBadName, exitUsage, exitNoUser},
	{delivery.ErrLoop, exitFailure, exitUnavailable},
	{delivery.ErrRefused, exitFailure, exitUnavailable},
	{delivery.ErrQuotaRefused, exitCantCreate, exitUnavailable},
	{delivery.ErrQuota, exitCantCreate, exitTempFail},
	{commitlog.ErrNewer, exitConfig, exitTempFail},
	{spool.ErrLevel, exitConfig, exitTempFail},
	{netfs.ErrUncertain, exitTempFail, exitTempFail},
	{spool.ErrRetry, exitTempFail, exitTempFail},
	{context.Canceled, exitTempFail, exitTempFail},
	{context.DeadlineExceeded, exitTempFail, exitTempFail},
	{syscall.ENOSPC, exitCantCreate, exitTempFail},
	{syscall.EDQUOT, exitCantCreate, exitTempFail},
	{syscall.EROFS, exitCantCreate, exitTempFail},
	{syscall.ESTALE, exitTempFail, exitTempFail},
	{syscall.ETIMEDOUT, exitTempFail, exitTempFail},
	{syscall.EIO, exitTempFail, exitTempFail},
	{syscall.EAGAIN, exitTempFail, exitTempFail}, // this and the next four: the server is away, on mounts that give up (SMB)
	{syscall.EHOSTDOWN, exitTempFail, exitTempFail},
	{syscall.ECONNABORTED, exitTempFail, exitTempFail},
	{syscall.ECONNRESET, exitTempFail, exitTempFail},
	{syscall.ENOTCONN, exitTempFail, exitTempFail},
	{fs.ErrPermission, exitNoPerm, exitTempFail},
}

// exitError is an error that knows its exit code; it goes before exitTable.
type exitError struct {
	code int
	err  error
}

// Error returns the text of the error inside.
func (e *exitError) Error() string { return e.err.Error() }

// Unwrap returns the error inside.
func (e *exitError) Unwrap() error { return e.err }

// exitWith makes err end the program with code.
func exitWith(code int, err error) error { return &exitError{code, err} }

// usageErrorf is the error of a wrong command line.
func usageErrorf(format string, args ...any) error {
	return exitWith(exitUsage, fmt.Errorf(format, args...))
}

// exitCode returns the exit code for err. With mta the caller is a mail
// system, for which an unknown error is temporary.
func exitCode(err error, mta bool) int {
	if err == nil {
		return exitOK
	}
	if e, ok := errors.AsType[*exitError](err); ok {
		return e.code
	}
	for _, row := range exitTable {
		if !errors.Is(err, row.err) {
			continue
		}
		if mta {
			return row.mta
		}
		return row.other
	}
	if mta {
		return exitTempFail
	}
	return exitFailure
}

// statusCode is the enhanced status code (RFC 3463) that goes with an exit code
// of a command that a mail system runs.
func statusCode(err error, code int) string {
	switch status := delivery.Status(err); {
	case (code == exitTempFail) == (status[0] == '4'):
		return status
	case code == exitTempFail:
		return "4.3.0"
	}
	return "5.3.0"
}

// exitCodes lists the codes a command may end with, for its man page. With
// spool the command works on one, and everything in exitTable can happen.
func exitCodes(n notes, spool bool) []int {
	can := map[int]bool{exitOK: true, exitUsage: true, exitTempFail: true}
	if !n.MTA {
		can[exitFailure], can[exitIOErr] = true, true
	}
	for _, row := range exitTable {
		switch {
		case !spool:
		case n.MTA:
			can[row.mta] = true
		default:
			can[row.other] = true
		}
	}
	for _, code := range n.Exits {
		can[code] = true
	}
	var codes []int
	for _, m := range exitMeanings {
		if can[m.code] {
			codes = append(codes, m.code)
		}
	}
	return codes
}
