module tcpki/test/certstrap

go 1.21

require go.step.sm/crypto v0.25.1

require (
	filippo.io/edwards25519 v1.0.0 // indirect
	github.com/pkg/errors v0.9.1 // indirect
	golang.org/x/crypto v0.6.0 // indirect
	golang.org/x/sys v0.5.0 // indirect
)
