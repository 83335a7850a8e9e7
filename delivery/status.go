package delivery

import (
	"context"
	"errors"
	"io/fs"
	"syscall"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/spool"
)

// statuses are the codes of RFC 3463 for what can go wrong; the first row that
// matches counts.
var statuses = []struct {
	err  error
	code string
}{
	{spool.ErrNoUser, "5.1.1"},
	{spool.ErrBadName, "5.1.1"},
	{ErrLoop, "5.4.6"},
	{ErrRefused, "5.3.0"},
	{ErrQuotaRefused, "5.2.2"},
	{ErrQuota, "4.2.2"},
	{syscall.EDQUOT, "4.2.2"},
	{syscall.ENOSPC, "4.3.1"},
	{context.Canceled, "4.3.2"},
	{context.DeadlineExceeded, "4.4.7"},
	{netfs.ErrUncertain, "4.4.2"},
	{spool.ErrNotSpool, "4.3.5"},
	{fs.ErrNotExist, "4.2.0"},
	{fs.ErrPermission, "4.2.0"},
}

// Status is the enhanced status code (RFC 3463) of an error of [Deliver] or
// [Rules.Find], "2.0.0" for nil. It begins with 5 if a retry is useless, and
// with 4 for whatever is not known to be so.
func Status(err error) string {
	if err == nil {
		return "2.0.0"
	}
	for _, s := range statuses {
		if errors.Is(err, s.err) {
			return s.code
		}
	}
	return "4.3.0"
}
