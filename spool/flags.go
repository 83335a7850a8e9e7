package spool

import (
	"fmt"
	"slices"
	"strings"
)

// Flags are the flags a Maildir file name carries, one bit each.
type Flags uint8

// The flags and the letters they have in file names (formats: Maildir).
const (
	Draft    Flags = 1 << iota // D, IMAP's \Draft
	Flagged                    // F, \Flagged
	Passed                     // P, the keyword $Forwarded
	Answered                   // R, \Answered
	Seen                       // S, \Seen
	Deleted                    // T, \Deleted
)

type flagInfo struct {
	flag   Flags
	letter byte
	word   string
}

// flagTable is in the order of the letters, which is the order in names.
var flagTable = []flagInfo{
	{Draft, 'D', "draft"},
	{Flagged, 'F', "flagged"},
	{Passed, 'P', "passed"},
	{Answered, 'R', "answered"},
	{Seen, 'S', "seen"},
	{Deleted, 'T', "deleted"},
}

// Letters writes the flags as in a file name.
func (f Flags) Letters() string { return letterTable[f&63] }

// letterTable has the letters of all values.
var letterTable = func() (table [64]string) {
	for f := range table {
		for _, t := range flagTable {
			if Flags(f)&t.flag != 0 {
				table[f] += string(t.letter)
			}
		}
	}
	return table
}()

// flagByLetter has 0 for what is no flag's letter.
var flagByLetter = func() (table [256]Flags) {
	for _, t := range flagTable {
		table[t.letter] = t.flag
	}
	return table
}()

// Words lists the flags by name: "seen", "flagged" and so on.
func (f Flags) Words() []string {
	w := []string{}
	for _, t := range flagTable {
		if f&t.flag != 0 {
			w = append(w, t.word)
		}
	}
	return w
}

// flagsOf reads letters; rest are the ones that are none of ours.
func flagsOf(letters string) (f Flags, rest string) {
	for i := 0; i < len(letters); i++ {
		flag := flagByLetter[letters[i]]
		if f |= flag; flag == 0 {
			rest += letters[i : i+1]
		}
	}
	return f, rest
}

// FlagChange says what to add and what to remove.
type FlagChange struct {
	Add, Remove                 Flags
	AddKeywords, RemoveKeywords []string
}

// ParseFlagChange reads a list such as "+seen,-flagged,+kw:work". Flags are
// draft, flagged, passed, answered, seen and deleted; a keyword follows "kw:".
func ParseFlagChange(s string) (FlagChange, error) {
	var c FlagChange
	for part := range strings.SplitSeq(s, ",") {
		if len(part) < 2 || part[0] != '+' && part[0] != '-' {
			return c, fmt.Errorf("flag change %q: write +FLAG or -FLAG, as in +seen,-flagged,+kw:work", part)
		}
		add, word := part[0] == '+', part[1:]
		if kw, ok := strings.CutPrefix(word, "kw:"); ok {
			if err := checkKeyword(kw); err != nil {
				return c, err
			}
			if add {
				c.AddKeywords = append(c.AddKeywords, kw)
			} else {
				c.RemoveKeywords = append(c.RemoveKeywords, kw)
			}
			continue
		}
		i := slices.IndexFunc(flagTable, func(t flagInfo) bool { return t.word == strings.ToLower(word) })
		if i < 0 {
			return c, fmt.Errorf("flag %q: use draft, flagged, passed, answered, seen, deleted or kw:NAME", word)
		}
		if add {
			c.Add |= flagTable[i].flag
		} else {
			c.Remove |= flagTable[i].flag
		}
	}
	if c.Add&c.Remove != 0 || overlap(c.AddKeywords, c.RemoveKeywords) {
		return c, fmt.Errorf("flag change %q adds and removes the same flag", s)
	}
	return c, nil
}

func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}

// checkKeyword accepts an atom of RFC 3501 of at most 100 bytes.
func checkKeyword(kw string) error {
	bad := strings.IndexFunc(kw, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`(){%*"\]`, r)
	})
	if kw == "" || len(kw) > 100 || bad >= 0 {
		return fmt.Errorf("keyword %q: %w: it is 1 to 100 ASCII characters without spaces and ( ) { %% * \" \\ ]", kw, ErrBadName)
	}
	return nil
}

// apply returns the flags and keywords after c.
func (c FlagChange) apply(f Flags, kws []string) (Flags, []string) {
	f = f&^c.Remove | c.Add
	if len(c.AddKeywords)+len(c.RemoveKeywords) == 0 {
		return f, kws
	}
	out := slices.DeleteFunc(slices.Clone(kws), func(k string) bool { return slices.Contains(c.RemoveKeywords, k) })
	out = append(out, c.AddKeywords...)
	slices.Sort(out)
	return f, slices.Compact(out)
}
