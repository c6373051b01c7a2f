package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/walrus-network/walrus/node"
)

func TestNodeInitChecksWhatIsTyped(t *testing.T) {
	home(t)
	network := laidNet(t).NetworkFile()
	for flag, says := range map[string]string{
		"--ledger-listen=::1:24002": "[::]:4002", "--ledger-listen=tcp://0.0.0.0:4002": "0.0.0.0:4002", "--ledger-listen=0.0.0.0": "port",
		"--ledger-listen=:99999": "65535", "--listen=127.0.0.1:4001": "/ip4/0.0.0.0/tcp/4001", "--listen=": "listen",
	} {
		dir := filepath.Join(t.TempDir(), "n")
		refused(t, exitUsage, []string{says}, "node", "init", "--dir", dir, "--network", network, flag)
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s: a directory was made", flag)
		}
	}
	long := filepath.Join(t.TempDir(), strings.Repeat("d", 300))
	refused(t, exitUsage, []string{"255"}, "node", "init", "--dir", long, "--network", network)
	// Nothing of the home directory is needed where all is named.
	t.Setenv("HOME", "")
	t.Setenv("XDG_CONFIG_HOME", "")
	dir := filepath.Join(t.TempDir(), "n")
	ok(t, "node", "init", "--dir", dir, "--network", network)
	refused(t, exitFail, []string{"a node lies in"}, "node", "init", "--dir", dir, "--network", network)
}

// An init that was cut off is finished by the next one, with the key that it made.
func TestAnInterruptedInitIsFinished(t *testing.T) {
	home(t)
	network := laidNet(t).NetworkFile()
	dir := filepath.Join(t.TempDir(), "n")
	ok(t, "node", "init", "--dir", dir, "--network", network)
	key := filepath.Join(dir, node.KeysDir, "node.key")
	was, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	cut := func(names ...string) {
		t.Helper()
		for _, name := range names {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, gone := range [][]string{{node.FileName}, {node.FileName, networkCopy}} {
		cut(gone...)
		ok(t, "node", "init", "--dir", dir, "--network", network)
		if now, err := os.ReadFile(key); err != nil || string(now) != string(was) {
			t.Errorf("without %v the key was replaced: %v", gone, err)
		}
	}
	cut(node.FileName)
	if err := os.Truncate(key, 0); err != nil { // nothing was written into it yet
		t.Fatal(err)
	}
	ok(t, "node", "init", "--dir", dir, "--network", network)
	// Where a node of another network has run, none is made.
	cut(node.FileName)
	if err := os.Mkdir(filepath.Join(dir, node.LedgerDir), 0o700); err != nil {
		t.Fatal(err)
	}
	refused(t, exitFail, []string{"has run"}, "node", "init", "--dir", dir, "--network", laidNet(t).NetworkFile())
	ok(t, "node", "init", "--dir", dir, "--network", network)
}
