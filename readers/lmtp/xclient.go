package lmtp

import (
	"context"
	"slices"
	"strings"
)

// The attributes of Postfix's XFORWARD and XCLIENT that are taken.
var (
	forwardable = []string{"NAME", "ADDR", "PORT", "PROTO", "HELO", "IDENT", "SOURCE"}
	clientable  = []string{"NAME", "ADDR", "PORT", "PROTO", "HELO", "LOGIN", "DESTADDR", "DESTPORT"}
)

// offered are the attributes that do something. Exim takes an answer to LHLO of no
// more than 255 bytes, all lines together.
var offered = []string{"XFORWARD IDENT", "XCLIENT NAME ADDR"}

// attributes reads NAME=VALUE…; a value that is not known is "".
func attributes(args string, known []string) (map[string]string, *Reply) {
	list := map[string]string{}
	for word := range strings.FieldsSeq(args) {
		name, value, ok := strings.Cut(word, "=")
		name = strings.ToUpper(name)
		text, good := xtext(value)
		if !ok || !good || !slices.Contains(known, name) || len(value) > 255 {
			return nil, replyf(501, "5.5.4", "bad attribute %s", name)
		}
		if u := strings.ToUpper(text); u == "[UNAVAILABLE]" || u == "[TEMPUNAVAIL]" {
			text = ""
		}
		list[name] = plain(text)
	}
	if len(list) == 0 {
		return nil, replyf(501, "5.5.4", "attributes are missing")
	}
	return list, nil
}

var distrusted = replyf(550, "5.7.0", "this peer is not trusted")

// xforward tells about the next message: IDENT is its queue id.
func (x *session) xforward(_ context.Context, args string) *Reply {
	switch {
	case !x.trusted:
		return distrusted
	case !x.greeted || x.mail != nil:
		return replyf(503, "5.5.1", "XFORWARD goes between LHLO and MAIL")
	}
	list, r := attributes(args, forwardable)
	if r != nil {
		return r
	}
	if x.forwarded == nil {
		x.forwarded = map[string]string{}
	}
	for name, value := range list {
		x.forwarded[name] = value
	}
	return replyf(250, "2.0.0", "OK")
}

// xclient makes the session that of another client, for the log, and begins
// it anew.
func (x *session) xclient(_ context.Context, args string) *Reply {
	switch {
	case !x.trusted:
		return distrusted
	case x.mail != nil:
		return replyf(503, "5.5.1", "a message is under way; RSET ends it")
	}
	list, r := attributes(args, clientable)
	if r != nil {
		return r
	}
	for _, name := range []string{"ADDR", "NAME"} {
		if v := list[name]; v != "" {
			x.client = v
			break
		}
	}
	x.greeted, x.forwarded = false, nil
	x.greet()
	return nil
}
