package sasl

import (
	"bytes"
	"context"
	"fmt"
)

// plain is RFC 4616.
func plain(ctx context.Context, x *exchange) (string, error) {
	text, err := x.first("")
	if err != nil {
		return "", err
	}
	part := bytes.Split(text, []byte{0})
	if len(part) != 3 {
		return "", fmt.Errorf("%s: %w", Plain, ErrSyntax)
	}
	user, err := x.Accounts.Password(ctx, string(part[1]), part[2])
	if err != nil {
		return "", err
	}
	return x.authorize(ctx, user, string(part[0]))
}

// login is what draft-murchison-sasl-login-00 wrote down.
func login(ctx context.Context, x *exchange) (string, error) {
	name, err := x.first("Username:")
	if err != nil {
		return "", err
	}
	password, err := x.ask([]byte("Password:"))
	if err != nil {
		return "", err
	}
	return x.Accounts.Password(ctx, string(name), password)
}
