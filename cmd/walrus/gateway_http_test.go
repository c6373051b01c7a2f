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
	"strings"
	"testing"

	"github.com/walrus-network/walrus/blob"
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
	files := gatewayFlags{cert: filepath.Join(dir, "cert"), key: filepath.Join(dir, "key")}
	for path, block := range map[string]*pem.Block{files.cert: {Type: "CERTIFICATE", Bytes: pair.Certificate[0]}, files.key: {Type: "PRIVATE KEY", Bytes: key}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) })
	for _, f := range []gatewayFlags{{}, files} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- serveHTTP(ctx, l, echo, f) }()
		for _, two := range []bool{false, true} {
			protocols, want := new(http.Protocols), "HTTP/1.1"
			protocols.SetHTTP1(!two)
			scheme := "http://"
			if f.cert != "" {
				scheme = "https://"
			}
			if two {
				want = "HTTP/2.0"
				protocols.SetHTTP2(f.cert != "")
				protocols.SetUnencryptedHTTP2(f.cert == "")
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

func TestABlocklistNamesTheLineThatIsWrong(t *testing.T) {
	path := filepath.Join(t.TempDir(), "blocked")
	id := blob.ID{7}
	if err := os.WriteFile(path, []byte("# notes\n\n"+id.Base64()+"\n"+blob.ID{8}.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	blocked, err := readBlocklist(path)
	if err != nil || !blocked(id) || !blocked(blob.ID{8}) || blocked(blob.ID{9}) {
		t.Errorf("%v", err)
	}
	if err := os.WriteFile(path, []byte("# notes\nbafy\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readBlocklist(path); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("%v", err)
	}
}
