package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/urfave/cli/v2"
)

// deliverApart delivers to each user by a process of his own: root becomes one
// user only. So it is all or none for each user, and not for all of them.
func (a *app) deliverApart(c *cli.Context, r *deliveryReport) error {
	r.log = nil // each has his own
	message, err := a.holdMessage(c)
	if err != nil {
		return err
	}
	defer message.Close()
	failed := 0
	for _, user := range c.Args().Slice() {
		if err := a.deliverChild(c, user, message); err != nil {
			failed++
		}
	}
	if failed > 0 {
		return exitWith(exitTempFail, fmt.Errorf("%d of %d users did not get the message", failed, c.NArg()))
	}
	return nil
}

// holdMessage keeps the message on standard input in a file without a name, from
// which it can be read several times.
func (a *app) holdMessage(c *cli.Context) (*os.File, error) {
	f, err := unnamedFile()
	if err != nil {
		return nil, err
	}
	if _, err = io.Copy(f, a.env.Stdin); err != nil {
		err = fmt.Errorf("read the message: %w", err)
	}
	// Whoever is told to end may have been given half a message.
	if cerr := c.Context.Err(); err == nil && cerr != nil {
		err = fmt.Errorf("deliver: %w", cerr)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (a *app) deliverChild(c *cli.Context, user string, message *os.File) error {
	if _, err := message.Seek(0, io.SeekStart); err != nil {
		return err
	}
	words := append([]string{"deliver", "--one-of-several"}, childFlags(c, "folder", "sender", "queue-id")...)
	child, err := a.env.Self(c.Context, append(words, "--", user)...)
	if err != nil {
		return err
	}
	child.Stdin, child.Stdout, child.Stderr = message, a.out, a.env.Stderr
	// The orderly end that a signal asks of us is the child's too.
	child.Cancel = func() error { return child.Process.Signal(os.Interrupt) }
	if err := child.Run(); err != nil {
		return errors.Join(fmt.Errorf("user %s: %w", user, err), c.Context.Err())
	}
	return nil
}

// childFlags gives a process for one user the settings of its parent, and
// further flags that were given.
func childFlags(c *cli.Context, names ...string) (words []string) {
	names = append(names, "config", "location")
	for _, f := range deliveryFlags() {
		names = append(names, flagNames(f)[0])
	}
	for _, name := range names {
		if c.IsSet(name) {
			words = append(words, dashed(name)+"="+c.String(name))
		}
	}
	return words
}
