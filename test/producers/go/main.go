// Certificates of crypto/x509, by the templates of programs that make them for Temporal; and the
// other direction, crypto/x509 as the judge of what tcpki issues.
//
//	go run . make DIRECTORY        DIRECTORY/CASE/{bundle.pem,chain.pem,client.key}
//	go run . verify                one line of input a chain, one line of output
package main

import (
	"fmt"
	"os"
)

func main() {
	var err error
	switch {
	case len(os.Args) == 3 && os.Args[1] == "make":
		err = produce(os.Args[2])
	case len(os.Args) == 2 && os.Args[1] == "verify":
		err = verify(os.Stdin, os.Stdout)
	default:
		err = fmt.Errorf("usage: make DIRECTORY | verify")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
