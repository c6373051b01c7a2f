package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
	shown := func() gatewayStatus {
		t.Helper()
		s := okJSON[testnetStatus](t, "testnet", "status", "--dir", d.net)
		if s.Gateway == nil {
			t.Fatal("no gateway in the status")
		}
		return *s.Gateway
	}
	if got := shown(); got != (gatewayStatus{true, g.HTTP, g.S3}) {
		t.Errorf("%+v", got)
	}
	refused(t, exitFail, []string{"runs already"}, "testnet", "start", "gateway", "--dir", d.net)
	if got := ok(t, "testnet", "kill", "gateway", "--dir", d.net); got != "gateway killed\n" {
		t.Error(got)
	}
	if got := shown(); got.Running {
		t.Errorf("%+v", got)
	}
	if text := ok(t, "testnet", "status", "--dir", d.net); !strings.Contains(text, "gateway down") {
		t.Error(text)
	}
	refused(t, exitFail, []string{"does not run"}, "testnet", "kill", "gateway", "--dir", d.net)
	refused(t, exitUsage, []string{"0 to 3"}, "testnet", "wipe", "gateway", "--dir", d.net)
	if got := okJSON[processesDone](t, "testnet", "start", "gateway", "--dir", d.net); !got.Gateway || len(got.Nodes) > 0 {
		t.Errorf("%+v", got)
	}
	if got := shown(); got != (gatewayStatus{true, g.HTTP, g.S3}) {
		t.Errorf("after a kill: %+v", got)
	}
	if err := read(); err != nil {
		t.Error(err)
	}
}
