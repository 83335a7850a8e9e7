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
func (a *app) deliverApart(c *cli.Context) error {
	message, err := os.CreateTemp("", "bobbin-message-")
	if err != nil {
		return err
	}
	defer message.Close()
	if err := os.Remove(message.Name()); err != nil {
		return err
	}
	if _, err := io.Copy(message, a.env.Stdin); err != nil {
		return fmt.Errorf("read the message: %w", err)
	}
	// Whoever is told to end may have been given half a message.
	if err := c.Context.Err(); err != nil {
		return fmt.Errorf("deliver: %w", err)
	}
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

func (a *app) deliverChild(c *cli.Context, user string, message *os.File) error {
	if _, err := message.Seek(0, io.SeekStart); err != nil {
		return err
	}
	words := []string{"deliver", "--one-of-several"}
	names := []string{"config", "location", "folder", "sender", "queue-id"}
	for _, f := range deliveryFlags() {
		names = append(names, f.Names()[0])
	}
	for _, name := range names {
		if c.IsSet(name) {
			words = append(words, dashed(name)+"="+c.String(name))
		}
	}
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
