package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"sync"

	"github.com/bobbinmail/bobbin/readers/server"
)

// serverTLS is how a server encrypts, with the certificate of two files; nil
// without them.
func serverTLS(cert, key string, log *slog.Logger) (*tls.Config, error) {
	if cert == "" && key == "" {
		return nil, nil
	}
	if cert == "" || key == "" {
		return nil, fmt.Errorf("%w: tls-cert and tls-key go together", errConfig)
	}
	c := &certificate{cert: cert, key: key, log: log, files: watchFiles(cert, key)}
	if err := c.read(); err != nil {
		return nil, fmt.Errorf("%w: certificate %s: %w", errConfig, cert, err)
	}
	return &tls.Config{GetCertificate: c.get, MinVersion: tls.VersionTLS12}, nil
}

// clientCertificates asks clients for certificates that the authorities of a
// file signed, by which users may log in. "" asks for none.
func clientCertificates(config *tls.Config, authorities string) error {
	if authorities == "" {
		return nil
	}
	if config == nil {
		return fmt.Errorf("%w: tls-client-ca needs tls-cert and tls-key", errConfig)
	}
	text, err := os.ReadFile(authorities)
	if err != nil {
		return fmt.Errorf("%w: tls-client-ca: %w", errConfig, err)
	}
	config.ClientCAs, config.ClientAuth = x509.NewCertPool(), tls.VerifyClientCertIfGiven
	if !config.ClientCAs.AppendCertsFromPEM(text) {
		return fmt.Errorf("%w: tls-client-ca: %s has no certificate", errConfig, authorities)
	}
	return nil
}

// certificate is a pair of files that is read again when they change.
type certificate struct {
	cert, key string
	log       *slog.Logger

	mu    sync.Mutex
	pair  *tls.Certificate
	files *watchedFiles
}

// get is for [tls.Config]. While the files cannot be used, such as between the
// renewal of one and of the other, the last pair that could goes on.
func (c *certificate) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.files.changed() {
		if err := c.read(); err != nil {
			c.log.Error("the certificate cannot be used, the one before it is", "file", c.cert, "error", err)
		} else {
			c.log.Info("new certificate", "file", c.cert)
		}
	}
	server.Showing(hello, c.pair)
	return c.pair, nil
}

func (c *certificate) read() error {
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err == nil {
		c.pair = &pair
	}
	return err
}
