// Go's crypto/x509 and go-pkcs12: see ../README.md.
package main

import (
	"bufio"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"software.sslmate.com/src/go-pkcs12"
)

func hash(der []byte) string { return fmt.Sprintf("%x", sha256.Sum256(der)) }

func publicValue(key crypto.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	return hash(der), err
}

func keyValue(key any) (string, error) {
	signer, ok := key.(crypto.Signer)
	if !ok {
		return "", fmt.Errorf("%T is no signer", key)
	}
	return publicValue(signer.Public())
}

// As crypto/tls.X509KeyPair reads a key: PKCS#8, PKCS#1 and SEC1; the old encryption of PEM beside it.
func readKey(text []byte, passphrase string) (string, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return "", errors.New("no PEM")
	}
	der := block.Bytes
	//lint:ignore SA1019 what it reads exists
	if x509.IsEncryptedPEMBlock(block) {
		var err error
		//lint:ignore SA1019 likewise
		if der, err = x509.DecryptPEMBlock(block, []byte(passphrase)); err != nil {
			return "", err
		}
	}
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return keyValue(key)
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return keyValue(key)
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return "", err
	}
	return keyValue(key)
}

func readCSR(text []byte) (string, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return "", errors.New("no PEM")
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return "", err
	}
	if err = csr.CheckSignature(); err != nil {
		return "", err
	}
	return publicValue(csr.PublicKey)
}

func readCertificates(text []byte) (string, error) {
	var values []string
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return "", err
		}
		values = append(values, hash(certificate.Raw))
	}
	return strings.Join(values, ","), nil
}

func readCRL(text []byte) (string, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return "", errors.New("no PEM")
	}
	list, err := x509.ParseRevocationList(block.Bytes)
	if err != nil {
		return "", err
	}
	var serials []string
	for _, entry := range list.RevokedCertificateEntries {
		serials = append(serials, entry.SerialNumber.Text(16))
	}
	sort.Strings(serials)
	return strings.Join(serials, ","), nil
}

func readPKCS12(data []byte, passphrase string) (string, error) {
	key, leaf, others, err := pkcs12.DecodeChain(data, passphrase)
	if err != nil {
		return "", err
	}
	value, err := keyValue(key)
	if err != nil {
		return "", err
	}
	values := []string{hash(leaf.Raw)}
	for _, other := range others {
		values = append(values, hash(other.Raw))
	}
	return value + ":" + strings.Join(values, ","), nil
}

func read(path, kind, passphrase string) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	if passphrase == "-" {
		passphrase = ""
	}
	switch kind {
	case "key":
		return readKey(data, passphrase)
	case "csr":
		return readCSR(data)
	case "certificates":
		return readCertificates(data)
	case "crl":
		return readCRL(data)
	}
	return readPKCS12(data, passphrase)
}

func readAll(manifest string) {
	file, err := os.Open(manifest)
	must(err)
	scanner := bufio.NewScanner(file)
	for scanner.Scan() {
		fields := strings.Split(scanner.Text(), "\t")
		value, err := read(fields[0], fields[1], fields[2])
		if err != nil {
			fmt.Printf("%s\terror\t%s\n", fields[0], strings.ReplaceAll(err.Error(), "\n", " "))
		} else {
			fmt.Printf("%s\tok\t%s\n", fields[0], value)
		}
	}
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

var directory string

func put(name, kind, passphrase, value string, data []byte) {
	path := filepath.Join(directory, name)
	must(os.WriteFile(path, data, 0o600))
	fmt.Printf("%s\t%s\t%s\t%s\n", path, kind, passphrase, value)
}

func encode(label string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der})
}

func writeFor(name string, key crypto.Signer) {
	value, err := keyValue(key)
	must(err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	must(err)
	put("key."+name+".pkcs8", "key", "-", value, encode("PRIVATE KEY", der))
	traditional, label := []byte(nil), ""
	switch k := key.(type) {
	case *rsa.PrivateKey:
		traditional, label = x509.MarshalPKCS1PrivateKey(k), "RSA PRIVATE KEY"
	case *ecdsa.PrivateKey:
		traditional, err = x509.MarshalECPrivateKey(k)
		must(err)
		label = "EC PRIVATE KEY"
	}
	if traditional != nil {
		put("key."+name+".traditional", "key", "-", value, encode(label, traditional))
		//lint:ignore SA1019 what it writes exists
		block, err := x509.EncryptPEMBlock(rand.Reader, label, traditional, []byte("swordfish"), x509.PEMCipherAES256)
		must(err)
		put("key."+name+".traditional-encrypted", "key", "swordfish", value, pem.EncodeToMemory(block))
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: "worker " + name}, DNSNames: []string{"worker.example"}}, key)
	must(err)
	put("csr."+name, "csr", "-", value, encode("CERTIFICATE REQUEST", csr))
	template := &x509.Certificate{SerialNumber: big.NewInt(0x1001), Subject: pkix.Name{CommonName: "ca " + name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(err)
	ca, err := x509.ParseCertificate(raw)
	must(err)
	put("certificates."+name, "certificates", "-", hash(raw), encode("CERTIFICATE", raw))
	list, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{Number: big.NewInt(7),
		ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Hour),
		RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: big.NewInt(0xabc), RevocationTime: time.Now()},
			{SerialNumber: big.NewInt(0x7f01), RevocationTime: time.Now(), ReasonCode: 1}}}, ca, key)
	must(err)
	put("crl."+name, "crl", "-", "7f01,abc", encode("X509 CRL", list))
	for profile, encoder := range map[string]*pkcs12.Encoder{"modern": pkcs12.Modern2023,
		"compatible": pkcs12.LegacyDES, "passwordless": pkcs12.Passwordless} {
		passphrase := "swordfish"
		if profile == "passwordless" {
			passphrase = "-"
		}
		data, err := encoder.Encode(key, ca, nil, strings.TrimPrefix(passphrase, "-"))
		must(err)
		put("pkcs12."+name+"."+profile, "pkcs12", passphrase, value+":"+hash(raw), data)
	}
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: go read MANIFEST | go write DIRECTORY")
		os.Exit(2)
	}
	if os.Args[1] == "read" {
		readAll(os.Args[2])
		return
	}
	directory = os.Args[2]
	for name, curve := range map[string]elliptic.Curve{"p256": elliptic.P256(), "p384": elliptic.P384(),
		"p521": elliptic.P521()} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		must(err)
		writeFor(name, key)
	}
	for _, bits := range []int{2048, 3072, 4096} {
		key, err := rsa.GenerateKey(rand.Reader, bits)
		must(err)
		writeFor(fmt.Sprintf("rsa%d", bits), key)
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(err)
	writeFor("ed25519", key)
}
