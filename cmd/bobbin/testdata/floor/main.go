// Command floor delivers standard input into the Maildir that it is given, with the
// least that makes it durable: BenchmarkDeliverProcess compares with it.
package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

func main() {
	if err := deliver(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func deliver(maildir string) error {
	message, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("%d.%d.floor", time.Now().UnixNano(), os.Getpid())
	temp := filepath.Join(maildir, "tmp", name)
	f, err := os.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.Write(message); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(temp, filepath.Join(maildir, "new", name)); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Join(maildir, "new"))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
