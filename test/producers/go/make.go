package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

type authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

func curve(c elliptic.Curve) crypto.Signer {
	key, err := ecdsa.GenerateKey(c, rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}

// RSA of 4096 bits in the programs; the length is not what is looked at here.
func shortRSA() crypto.Signer {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
}

func serial(bits uint) *big.Int {
	number, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), bits))
	if err != nil {
		panic(err)
	}
	return number
}

// sign makes a certificate; without an issuer it signs itself.
func sign(template *x509.Certificate, key crypto.Signer, issuer *authority) (*authority, error) {
	if issuer == nil {
		issuer = &authority{template, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer.certificate, key.Public(), issuer.key)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	return &authority{certificate, key}, err
}

func encode(certificates ...*authority) []byte {
	var text []byte
	for _, one := range certificates {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: one.certificate.Raw})...)
	}
	return text
}

func write(directory, name string, bundle, chain []byte, key crypto.Signer, sec1 bool) error {
	directory = filepath.Join(directory, name)
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return err
	}
	block := &pem.Block{Type: "PRIVATE KEY"}
	var err error
	if sec1 {
		block.Type = "EC PRIVATE KEY"
		block.Bytes, err = x509.MarshalECPrivateKey(key.(*ecdsa.PrivateKey))
	} else {
		block.Bytes, err = x509.MarshalPKCS8PrivateKey(key)
	}
	if err != nil {
		return err
	}
	for file, text := range map[string][]byte{
		"bundle.pem": bundle, "chain.pem": chain, "client.key": pem.EncodeToMemory(block),
	} {
		if err := os.WriteFile(filepath.Join(directory, file), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

const day = 24 * time.Hour

// What `tcld generate-certificates ca` makes: the path length 0 does not get into the certificate,
// for MaxPathLenZero is not set.
func tcldAuthority(organization string, key crypto.Signer, now time.Time) *x509.Certificate {
	usage := x509.KeyUsageDigitalSignature | x509.KeyUsageCRLSign | x509.KeyUsageCertSign
	if _, ok := key.(*rsa.PrivateKey); ok {
		usage |= x509.KeyUsageKeyEncipherment
	}
	return &x509.Certificate{
		SerialNumber:          serial(130),
		Subject:               pkix.Name{Organization: []string{organization}},
		NotBefore:             now.Add(-time.Minute),
		NotAfter:              now.Add(364 * day),
		DNSNames:              []string{"client.root." + organization + ".x-7Q"},
		KeyUsage:              usage,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLen:            0,
	}
}

// And `tcld generate-certificates leaf`: always one organizational unit, which is empty when none is
// given; no key usage.
func tcldLeaf(organization, unit, name string, issuer *authority, now time.Time) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: serial(130),
		Subject: pkix.Name{
			Organization: []string{organization}, OrganizationalUnit: []string{unit}, CommonName: name,
		},
		NotBefore:             now.Add(-time.Minute),
		NotAfter:              issuer.certificate.NotAfter.Add(-day),
		DNSNames:              []string{"client.endentity." + organization + ".b-3k"},
		BasicConstraintsValid: true,
	}
}

func tcld(directory, name string, generate func() crypto.Signer, unit, commonName string) error {
	now := time.Now()
	key := generate()
	root, err := sign(tcldAuthority("temporal", key, now), key, nil)
	if err != nil {
		return err
	}
	leaf, err := sign(tcldLeaf("temporal", unit, commonName, root, now), generate(), root)
	if err != nil {
		return err
	}
	return write(directory, name, encode(root), encode(leaf), leaf.key, false)
}

// The leaf of certstrap: every usage that a key can have, whatever the key, and no basicConstraints.
func certstrap(directory string) error {
	now := time.Now()
	key := shortRSA()
	root, err := sign(&x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CertAuth"},
		NotBefore: now.Add(-10 * time.Minute), NotAfter: now.AddDate(0, 18, 0),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true,
	}, key, nil)
	if err != nil {
		return err
	}
	leaf, err := sign(&x509.Certificate{
		SerialNumber: serial(128), Subject: pkix.Name{CommonName: "alice"},
		NotBefore: now.Add(-10 * time.Minute), NotAfter: now.AddDate(0, 17, 0),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment |
			x509.KeyUsageDataEncipherment | x509.KeyUsageKeyAgreement,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, shortRSA(), root)
	if err != nil {
		return err
	}
	return write(directory, "certstrap", encode(root), encode(leaf), leaf.key, false)
}

