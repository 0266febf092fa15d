// What istiod makes of a directory of CA files, by Istio's own module: one request a line on the standard input,
// one JSON object a line on the standard output.
//
//	check DIRECTORY         {"accepted": bool, "self_signed": bool, "message": string, "peer": string}
//	rotate OLD NEW          {"contained": bool, "related": bool, "updated": string}
//
// Reading, verification and the CA are Istio's (security/pkg/pki). What its pilot/pkg/bootstrap/istio_ca.go does
// before, which is not exported and would draw in all of pilot, is said again here: which files there are to be.
package main

import (
	"bufio"
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"istio.io/istio/pkg/log"
	"istio.io/istio/security/pkg/cmd"
	"istio.io/istio/security/pkg/pki/ca"
	"istio.io/istio/security/pkg/pki/util"
)

const prefix = "failed to create an istiod CA: "

type verdict struct {
	Accepted   bool   `json:"accepted"`
	SelfSigned bool   `json:"self_signed"`
	Message    string `json:"message"`
	// what a client that trusts root-cert.pem says to a workload with a certificate of this CA
	Peer string `json:"peer"`
}

type relation struct {
	Contained bool   `json:"contained"`
	Related   bool   `json:"related"`
	Updated   string `json:"updated"`
}

func there(path string) (bool, error) {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func filesOf(directory string) (ca.SigningCAFileBundle, error) {
	at := func(name string) string { return filepath.Join(directory, name) }
	kubernetes, err := there(at(ca.TLSSecretCACertFile))
	if err != nil {
		return ca.SigningCAFileBundle{}, err
	}
	if kubernetes {
		return ca.SigningCAFileBundle{
			RootCertFile:    at(ca.TLSSecretRootCertFile),
			CertChainFiles:  []string{at(ca.TLSSecretCACertFile), at(ca.TLSSecretRootCertFile)},
			SigningCertFile: at(ca.TLSSecretCACertFile),
			SigningKeyFile:  at(ca.TLSSecretCAPrivateKeyFile),
		}, nil
	}
	files := ca.SigningCAFileBundle{
		RootCertFile:    at(ca.RootCertFile),
		CertChainFiles:  []string{at(ca.CertChainFile)},
		SigningCertFile: at(ca.CACertFile),
		SigningKeyFile:  at(ca.CAPrivateKeyFile),
	}
	if revocations, _ := there(at(ca.CACRLFile)); revocations {
		files.CRLFile = at(ca.CACRLFile)
	}
	return files, nil
}

// How many of the things that have to be there are; of the chain one file is enough.
func count(files ca.SigningCAFileBundle) (int, error) {
	found := 0
	for _, path := range []string{files.SigningKeyFile, files.SigningCertFile, files.RootCertFile} {
		is, err := there(path)
		if err != nil {
			return 0, err
		}
		if is {
			found++
		}
	}
	for _, path := range files.CertChainFiles {
		if is, _ := there(path); is {
			return found + 1, nil
		}
	}
	return found, nil
}

func pool(text []byte) *x509.CertPool {
	certificates := x509.NewCertPool()
	certificates.AppendCertsFromPEM(text)
	return certificates
}

// A certificate for a workload, and what a peer makes of it and of the chain that is sent with it.
func peer(authority *ca.IstioCA) string {
	sent, _, err := authority.GenKeyCert([]string{"spiffe://cluster.local/ns/default/sa/default"}, time.Hour, false)
	if err != nil {
		return err.Error()
	}
	block, rest := pem.Decode(sent)
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return err.Error()
	}
	_, err = leaf.Verify(x509.VerifyOptions{
		Roots:         pool(authority.GetCAKeyCertBundle().GetRootCertPem()),
		Intermediates: pool(rest),
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return err.Error()
	}
	return ""
}

func check(directory string) verdict {
	files, err := filesOf(directory)
	if err != nil {
		return verdict{Message: prefix + err.Error()}
	}
	found, err := count(files)
	switch {
	case err != nil:
		return verdict{Message: prefix + err.Error()}
	case found == 0:
		return verdict{Accepted: true, SelfSigned: true}
	case found < 4:
		return verdict{Message: prefix + "incomplete signing CA bundle detected"}
	}
	given, err := ca.NewPluggedCertIstioCAOptions(files, cmd.DefaultWorkloadCertTTL, cmd.DefaultMaxWorkloadCertTTL, 2048)
	if err != nil {
		return verdict{Message: prefix + err.Error()}
	}
	authority, err := ca.NewIstioCA(given)
	if err != nil {
		return verdict{Message: prefix + err.Error()}
	}
	return verdict{Accepted: true, Peer: peer(authority)}
}

func set(text []byte) map[string]bool {
	certificates := map[string]bool{}
	for {
		var block *pem.Block
		block, text = pem.Decode(text)
		if block == nil {
			return certificates
		}
		if block.Type == "CERTIFICATE" {
			certificates[string(block.Bytes)] = true
		}
	}
}

func within(a, b map[string]bool) bool {
	for certificate := range a {
		if !b[certificate] {
			return false
		}
	}
	return len(a) > 0
}

// A running istiod: its CA was loaded from the old directory, and sees the new one.
func rotate(old, next string) relation {
	before, err := filesOf(old)
	if err != nil {
		return relation{Updated: err.Error()}
	}
	after, err := filesOf(next)
	if err != nil {
		return relation{Updated: err.Error()}
	}
	bundle, err := util.NewVerifiedKeyCertBundleFromFile(before.SigningCertFile, before.SigningKeyFile,
		before.CertChainFiles, before.RootCertFile, before.CRLFile)
	if err != nil {
		return relation{Updated: err.Error()}
	}
	current := bundle.GetRootCertPem()
	wanted, err := os.ReadFile(after.RootCertFile)
	if err != nil {
		return relation{Updated: err.Error()}
	}
	answer := relation{
		Contained: bytes.Contains(current, wanted) || bytes.Contains(wanted, current),
		Related:   within(set(current), set(wanted)) || within(set(wanted), set(current)),
	}
	err = bundle.UpdateVerifiedKeyCertBundleFromFile(after.SigningCertFile, after.SigningKeyFile,
		after.CertChainFiles, after.RootCertFile, after.CRLFile)
	if err != nil {
		answer.Updated = err.Error()
	}
	return answer
}

func main() {
	for _, scope := range log.Scopes() {
		scope.SetOutputLevel(log.NoneLevel)
	}
	output := json.NewEncoder(os.Stdout)
	output.SetEscapeHTML(false)
	requests := bufio.NewScanner(os.Stdin)
	for requests.Scan() {
		words := strings.Split(requests.Text(), "\t")
		var answer any
		switch {
		case words[0] == "check" && len(words) == 2:
			answer = check(words[1])
		case words[0] == "rotate" && len(words) == 3:
			answer = rotate(words[1], words[2])
		default:
			fmt.Fprintln(os.Stderr, "unknown request: "+words[0])
			os.Exit(2)
		}
		if err := output.Encode(answer); err != nil {
			panic(err)
		}
	}
}
