// Go's crypto/tls and crypto/x509, as the Temporal server, its CLI and the Go SDK read files.
//
// READERS_KEYS is a directory of NAME.pem and NAME.key, certificates with their keys: tls.X509KeyPair
// wants the two to belong together.
package main

import (
	"bufio"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

type pair struct{ certificate, key []byte }

var pairs []pair

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return value
}

func hash(bytes []byte) string { return fmt.Sprintf("%x", sha256.Sum256(bytes)) }

func refused(err error) string {
	return "error: " + strings.ReplaceAll(err.Error(), "\n", " ")
}

func isMismatch(err error) bool {
	return strings.Contains(err.Error(), "private key does not match public key") ||
		strings.Contains(err.Error(), "private key type does not match public key type")
}

// The key that belongs to the certificate is found by trying.
func chain(text []byte) string {
	var err error
	for _, pair := range pairs {
		var read tls.Certificate
		if read, err = tls.X509KeyPair(text, pair.key); err == nil {
			var hashes []string
			for _, der := range read.Certificate {
				hashes = append(hashes, hash(der))
			}
			return strings.Join(hashes, ",")
		}
		if !isMismatch(err) {
			break
		}
	}
	return refused(err)
}

// CertPool does not give back what it holds: the loop of AppendCertsFromPEM again, compared with
// the number of subjects in the pool.
func roots(text []byte) string {
	pool := x509.NewCertPool()
	ok := pool.AppendCertsFromPEM(text)
	var hashes []string
	unique := map[string]bool{}
	for rest := text; len(rest) > 0; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" || len(block.Headers) != 0 {
			continue
		}
		if certificate, err := x509.ParseCertificate(block.Bytes); err == nil {
			hashes = append(hashes, hash(certificate.Raw))
			unique[hash(certificate.Raw)] = true
		}
	}
	//lint:ignore SA1019 there is no other way to count
	if subjects := pool.Subjects(); len(subjects) != len(unique) || ok != (len(unique) > 0) {
		panic("the loop here is not that of AppendCertsFromPEM")
	}
	if !ok {
		return "error: AppendCertsFromPEM returned false"
	}
	return strings.Join(hashes, ",")
}

func key(text []byte) string {
	var err error
	for _, pair := range pairs {
		var read tls.Certificate
		if read, err = tls.X509KeyPair(pair.certificate, text); err == nil {
			var public crypto.PublicKey
			switch private := read.PrivateKey.(type) {
			case *rsa.PrivateKey:
				public = &private.PublicKey
			case *ecdsa.PrivateKey:
				public = &private.PublicKey
			case ed25519.PrivateKey:
				public = private.Public()
			}
			return "spki:" + hash(must(x509.MarshalPKIXPublicKey(public)))
		}
		if !isMismatch(err) {
			break
		}
	}
	return refused(err)
}

func main() {
	directory := os.Getenv("READERS_KEYS")
	for _, path := range must(filepath.Glob(filepath.Join(directory, "*.key"))) {
		pairs = append(pairs, pair{
			must(os.ReadFile(strings.TrimSuffix(path, ".key") + ".pem")), must(os.ReadFile(path))})
	}
	if len(pairs) == 0 {
		fmt.Fprintln(os.Stderr, "READERS_KEYS: no *.key in it")
		os.Exit(1)
	}
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	paths := bufio.NewScanner(os.Stdin)
	for paths.Scan() {
		path, kind, _ := strings.Cut(paths.Text(), "\t")
		text := must(os.ReadFile(path))
		if kind != "key" {
			fmt.Fprintf(out, "go\t%s\tchain\t%s\n", path, chain(text))
			fmt.Fprintf(out, "go\t%s\troots\t%s\n", path, roots(text))
		}
		if kind != "certificates" {
			fmt.Fprintf(out, "go\t%s\tkey\t%s\n", path, key(text))
		}
	}
}
