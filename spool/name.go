package spool

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
)

// newBase makes the unique part of a message's name: seconds, 128 random bits,
// host. Clones of one machine and processes with one pid differ too (H114).
func newBase(h *netfs.Host) (string, error) {
	token, err := h.Token()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d.%s.%s", h.Wall().Unix(), token, h.Tag), nil
}

// ownToken is the length of the token in a name of our own, in characters.
const ownToken = 26

// DeliveredBy takes the base name of a message apart: the tag of the host that
// delivered it, and when. ok is false for those that other programs make.
func DeliveredBy(base string) (tag string, at time.Time, ok bool) {
	word := strings.Split(base, ".")
	if len(word) < 3 {
		return "", at, false
	}
	tag, _, _ = strings.Cut(word[2], ",")
	seconds, err := strconv.ParseInt(word[0], 10, 41)
	own := len(word) == 3 && len(word[1]) == ownToken && tag != "" && len(tag) <= 8 && strings.Trim(tag, "0123456789abcdefghijklmnopqrstuvwxyz") == ""
	return tag, time.Unix(seconds, 0), own && err == nil
}

// splitName takes a file name in new or cur apart. What stands last counts, so
// whatever base name gets flags is found again. ok is false for names that are
// none of a message's: dot files, and what no Maildir program makes.
func splitName(file string) (base, letters string, ok bool) {
	if file == "" || file[0] == '.' {
		return "", "", false
	}
	base = file
	for at := len(file); ; {
		// What stands in front of "2," decides; a comma is quickly found.
		if at = strings.LastIndexByte(file[:at], ','); at < 0 {
			break
		}
		if at > 2 && file[at-1] == '2' && (file[at-2] == ':' || file[at-2] == ';' || file[at-2] == '!') {
			base, letters = file[:at-2], file[at+1:]
			break
		}
	}
	return base, letters, len(base) <= 255
}

// timeInName reads the seconds that a Maildir name begins with.
func timeInName(base string) (time.Time, bool) {
	digits, _, ok := strings.Cut(base, ".")
	n, err := strconv.ParseInt(digits, 10, 64)
	if !ok || err != nil || n <= 0 || n >= 1<<40 {
		return time.Time{}, false
	}
	return time.Unix(n, 0), true
}

// devices are names that Windows keeps for itself, with any extension (H58).
var devices = []string{
	"con", "prn", "aux", "nul", "com1", "com2", "com3", "com4", "com5", "com6", "com7",
	"com8", "com9", "lpt1", "lpt2", "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9",
}

// CleanUser returns the name under which a user is stored: lower case. It
// refuses, with [ErrBadName], whatever could not be a directory's name on
// every share: a user is 1 to 64 of a-z 0-9 . _ + = @ -, the first of them a
// letter or digit.
func CleanUser(name string) (string, error) {
	bad := func(why string) (string, error) {
		return "", fmt.Errorf("user %q: %w: %s", name, ErrBadName, why)
	}
	user := asciiLower(name)
	if user == "" || len(user) > 64 {
		return bad("it has 1 to 64 characters")
	}
	for i, c := range []byte(user) {
		alnum := c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
		if !alnum && (i == 0 || !strings.ContainsRune("._+=@-", rune(c))) {
			return bad("use a-z 0-9 . _ + = @ - and begin with a letter or digit")
		}
	}
	if strings.Contains(user, "..") || strings.HasSuffix(user, ".") {
		return bad("no two dots in a row and none at the end")
	}
	stem, _, _ := strings.Cut(user, ".")
	if slices.Contains(devices, stem) {
		return bad("Windows keeps this name for a device")
	}
	return user, nil
}

func asciiLower(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}
