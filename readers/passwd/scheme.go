package passwd

import (
	"bytes"
	"crypto"
	_ "crypto/md5" // PLAIN-MD5
	"crypto/pbkdf2"
	"crypto/sha1"
	_ "crypto/sha256" // SHA256, SCRAM-SHA-256
	_ "crypto/sha512" // SHA512
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-crypt/crypt"

	"github.com/bobbinmail/bobbin/readers"
	"github.com/bobbinmail/bobbin/spool"
)

var (
	// ErrScheme means that a hash is of a kind that is not known here.
	ErrScheme = errors.New("unknown password scheme")
	// ErrHash means that a hash is none of its kind.
	ErrHash = errors.New("malformed password hash")
)

// Hash is a password as it stands in a file: {SCHEME} and what that makes of
// it, in the encodings of Dovecot. Without a scheme it is crypt(3)'s. An empty
// one, and those that begin with * or !, match nothing.
type Hash string

// maxRounds is how often a hash may want a password to be hashed.
const maxRounds = 1 << 24

// scheme splits the hash. The encoding is what a suffix such as .HEX names.
func (h Hash) scheme() (name, encoding, text string) {
	text = string(h)
	name = "CRYPT"
	if rest, ok := strings.CutPrefix(text, "{"); ok {
		name, text, _ = strings.Cut(rest, "}")
	}
	name, encoding, _ = strings.Cut(strings.ToUpper(name), ".")
	return name, encoding, text
}

// digests are the schemes that hash a password and a salt once, and whether
// they have one.
var digests = map[string]struct {
	hash   crypto.Hash
	salted bool
}{
	"PLAIN-MD5": {crypto.MD5, false}, "LDAP-MD5": {crypto.MD5, false}, "SMD5": {crypto.MD5, true},
	"SHA": {crypto.SHA1, false}, "SHA1": {crypto.SHA1, false}, "SSHA": {crypto.SHA1, true},
	"SHA256": {crypto.SHA256, false}, "SSHA256": {crypto.SHA256, true},
	"SHA512": {crypto.SHA512, false}, "SSHA512": {crypto.SHA512, true},
}

// crypts are the names of kinds of crypt(3), and of hashes that are written in
// the same way, with how they begin.
var crypts = map[string][]string{
	"CRYPT": nil, "MD5": {"$1$"}, "MD5-CRYPT": {"$1$"}, "BLF-CRYPT": {"$2"}, "SHA256-CRYPT": {"$5$"}, "SHA512-CRYPT": {"$6$"},
	"ARGON2I": {"$argon2i$"}, "ARGON2ID": {"$argon2id$"},
}

// decoder knows all of them.
var decoder = func() *crypt.Decoder {
	d, err := crypt.NewDecoderAll()
	if err != nil {
		panic(err) // the names of its kinds are its own
	}
	return d
}()

// Matches tells whether it is that password. The error wraps [ErrScheme] or
// [ErrHash].
func (h Hash) Matches(password []byte) (bool, error) {
	if h == "" || h[0] == '*' || h[0] == '!' {
		return false, nil
	}
	name, encoding, text := h.scheme()
	if prefixes, ok := crypts[name]; ok {
		return matchesCrypt(text, prefixes, password)
	}
	if plain, ok := h.plain(); ok {
		return subtle.ConstantTimeCompare(plain, password) == 1, nil
	}
	if d, ok := digests[name]; ok {
		sum, err := decode(text, encoding, name == "PLAIN-MD5")
		if err != nil || len(sum) < d.hash.Size() || (len(sum) > d.hash.Size()) != d.salted {
			return false, fmt.Errorf("{%s}: %w", name, ErrHash)
		}
		hash := d.hash.New()
		hash.Write(password)
		hash.Write(sum[d.hash.Size():])
		return subtle.ConstantTimeCompare(hash.Sum(nil), sum[:d.hash.Size()]) == 1, nil
	}
	switch name {
	case "PBKDF2":
		return matchesPBKDF2(text, password)
	case "SCRAM-SHA-1", "SCRAM-SHA-256":
		hash, want, err := parseSCRAM(name, text)
		if err != nil {
			return false, err
		}
		got, err := spool.DeriveSCRAM(hash, password, want.Salt, want.Iterations)
		return err == nil && subtle.ConstantTimeCompare(got.StoredKey, want.StoredKey) == 1, err
	}
	return false, fmt.Errorf("{%.40s}: %w", name, ErrScheme)
}

