package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// certified writes a certificate with a number, and its key.
func certified(t *testing.T, dir string, number int64) (cert, key string) {
	t.Helper()
	return certifiedAs(t, dir, &x509.Certificate{SerialNumber: big.NewInt(number), DNSNames: []string{"mx.example.org"}})
}

// certifiedAs writes a certificate of what, signed by itself, and its key.
func certifiedAs(t *testing.T, dir string, what *x509.Certificate) (cert, key string) {
	t.Helper()
	pair, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	what.NotAfter = time.Now().Add(time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, what, what, &pair.PublicKey, pair)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(pair)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// TestCertificateRenewed: a new certificate is used once it and its key are there;
// until then, and while there is nonsense, the one before it.
func TestCertificateRenewed(t *testing.T) {
	dir, next := t.TempDir(), t.TempDir()
	cert, key := certified(t, dir, 1)
	var log syncBuffer
	config, err := serverTLS(cert, key, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	used := func(want int64) {
		t.Helper()
		time.Sleep(changedLook)
		pair, err := config.GetCertificate(new(tls.ClientHelloInfo))
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := x509.ParseCertificate(pair.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		if got := leaf.SerialNumber.Int64(); got != want {
			t.Errorf("certificate %d is used, want %d", got, want)
		}
	}
	used(1)
	newCert, newKey := certified(t, next, 2)
	if err := os.Rename(newCert, cert); err != nil {
		t.Fatal(err)
	}
	used(1)
	if got := strings.Count(log.String(), "cannot be used"); got != 1 {
		t.Errorf("%d complaints: %s", got, log.String())
	}
	if err := os.Rename(newKey, key); err != nil {
		t.Fatal(err)
	}
	used(2)
	if err := os.WriteFile(cert, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	used(2)
	used(2)
	if got := strings.Count(log.String(), "cannot be used"); got != 2 {
		t.Errorf("%d complaints: %s", got, log.String())
	}
	if err := os.Remove(cert); err != nil {
		t.Fatal(err)
	}
	used(2)
	certified(t, dir, 3)
	used(3)
	if _, err := serverTLS(cert, "", nil); !errors.Is(err, errConfig) {
		t.Errorf("without a key: %v", err)
	}
	if _, err := serverTLS(filepath.Join(dir, "none"), key, nil); !errors.Is(err, errConfig) {
		t.Errorf("without a file: %v", err)
	}
}
