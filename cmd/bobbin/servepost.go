package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/bobbinmail/bobbin/delivery"
	"github.com/bobbinmail/bobbin/delivery/outgoing"
	"github.com/bobbinmail/bobbin/readers/pop"
	"github.com/bobbinmail/bobbin/spool/message"
)

// letter is a message that a user sends to those whom its header names.
type letter struct {
	way    *outgoing.Way
	sender string
	file   *os.File
	cr     bool // a CR waits for what follows
}

// post begins a letter. A user who is no address is one of this host.
func post(way *outgoing.Way, host, user string) (pop.Letter, error) {
	if !strings.Contains(user, "@") {
		user += "@" + host
	}
	f, err := unnamedFile()
	if err != nil {
		return nil, err
	}
	return &letter{way: way, sender: user, file: f}, nil
}

// Write keeps the text with lines that end in LF.
func (l *letter) Write(p []byte) (int, error) {
	out := make([]byte, 0, len(p)+1)
	for _, b := range p {
		if l.cr && b != '\n' {
			out = append(out, '\r')
		}
		if l.cr = b == '\r'; !l.cr {
			out = append(out, b)
		}
	}
	if _, err := l.file.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close forgets it.
func (l *letter) Close() error { return l.file.Close() }

// Send sends it without its Bcc fields.
func (l *letter) Send(ctx context.Context) error {
	if _, err := l.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	var scan message.Scanner
	if _, err := io.Copy(&scan, bufio.NewReader(l.file)); err != nil {
		return err
	}
	root := scan.Finish().Root()
	header, err := root.ReadHeader(l.file)
	if err != nil {
		return err
	}
	to, shown := recipients(header)
	err = l.way.Send(ctx, outgoing.Mail{From: l.sender, To: to, Body: io.MultiReader(bytes.NewReader(shown), root.Raw(l.file))})
	if errors.Is(err, delivery.ErrRefused) || errors.Is(err, delivery.ErrNoRecipient) {
		return fmt.Errorf("%w: %w", pop.ErrRefused, err)
	}
	return err
}

// recipients are those whom a header names, or names for its last resending (RFC
// 5322 §3.6.6), each once. shown is the header without the hidden ones.
func recipients(header message.Header) (to []string, shown []byte) {
	prefix := ""
	for _, name := range []string{"Resent-To", "Resent-Cc", "Resent-Bcc"} {
		if header.Has(name) {
			prefix = "Resent-"
		}
	}
	had := map[string]bool{}
	for _, name := range []string{"To", "Cc", "Bcc"} {
		for _, a := range header.Addresses(prefix + name) {
			if addr := a.Addr(); addr != "" && !had[addr] {
				had[addr] = true
				to = append(to, addr)
			}
		}
	}
	end := 0
	for f := range header.Fields() {
		end = f.End
		switch strings.ToLower(header.Name(f)) {
		case "bcc", "resent-bcc":
		default:
			shown = append(shown, header[f.Start:f.End]...)
		}
	}
	return to, append(shown, header[end:]...)
}
