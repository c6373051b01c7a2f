package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/walrus-network/walrus/internal/testlevel"
	"github.com/walrus-network/walrus/node"
	"github.com/walrus-network/walrus/testnet"
)

// A gateway that pays does not start where strangers reach it, unless it knows whom it pays
// for; what contradicts itself is refused before anything is opened.
func TestAGatewayRefusesToPayForStrangers(t *testing.T) {
	dir := t.TempDir()
	for args, want := range map[string]string{
		"--listen 0.0.0.0:1":           "walrus gateway key",
		"--listen :1":                  "walrus gateway key",
		"--listen [::]:1":              "--read-only",
		"--listen 10.1.2.3:1":          "--jwt-secret-file",
		"--listen=":                    "--listen or --s3",
		"--tls-cert x":                 "go together",
		"--read-only --s3 127.0.0.1:1": "--read-only",
		"--default-epochs 0":           "one epoch at least",
		"--read-only --faucet 5WAL":    "--faucet",
	} {
		if got := walrus(t, append([]string{"gateway", "--dir", dir}, strings.Fields(args)...)...); got.code != exitUsage || !strings.Contains(got.err, want) {
			t.Errorf("%s: %d, %s", args, got.code, got.err)
		}
	}
}

// A key is printed once; the file has its hash and name, and takes no second of that name.
func TestAGatewaysKey(t *testing.T) {
	dir := t.TempDir()
	secret := strings.TrimSpace(ok(t, "gateway", "key", "app", "--dir", dir))
	b, err := os.ReadFile(keysPath(dir))
	if err != nil || strings.Contains(string(b), secret) || !strings.Contains(string(b), `name = "app"`) || !strings.HasPrefix(secret, "walrus_") {
		t.Errorf("%q %s %v", secret, b, err)
	}
	if again := walrus(t, "gateway", "key", "app", "--dir", dir); again.code == exitOK || !strings.Contains(again.err, "twice") {
		t.Errorf("%s", again.err)
	}
}

// A testnet with a gateway: programs store and read over HTTP with what gateway.json says,
// also after the gateway was killed, and it ends with the testnet.
func TestATestnetWithAGateway(t *testing.T) {
	testlevel.Whole(t, "runs a gateway's process on a network of four nodes")
	d := launch(t, "--nodes", "4", "--shards", "10", "--block-time", "300ms", "--gateway")
	raw, err := os.ReadFile(filepath.Join(d.net, "gateway.json"))
	if err != nil {
		t.Fatal(err)
	}
	var g testnet.Gateway
	if err := json.Unmarshal(raw, &g); err != nil || g.S3 == "" || g.AccessKey == "" || g.SecretKey == "" {
		t.Fatalf("%s: %v", raw, err)
	}
	body := bytes.Repeat([]byte("walrus "), 100_000)
	r, err := http.NewRequest(http.MethodPut, g.HTTP+"/v1/blobs?epochs=2", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	var stored struct {
		NewlyCreated struct{ BlobObject struct{ BlobID string } }
	}
	err = json.NewDecoder(resp.Body).Decode(&stored)
	resp.Body.Close()
	if err != nil || resp.StatusCode != 200 {
		t.Fatal(resp.Status, err)
	}
	id := stored.NewlyCreated.BlobObject.BlobID
	read := func() error {
		resp, err := http.Get(g.HTTP + "/v1/blobs/" + id)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		got, err := io.ReadAll(resp.Body)
		if err == nil && !bytes.Equal(got, body) {
			err = fmt.Errorf("%s, %d bytes", resp.Status, len(got))
		}
		return err
	}
	if err := read(); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(d.net, "gateway")
	pid, held, err := node.HolderAs(dir, testnet.GatewayLock)
	if err != nil || !held {
		t.Fatal(pid, held, err)
	}
	if second := walrus(t, "gateway", "--dir", dir, "--listen", "127.0.0.1:0"); second.code == exitOK || !strings.Contains(second.err, "runs in") {
		t.Errorf("two gateways in one directory: %d %s", second.code, second.err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for _, held, _ := node.HolderAs(dir, testnet.GatewayLock); held; _, held, _ = node.HolderAs(dir, testnet.GatewayLock) {
		time.Sleep(10 * time.Millisecond) // for the system to take it away
	}
	again := exec.Command(os.Args[0], "gateway", "--dir", dir, "--listen", strings.TrimPrefix(g.HTTP, "http://"))
	if err := again.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { again.Process.Kill(); again.Wait() }()
	if err := answers(t.Context(), g.HTTP+"/status"); err != nil {
		t.Fatal(err)
	}
	if err := read(); err != nil {
		t.Error(err)
	}
}
