// The Go SDK: see ../README.md.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strings"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
)

func try(address, authority, certificatePath, keyPath string) (string, error) {
	certificate, err := tls.LoadX509KeyPair(certificatePath, keyPath)
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(authority)
	if err != nil {
		return "", err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	connected, err := client.Dial(client.Options{HostPort: address, Namespace: "temporal-system",
		ConnectionOptions: client.ConnectionOptions{
			TLS: &tls.Config{Certificates: []tls.Certificate{certificate}, RootCAs: roots, ServerName: "localhost"}}})
	if err != nil {
		return "", err
	}
	defer connected.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	system, err := connected.WorkflowService().GetSystemInfo(ctx, &workflowservice.GetSystemInfoRequest{})
	if err != nil {
		return "", err
	}
	described, err := connected.WorkflowService().DescribeNamespace(ctx,
		&workflowservice.DescribeNamespaceRequest{Namespace: "temporal-system"})
	if err != nil {
		return "", err
	}
	return system.GetServerVersion() + " " + described.GetNamespaceInfo().GetName(), nil
}

func main() {
	said, err := try(os.Args[1], os.Args[2], os.Args[3], os.Args[4])
	if err != nil {
		fmt.Println("error", strings.ReplaceAll(err.Error(), "\n", " "))
		return
	}
	fmt.Println("ok", said)
}
