package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
)

// A gateway speaks HTTP/1.1 and HTTP/2, with TLS and without, and ends when it is asked to.
func TestAGatewaySpeaksHTTP2(t *testing.T) {
	// The certificate of Go's test server, which is for 127.0.0.1.
	made := httptest.NewUnstartedServer(nil)
	made.StartTLS()
	pair := made.TLS.Certificates[0]
	made.Close()
	dir := t.TempDir()
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, certKey := filepath.Join(dir, "cert"), filepath.Join(dir, "key")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: pair.Certificate[0]}, certKey: {Type: "PRIVATE KEY", Bytes: key}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	g := newFiles(t)
	secure, err := g.certificate(cert, certKey)
	if err != nil {
		t.Fatal(err)
	}
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) })
	for _, secure := range []*tls.Config{nil, secure} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- serveHTTP(ctx, l, echo, secure, nil) }()
		for _, two := range []bool{false, true} {
			protocols, want := new(http.Protocols), "HTTP/1.1"
			protocols.SetHTTP1(!two)
			scheme := "http://"
			if secure != nil {
				scheme = "https://"
			}
			if two {
				want = "HTTP/2.0"
				protocols.SetHTTP2(secure != nil)
				protocols.SetUnencryptedHTTP2(secure == nil)
			}
			transport := &http.Transport{Protocols: protocols, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} // the certificate is ours
			resp, err := (&http.Client{Transport: transport}).Get(scheme + l.Addr().String())
			if err != nil {
				t.Fatalf("%s: %v", want, err)
			}
			if b, err := io.ReadAll(resp.Body); err != nil || string(b) != want {
				t.Errorf("%s: %q %v", want, b, err)
			}
			resp.Body.Close()
			transport.CloseIdleConnections()
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}
