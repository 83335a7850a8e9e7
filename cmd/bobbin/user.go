package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/bobbinmail/bobbin/spool"
)

// maxPassword is the longest password, in bytes.
const maxPassword = 1024

func passwordFlag() cli.Flag {
	return &cli.BoolFlag{Name: "password-stdin", Usage: "read the password from the first line of standard input"}
}

func (a *app) userCommand() *cli.Command {
	n := notes{Exits: []int{exitNoUser, exitCantCreate, exitDataErr}}
	sub := func(name, usage, args string, action cli.ActionFunc, flags ...cli.Flag) *cli.Command {
		return a.with(n, &cli.Command{
			Name: name, Usage: usage, ArgsUsage: args, Action: action,
			Flags: append([]cli.Flag{spoolFlag()}, flags...),
		})
	}
	c := &cli.Command{
		Name:  "user",
		Usage: "add, list and delete users",
		Description: "Virtual users live in the spool and own no account on the hosts. A user's name is 1 to 64 of " +
			"a-z 0-9 . _ + = @ -; capitals become small letters. Passwords are stored in SPOOL/accounts, which mail users must not be able to read, as argon2id hashes and as keys for SCRAM; " +
			"those that were set at feature level 1 have no keys until they are set again. Only with --plain, each time that it is set, the password itself is kept too.",
		Subcommands: []*cli.Command{
			sub("add", "add a user with an empty mailbox", "NAME", a.userAdd, passwordFlag()),
			sub("list", "list the users", "", a.userList, jsonFlag()),
			sub("delete", "delete a user; the mail goes to the spool's trash", "NAME", a.userDelete),
			sub("passwd", "set a user's password", "NAME", a.userPasswd, passwordFlag(),
				&cli.BoolFlag{Name: "plain", Usage: "keep the password itself too, for mechanisms that need it"}),
		},
	}
	n.Examples = []example{
		{"Add a user who only gets mail.", "bobbin user add alice"},
		{"Add one who may log in.", "pwgen 20 1 | bobbin user add bob --password-stdin"},
	}
	n.SeeAlso = []string{"bobbin-deliver(1)"}
	return a.with(n, c)
}

// accounts opens the list of users of a command with want arguments.
func (a *app) accounts(c *cli.Context, want int) (*spool.Accounts, error) {
	if err := wantArgs(c, want, want); err != nil {
		return nil, err
	}
	s, err := a.openSpool(c)
	if err != nil {
		return nil, err
	}
	return s.Accounts(c.Context)
}

func (a *app) userAdd(c *cli.Context) error {
	list, err := a.accounts(c, 1)
	if err != nil {
		return err
	}
	var password []byte
	if c.Bool("password-stdin") {
		if password, err = a.readPassword(); err != nil {
			return err
		}
	}
	return list.Add(c.Context, c.Args().First(), password)
}

func (a *app) userList(c *cli.Context) error {
	list, err := a.accounts(c, 0)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return writeJSON(a.out, list.Names())
	}
	for _, n := range list.Names() {
		if _, err := fmt.Fprintln(a.out, printable(n)); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) userDelete(c *cli.Context) error {
	list, err := a.accounts(c, 1)
	if err != nil {
		return err
	}
	trash, err := list.Delete(c.Context, c.Args().First())
	if err != nil || trash == "" {
		return err
	}
	_, err = fmt.Fprintf(a.out, "The mail is in %s below the spool.\n", trash)
	return err
}

func (a *app) userPasswd(c *cli.Context) error {
	list, err := a.accounts(c, 1)
	if err != nil {
		return err
	}
	var password []byte
	if c.Bool("password-stdin") {
		password, err = a.readPassword()
	} else {
		password, err = a.askPassword()
	}
	if err != nil {
		return err
	}
	return list.SetPassword(c.Context, c.Args().First(), password, spool.PasswordOptions{Plain: c.Bool("plain")})
}

// readPassword reads the first line of standard input.
func (a *app) readPassword() ([]byte, error) {
	line, err := bufio.NewReader(io.LimitReader(a.env.Stdin, maxPassword+2)).ReadBytes('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read the password: %w", err)
	}
	return goodPassword(bytes.TrimRight(line, "\r\n"))
}

func goodPassword(p []byte) ([]byte, error) {
	if len(p) == 0 || len(p) > maxPassword || bytes.IndexByte(p, 0) >= 0 {
		return nil, exitWith(exitDataErr, fmt.Errorf("a password has 1 to %d bytes and no NUL", maxPassword))
	}
	return p, nil
}

// askPassword asks for the password twice, without echo.
func (a *app) askPassword() ([]byte, error) {
	tty, ok := a.env.Stdin.(*os.File)
	if !ok || !term.IsTerminal(int(tty.Fd())) {
		return nil, usageErrorf("standard input is no terminal: use --password-stdin")
	}
	ask := func(prompt string) ([]byte, error) {
		fmt.Fprint(a.env.Stderr, prompt)
		p, err := term.ReadPassword(int(tty.Fd()))
		fmt.Fprintln(a.env.Stderr)
		return p, err
	}
	first, err := ask("New password: ")
	if err != nil {
		return nil, err
	}
	second, err := ask("Once more: ")
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(first, second) {
		return nil, exitWith(exitDataErr, errors.New("the two are not the same"))
	}
	return goodPassword(first)
}
