package main

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/bobbinmail/bobbin/delivery"
	"github.com/bobbinmail/bobbin/delivery/forward"
	"github.com/bobbinmail/bobbin/spool"
)

func (a *app) deliverCommand() *cli.Command {
	return a.with(notes{
		MTA:   true,
		Exits: []int{exitNoUser, exitUnavailable},
		Examples: []example{
			{"Deliver a message by hand.", "bobbin deliver --spool /mnt/mail/spool alice < message"},
			{"In Postfix's master.cf, as one line with the pipe(8) daemon; main.cf needs bobbin_destination_recipient_limit = 1.",
				"bobbin unix - n n - - pipe user=vmail null_sender= argv=/usr/bin/bobbin deliver --spool /mnt/mail/spool -f ${sender} --queue-id ${queue_id} -- ${user}"},
		},
		Files:   []entry{{"~/.forward", "where a user's mail goes, with --forward=on"}},
		SeeAlso: []string{"bobbin-user(1)", "bobbin-config(1)", "pipe(8)"},
	}, &cli.Command{
		Name:      "deliver",
		Usage:     "deliver a message from standard input",
		ArgsUsage: "USER...",
		Description: "Reads a message and delivers it to all USERs or to none. Return-Path and Delivered-To are added on top; " +
			"a line 'From SENDER DATE' before the header is taken as the envelope. A message whose lines all end in CRLF is " +
			"stored with LF; any other is stored as it is. " +
			"A USER may be an address: USER+FOLDER goes to that folder if there is one; bobbin-config(1) has the rules under detail-separator, local-domains, catch-all and address-case. " +
			"What goes wrong is told on one line that begins with an enhanced status code, such as 5.1.1 for a user who is unknown. " +
			"An MTA should name one USER at a time: one exit code goes for all, so with several users a permanent error such as an unknown " +
			"user is reported as temporary. If a delivery to several users breaks off in the middle, a retry with the same --queue-id doubles nothing, on whatever host it runs. " +
			"With --forward=on and users of the system, mail goes where the user's ~/.forward says: to addresses, \\user, |command, /file (appended as mbox), /directory/ (a Maildir) and " +
			":include:/file, between commas or on lines, as sendmail reads it. A .forward must be a file of the user's or root's, in directories that are, and nobody else may write them; else it is passed over. " +
			"Commands run as the user, in his home, with a new environment, for ten minutes at most; exit code 75 or a missing program means to try again, any other than 0 gives the mail back. " +
			"If a part of it is to be tried again, a retry with the same --queue-id does not repeat the others. " +
			"With --location, root becomes the owner of each USER's mail in a process of its own before it looks at the mail; then some USERs may have the message and others not.",
		Flags: append([]cli.Flag{
			spoolFlag(),
			folderFlag(),
			&cli.StringFlag{Name: "sender", Aliases: []string{"f"}, Usage: "the return path is `SENDER`", DefaultText: "what a From line says, else empty"},
			&cli.StringFlag{Name: "queue-id", Usage: "the mail system's `ID` of the message"},
			&cli.BoolFlag{Name: "one-of-several", Usage: "other calls deliver the message to other users", Hidden: true},
			&cli.BoolFlag{Name: "tell", Usage: "print what was delivered where", Hidden: true},
		}, deliveryFlags()...),
		Action: a.deliver,
	})
}

func (a *app) deliver(c *cli.Context) error {
	if err := wantArgs(c, 1, -1); err != nil {
		return err
	}
	rules, err := a.rules(c)
	if err != nil {
		return err
	}
	once, ids, err := duplicates(c)
	if err != nil {
		return err
	}
	quota, err := a.quota(c)
	if err != nil {
		return err
	}
	folder := ""
	if c.IsSet("folder") {
		folder = cmp.Or(c.String("folder"), spool.Inbox)
	}
	e := delivery.Envelope{
		Sender:        strings.Trim(c.String("sender"), "<>"),
		SenderUnknown: !c.IsSet("sender"),
		Users:         c.Args().Slice(),
		Rules:         rules,
		Folder:        folder,
		QueueID:       c.String("queue-id"),
		Once:          once,
		MessageIDs:    ids,
		Forwarded:     a.env.Getenv(forward.Running),
		OneOfSeveral:  c.Bool("one-of-several"),
		Quota:         quota,
	}
	r, err := a.deliveryReport(c, &e)
	if err != nil {
		return err
	}
	return r.end(a.deliverAs(c, e, r))
}

// deliverAs finds out who is to deliver a message, and lets him.
func (a *app) deliverAs(c *cli.Context, e delivery.Envelope, r *deliveryReport) (err error) {
	deliver := func(to delivery.Mailboxes) error { return delivery.Deliver(c.Context, to, e, a.env.Stdin) }
	switch location := a.location(c); {
	case location == "":
		s, serr := a.openSpool(c)
		if serr != nil {
			return serr
		}
		a.warnBy(c, e.Quota, s)
		err = deliver(s)
	case a.env.Root && c.NArg() > 1:
		return a.deliverApart(c, r)
	default:
		roots := newMailRoots(a, location)
		a.warnBy(c, e.Quota, roots)
		f, ferr := a.forwarding(c)
		switch {
		case ferr != nil:
			return ferr
		case f != nil && c.NArg() > 1:
			return a.deliverApart(c, r) // each has a .forward of his own
		case f != nil:
			err = f.deliver(c.Context, roots, e)
		default:
			err = deliver(roots)
		}
	}
	_, badUser := spool.CleanUser(c.Args().First())
	if err != nil && (c.NArg() > 1 || errors.Is(err, spool.ErrBadName) && badUser == nil) {
		// One exit code goes for all: nobody's mail is given back because
		// another user is unknown, nor because the command line has a folder or
		// a sender that cannot be.
		return exitWith(exitTempFail, err)
	}
	return err
}

// rules are the settings about addresses.
func (a *app) rules(c *cli.Context) (delivery.Rules, error) {
	location := a.location(c)
	r := delivery.Rules{
		Separators: cmp.Or(c.String("detail-separator"), "+"),
		Domains:    strings.Fields(c.String("local-domains")),
		CatchAll:   c.String("catch-all"),
		Unlisted:   location != "" && !strings.HasPrefix(location, homeTemplate),
	}
	if r.Separators == "none" {
		r.Separators = ""
	}
	if strings.ContainsAny(r.Separators, "@") {
		return r, fmt.Errorf("%w: detail-separator %q: an @ comes before the domain", errConfig, r.Separators)
	}
	switch rule := cmp.Or(c.String("address-case"), "fold"); rule {
	case "fold":
	case "exact":
		r.Exact = true
	default:
		return r, fmt.Errorf("%w: address-case %q: it is fold or exact", errConfig, rule)
	}
	return r, nil
}

// maxDuplicateIDs is how long traces of deliveries are kept.
const maxDuplicateIDs = 7 * 24 * time.Hour

// duplicates are the settings about mail that comes twice.
func duplicates(c *cli.Context) (once bool, ids time.Duration, err error) {
	switch rule := cmp.Or(c.String("duplicates"), "keep"); rule {
	case "keep":
	case "drop":
		once = true
	default:
		return false, 0, fmt.Errorf("%w: duplicates %q: it is keep or drop", errConfig, rule)
	}
	if text := c.String("duplicate-ids"); text != "" {
		ids, err = time.ParseDuration(text)
		if err != nil || ids <= 0 || ids > maxDuplicateIDs {
			return false, 0, fmt.Errorf("%w: duplicate-ids %q: it is a time such as 10m, up to 168h", errConfig, text)
		}
	}
	return once, ids, nil
}