// The .NET sample's certificates: no basicConstraints anywhere but in the CA, a leaf without key
// usage, five years.
func dotnet(directory string) error {
	now := time.Now()
	purposes := []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	key := curve(elliptic.P256())
	root, err := sign(&x509.Certificate{
		SerialNumber: serial(64), Subject: pkix.Name{CommonName: "root cert", Organization: []string{"My Org"}},
		NotBefore: now.Add(-time.Minute), NotAfter: now.AddDate(10, 0, 0), KeyUsage: x509.KeyUsageCertSign,
		ExtKeyUsage: purposes, BasicConstraintsValid: true, IsCA: true,
	}, key, nil)
	if err != nil {
		return err
	}
	leaf, err := sign(&x509.Certificate{
		SerialNumber: serial(64), Subject: pkix.Name{CommonName: "client cert", Organization: []string{"My Org"}},
		NotBefore: now.Add(-time.Minute), NotAfter: now.AddDate(5, 0, 0), ExtKeyUsage: purposes,
	}, curve(elliptic.P256()), root)
	if err != nil {
		return err
	}
	return write(directory, "dotnet-sample", encode(root), encode(leaf), leaf.key, false)
}

// One self-signed certificate that is its own CA, as crypto/tls's example program makes with -ca.
func selfSigned(directory string) error {
	now := time.Now()
	key := curve(elliptic.P384())
	both, err := sign(&x509.Certificate{
		SerialNumber: serial(128), Subject: pkix.Name{Organization: []string{"Acme Co"}},
		NotBefore: now, NotAfter: now.Add(365 * day), DNSNames: []string{"worker.example.com"},
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true, IsCA: true,
	}, key, nil)
	if err != nil {
		return err
	}
	return write(directory, "self-signed", encode(both), encode(both), key, false)
}

// A leaf that keeps every rule under two CAs, with its key in the form of SEC 1.
func right(directory string) error {
	now := time.Now()
	subject := func(name string) pkix.Name { return pkix.Name{CommonName: name, Organization: []string{"Acme"}} }
	ca := func(name string, days time.Duration, issuer *authority) (*authority, error) {
		return sign(&x509.Certificate{
			SerialNumber: serial(127), Subject: subject(name), NotBefore: now, NotAfter: now.Add(days * day),
			KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, BasicConstraintsValid: true, IsCA: true,
			MaxPathLen: -1,
		}, curve(elliptic.P256()), issuer)
	}
	root, err := ca("Acme Root CA", 3650, nil)
	if err != nil {
		return err
	}
	issuing, err := ca("Acme Issuing CA", 700, root)
	if err != nil {
		return err
	}
	leaf, err := sign(&x509.Certificate{
		SerialNumber: serial(127), Subject: subject("worker"), NotBefore: now, NotAfter: now.Add(90 * day),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
	}, curve(elliptic.P256()), issuing)
	if err != nil {
		return err
	}
	return write(directory, "right", encode(issuing, root), encode(leaf, issuing), leaf.key, true)
}

func produce(directory string) error {
	p384 := func() crypto.Signer { return curve(elliptic.P384()) }
	for _, make := range []func() error{
		func() error { return tcld(directory, "tcld", p384, "", "") },
		func() error { return tcld(directory, "tcld-named", p384, "payments", "worker") },
		func() error { return tcld(directory, "tcld-rsa", shortRSA, "", "") },
		func() error { return certstrap(directory) },
		func() error { return dotnet(directory) },
		func() error { return selfSigned(directory) },
		func() error { return right(directory) },
	} {
		if err := make(); err != nil {
			return err
		}
	}
	return nil
}
