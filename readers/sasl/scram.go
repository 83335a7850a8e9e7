package sasl

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"github.com/xdg-go/scram"

	"github.com/bobbinmail/bobbin/readers"
	"github.com/bobbinmail/bobbin/spool"
)

// scramWith returns SCRAM (RFC 5802, 7677) with a hash; with plus, bound to the
// TLS channel.
func scramWith(hash crypto.Hash, plus bool) func(context.Context, *exchange) (string, error) {
	return func(ctx context.Context, x *exchange) (string, error) {
		said, err := x.first("")
		if err != nil {
			return "", err
		}
		binding, err := x.binding(said, plus)
		if err != nil {
			return "", err
		}
		var keys readers.Keys
		var unknown error
		server, err := scramGenerator(hash).NewServer(func(name string) (scram.StoredCredentials, error) {
			if keys, unknown = x.Keys.Keys(ctx, name); unknown != nil {
				return scram.StoredCredentials{}, unknown
			}
			return stored(keys.SCRAM[hash], hash), nil
		})
		if err != nil {
			return "", err
		}
		if x.nonce != nil {
			server = server.WithNonceGenerator(x.nonce)
		}
		talk := server.NewConversationWithChannelBinding(binding)
		if plus {
			talk = server.NewConversationWithChannelBindingRequired(binding)
		}
		challenge, err := talk.Step(string(said))
		if unknown != nil {
			return "", unknown
		}
		if err != nil {
			return "", fmt.Errorf("SCRAM: %w: %w", ErrSyntax, err)
		}
		if said, err = x.ask([]byte(challenge)); err != nil {
			return "", err
		}
		challenge, err = talk.Step(string(said))
		if err != nil || !talk.Valid() || keys.User == "" || len(keys.SCRAM[hash].StoredKey) == 0 {
			return "", fmt.Errorf("user %.64q: %w", talk.Username(), readers.ErrDenied)
		}
		user, err := x.authorize(ctx, keys.User, talk.AuthzID())
		if err != nil {
			return "", err
		}
		// The client, too, learns whom it talks to.
		_, err = x.ask([]byte(challenge))
		return user, err
	}
}

func scramGenerator(hash crypto.Hash) scram.HashGeneratorFcn {
	if hash == crypto.SHA1 {
		return scram.SHA1
	}
	return scram.SHA256
}

// stored are the keys as the library wants them. Made-up ones have a key that
// nothing hashes to, as far as anybody knows.
func stored(k spool.SCRAMKeys, hash crypto.Hash) scram.StoredCredentials {
	if len(k.StoredKey) == 0 {
		k.StoredKey, k.ServerKey = make([]byte, hash.Size()), make([]byte, hash.Size())
	}
	return scram.StoredCredentials{
		KeyFactors: scram.KeyFactors{Salt: string(k.Salt), Iters: k.Iterations},
		StoredKey:  k.StoredKey, ServerKey: k.ServerKey,
	}
}

// errBinding means that the client wants a binding that it did not ask for by
// the name of the mechanism, or that the channel has not.
var errBinding = errors.New("channel binding")

// binding is the channel's binding that the client names in its first message.
// Without one in it, any of the channel says that it could have had one (RFC
// 5802 §6).
func (x *exchange) binding(first []byte, plus bool) (b scram.ChannelBinding, err error) {
	flag, _, _ := bytes.Cut(first, []byte(","))
	name, bound := strings.CutPrefix(string(flag), "p=")
	if bound != plus {
		return b, fmt.Errorf("SCRAM: %w: %w", ErrSyntax, errBinding)
	}
	for _, b := range x.channel.bindings() {
		if !bound || string(b.Type) == name {
			return b, nil
		}
	}
	if bound {
		return b, fmt.Errorf("SCRAM: %w: %w: %.40q", ErrSyntax, errBinding, name)
	}
	return b, nil
}

// bindings are those that the channel has, the best first: tls-exporter (RFC
// 9266) and tls-server-end-point (RFC 5929 §4).
func (c Channel) bindings() (list []scram.ChannelBinding) {
	if c.TLS == nil {
		return nil
	}
	// An error means TLS 1.2 without the extended master secret, where this
	// would bind to nothing.
	if b, err := scram.NewTLSExporterBinding(c.TLS); err == nil {
		list = append(list, b)
	}
	if b, ok := endPoint(c.Certificate); ok {
		list = append(list, b)
	}
	return list
}

// endPoint is a binding to the server's certificate. The library's own takes
// that of the peer, and so is for clients.
func endPoint(cert *tls.Certificate) (b scram.ChannelBinding, ok bool) {
	if cert == nil || len(cert.Certificate) == 0 {
		return b, false
	}
	leaf := cert.Leaf
	if leaf == nil {
		var err error
		if leaf, err = x509.ParseCertificate(cert.Certificate[0]); err != nil {
			return b, false
		}
	}
	b.Type = scram.ChannelBindingTLSServerEndpoint
	switch leaf.SignatureAlgorithm {
	case x509.MD5WithRSA, x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.SHA256WithRSA, x509.SHA256WithRSAPSS, x509.ECDSAWithSHA256:
		sum := sha256.Sum256(leaf.Raw)
		b.Data = sum[:]
	case x509.SHA384WithRSA, x509.SHA384WithRSAPSS, x509.ECDSAWithSHA384:
		sum := sha512.Sum384(leaf.Raw)
		b.Data = sum[:]
	case x509.SHA512WithRSA, x509.SHA512WithRSAPSS, x509.ECDSAWithSHA512:
		sum := sha512.Sum512(leaf.Raw)
		b.Data = sum[:]
	default: // such as Ed25519, for which none is defined
		return b, false
	}
	return b, true
}
