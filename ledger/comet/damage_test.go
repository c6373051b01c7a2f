package comet

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/walrus-network/walrus/kv"
)

// damage runs a ledger of one, stops it, and hands its directory to spoil.
func damage(t *testing.T, spoil func(dir string)) (*cluster, error) {
	t.Helper()
	c := newCluster(t, 1)
	ctx := within(t)
	c.start(0)
	c.reach(ctx, 0, c.pay(ctx, 0, 0).Height+1)
	c.stop(0)
	m := c.members[0]
	dir := filepath.Join(m.dir, "ledger")
	spoil(dir)
	chain, err := Open(Options{Dir: dir, KeyDir: m.dir, Genesis: c.genesis, Key: m.secret.Key(), Listen: m.addr, Peers: c.peers, Log: quiet()})
	if err != nil {
		return c, err
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- chain.Run(ctx) }()
	height := chain.machine.Height()
	for chain.machine.Height() < height+2 {
		select {
		case <-chain.Changed():
		case err := <-done:
			cancel()
			return c, err
		case <-ctx.Done():
			t.Fatal("neither goes on nor ends")
		}
	}
	cancel()
	return c, <-done
}

// saysWhatToDo says whether an error names the directory that may be moved away.
func saysWhatToDo(err error) bool {
	return err != nil && strings.Contains(err.Error(), "fetches the ledger anew")
}

func overwrite(t *testing.T, path string, from, to float64) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := int(from * float64(len(b))); i < int(to*float64(len(b))); i++ {
		b[i] ^= 0x5a
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestADamagedConsensusLogIsMendedOrAClearError(t *testing.T) {
	for _, part := range [][2]float64{{0, 0.2}, {0.5, 0.6}, {0.95, 1}} {
		_, err := damage(t, func(dir string) { overwrite(t, filepath.Join(dir, "comet", "cs.wal", "wal"), part[0], part[1]) })
		if err != nil && !saysWhatToDo(err) {
			t.Errorf("bytes from %v to %v: %v", part[0], part[1], err)
		}
		t.Logf("bytes from %v to %v: %v", part[0], part[1], err)
	}
}

func TestADamagedLedgerDatabaseIsAClearError(t *testing.T) {
	spoilt := 0
	_, err := damage(t, func(dir string) {
		err := filepath.WalkDir(filepath.Join(dir, "db"), func(path string, d fs.DirEntry, err error) error {
			if err == nil && (strings.HasSuffix(path, ".sst") || strings.HasSuffix(path, ".vlog") || filepath.Base(path) == "MANIFEST") {
				spoilt++
				overwrite(t, path, 0.01, 0.9)
			}
			return err
		})
		if err != nil || spoilt == 0 {
			t.Fatalf("%d files, %v", spoilt, err)
		}
	})
	if !saysWhatToDo(err) {
		t.Errorf("got %v", err)
	}
}

// The parts of the database contradict each other: what CometBFT answers with a panic.
func TestAStateThatDoesNotFitTheBlocksIsAClearError(t *testing.T) {
	wipe := func(prefix string) func(string) {
		return func(dir string) {
			db, err := kv.Open(kv.Options{Dir: filepath.Join(dir, "db"), Profile: kv.Small})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			b := db.Batch()
			if err := db.Each([]byte(prefix), func(k, _ []byte) error { b.Delete(bytes.Clone(k)); return nil }); err != nil {
				t.Fatal(err)
			}
			if b.Len() == 0 {
				t.Fatalf("nothing under %s", prefix)
			}
			if err := b.CommitParts(true); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, prefix := range []string{"c/blockstore/", "c/state/"} {
		_, err := damage(t, wipe(prefix))
		if !saysWhatToDo(err) {
			t.Errorf("without %s: %v", prefix, err)
		}
	}
	// Without the state it is worked out again from the blocks.
	if _, err := damage(t, wipe("s/")); err != nil {
		t.Errorf("without the state: %v", err)
	}
}

// CometBFT lives on after its consensus has panicked; the node does not.
func TestAConsensusThatFailsEndsTheNodeWithTheReason(t *testing.T) {
	c := newCluster(t, 1)
	ctx := within(t)
	c.start(0)
	m := c.members[0]
	c.reach(ctx, 0, 2)
	m.chain.db.Close() // as if the disk were gone
	if err := m.end(); !errors.Is(err, ErrFailed) || !saysWhatToDo(err) {
		t.Errorf("ended with %v", err)
	}
	m.stop = nil
	m.host.Close()

	// The reason that CometBFT logs is the one that is told, and nothing is lost.
	c.start(0)
	c.reach(ctx, 0, m.chain.machine.Height()+1)
	logger{quiet(), m.chain.consensusFailed}.Error("CONSENSUS FAILURE!!!", "err", "two and two are five")
	if err := m.end(); !errors.Is(err, ErrFailed) || !strings.Contains(err.Error(), "two and two are five") {
		t.Errorf("ended with %v", err)
	}
	m.stop = nil
	m.host.Close()
}

// A vote whose record cannot be written is not given, and the node ends with the reason.
func TestARecordOfSignaturesThatCannotBeWrittenEndsTheNode(t *testing.T) {
	c := newCluster(t, 1)
	ctx := within(t)
	c.start(0)
	m := c.members[0]
	c.reach(ctx, 0, 2)
	record := filepath.Join(m.dir, LastSignName)
	for { // a directory in its place cannot be written over; the node writes meanwhile
		if err := os.Remove(record); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		if err := os.Mkdir(record, 0o700); err == nil {
			break
		} else if !errors.Is(err, fs.ErrExist) {
			t.Fatal(err)
		}
	}
	if err := m.end(); !errors.Is(err, ErrFailed) || !strings.Contains(err.Error(), LastSignName) {
		t.Errorf("ended with %v", err)
	}
	m.stop = nil
	m.host.Close()
}

func TestABusyLedgerPortIsNamed(t *testing.T) {
	c := newCluster(t, 1)
	c.start(0)
	m := c.members[0]
	chain, err := Open(Options{Dir: filepath.Join(t.TempDir(), "ledger"), KeyDir: t.TempDir(), Genesis: c.genesis, Key: m.secret.Key(), Listen: m.addr, Peers: c.peers, Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	if err := chain.Run(within(t)); err == nil || !strings.Contains(err.Error(), "the port is taken") {
		t.Errorf("got %v", err)
	}
}
