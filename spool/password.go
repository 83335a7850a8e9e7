package spool

import (
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"io"
	"strings"

	"golang.org/x/crypto/argon2"

	"github.com/bobbinmail/bobbin/spool/commitlog"
)

// Password hashes are argon2id with OWASP's first choice of parameters:
// 19 MiB, two passes, one lane.
const (
	argonTime   = 2
	argonMemory = 19 << 10
	argonKey    = 32
	saltLen     = 16
)

// passwordHash is an argon2id hash with its parameters.
type passwordHash struct {
	memory, passes uint32 // memory in KiB
	lanes          uint8
	salt, key      []byte
}

// String writes the hash in PHC form.
func (p passwordHash) String() string {
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s",
		argon2.Version, p.memory, p.passes, p.lanes, b64(p.salt), b64(p.key))
}

// The most that a hash may ask of whoever checks a password; minKey is the
// least that RFC 9106, section 3.1, allows.
const (
	maxMemory = 1 << 20 // KiB
	maxPasses = 64
	minKey    = 4  // bytes
	maxKey    = 64 // of the salt too
)

// parseHash is the inverse of String: what that does not write is an error.
func parseHash(text string) (p passwordHash, err error) {
	bad := fmt.Errorf("password hash: %w", commitlog.ErrCorrupt)
	f := strings.Split(text, "$")
	if len(f) != 6 {
		return p, bad
	}
	if _, err := fmt.Sscanf(f[3], "m=%d,t=%d,p=%d", &p.memory, &p.passes, &p.lanes); err != nil {
		return p, bad
	}
	if p.salt, err = base64.RawStdEncoding.DecodeString(f[4]); err != nil {
		return p, bad
	}
	if p.key, err = base64.RawStdEncoding.DecodeString(f[5]); err != nil {
		return p, bad
	}
	if p.memory > maxMemory || p.passes == 0 || p.passes > maxPasses || p.lanes == 0 ||
		len(p.salt) > maxKey || len(p.key) < minKey || len(p.key) > maxKey || p.String() != text {
		return p, bad
	}
	return p, nil
}

func (s *Spool) hash(password []byte) (string, error) {
	salt := make([]byte, saltLen)
	if _, err := io.ReadFull(s.Host.Rand, salt); err != nil {
		return "", fmt.Errorf("salt: %w", err)
	}
	p := passwordHash{memory: argonMemory, passes: argonTime, lanes: 1, salt: salt}
	p.key = p.derive(password, argonKey)
	return p.String(), nil
}

func (p passwordHash) derive(password []byte, size int) []byte {
	return argon2.IDKey(password, p.salt, p.passes, p.memory, p.lanes, uint32(size))
}

// Password is what a spool knows of a password: its hash. Two that are equal
// are of one user, and set at one time.
type Password string

// Matches tells whether it is that password. It takes 19 MiB of memory and some
// 20 ms of processor time, and as long when there is none, so that nobody
// learns from it who exists. The error wraps [commitlog.ErrCorrupt].
func (p Password) Matches(password []byte) (bool, error) {
	if p == "" {
		none := passwordHash{memory: argonMemory, passes: argonTime, lanes: 1, salt: make([]byte, saltLen)}
		none.derive(password, argonKey)
		return false, nil
	}
	h, err := parseHash(string(p))
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(h.derive(password, len(h.key)), h.key) == 1, nil
}
