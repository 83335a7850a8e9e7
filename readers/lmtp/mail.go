package lmtp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
)

// parameters takes apart "KEY=VALUE KEY …"; keys are given in capitals.
func parameters(s string, each func(key, value string) *Reply) *Reply {
	seen := map[string]bool{}
	for word := range strings.FieldsSeq(s) {
		key, value, _ := strings.Cut(word, "=")
		key = strings.ToUpper(key)
		if seen[key] {
			return replyf(501, "5.5.4", "%s is given twice", key)
		}
		seen[key] = true
		if r := each(key, value); r != nil {
			return r
		}
	}
	return nil
}

func badParameter(key string) *Reply { return replyf(501, "5.5.4", "bad value of %s", key) }

func (x *session) mailFrom(_ context.Context, args string) *Reply {
	rest, ok := cutPrefixFold(args, "FROM:")
	switch {
	case !x.greeted:
		return replyf(503, "5.5.1", "say LHLO first")
	case x.mail != nil:
		return replyf(503, "5.5.1", "a message is under way; RSET ends it")
	case !ok:
		return replyf(501, "5.5.4", "the command is MAIL FROM:<ADDRESS>")
	}
	sender, rest, err := parsePath(rest)
	if err != nil {
		return replyf(501, "5.1.7", "bad address of the sender")
	}
	x.count++
	ident := x.forwarded["IDENT"]
	m := &transaction{message: &Message{
		Sender: sender, QueueID: ident, ID: cmp.Or(ident, fmt.Sprintf("%s.%d", x.conn.ID, x.count)), limit: x.server.MaxSize, make: x.server.Scratch,
	}}
	if r := parameters(rest, m.parameter); r != nil {
		return r
	}
	if !m.utf8 && !ascii(sender) {
		return replyf(553, "5.6.7", "an address beyond ASCII needs SMTPUTF8")
	}
	if strings.ContainsAny(sender, "<>") {
		return replyf(553, "5.1.7", "a sender with < or > cannot be stored")
	}
	x.mail = m
	return replyf(250, "2.1.0", "OK")
}

// parameter is one of MAIL.
func (m *transaction) parameter(key, value string) *Reply {
	switch key {
	case "SIZE":
		n, err := strconv.ParseUint(value, 10, 63)
		switch {
		case errors.Is(err, strconv.ErrRange) || err == nil && int64(n) > m.message.limit:
			return tooLarge(m.message.limit)
		case err != nil:
			return badParameter(key)
		}
		m.size = int64(n)
	case "BODY":
		switch strings.ToUpper(value) {
		case "7BIT", "8BITMIME":
		case "BINARYMIME":
			m.binary = true
		default:
			return badParameter(key)
		}
	case "SMTPUTF8":
		m.utf8 = true
		if value != "" {
			return badParameter(key)
		}
	case "RET":
		if v := strings.ToUpper(value); v != "FULL" && v != "HDRS" {
			return badParameter(key)
		}
	case "ENVID":
		if _, ok := xtext(value); !ok || value == "" || len(value) > 100 {
			return badParameter(key)
		}
	default:
		return replyf(555, "5.5.4", "unknown parameter %s", key)
	}
	return nil
}

func tooLarge(limit int64) *Reply {
	return replyf(552, "5.3.4", "the message is larger than %d bytes", limit)
}

func (x *session) rcptTo(ctx context.Context, args string) *Reply {
	rest, ok := cutPrefixFold(args, "TO:")
	switch {
	case x.mail == nil || x.mail.chunks:
		return replyf(503, "5.5.1", "say MAIL first")
	case !ok:
		return replyf(501, "5.5.4", "the command is RCPT TO:<ADDRESS>")
	case len(x.mail.recipients) >= x.server.MaxRecipients:
		return replyf(452, "4.5.3", "too many recipients of one message")
	}
	path, rest, err := parsePath(rest)
	if err != nil {
		return replyf(501, "5.1.3", "bad address")
	}
	address, err := unquote(path)
	if err != nil {
		return replyf(501, "5.1.3", "bad address")
	}
	if r := parameters(rest, rcptParameter); r != nil {
		return r
	}
	if !x.mail.utf8 && !ascii(address) {
		return replyf(553, "5.6.7", "an address beyond ASCII needs SMTPUTF8")
	}
	to, err := x.server.backend.Recipient(ctx, address, x.mail.size)
	if err != nil {
		r, level := asReply(err), slog.LevelInfo
		if r.Code < 500 {
			level = slog.LevelError
		}
		x.server.Log.Log(ctx, level, "recipient refused", "address", address, "sender", x.mail.message.Sender, "client", x.client, "queue", x.mail.message.ID, "reply", r.Error(), "error", r.Cause)
		return r
	}
	x.mail.recipients = append(x.mail.recipients, to)
	return replyf(250, "2.1.5", "OK")
}

// rcptParameter is one of RCPT.
func rcptParameter(key, value string) *Reply {
	switch key {
	case "NOTIFY":
		list := strings.Split(strings.ToUpper(value), ",")
		for _, word := range list {
			never := word == "NEVER" && len(list) == 1
			if !never && word != "SUCCESS" && word != "FAILURE" && word != "DELAY" {
				return badParameter(key)
			}
		}
	case "ORCPT":
		kind, address, ok := strings.Cut(value, ";")
		if _, good := xtext(address); !ok || !good || kind == "" || address == "" || len(value) > 500 {
			return badParameter(key)
		}
	default:
		return replyf(555, "5.5.4", "unknown parameter %s", key)
	}
	return nil
}

// asReply is what the client is told of an error.
func asReply(err error) *Reply {
	if r, ok := errors.AsType[*Reply](err); ok {
		return r
	}
	return replyf(451, "4.3.0", "it did not work now, try again")
}

func cutPrefixFold(s, prefix string) (string, bool) {
	s = strings.TrimLeft(s, " ")
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}
