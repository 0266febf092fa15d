package main

import (
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const secret = "open sesame"

var workerNames = names{
	domains:   []string{"worker.acme.example", "*.acme.example"},
	addresses: []net.IP{net.ParseIP("10.0.0.1"), net.ParseIP("2001:db8::1")},
	uris:      []*url.URL{{Scheme: "spiffe", Host: "acme.example", Path: "/worker"}},
}

// One case for each kind of key, in the clear and encrypted.
func (d depot) plain(kind, passphrase string) error {
	caKey, err := newKey(kind)
	if err != nil {
		return err
	}
	end := time.Now().AddDate(0, 18, 0)
	if err := d.init(subject{commonName: "Acme CA", organization: "Acme", organizationalUnit: "Platform", country: "GB",
		province: "Greater London", locality: "London"}, caKey,
		rootOptions{notAfter: end, passphrase: passphrase}); err != nil {
		return err
	}
	for _, name := range []string{"worker", "gone"} {
		key, err := newKey(kind)
		if err != nil {
			return err
		}
		given := workerNames
		if name == "gone" {
			given = names{}
		}
		if err := d.request(subject{commonName: name, organization: "Acme"}, given, key, passphrase); err != nil {
			return err
		}
		if err := d.sign(name, "Acme CA", passphrase, time.Now().AddDate(2, 0, 0)); err != nil {
			return err
		}
	}
	for range []int{1, 2} {
		if err := d.revoke("gone", "Acme CA", passphrase); err != nil {
			return err
		}
	}
	return nil
}

// A root that allows no intermediate, and one that allows one; an intermediate and a leaf under each.
func (d depot) levels() error {
	for _, level := range []struct {
		prefix     string
		pathLength int
	}{{"Narrow", 0}, {"Wide", 1}} {
		root, inner, leaf := level.prefix+" Root", level.prefix+"-Inner", strings.ToLower(level.prefix)
		for _, name := range []string{root, inner, leaf} {
			key, err := newKey("P-256")
			if err != nil {
				return err
			}
			if name == root {
				err = d.init(subject{commonName: root}, key,
					rootOptions{notAfter: time.Now().AddDate(5, 0, 0), pathLength: level.pathLength})
			} else {
				err = d.request(subject{commonName: name}, names{domains: []string{leaf + ".example"}}, key, "")
			}
			if err != nil {
				return err
			}
		}
		if err := d.signIntermediate(inner, root, "", time.Now().AddDate(2, 0, 0), 0); err != nil {
			return err
		}
		if err := d.sign(leaf, inner, "", time.Now().AddDate(1, 0, 0)); err != nil {
			return err
		}
	}
	return nil
}

// What goes wrong with it in practice: see the names.
func (d depot) odd() error {
	caKey, err := newKey("P-256")
	if err != nil {
		return err
	}
	if err := d.init(subject{commonName: "Odd CA"}, caKey, rootOptions{notAfter: time.Now().AddDate(1, 0, 0),
		pathLength: -1, permitDomains: []string{"acme.example"}}); err != nil {
		return err
	}
	for name, given := range map[string]names{
		"outside": {domains: []string{"worker.evil.example"}}, "forged": {domains: []string{"forged.acme.example"}},
		"unsigned": {domains: []string{"unsigned.acme.example"}}, "": {domains: []string{"*.acme.example"}},
	} {
		key, err := newKey("P-256")
		if err != nil {
			return err
		}
		if err := d.request(subject{commonName: name}, given, key, ""); err != nil {
			return err
		}
	}
	// The last byte of the signature of a request is another one.
	der, err := d.getPEM("forged", ".csr", "CERTIFICATE REQUEST")
	if err != nil {
		return err
	}
	der[len(der)-1] ^= 1
	if err := os.Remove(d.path("forged", ".csr")); err != nil {
		return err
	}
	if err := d.putPEM("forged", ".csr", "CERTIFICATE REQUEST", der); err != nil {
		return err
	}
	for _, name := range []string{"outside", "forged"} {
		if err := d.sign(name, "Odd CA", "", time.Now().AddDate(0, 1, 0)); err != nil {
			return err
		}
	}
	return nil
}

func makeGolden(directory string) error {
	for _, kind := range []string{"RSA", "P-224", "P-256", "P-384", "P-521", "Ed25519"} {
		lower := strings.ToLower(kind)
		if err := (depot{filepath.Join(directory, lower)}).plain(kind, ""); err != nil {
			return err
		}
		if err := (depot{filepath.Join(directory, lower+"-encrypted")}).plain(kind, secret); err != nil {
			return err
		}
	}
	if err := (depot{filepath.Join(directory, "levels")}).levels(); err != nil {
		return err
	}
	return (depot{filepath.Join(directory, "odd")}).odd()
}
