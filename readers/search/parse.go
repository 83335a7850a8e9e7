package search

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/bobbinmail/bobbin/spool"
)

// maxDepth is how deep criteria may be nested.
const maxDepth = 100

// Parse reads criteria: words such as from:joe, unseen or larger:10k, put
// together with and (which may be left out), or, not and parentheses; and binds
// more than or, not more than both. A word that is none of them is a text to
// be found anywhere. now tells which days words like "today" and "7d" mean,
// and its zone is the one that counts.
func Parse(words []string, now time.Time) (Key, error) {
	p := parser{words: words, now: now}
	k, err := p.or()
	if err == nil && len(p.words) > 0 {
		err = fmt.Errorf("criteria: %q has no match", p.words[0])
	}
	return k, err
}

type parser struct {
	words []string
	now   time.Time
	depth int
}

func (p *parser) sees(word string) bool {
	if len(p.words) > 0 && strings.EqualFold(p.words[0], word) {
		p.words = p.words[1:]
		return true
	}
	return false
}

func (p *parser) or() (Key, error) {
	k, err := p.and()
	for err == nil && p.sees("or") {
		if k.Op != Or {
			k = Key{Op: Or, Keys: []Key{k}}
		}
		var next Key
		if next, err = p.and(); err == nil {
			k.Keys = append(k.Keys, next)
		}
	}
	return k, err
}

func (p *parser) and() (Key, error) {
	k, err := p.not()
	for err == nil && len(p.words) > 0 && !strings.EqualFold(p.words[0], "or") && p.words[0] != ")" {
		p.sees("and")
		var next Key
		if next, err = p.not(); err == nil {
			k = Key{Op: And, Keys: []Key{k, next}}
			if first := k.Keys[0]; first.Op == And {
				k.Keys = append(first.Keys, next)
			}
		}
	}
	return k, err
}

func (p *parser) not() (Key, error) {
	if p.depth++; p.depth > maxDepth {
		return Key{}, errors.New("criteria: they are nested too deep")
	}
	defer func() { p.depth-- }()
	switch {
	case p.sees("not"):
		k, err := p.not()
		return Key{Op: Not, Keys: []Key{k}}, err
	case p.sees("("):
		k, err := p.or()
		if err == nil && !p.sees(")") {
			err = errors.New(`criteria: ")" is missing`)
		}
		return k, err
	case len(p.words) == 0:
		return Key{}, errors.New("criteria: something is missing at the end")
	}
	word := p.words[0]
	p.words = p.words[1:]
	return p.criterion(word)
}

// flagWords are criteria without a value; with a minus the flag must not be set.
var flagWords = map[string]struct {
	flag spool.Flags
	not  bool
}{
	"seen": {spool.Seen, false}, "unseen": {spool.Seen, true}, "read": {spool.Seen, false}, "unread": {spool.Seen, true},
	"flagged": {spool.Flagged, false}, "unflagged": {spool.Flagged, true},
	"answered": {spool.Answered, false}, "unanswered": {spool.Answered, true},
	"draft": {spool.Draft, false}, "undraft": {spool.Draft, true},
	"deleted": {spool.Deleted, false}, "undeleted": {spool.Deleted, true},
	"passed": {spool.Passed, false}, "unpassed": {spool.Passed, true},
}

var textOps = map[string]Op{
	"from": From, "to": To, "cc": Cc, "bcc": Bcc, "subject": Subject, "body": Body, "text": Text,
}

var dayOps = map[string]Op{
	"since": Since, "before": Before, "on": On, "sentsince": SentSince, "sentbefore": SentBefore, "senton": SentOn,
}

var sizeOps = map[string]Op{"larger": Larger, "smaller": Smaller}

func (p *parser) criterion(word string) (k Key, err error) {
	if f, ok := flagWords[strings.ToLower(word)]; ok {
		k = Key{Op: Flag, Flags: f.flag}
		if f.not {
			k = Key{Op: Not, Keys: []Key{k}}
		}
		return k, nil
	}
	name, value, valued := strings.Cut(word, ":")
	name = strings.ToLower(name)
	switch {
	case strings.EqualFold(word, "all"):
		return Key{Op: All}, nil
	case word == "" || word == ")" || strings.EqualFold(word, "and"):
		return k, fmt.Errorf("criteria: %q stands where a criterion should", word)
	case !valued:
		return Key{Op: Text, Text: word}, nil
	case textOps[name] != All:
		k = Key{Op: textOps[name], Text: value}
	case dayOps[name] != All:
		k.Op = dayOps[name]
		k.Day, err = p.day(value)
	case sizeOps[name] != All:
		k.Op = sizeOps[name]
		k.Size, err = parseSize(value)
	case name == "uid":
		k.Op = UID
		k.UIDs, err = spool.ParseUIDSet(value)
	case name == "keyword" || name == "kw":
		k = Key{Op: Keyword, Name: value}
	case name == "header":
		field, text, _ := strings.Cut(value, "=")
		k = Key{Op: Header, Name: field, Text: text}
		if field == "" {
			err = errors.New("write header:NAME or header:NAME=TEXT")
		}
	default:
		err = errors.New("it is not known; to look for it as a text, write text: before it")
	}
	if err == nil && value == "" {
		err = errors.New("it needs a value")
	}
	if err != nil {
		err = fmt.Errorf("criterion %q: %w", word, err)
	}
	return k, err
}

// day reads 2026-01-31, today, yesterday or 7d, which is seven days ago.
func (p *parser) day(s string) (time.Time, error) {
	y, m, d := p.now.Date()
	today := time.Date(y, m, d, 0, 0, 0, 0, p.now.Location())
	ago := -1
	switch {
	case strings.EqualFold(s, "today"):
		ago = 0
	case strings.EqualFold(s, "yesterday"):
		ago = 1
	case strings.HasSuffix(s, "d"):
		n, err := strconv.ParseUint(s[:len(s)-1], 10, 20)
		if err == nil {
			ago = int(n)
		}
	}
	if ago >= 0 {
		return today.AddDate(0, 0, -ago), nil
	}
	t, err := time.ParseInLocation(time.DateOnly, s, p.now.Location())
	if err != nil {
		return t, errors.New("write a day as in 2026-01-31, today, yesterday or 7d")
	}
	return t, nil
}

// parseSize reads a number of bytes, with k, M or G for 1,024 and its powers.
func parseSize(s string) (int64, error) {
	digits := strings.TrimRight(s, "kKmMgG")
	shift := 0
	if len(s) == len(digits)+1 {
		shift = 10 * (1 + strings.IndexByte("kmg", s[len(digits)]|0x20))
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || len(s) > len(digits)+1 || n > 1<<62>>shift {
		return 0, errors.New("write a size as in 5000, 20k or 3M")
	}
	return n << shift, nil
}
