package netfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// ErrUncertain means that a change may or may not have been made and the
// server could not be asked. The caller reports a temporary failure.
var ErrUncertain = errors.New("outcome unknown")

// ErrIrregular means that a name is not the regular file it should be: a
// symbolic link, a directory, a device.
var ErrIrregular = errors.New("not a regular file")

// uncertain marks err as leaving the outcome of op on name open. The result
// does not match err: nobody may take an EEXIST in it for the server's word
// that somebody else was first.
func uncertain(op, name string, err error) error {
	return fmt.Errorf("%s %s: %w: %v", op, name, ErrUncertain, err)
}

// refused tells whether err is the server's word that the operation was not
// done and will not be done later. Everything else (EIO, ETIMEDOUT, EINTR,
// ESTALE, a cancelled context…) may hide a lost reply or a request still
// under way (H12).
func refused(err error) bool {
	for _, e := range []error{
		syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS, syscall.ENAMETOOLONG,
		syscall.ENOTDIR, syscall.EISDIR, syscall.EMLINK, syscall.EXDEV, syscall.EFBIG,
		syscall.EINVAL, syscall.EPERM, syscall.EOPNOTSUPP, syscall.ENOSYS,
		syscall.ELOOP, ErrIrregular,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// Refused tells whether err is the server's word that an operation was not done
// and will not be done later. An error of another kind may hide a lost reply or
// a request still under way (H12).
func Refused(err error) bool { return refused(err) }

// hopeless tells whether trying again within the same call is useless: the
// server refused, the name is missing, or the caller lost patience.
func hopeless(ctx context.Context, err error) bool {
	return refused(err) || ctx.Err() != nil || errors.Is(err, fs.ErrNotExist)
}

// Unsupported tells whether err says that a share cannot do an operation at
// all, in any of the ways file systems say so (H19, H67).
func Unsupported(err error) bool {
	for _, e := range []error{
		errors.ErrUnsupported,
		syscall.EOPNOTSUPP, syscall.ENOTSUP, syscall.ENOSYS, syscall.EPERM,
		syscall.EMLINK, syscall.EXDEV, syscall.EINVAL,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
