// What certstrap does with a depot, with the same calls of crypto/x509 and of go.step.sm/crypto v0.25.1, which it pins:
// certstrap's own module is not to be had from the Go module proxy. Written from the description of its profiles and
// formats, for depots that tcpki must read, and as a reader and writer of the depots that tcpki makes.
//
//	certstrap make DIRECTORY                              golden depots, DIRECTORY/CASE
//	certstrap read DEPOT NAME [PASSPHRASE]                what it reads under a name, as JSON
//	certstrap request DEPOT NAME CURVE                    request-cert
//	certstrap sign DEPOT NAME CA [PASSPHRASE]             sign
//	certstrap intermediate DEPOT NAME CA [PASSPHRASE]     sign --intermediate
//	certstrap revoke DEPOT NAME CA [PASSPHRASE]           revoke
//	certstrap expiry FILE                                 a line of numbers each: now, years, months, days, hours,
//	                                                      minutes, seconds; the end of such a lifetime
package main

import (
	"errors"
	"fmt"
	"os"
	"time"
)

func argument(index int) string {
	if len(os.Args) > index {
		return os.Args[index]
	}
	return ""
}

func run() error {
	if len(os.Args) < 3 {
		return errors.New("usage: make DIRECTORY | read|request|sign|intermediate|revoke DEPOT NAME ...")
	}
	d := depot{argument(2)}
	name := argument(3)
	twoYears := time.Now().AddDate(2, 0, 0)
	switch os.Args[1] {
	case "expiry":
		return printExpiry(d.directory)
	case "make":
		return makeGolden(d.directory)
	case "read":
		return printRead(d, name, argument(4))
	case "request":
		key, err := newKey(argument(4))
		if err != nil {
			return err
		}
		return d.request(subject{commonName: name}, names{}, key, "")
	case "sign":
		return d.sign(name, argument(4), argument(5), twoYears)
	case "intermediate":
		return d.signIntermediate(name, argument(4), argument(5), twoYears, 0)
	case "revoke":
		return d.revoke(name, argument(4), argument(5))
	}
	return fmt.Errorf("unknown command %s", os.Args[1])
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
