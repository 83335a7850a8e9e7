package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/bobbinmail/bobbin/readers"
	"github.com/bobbinmail/bobbin/spool"
)

// What a command may take that a login waits for.
const (
	loginCommandTime    = 30 * time.Second
	loginCommandOutput  = 64 << 10 // bytes
	loginCommandsAtOnce = 16
)

// tokenCommand asks a command whom a token of OAuth is for. It is
// [sasl.Tokens].
type tokenCommand struct {
	words []string
	turn  chan struct{}
}

func newTokenCommand(text string) (*tokenCommand, error) {
	words := strings.Fields(text)
	if len(words) == 0 {
		return nil, fmt.Errorf("%w: token-command: a command is missing", errConfig)
	}
	return &tokenCommand{words, make(chan struct{}, loginCommandsAtOnce)}, nil
}

// Token gives the token to the command, and reads an answer as an introspection
// endpoint has it (RFC 7662 §2.2).
func (t *tokenCommand) Token(ctx context.Context, token string) (string, error) {
	done, err := wait(ctx, t.turn)
	if err != nil {
		return "", err
	}
	defer done()
	ctx, cancel := context.WithTimeout(ctx, loginCommandTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, t.words[0], t.words[1:]...)
	cmd.Stdin, cmd.Stderr, cmd.WaitDelay = strings.NewReader(token), os.Stderr, time.Second
	out := limitedBuffer{left: loginCommandOutput}
	cmd.Stdout = &out
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("token-command: %w", err)
	}
	return introspected(out.Bytes())
}

// introspected reads whom an active token is for.
func introspected(answer []byte) (string, error) {
	var a struct {
		Active        bool
		Username, Sub json.RawMessage
	}
	if err := json.Unmarshal(answer, &a); err != nil {
		return "", fmt.Errorf("token-command: %w", err)
	}
	if !a.Active {
		return "", fmt.Errorf("token: %w", readers.ErrDenied)
	}
	for _, text := range []json.RawMessage{a.Username, a.Sub} {
		var name string
		if json.Unmarshal(text, &name) == nil && name != "" {
			return name, nil
		}
	}
	return "", errors.New("token-command: the answer names no user")
}

// checkpassword asks a command of DJB's checkpassword interface. It is
// [readers.Authenticator].
type checkpassword struct {
	words []string
	turn  chan struct{}
}

func newCheckpassword(text string) *checkpassword {
	// What the command runs when the password is right tells whom it let in.
	words := append(strings.Fields(text), "/bin/sh", "-c", `printf %s "$USER"`)
	return &checkpassword{words, make(chan struct{}, loginCommandsAtOnce)}
}

// What the interface has: how long name and password may be together, and the
// exit code of a wrong password.
const (
	checkpasswordSize  = 512
	checkpasswordWrong = 1
)

// Password gives name and password to the command by its descriptor 3.
func (p *checkpassword) Password(ctx context.Context, name string, password []byte) (string, error) {
	said := fmt.Appendf(nil, "%s\x00%s\x00%d\x00", name, password, time.Now().Unix())
	if len(said) > checkpasswordSize || strings.Contains(name, "\x00") || bytes.IndexByte(password, 0) >= 0 {
		return "", fmt.Errorf("user %.64q: %w", name, readers.ErrDenied)
	}
	done, err := wait(ctx, p.turn)
	if err != nil {
		return "", err
	}
	defer done()
	ctx, cancel := context.WithTimeout(ctx, loginCommandTime)
	defer cancel()
	in, to, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer in.Close()
	_, err = to.Write(said) // a pipe has room for it
	if err = errors.Join(err, to.Close()); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, p.words[0], p.words[1:]...)
	cmd.ExtraFiles, cmd.Stderr, cmd.WaitDelay = []*os.File{in}, os.Stderr, time.Second
	cmd.Env = append(os.Environ(), "USER="+name, "PROTO=TCP")
	out := limitedBuffer{left: loginCommandOutput}
	cmd.Stdout = &out
	err = cmd.Run()
	if e, ok := errors.AsType[*exec.ExitError](err); ok && e.ExitCode() == checkpasswordWrong {
		return "", fmt.Errorf("user %.64q: %w", name, readers.ErrDenied)
	}
	if err != nil {
		return "", fmt.Errorf("checkpassword: %w", err)
	}
	return spool.CleanUser(out.String())
}

// limitedBuffer takes no more than it has room for.
type limitedBuffer struct {
	bytes.Buffer
	left int
}

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, errors.New("the output is too long")
	}
	return b.Buffer.Write(p)
}
