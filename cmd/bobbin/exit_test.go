package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"syscall"
	"testing"

	"github.com/bobbinmail/bobbin/delivery"
	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/spool"
)

func TestExitCodes(t *testing.T) {
	odd := errors.New("odd")
	for _, test := range []struct {
		err        error
		other, mta int
	}{
		{nil, exitOK, exitOK},
		{odd, exitFailure, exitTempFail},
		{usageErrorf("bad"), exitUsage, exitUsage},
		{exitWith(exitNoUser, odd), exitNoUser, exitNoUser},
		{fmt.Errorf("deliver ann: %w", exitWith(exitDataErr, odd)), exitDataErr, exitDataErr},
		{exitWith(exitUnavailable, netfs.ErrUncertain), exitUnavailable, exitUnavailable},
		{fmt.Errorf("put: %w", netfs.ErrUncertain), exitTempFail, exitTempFail},
		{&fs.PathError{Op: "open", Path: "x", Err: syscall.EACCES}, exitNoPerm, exitTempFail},
		{&fs.PathError{Op: "write", Path: "x", Err: syscall.EDQUOT}, exitCantCreate, exitTempFail},
		{&fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}, exitCantCreate, exitTempFail},
		{&fs.PathError{Op: "open", Path: "x", Err: syscall.ENOENT}, exitFailure, exitTempFail},
		{syscall.ESTALE, exitTempFail, exitTempFail},
		{&fs.PathError{Op: "open", Path: "x", Err: syscall.EAGAIN}, exitTempFail, exitTempFail},
		{syscall.EHOSTDOWN, exitTempFail, exitTempFail},
		{context.Canceled, exitTempFail, exitTempFail},
		{fmt.Errorf("wait: %w", context.DeadlineExceeded), exitTempFail, exitTempFail},
		{fmt.Errorf("/mnt: %w", spool.ErrNotSpool), exitTempFail, exitTempFail},
		{fmt.Errorf("ann: %w", spool.ErrNoUser), exitNoUser, exitNoUser},
		{delivery.ErrLoop, exitFailure, exitUnavailable},
		{spool.ErrMissing, exitFailure, exitTempFail},
		{errNoSpool, exitUsage, exitTempFail},
		{errOutput, exitIOErr, exitTempFail},
	} {
		if got := exitCode(test.err, false); got != test.other {
			t.Errorf("%v: exit code %d, want %d", test.err, got, test.other)
		}
		if got := exitCode(test.err, true); got != test.mta {
			t.Errorf("%v: exit code %d for a mail system, want %d", test.err, got, test.mta)
		}
		r := newTestRun(failing("toy", notes{MTA: true}, func() error { return test.err }))
		if got := r.run("toy"); got != test.mta {
			t.Errorf("%v: a mail system's command ends with %d, want %d", test.err, got, test.mta)
		}
	}
}

// TestMailSystemsKeepMessages: for these reasons alone may a mail system
// return a message to its sender.
func TestMailSystemsKeepMessages(t *testing.T) {
	permanent := []error{spool.ErrNoUser, spool.ErrBadName, delivery.ErrLoop, delivery.ErrRefused, delivery.ErrQuotaRefused}
	for _, row := range exitTable {
		if row.mta != exitTempFail && !slices.Contains(permanent, row.err) {
			t.Errorf("%v is permanent for a mail system: %d", row.err, row.mta)
		}
	}
}

func TestExitCodesAreExplained(t *testing.T) {
	explained := map[int]bool{}
	for _, m := range exitMeanings {
		explained[m.code] = true
	}
	for _, row := range exitTable {
		if !explained[row.other] || !explained[row.mta] {
			t.Errorf("%v: codes %d and %d are not both explained", row.err, row.other, row.mta)
		}
	}
	for _, test := range []struct {
		notes notes
		want  []int
	}{
		{notes{}, []int{0, 1, 64, 74, 75}},
		{notes{Exits: []int{exitDataErr}}, []int{0, 1, 64, 65, 74, 75}},
		{notes{MTA: true}, []int{0, 64, 75}},
	} {
		if got := exitCodes(test.notes, false); !slices.Equal(got, test.want) {
			t.Errorf("%+v: %v, want %v", test.notes, got, test.want)
		}
	}
	other, mta := exitCodes(notes{}, true), exitCodes(notes{MTA: true}, true)
	for _, row := range exitTable {
		if !slices.Contains(other, row.other) || !slices.Contains(mta, row.mta) {
			t.Errorf("%v: codes %d and %d are not both in the man pages: %v, %v", row.err, row.other, row.mta, other, mta)
		}
	}
	if slices.Contains(mta, exitFailure) || slices.Contains(mta, exitNoPerm) {
		t.Errorf("codes of a mail system's command: %v", mta)
	}
}

func TestComplaintIsOneSafeLine(t *testing.T) {
	nasty := "mailbox \x1b[31m\"a\nb\"\x00\u202e\xff ü 'q'"
	r := newTestRun(failing("toy", notes{}, func() error { return errors.New(nasty) }))
	if code := r.run("toy"); code != exitFailure {
		t.Errorf("exit code %d", code)
	}
	want := `bobbin: mailbox \x1b[31m"a\nb"\x00\u202e\xff ü 'q'` + "\n"
	if got := r.stderr.String(); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
