package main

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"sync"
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
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.files.changed() {
		if err := c.read(); err != nil {
			c.log.Error("the certificate cannot be used, the one before it is", "file", c.cert, "error", err)
		} else {
			c.log.Info("new certificate", "file", c.cert)
		}
	}
	return c.pair, nil
}

func (c *certificate) read() error {
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err == nil {
		c.pair = &pair
	}
	return err
}
