// TLS, where a folder of certificates is given: ca.pem, server.pem and server.key.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"log"
	"os"
	"path/filepath"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

func serverCredentials(folder string) credentials.TransportCredentials {
	if folder == "" {
		return insecure.NewCredentials()
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(folder, "server.pem"), filepath.Join(folder, "server.key"))
	if err != nil {
		log.Fatal(err)
	}
	return credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{pair}})
}

func clientCredentials(folder string) credentials.TransportCredentials {
	if folder == "" {
		return insecure.NewCredentials()
	}
	authority, err := os.ReadFile(filepath.Join(folder, "ca.pem"))
	if err != nil {
		log.Fatal(err)
	}
	known := x509.NewCertPool()
	if !known.AppendCertsFromPEM(authority) {
		log.Fatalf("no certificate in ca.pem of %s", folder)
	}
	return credentials.NewTLS(&tls.Config{RootCAs: known})
}
