package spool

import (
	"crypto"
	"crypto/hmac"
	"crypto/pbkdf2"
	_ "crypto/sha1"   // of SCRAM
	_ "crypto/sha256" // likewise
	"fmt"
	"io"

	"github.com/xdg-go/stringprep"
)

// Credentials are what a spool knows of a user's password. They are not
// changed.
type Credentials struct {
	Password Password
	// SCRAM has the keys for [crypto.SHA1] and [crypto.SHA256]; none for a
	// password that was set at feature level 1.
	SCRAM map[crypto.Hash]SCRAMKeys
	// Plain is the password itself; "" when it is not kept.
	Plain string
}

// SCRAMKeys are what a server has to know for SCRAM (RFC 5802 §3). Who has
// them can pass himself off as the server, but not as the user.
type SCRAMKeys struct {
	Salt                 []byte
	Iterations           int
	StoredKey, ServerKey []byte
}

// SCRAMIterations is how often a client has to hash its password for new keys:
// some 50 ms of work. It is what whoever steals the accounts has to do for each
// guess.
const SCRAMIterations = 100_000

// scramHashes are the hashes of SCRAM in the order of the log.
var scramHashes = []crypto.Hash{crypto.SHA1, crypto.SHA256}

// PasswordOptions are choices of [Accounts.SetPassword].
type PasswordOptions struct {
	// Plain keeps the password itself, for mechanisms such as CRAM-MD5 that
	// need it. Whoever reads the accounts then knows it.
	Plain bool
}

// credentials are those of a new password.
func (s *Spool) credentials(password []byte) (c Credentials, err error) {
	hash, err := s.hash(password)
	if err != nil {
		return c, err
	}
	c.Password = Password(hash)
	if s.needs("keys for SCRAM", 2) != nil {
		return c, nil
	}
	c.SCRAM = map[crypto.Hash]SCRAMKeys{}
	for _, hash := range scramHashes {
		salt := make([]byte, saltLen)
		if _, err := io.ReadFull(s.Host.Rand, salt); err != nil {
			return c, fmt.Errorf("salt: %w", err)
		}
		if c.SCRAM[hash], err = DeriveSCRAM(hash, password, salt, SCRAMIterations); err != nil {
			return c, err
		}
	}
	return c, nil
}

// DeriveSCRAM makes the keys of a password (RFC 5802 §3). A password that
// SASLprep (RFC 4013) forbids is taken as it is.
func DeriveSCRAM(hash crypto.Hash, password, salt []byte, iterations int) (k SCRAMKeys, err error) {
	text, err := stringprep.SASLprep.Prepare(string(password))
	if err != nil {
		text = string(password)
	}
	salted, err := pbkdf2.Key(hash.New, text, salt, iterations, hash.Size())
	if err != nil {
		return k, fmt.Errorf("keys for SCRAM: %w", err)
	}
	mac := func(text string) []byte {
		h := hmac.New(hash.New, salted)
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	h := hash.New()
	h.Write(mac("Client Key"))
	return SCRAMKeys{Salt: salt, Iterations: iterations, StoredKey: h.Sum(nil), ServerKey: mac("Server Key")}, nil
}
