// verify_client ROOTS CHAIN KEY: whether Go takes key and chain for a client's that the roots vouch for, as a
// frontend in Go does it: the issuer's name compared byte for byte, client authentication asked of the whole chain.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
)

func fail(err error) {
	fmt.Println(err)
	os.Exit(1)
}

func main() {
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		fail(err)
	}
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		fail(fmt.Errorf("no roots"))
	}
	pair, err := tls.LoadX509KeyPair(os.Args[2], os.Args[3])
	if err != nil {
		fail(err)
	}
	var leaf *x509.Certificate
	for i, der := range pair.Certificate {
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			fail(err)
		}
		if i == 0 {
			leaf = certificate
		} else {
			between.AddCert(certificate)
		}
	}
	if _, err := leaf.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}); err != nil {
		fail(err)
	}
	fmt.Printf("version %d\n", leaf.Version)
}
