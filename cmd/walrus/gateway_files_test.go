package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/gateway/access"
)

// newFiles is a gateway without doors, which watches files.
func newFiles(t *testing.T) *openedGateway {
	g := &openedGateway{log: slog.New(slog.DiscardHandler)}
	t.Cleanup(func() {
		if err := g.close(); err != nil {
			t.Error(err)
		}
	})
	return g
}

func rewrite(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// soon waits until a changed file counts.
func soon(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(commandLimit); !holds(); {
		if time.Now().After(end) {
			t.Fatal(what)
		}
		time.Sleep(50 * time.Millisecond) // the file is looked at in real time
	}
}

func TestFilesOfAGatewayCountWithoutARestart(t *testing.T) {
	g, dir := newFiles(t), t.TempDir()

	list := filepath.Join(dir, "blocked")
	rewrite(t, list, "# notes\n\n"+blob.ID{7}.Base64()+"\n"+blob.ID{8}.String()+"\n")
	blocked, err := g.blocklist(list)
	if err != nil || !blocked(blob.ID{7}) || !blocked(blob.ID{8}) || blocked(blob.ID{9}) {
		t.Errorf("%v", err)
	}

	keys := filepath.Join(dir, "keys.toml")
	_, one, err := access.NewSecret("one")
	if err != nil {
		t.Fatal(err)
	}
	rewrite(t, keys, one)
	control := access.NewControl(access.Options{})
	if err := watch(g, accessKeys(keys), control.SetKeys); err != nil {
		t.Fatal(err)
	}
	knows := func(name string) bool { _, err := control.Named(name); return err == nil }
	if !knows("one") || knows("two") {
		t.Error("the keys of the file are not known")
	}

	cert, certKey := filepath.Join(dir, "cert"), filepath.Join(dir, "key")
	newCertificate(t, 1, cert, certKey)
	secure, err := g.certificate(cert, certKey)
	if err != nil {
		t.Fatal(err)
	}
	serial := func() int64 {
		pair, err := secure.GetCertificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		c, err := x509.ParseCertificate(pair.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		return c.SerialNumber.Int64()
	}
	if serial() != 1 {
		t.Errorf("certificate %d", serial())
	}

	rewrite(t, list, blob.ID{9}.String())
	if err := appendKey(keys, strings.ReplaceAll(one, `"one"`, `"two"`)); err != nil {
		t.Fatal(err)
	}
	newCertificate(t, 2, cert, certKey)
	soon(t, "the blocklist is not read again", func() bool { return blocked(blob.ID{9}) && !blocked(blob.ID{7}) })
	soon(t, "the keys are not read again", func() bool { return knows("one") && knows("two") })
	soon(t, "the certificate is not read again", func() bool { return serial() == 2 })
}

// newCertificate writes a certificate with that serial number, and its key.
func newCertificate(t *testing.T, serial int64, cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	of := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, of, of, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	rewrite(t, cert, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	rewrite(t, key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})))
}

func TestAGatewayNamesTheFileThatIsWrong(t *testing.T) {
	g, path := newFiles(t), filepath.Join(t.TempDir(), "file")
	rewrite(t, path, "# notes\nbafy\n")
	if _, err := g.blocklist(path); err == nil || !strings.Contains(err.Error(), "line 2") || !strings.Contains(err.Error(), path) {
		t.Errorf("a blocklist: %v", err)
	}
	if _, err := g.certificate(path, path+"none"); err == nil || !strings.Contains(err.Error(), path+"none") {
		t.Errorf("a certificate without a key: %v", err)
	}
	if err := watch(g, accessKeys(path), func([]access.Key) {}); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("keys: %v", err)
	}
	newCertificate(t, 1, path, filepath.Join(t.TempDir(), "another"))
	other := httptest.NewUnstartedServer(nil)
	other.StartTLS()
	defer other.Close()
	der, err := x509.MarshalPKCS8PrivateKey(other.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	foreign := filepath.Join(t.TempDir(), "key")
	rewrite(t, foreign, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	if _, err := g.certificate(path, foreign); err == nil {
		t.Error("a certificate with the key of another was taken")
	}
}
