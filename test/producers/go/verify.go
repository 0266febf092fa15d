package main

import (
	"bufio"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"strings"
)

// As CertPool.AppendCertsFromPEM goes about it: other kinds of blocks are passed over.
func certificates(path string) ([]*x509.Certificate, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var found []*x509.Certificate
	for {
		var block *pem.Block
		block, text = pem.Decode(text)
		if block == nil {
			return found, nil
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		found = append(found, certificate)
	}
}

var purposes = map[string]x509.ExtKeyUsage{
	"client": x509.ExtKeyUsageClientAuth, "server": x509.ExtKeyUsageServerAuth, "any": x509.ExtKeyUsageAny,
}

// A chain, leaf first, against its roots.
func verifyChain(path, roots, purpose string) error {
	chain, err := certificates(path)
	if err != nil {
		return err
	}
	trusted, err := certificates(roots)
	if err != nil {
		return err
	}
	options := x509.VerifyOptions{
		Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(),
		KeyUsages: []x509.ExtKeyUsage{purposes[purpose]},
	}
	for _, root := range trusted {
		options.Roots.AddCert(root)
	}
	for _, intermediate := range chain[1:] {
		options.Intermediates.AddCert(intermediate)
	}
	_, err = chain[0].Verify(options)
	return err
}

// A CRL against its issuer.
func verifyList(path, issuer string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return fmt.Errorf("no PEM in %s", path)
	}
	list, err := x509.ParseRevocationList(block.Bytes)
	if err != nil {
		return err
	}
	by, err := certificates(issuer)
	if err != nil {
		return err
	}
	return list.CheckSignatureFrom(by[0])
}

// Lines of three fields, separated by tabs: a chain, its roots, and client, server or any; or a CRL,
// its issuer, and crl. Each gets a line: "ok" or what is wrong.
func verify(input io.Reader, output io.Writer) error {
	lines := bufio.NewScanner(input)
	for lines.Scan() {
		fields := strings.Split(lines.Text(), "\t")
		if len(fields) != 3 {
			return fmt.Errorf("not three fields: %q", lines.Text())
		}
		var err error
		if fields[2] == "crl" {
			err = verifyList(fields[0], fields[1])
		} else {
			err = verifyChain(fields[0], fields[1], fields[2])
		}
		if err != nil {
			fmt.Fprintln(output, err)
		} else {
			fmt.Fprintln(output, "ok")
		}
	}
	return lines.Err()
}
