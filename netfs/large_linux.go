package netfs

import (
	"reflect"
	"unsafe"

	"golang.org/x/sys/unix"
)

// hugePage is the size of a large page on most machines.
const hugePage = 2 << 20

// Whole tells the kernel that all of a large slice will soon be written, so
// that it need not give the memory page by page: on a virtual machine the
// faults of a million messages cost more than reading them. It is advice and
// changes nothing else.
func Whole[T any](s []T) {
	v := reflect.ValueOf(s)
	from := v.Pointer()
	end := from + uintptr(cap(s))*v.Type().Elem().Size()
	from = (from + hugePage - 1) &^ (hugePage - 1)
	if end &^= hugePage - 1; from < end {
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, from, end-from, unix.MADV_HUGEPAGE)
	}
}

// Text is string(b) without the copy: b must not change afterwards.
func Text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
