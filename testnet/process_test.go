package testnet

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/walrus-network/walrus/node"
	"github.com/walrus-network/walrus/testnet/adversary"
)

// soon bounds a test.
func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func small(dir string) Options {
	o := Default()
	o.Dir, o.Nodes, o.Shards = dir, 4, 4
	return o
}

// A node runs from its start until its directory and its ports are free, for every
// asker, however the directory is spelled; and nothing of it is wiped until then.
func TestARunningNodeIsKnownByItsDirectoryNotByItsSpelling(t *testing.T) {
	ctx := soon(t)
	base := t.TempDir()
	net, err := Create(small(filepath.Join(base, "net")), testProgram())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("net", filepath.Join(base, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(base, "a"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { net.Down(context.Background()) })
	p, err := net.Start(1, true)
	if err != nil {
		t.Fatal(err)
	}
	if !net.Running(1) {
		t.Fatal("a node that was just started does not run")
	}
	if _, err := net.Answers(ctx, 1); err != nil {
		t.Fatal(err)
	}
	kept := filepath.Join(net.NodeDir(1), node.FragmentsDir)
	pid, err := os.ReadFile(filepath.Join(net.NodeDir(1), pidName))
	if err != nil {
		t.Fatal(err)
	}
	for _, spelled := range []string{net.Dir, base + "/link", base + "/link/", base + "/a/../net", base + "/./a/../link/."} {
		other, err := Open(spelled, testProgram())
		if err != nil {
			t.Fatalf("%s: %v", spelled, err)
		}
		if !other.Running(1) || other.Running(0) {
			t.Errorf("%s: node 1 does not run, or node 0 does", spelled)
		}
		for what, err := range map[string]error{"wipe": other.Wipe(1), "remove": other.Remove(), "up": other.Up(ctx, quiet()), "start": second(other.Start(1, true))} {
			if !errors.Is(err, ErrRunning) || !strings.Contains(err.Error(), "node 1 runs (pid "+string(pid)+")") {
				t.Errorf("%s %s: %v", what, spelled, err)
			}
		}
	}
	select {
	case <-p.Exited():
		t.Fatal("the node was ended")
	default:
	}
	if _, err := os.Stat(kept); err != nil {
		t.Errorf("its fragments are gone: %v", err)
	}
	if now, err := os.ReadFile(filepath.Join(net.NodeDir(1), pidName)); err != nil || string(now) != string(pid) {
		t.Errorf("its pid file was %q and is %q, %v", pid, now, err)
	}
	// By a link it is ended, and then wiped and removed.
	linked, err := Open(base+"/link", testProgram())
	if err != nil {
		t.Fatal(err)
	}
	if err := linked.Down(ctx); err != nil {
		t.Fatal(err)
	}
	<-p.Exited()
	if linked.Running(1) || net.Running(1) {
		t.Error("it runs after its end")
	}
	if err := linked.Wipe(1); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(kept); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("its fragments were wiped and are there: %v", err)
	}
	if err := linked.Remove(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(net.Dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what the link led to is there still: %v", err)
	}
	if again, err := Create(small(base+"/link"), testProgram()); err != nil || again.Dir != net.Dir {
		t.Errorf("a testnet where the link leads: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

// A testnet that is moved, whole and stopped, is the same: no path in it is absolute.
func TestATestnetCanBeMoved(t *testing.T) {
	ctx := soon(t)
	base := t.TempDir()
	net, err := Create(small(filepath.Join(base, "old")), testProgram())
	if err != nil {
		t.Fatal(err)
	}
	moved := filepath.Join(base, "some where else")
	if err := os.Rename(net.Dir, moved); err != nil {
		t.Fatal(err)
	}
	if err := filepath.WalkDir(moved, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if strings.Contains(string(b), base) {
			t.Errorf("%s holds the path where it was made", path)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if net, err = Open(moved, testProgram()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { net.Down(context.Background()) })
	if err := net.Up(ctx, quiet()); err != nil {
		t.Fatal(err)
	}
}

// A creation that was cut off anywhere is finished by the next one, with the keys that
// are there; what a node has kept is never taken for a rest of one.
func TestAnInterruptedCreationIsFinished(t *testing.T) {
	for _, cut := range []struct {
		name string
		do   func(net *Testnet) error
	}{
		{"before network.toml", func(net *Testnet) error { return os.Remove(net.NetworkFile()) }},
		{"before the wallet", func(net *Testnet) error {
			return errors.Join(os.Remove(net.NetworkFile()), os.Remove(net.WalletFile()))
		}},
		{"in the wallet", func(net *Testnet) error {
			return errors.Join(os.Remove(net.NetworkFile()), os.Truncate(net.WalletFile(), 0))
		}},
		{"before the last nodes", func(net *Testnet) error {
			return errors.Join(os.Remove(net.NetworkFile()), os.RemoveAll(net.NodeDir(2)), os.RemoveAll(net.NodeDir(3)))
		}},
		{"in a key", func(net *Testnet) error {
			return errors.Join(os.Remove(net.NetworkFile()), os.Truncate(filepath.Join(net.NodeDir(3), node.KeysDir, "node.key"), 0))
		}},
		{"before a node's file", func(net *Testnet) error {
			return errors.Join(os.Remove(net.NetworkFile()), os.Remove(filepath.Join(net.NodeDir(3), node.FileName)))
		}},
	} {
		o := small(filepath.Join(t.TempDir(), "net"))
		o.Adversaries = map[int]adversary.Adversary{3: {Kind: "silent"}}
		net, err := Create(o, testProgram())
		if err != nil {
			t.Fatal(err)
		}
		if err := cut.do(net); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(o.Dir, testProgram()); !errors.Is(err, ErrNone) {
			t.Errorf("%s: what is not whole is opened: %v", cut.name, err)
		}
		o.Adversaries = nil
		if _, err := Create(o, testProgram()); err != nil {
			t.Errorf("%s: %v", cut.name, err)
			continue
		}
		if again, err := Open(o.Dir, testProgram()); err != nil || again.Nodes != 4 {
			t.Errorf("%s: %v", cut.name, err)
		} else if _, bad, _ := again.Adversary(3); bad {
			t.Errorf("%s: an adversary of the one that was cut off is left", cut.name)
		}
	}
	o := small(filepath.Join(t.TempDir(), "net"))
	net, err := Create(o, testProgram())
	if err != nil {
		t.Fatal(err)
	}
	ledger := filepath.Join(net.NodeDir(0), node.LedgerDir)
	if err := errors.Join(os.Mkdir(ledger, 0o700), os.Remove(net.NetworkFile())); err != nil {
		t.Fatal(err)
	}
	if _, err := Create(o, testProgram()); err == nil || !strings.Contains(err.Error(), networkName) {
		t.Errorf("a testnet that has run is made anew: %v", err)
	}
}
