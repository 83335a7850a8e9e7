package spool

import (
	"cmp"
	"crypto"
	"encoding/base64"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"github.com/bobbinmail/bobbin/spool/commitlog"
)

// The operations of the accounts' log. A password that is set at level 1 ends
// what stood beside the one before it.
const (
	opAccountsGenesis = "accounts" // accounts:1, the first record
	opAccount         = "account"  // account:NAME:HASH, or account:NAME:-
	opRemove          = "remove"   // remove:NAME
	opSCRAM           = "scram@2?" // scram@2?:NAME:SHA-256:ITERATIONS:SALT:STOREDKEY:SERVERKEY
	opPlain           = "plain@2?" // plain@2?:NAME:PASSWORD
)

// noHash stands in the log where no password is set.
const noHash = "-"

// accountChange is one decoded operation of the accounts' log.
type accountChange struct {
	word, user string
	text       string // the hash, or the password
	hash       crypto.Hash
	keys       SCRAMKeys
}

// ops are the operations that give a user these credentials.
func (c Credentials) ops(user string) []string {
	ops := []string{accountChange{word: opAccount, user: user, text: string(c.Password)}.String()}
	for _, hash := range scramHashes {
		if keys, ok := c.SCRAM[hash]; ok {
			ops = append(ops, accountChange{word: opSCRAM, user: user, hash: hash, keys: keys}.String())
		}
	}
	if c.Plain != "" {
		ops = append(ops, accountChange{word: opPlain, user: user, text: c.Plain}.String())
	}
	return ops
}

// change carries the operation out. What is said of somebody whom no account
// precedes means nothing.
func (op accountChange) change(users map[string]Credentials) {
	switch c, ok := users[op.user]; {
	case op.word == opAccount:
		users[op.user] = Credentials{Password: Password(op.text)}
	case op.word == opRemove:
		delete(users, op.user)
	case op.word == opSCRAM && ok:
		c.SCRAM = maps.Clone(c.SCRAM) // others may read it
		if c.SCRAM == nil {
			c.SCRAM = map[crypto.Hash]SCRAMKeys{}
		}
		c.SCRAM[op.hash] = op.keys
		users[op.user] = c
	case op.word == opPlain && ok:
		c.Plain = op.text
		users[op.user] = c
	}
}

// parseAccountOp is the inverse of String: what that does not write is an
// error.
func parseAccountOp(text string) (op accountChange, err error) {
	f := strings.Split(text, ":")
	op.word = f[0]
	want := map[string]int{opAccount: 3, opRemove: 2, opAccountsGenesis: 2, opSCRAM: 7, opPlain: 3}[op.word]
	if want == 0 {
		return op, unknownOp(op.word)
	}
	bad := fmt.Errorf("%w: operation %.80q", commitlog.ErrCorrupt, text)
	if len(f) != want {
		return op, bad
	}
	if op.word != opAccountsGenesis {
		op.user, err = CleanUser(f[1])
	}
	switch {
	case err != nil:
	case op.word == opAccount && f[2] != noHash, op.word == opPlain:
		op.text, err = commitlog.Decode(f[2])
	case op.word == opSCRAM:
		err = op.parseKeys(f[2:])
	}
	if err != nil || op.word == opPlain && op.text == "" || op.String() != text {
		return op, bad
	}
	return op, nil
}

// The least and the most that keys may have: the least of RFC 7677, section 4,
// and what does no harm.
const (
	minIterations = 4096
	maxIterations = 1 << 24
)

func (op *accountChange) parseKeys(f []string) (err error) {
	for _, hash := range scramHashes {
		if f[0] == hash.String() {
			op.hash = hash
		}
	}
	if op.hash == 0 {
		return commitlog.ErrCorrupt
	}
	k := &op.keys
	if k.Iterations, err = strconv.Atoi(f[1]); err != nil {
		return err
	}
	for i, part := range []*[]byte{&k.Salt, &k.StoredKey, &k.ServerKey} {
		if *part, err = base64.RawStdEncoding.DecodeString(f[2+i]); err != nil {
			return err
		}
	}
	if k.Iterations < minIterations || k.Iterations > maxIterations || len(k.Salt) == 0 || len(k.Salt) > maxKey ||
		len(k.StoredKey) != op.hash.Size() || len(k.ServerKey) != op.hash.Size() {
		return commitlog.ErrCorrupt
	}
	return nil
}

// String writes the operation as parseAccountOp reads it.
func (op accountChange) String() string {
	switch op.word {
	case opAccount:
		return op.word + ":" + op.user + ":" + commitlog.Encode(cmp.Or(op.text, noHash))
	case opRemove:
		return op.word + ":" + op.user
	case opPlain:
		return op.word + ":" + op.user + ":" + commitlog.Encode(op.text)
	case opSCRAM:
		b64 := base64.RawStdEncoding.EncodeToString
		return fmt.Sprintf("%s:%s:%s:%d:%s:%s:%s", op.word, op.user, op.hash, op.keys.Iterations, b64(op.keys.Salt), b64(op.keys.StoredKey), b64(op.keys.ServerKey))
	}
	return op.word + ":1"
}
