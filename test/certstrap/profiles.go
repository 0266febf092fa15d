package main

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/url"
	"os"
	"regexp"
	"time"
)

type subject struct {
	commonName, organization, organizationalUnit, country, province, locality string
}

type names struct {
	domains   []string
	addresses []net.IP
	uris      []*url.URL
}

func one(value string) []string {
	if value == "" {
		return nil
	}
	return []string{value}
}

func (s subject) name() pkix.Name {
	return pkix.Name{
		CommonName: s.commonName, Organization: one(s.organization), OrganizationalUnit: one(s.organizationalUnit),
		Country: one(s.country), Province: one(s.province), Locality: one(s.locality),
	}
}

func randomSerial() (*big.Int, error) {
	return rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 128))
}

func earlier(one, other time.Time) time.Time {
	if one.Before(other) {
		return one
	}
	return other
}

func authorityTemplate(notAfter time.Time) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-10 * time.Minute).UTC(), NotAfter: notAfter,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true,
	}
}

type rootOptions struct {
	pathLength     int // -1: none
	permitDomains  []string
	notAfter       time.Time
	passphrase     string
	withoutCRLFile bool
}

func (d depot) init(s subject, key crypto.Signer, o rootOptions) error {
	template := authorityTemplate(o.notAfter)
	template.Subject = s.name()
	if o.pathLength != 0 {
		template.MaxPathLen, template.MaxPathLenZero = o.pathLength, false
	}
	if len(o.permitDomains) > 0 {
		template.PermittedDNSDomainsCritical, template.PermittedDNSDomains = true, o.permitDomains
	}
	var err error
	if template.SubjectKeyId, err = keyID(key.Public()); err != nil {
		return err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	file := fileName(s.commonName)
	text, err := encodeKey(key, o.passphrase)
	if err != nil {
		return err
	}
	list, err := certificate.CreateCRL(rand.Reader, key, nil, time.Now(), o.notAfter)
	if err != nil {
		return err
	}
	if err := d.putPEM(file, ".crt", "CERTIFICATE", der); err != nil {
		return err
	}
	if err := d.put(file, ".key", text); err != nil {
		return err
	}
	return d.putPEM(file, ".crl", "X509 CRL", list)
}

var notForFiles = regexp.MustCompile("[^a-zA-Z0-9._-]+")

func (d depot) request(s subject, n names, key crypto.Signer, passphrase string) error {
	if s.commonName == "" {
		if len(n.domains) > 0 {
			s.commonName = n.domains[0]
		} else {
			s.commonName = n.uris[0].String()
		}
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: s.name(), DNSNames: n.domains, IPAddresses: n.addresses, URIs: n.uris}, key)
	if err != nil {
		return err
	}
	text, err := encodeKey(key, passphrase)
	if err != nil {
		return err
	}
	file := notForFiles.ReplaceAllString(s.commonName, "_")
	if err := d.putPEM(file, ".csr", "CERTIFICATE REQUEST", der); err != nil {
		return err
	}
	return d.put(file, ".key", text)
}

func (d depot) issue(name, ca, passphrase string, template *x509.Certificate) error {
	csr, err := d.csr(fileName(name))
	if err != nil {
		return err
	}
	issuer, err := d.certificate(fileName(ca))
	if err != nil {
		return err
	}
	key, err := d.key(fileName(ca), passphrase)
	if err != nil {
		return err
	}
	template.NotAfter = earlier(template.NotAfter, issuer.NotAfter)
	template.RawSubject = csr.RawSubject
	template.DNSNames, template.IPAddresses, template.URIs = csr.DNSNames, csr.IPAddresses, csr.URIs
	if template.SubjectKeyId, err = keyID(csr.PublicKey); err != nil {
		return err
	}
	if template.SerialNumber, err = randomSerial(); err != nil {
		return err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, csr.PublicKey, key)
	if err != nil {
		return err
	}
	return d.putPEM(fileName(name), ".crt", "CERTIFICATE", der)
}

func (d depot) sign(name, ca, passphrase string, notAfter time.Time) error {
	return d.issue(name, ca, passphrase, &x509.Certificate{
		NotBefore: time.Now().UTC(), NotAfter: notAfter,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment | x509.KeyUsageDataEncipherment |
			x509.KeyUsageKeyAgreement,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
}

func (d depot) signIntermediate(name, ca, passphrase string, notAfter time.Time, pathLength int) error {
	template := authorityTemplate(notAfter)
	if pathLength != 0 {
		template.MaxPathLen, template.MaxPathLenZero = pathLength, false
	}
	return d.issue(name, ca, passphrase, template)
}

func (d depot) revoke(name, ca, passphrase string) error {
	issuer, err := d.certificate(fileName(ca))
	if err != nil {
		return err
	}
	certificate, err := d.certificate(fileName(name))
	if err != nil {
		return err
	}
	der, err := d.getPEM(fileName(ca), ".crl", "X509 CRL")
	if err != nil {
		return err
	}
	list, err := x509.ParseDERCRL(der)
	if err != nil {
		return err
	}
	entries := append(list.TBSCertList.RevokedCertificates,
		pkix.RevokedCertificate{SerialNumber: certificate.SerialNumber, RevocationTime: time.Now()})
	key, err := d.key(fileName(ca), passphrase)
	if err != nil {
		return err
	}
	next, err := issuer.CreateCRL(rand.Reader, key, entries, time.Now(), time.Now().Add(2*8760*time.Hour))
	if err != nil {
		return err
	}
	if err := os.Remove(d.path(fileName(ca), ".crl")); err != nil {
		return err
	}
	return d.putPEM(fileName(ca), ".crl", "X509 CRL", next)
}
