package main

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	publicMode  fs.FileMode = 0o444
	privateMode fs.FileMode = 0o440
)

type depot struct {
	directory string
}

// The file of a name; only request-cert takes more than blanks out of a name.
func fileName(name string) string {
	return strings.ReplaceAll(name, " ", "_")
}

func modeOf(suffix string) fs.FileMode {
	if suffix == ".key" {
		return privateMode
	}
	return publicMode
}

func (d depot) path(name, suffix string) string {
	return filepath.Join(d.directory, name+suffix)
}

func (d depot) put(name, suffix string, data []byte) error {
	if err := os.MkdirAll(d.directory, 0o755); err != nil {
		return err
	}
	file, err := os.OpenFile(d.path(name, suffix), os.O_WRONLY|os.O_CREATE|os.O_EXCL, modeOf(suffix))
	if err != nil {
		return err
	}
	if _, err := file.Write(data); err != nil {
		return err
	}
	return file.Close()
}

func (d depot) putPEM(name, suffix, kind string, der []byte) error {
	return d.put(name, suffix, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// A file with a permission bit that its kind must not have is not read.
func (d depot) get(name, suffix string) ([]byte, error) {
	status, err := os.Stat(d.path(name, suffix))
	if err != nil {
		return nil, err
	}
	if status.Mode()&^modeOf(suffix) != 0 {
		return nil, fmt.Errorf("the mode of %s is too lax: %s", d.path(name, suffix), status.Mode())
	}
	return os.ReadFile(d.path(name, suffix))
}

func (d depot) getPEM(name, suffix, kind string) ([]byte, error) {
	text, err := d.get(name, suffix)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("no PEM block")
	}
	if block.Type != kind || len(block.Headers) != 0 {
		return nil, fmt.Errorf("a block %q in place of %q", block.Type, kind)
	}
	return block.Bytes, nil
}

func (d depot) certificate(name string) (*x509.Certificate, error) {
	der, err := d.getPEM(name, ".crt", "CERTIFICATE")
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func (d depot) key(name, passphrase string) (crypto.Signer, error) {
	text, err := d.get(name, ".key")
	if err != nil {
		return nil, err
	}
	return decodeKey(text, passphrase)
}

func (d depot) csr(name string) (*x509.CertificateRequest, error) {
	der, err := d.getPEM(name, ".csr", "CERTIFICATE REQUEST")
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificateRequest(der)
}
