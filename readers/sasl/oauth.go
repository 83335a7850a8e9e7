package sasl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/bobbinmail/bobbin/readers"
)

// oauth is what a client says with OAUTHBEARER or XOAUTH2.
type oauth struct{ as, token string }

// oauthRefusal is the challenge by which a client learns that its token is no
// good, before it is told that the login failed (RFC 7628 §3.2.2).
func oauthRefusal(status string) []byte {
	b, _ := json.Marshal(map[string]string{"schemes": "bearer", "status": status}) // strings can be written
	return b
}

// oauthBearer is RFC 7628.
func oauthBearer(ctx context.Context, x *exchange) (string, error) {
	return x.bearer(ctx, parseOAuthBearer, "invalid_token")
}

// xoauth2 is what Google and Microsoft had before.
func xoauth2(ctx context.Context, x *exchange) (string, error) {
	return x.bearer(ctx, parseXOAuth2, "401")
}

func (x *exchange) bearer(ctx context.Context, parse func(string) (oauth, bool), status string) (string, error) {
	said, err := x.first("")
	if err != nil {
		return "", err
	}
	o, ok := parse(string(said))
	if !ok {
		return "", fmt.Errorf("OAuth: %w", ErrSyntax)
	}
	user, err := x.Tokens.Token(ctx, o.token)
	if err == nil {
		user, err = x.Users.User(ctx, user)
	}
	if err == nil {
		user, err = x.authorize(ctx, user, o.as)
	}
	if errors.Is(err, readers.ErrDenied) {
		if _, gone := x.ask(oauthRefusal(status)); gone != nil {
			return "", errors.Join(err, gone)
		}
	}
	return user, err
}

// kvsep ends the parts of both.
const kvsep = "\x01"

func parseOAuthBearer(text string) (o oauth, ok bool) {
	header, pairs, ok := strings.Cut(text, kvsep)
	f := strings.Split(header, ",")
	if !ok || len(f) != 3 || f[0] != "n" && f[0] != "y" || f[2] != "" {
		return o, false
	}
	if f[1] != "" {
		as, named := strings.CutPrefix(f[1], "a=")
		if !named || as == "" {
			return o, false
		}
		o.as = strings.NewReplacer("=2C", ",", "=3D", "=").Replace(as)
	}
	o.token, ok = bearerToken(pairs)
	return o, ok
}

func parseXOAuth2(text string) (o oauth, ok bool) {
	name, pairs, _ := strings.Cut(text, kvsep)
	if o.as, ok = strings.CutPrefix(name, "user="); !ok || o.as == "" {
		return o, false
	}
	o.token, ok = bearerToken(pairs)
	return o, ok
}

// bearerToken is the token among key=value pairs, each of which ends in kvsep,
// as does all.
func bearerToken(pairs string) (token string, ok bool) {
	pairs, ok = strings.CutSuffix(pairs, kvsep+kvsep)
	if !ok {
		return "", false
	}
	for pair := range strings.SplitSeq(pairs, kvsep) {
		key, value, ok := strings.Cut(pair, "=")
		if !ok {
			return "", false
		}
		if key != "auth" {
			continue
		}
		scheme, t, _ := strings.Cut(value, " ")
		if !strings.EqualFold(scheme, "Bearer") || t == "" || token != "" {
			return "", false
		}
		token = t
	}
	return token, token != ""
}

func hasTokens(_ context.Context, s *Server, _ Channel) bool {
	return s.Tokens != nil && s.Users != nil
}