func matchesCrypt(text string, prefixes []string, password []byte) (bool, error) {
	for _, p := range prefixes {
		if !strings.HasPrefix(text, p) {
			return false, fmt.Errorf("%w: it should begin with %s", ErrHash, p)
		}
	}
	if !strings.HasPrefix(text, "$") || strings.HasPrefix(text, "$plaintext$") || strings.HasPrefix(text, "$base64$") {
		return false, fmt.Errorf("crypt: %w", ErrScheme)
	}
	digest, err := decoder.Decode(text)
	if err != nil {
		return false, fmt.Errorf("crypt: %w: %w", ErrHash, err)
	}
	return digest.MatchBytesAdvanced(password)
}

// decode reads base64, or hexadecimal digits where these are usual or named.
func decode(text, encoding string, usuallyHex bool) ([]byte, error) {
	if encoding == "HEX" || encoding == "" && usuallyHex {
		return hex.DecodeString(text)
	}
	if encoding != "" && encoding != "B64" && encoding != "BASE64" {
		return nil, ErrHash
	}
	return base64.StdEncoding.DecodeString(text)
}

// matchesPBKDF2 is Dovecot's: $1$SALT$ROUNDS$, and 20 bytes in hexadecimal.
func matchesPBKDF2(text string, password []byte) (bool, error) {
	f := strings.Split(text, "$")
	if len(f) != 5 || f[0] != "" || f[1] != "1" {
		return false, fmt.Errorf("PBKDF2: %w", ErrHash)
	}
	rounds, err := strconv.Atoi(f[3])
	want, err2 := hex.DecodeString(f[4])
	if err != nil || err2 != nil || rounds < 1 || rounds > maxRounds || len(want) != sha1.Size {
		return false, fmt.Errorf("PBKDF2: %w", ErrHash)
	}
	got, err := pbkdf2.Key(sha1.New, string(password), []byte(f[2]), rounds, sha1.Size)
	return err == nil && subtle.ConstantTimeCompare(got, want) == 1, err
}

// parseSCRAM reads ITERATIONS,SALT,STOREDKEY,SERVERKEY.
func parseSCRAM(name, text string) (hash crypto.Hash, k spool.SCRAMKeys, err error) {
	hash = crypto.SHA1
	if name == "SCRAM-SHA-256" {
		hash = crypto.SHA256
	}
	bad := fmt.Errorf("{%s}: %w", name, ErrHash)
	f := strings.Split(text, ",")
	if len(f) != 4 {
		return 0, k, bad
	}
	if k.Iterations, err = strconv.Atoi(f[0]); err != nil || k.Iterations < 1 || k.Iterations > maxRounds {
		return 0, k, bad
	}
	for i, part := range []*[]byte{&k.Salt, &k.StoredKey, &k.ServerKey} {
		if *part, err = base64.StdEncoding.DecodeString(f[1+i]); err != nil {
			return 0, k, bad
		}
	}
	if len(k.Salt) == 0 || len(k.StoredKey) != hash.Size() || len(k.ServerKey) != hash.Size() {
		return 0, k, bad
	}
	return hash, k, nil
}

// plain returns the password, where it is kept as it is.
func (h Hash) plain() ([]byte, bool) {
	switch name, encoding, text := h.scheme(); name {
	case "PLAIN", "CLEARTEXT", "CLEAR":
		if encoding == "" {
			return []byte(text), true
		}
		b, err := decode(text, encoding, false)
		return b, err == nil
	}
	return nil, false
}

// keys returns those for SCRAM, where the hash is some.
func (h Hash) keys() (hash crypto.Hash, k spool.SCRAMKeys, ok bool) {
	name, _, text := h.scheme()
	if name != "SCRAM-SHA-1" && name != "SCRAM-SHA-256" {
		return 0, k, false
	}
	hash, k, err := parseSCRAM(name, text)
	return hash, k, err == nil
}

// Keys returns what the hash knows of a user's password for mechanisms that
// send none.
func (h Hash) Keys(user string) readers.Keys {
	k := readers.Keys{User: user}
	if hash, keys, ok := h.keys(); ok {
		k.SCRAM = map[crypto.Hash]spool.SCRAMKeys{hash: keys}
	}
	if plain, ok := h.plain(); ok && len(plain) > 0 {
		k.Plain = bytes.Clone(plain)
	}
	return k
}
