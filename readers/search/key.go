package search

import (
	"strings"
	"time"

	"github.com/bobbinmail/bobbin/spool"
	"github.com/bobbinmail/bobbin/spool/message"
	"github.com/bobbinmail/bobbin/spool/summary"
)

// Op says what a [Key] asks for.
type Op int

// The operations, each with the fields of Key that it uses.
const (
	All        Op = iota // everything
	And                  // Keys: all of them; everything if there is none
	Or                   // Keys: any of them
	Not                  // Keys: none of them
	UID                  // UIDs
	Flag                 // Flags: all of them are set
	Keyword              // Name
	From                 // Text in the field, as names and addresses
	To                   // likewise
	Cc                   // likewise
	Bcc                  // likewise
	Subject              // Text
	Header               // Text in a field called Name; "" for any value
	Body                 // Text in the text of the message
	Text                 // Text in its header or its text
	Since                // Day or later: when it was delivered
	Before               // before Day
	On                   // on Day
	SentSince            // Day or later: its Date field, without regard to time and zone
	SentBefore           // likewise
	SentOn               // likewise
	Larger               // Size: more bytes with CRLF line ends
	Smaller              // Size: fewer
)

// Key is one search key, or several put together. Texts are compared without
// regard to case, decoded, in any script.
type Key struct {
	Op    Op
	Keys  []Key
	UIDs  spool.UIDSet
	Flags spool.Flags
	Name  string
	Text  string
	Day   time.Time // 0:00 of the day in the zone that counts
	Size  int64
}

// answer is what is known of a key so far.
type answer int

const (
	unknown answer = iota
	no
	yes
)

func is(b bool) answer {
	if b {
		return yes
	}
	return no
}

// ifYes is for what tells only where a text is, not where it is not.
func ifYes(b bool) answer {
	if b {
		return yes
	}
	return unknown
}

// view is what is known of a message so far.
type view struct {
	msg  *spool.Message
	sum  *summary.Summary  // nil before it was asked for
	env  *summary.Envelope // likewise; nil also if there is none
	file *file             // nil before the message was opened
}

// ask evaluates a program with what is known.
func (k *Key) ask(v *view) answer {
	switch k.Op {
	case All:
		return yes
	case And:
		return k.all(v)
	case Or, Not:
		return k.any(v)
	case UID:
		return is(k.UIDs.Contains(v.msg.UID))
	case Flag:
		return is(v.msg.Flags&k.Flags == k.Flags)
	case Keyword:
		return is(hasKeyword(v.msg.Keywords, k.Name))
	case Since:
		return is(!v.msg.Date.Before(k.Day))
	case Before:
		return is(v.msg.Date.Before(k.Day))
	case On:
		return is(!v.msg.Date.Before(k.Day) && v.msg.Date.Before(k.Day.AddDate(0, 0, 1)))
	case SentSince, SentBefore, SentOn:
		return k.sent(v)
	case Larger, Smaller:
		return k.size(v)
	}
	return k.text(v)
}

func (k *Key) all(v *view) answer {
	result := yes
	for i := range k.Keys {
		switch k.Keys[i].ask(v) {
		case no:
			return no
		case unknown:
			result = unknown
		}
	}
	return result
}

// any is for Or and its negation.
func (k *Key) any(v *view) answer {
	found, missing := yes, no
	if k.Op == Not {
		found, missing = no, yes
	}
	result := missing
	for i := range k.Keys {
		switch k.Keys[i].ask(v) {
		case yes:
			return found
		case unknown:
			result = unknown
		}
	}
	return result
}

func hasKeyword(have []string, name string) bool {
	for _, k := range have {
		if strings.EqualFold(k, name) {
			return true
		}
	}
	return false
}

func (k *Key) sent(v *view) answer {
	if v.sum == nil {
		return unknown
	}
	t, err := time.Parse(time.RFC3339, v.sum.Sent)
	if err != nil {
		t = v.msg.Date.In(k.Day.Location()) // it has no Date field
	}
	day, want := t.Format(time.DateOnly), k.Day.Format(time.DateOnly)
	switch k.Op {
	case SentSince:
		return is(day >= want)
	case SentBefore:
		return is(day < want)
	}
	return is(day == want)
}

func (k *Key) size(v *view) answer {
	if v.sum == nil || v.sum.Wire < 0 {
		// A stored file is never longer than what goes over the wire, which
		// is at most twice as long.
		if stored := v.msg.Size; stored > k.Size || 2*stored < k.Size {
			return is(stored > k.Size == (k.Op == Larger))
		}
		return unknown
	}
	if k.Op == Larger {
		return is(v.sum.Wire > k.Size)
	}
	return is(v.sum.Wire < k.Size)
}

// text asks whether a message has a text somewhere.
func (k *Key) text(v *view) answer {
	if v.file != nil {
		return is(v.file.has(k))
	}
	if v.sum == nil {
		return unknown
	}
	switch k.Op {
	case From:
		return found(k, v.sum.From, v.sum.Marks&summary.CutFrom == 0)
	case Subject:
		return found(k, v.sum.Subject, v.sum.Marks&summary.CutSubject == 0)
	case To, Cc, Bcc:
		if v.env != nil {
			return is(contains(addressText(v.env, k.Op), k.Text))
		}
	case Text:
		return ifYes(contains(v.sum.Subject, k.Text) || contains(v.sum.From, k.Text))
	}
	return unknown
}

func found(k *Key, text string, whole bool) answer {
	if has := contains(text, k.Text); has || whole {
		return is(has)
	}
	return unknown
}

func addressText(e *summary.Envelope, op Op) string {
	list := map[Op][]message.Address{To: e.To, Cc: e.Cc, Bcc: e.Bcc}[op]
	var words []string
	for _, a := range list {
		words = append(words, a.String())
	}
	return strings.Join(words, ", ")
}
