package main

import (
	"crypto"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
)

// A file that is not there leaves its fields out; one that cannot be read leaves its fault.
type reading struct {
	Subject      string   `json:"subject,omitempty"`
	Serial       string   `json:"serial,omitempty"`
	IsCA         bool     `json:"is_ca,omitempty"`
	Constrained  bool     `json:"basic_constraints,omitempty"`
	MaxPathLen   int      `json:"path_length,omitempty"`
	KeyUsage     int      `json:"key_usage,omitempty"`
	ExtKeyUsage  []int    `json:"extended_key_usage,omitempty"`
	DNSNames     []string `json:"domains,omitempty"`
	URIs         []string `json:"uris,omitempty"`
	Addresses    []string `json:"addresses,omitempty"`
	Permitted    []string `json:"permitted,omitempty"`
	NotBefore    int64    `json:"not_before,omitempty"`
	NotAfter     int64    `json:"not_after,omitempty"`
	SubjectKeyID string   `json:"subject_key_id,omitempty"`
	IssuerKeyID  string   `json:"issuer_key_id,omitempty"`
	KeyMatches   bool     `json:"key_matches,omitempty"`
	CSRMatches   bool     `json:"csr_matches,omitempty"`
	Revoked      []string `json:"revoked,omitempty"`
	CRLNumber    string   `json:"crl_number,omitempty"`
	CRLSigned    bool     `json:"crl_signed,omitempty"`
	Faults       []string `json:"faults,omitempty"`
}

type publicKey interface {
	Equal(crypto.PublicKey) bool
}

func (r *reading) readCertificate(certificate *x509.Certificate) {
	r.Subject, r.Serial = certificate.Subject.String(), certificate.SerialNumber.Text(16)
	r.IsCA, r.Constrained, r.MaxPathLen = certificate.IsCA, certificate.BasicConstraintsValid, certificate.MaxPathLen
	r.KeyUsage, r.DNSNames = int(certificate.KeyUsage), certificate.DNSNames
	for _, usage := range certificate.ExtKeyUsage {
		r.ExtKeyUsage = append(r.ExtKeyUsage, int(usage))
	}
	for _, uri := range certificate.URIs {
		r.URIs = append(r.URIs, uri.String())
	}
	for _, address := range certificate.IPAddresses {
		r.Addresses = append(r.Addresses, address.String())
	}
	r.Permitted = certificate.PermittedDNSDomains
	r.NotBefore, r.NotAfter = certificate.NotBefore.Unix(), certificate.NotAfter.Unix()
	r.SubjectKeyID = hex.EncodeToString(certificate.SubjectKeyId)
	r.IssuerKeyID = hex.EncodeToString(certificate.AuthorityKeyId)
}

func printRead(d depot, name, passphrase string) error {
	var r reading
	failed := func(err error) bool {
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			r.Faults = append(r.Faults, err.Error())
		}
		return err != nil
	}
	certificate, err := d.certificate(name)
	if !failed(err) {
		r.readCertificate(certificate)
	}
	key, err := d.key(name, passphrase)
	if !failed(err) && certificate != nil {
		r.KeyMatches = certificate.PublicKey.(publicKey).Equal(key.Public())
	}
	csr, err := d.csr(name)
	if !failed(err) && key != nil {
		r.CSRMatches = csr.PublicKey.(publicKey).Equal(key.Public()) && csr.CheckSignature() == nil
	}
	der, err := d.getPEM(name, ".crl", "X509 CRL")
	if !failed(err) {
		list, err := x509.ParseDERCRL(der)
		if !failed(err) {
			for _, entry := range list.TBSCertList.RevokedCertificates {
				r.Revoked = append(r.Revoked, entry.SerialNumber.Text(16))
			}
		}
		strict, err := x509.ParseRevocationList(der)
		if !failed(err) && certificate != nil {
			if strict.Number != nil {
				r.CRLNumber = strict.Number.Text(16)
			}
			r.CRLSigned = strict.CheckSignatureFrom(certificate) == nil
		}
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}
