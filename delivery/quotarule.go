package delivery

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/bobbinmail/bobbin/spool"
)

// QuotaRule limits what all folders that match a pattern hold together, for each
// user that matches another. In both, * stands for any characters and ? for one.
type QuotaRule struct {
	User, Folders   string
	Bytes, Messages QuotaLimit
}

// QuotaLimit is a limit; 0 is none. Above Soft the user is warned, above Hard
// nothing is delivered.
type QuotaLimit struct{ Soft, Hard int64 }

func (l QuotaLimit) crossed(before, after int64) bool {
	return l.Soft > 0 && before <= l.Soft && after > l.Soft
}

// ParseQuota reads rules, one a line: "USER FOLDERS BYTES [MESSAGES]", the limits
// as HARD, SOFT/HARD or -, bytes with K, M, G or T for powers of 1024. Lines that
// are empty or begin with # mean nothing. The error names the line.
func ParseQuota(text string) (rules []QuotaRule, err error) {
	n := 0
	for line := range strings.Lines(text) {
		n++
		f := strings.Fields(line)
		if len(f) == 0 || f[0][0] == '#' {
			continue
		}
		if len(f) < 3 || len(f) > 4 {
			return nil, fmt.Errorf("line %d: a rule is USER FOLDERS BYTES [MESSAGES]; use ? for a space in a name", n)
		}
		r := QuotaRule{User: strings.ToLower(f[0]), Folders: f[1]}
		if strings.EqualFold(r.Folders, spool.Inbox) {
			r.Folders = spool.Inbox
		}
		if r.Bytes, err = parseLimit(f[2]); err == nil && len(f) == 4 {
			r.Messages, err = parseLimit(f[3])
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		rules = append(rules, r)
	}
	return rules, nil
}

func parseLimit(word string) (l QuotaLimit, err error) {
	if word == "-" {
		return l, nil
	}
	soft, hard, both := strings.Cut(word, "/")
	if !both {
		soft, hard = "-", word
	}
	if l.Soft, err = parseAmount(soft); err == nil {
		l.Hard, err = parseAmount(hard)
	}
	if err == nil && l.Hard > 0 && l.Soft > l.Hard {
		err = fmt.Errorf("limit %q: the soft limit comes first and is not above the hard one", word)
	}
	return l, err
}

func parseAmount(word string) (int64, error) {
	if word == "-" {
		return 0, nil
	}
	digits, shift := word, 0
	if i := strings.IndexAny(word, "KMGTkmgt"); i >= 0 && i == len(word)-1 {
		digits, shift = word[:i], 10*(1+strings.Index("KMGT", strings.ToUpper(word[i:])))
	}
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil || n == 0 || n > 1<<62>>shift {
		return 0, fmt.Errorf("limit %q: it is a number above 0 such as 2000, 500M or 2G, or -", word)
	}
	return int64(n) << shift, nil
}

func (r QuotaRule) covers(folder string) bool { return match(r.Folders, folder) }

// Sum adds up what the folders of a rule hold.
func (r QuotaRule) Sum(usage []spool.FolderUsage) (messages, bytes int64) {
	for _, f := range usage {
		if r.covers(f.Folder) {
			messages += f.Messages
			bytes += f.Bytes
		}
	}
	return messages, bytes
}

// match tells whether a name is what a pattern says. It takes no longer than the
// product of their lengths.
func match(pattern, name string) bool {
	p, n := []rune(pattern), []rune(name)
	star, from := -1, 0
	i, j := 0, 0
	for j < len(n) {
		switch {
		case i < len(p) && p[i] == '*':
			star, from = i, j
			i++
		case i < len(p) && (p[i] == '?' || p[i] == n[j]):
			i, j = i+1, j+1
		case star >= 0:
			from++
			i, j = star+1, from
		default:
			return false
		}
	}
	for i < len(p) && p[i] == '*' {
		i++
	}
	return i == len(p)
}
