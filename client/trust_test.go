package client

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/walrus-network/walrus/ledger/light"
)

func TestTrustIsKeptForOneUserAndForABoundedNumberOfChains(t *testing.T) {
	d := TrustDir(t.TempDir() + "/made/when/needed")
	if b, err := d.Load("a-1"); b != nil || !os.IsNotExist(err) {
		t.Errorf("nothing was kept: %q, %v", b, err)
	}
	for _, want := range []string{"older", "newer"} {
		if err := d.Keep("a-1", []byte(want)); err != nil {
			t.Fatal(err)
		}
		if got, err := d.Load("a-1"); string(got) != want || err != nil {
			t.Errorf("kept %q, loaded %q, %v", want, got, err)
		}
	}
	if info, err := os.Stat(d.path("a-1")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if err := os.Chmod(d.path("a-1"), 0o620); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Load("a-1"); err == nil {
		t.Error("a file that others may write is trusted")
	}
	long := time.Now().Add(-time.Hour)
	if err := os.Chtimes(d.path("a-1"), long, long); err != nil {
		t.Fatal(err)
	}
	for i := range trustFiles + 3 {
		if err := d.Keep(fmt.Sprintf("b-%d", i), bytes.Repeat([]byte{1}, i)); err != nil {
			t.Fatal(err)
		}
	}
	list, err := os.ReadDir(string(d))
	if err != nil || len(list) != trustFiles {
		t.Errorf("%d files, at most %d: %v", len(list), trustFiles, err)
	}
	if _, err := os.Stat(d.path("a-1")); err == nil {
		t.Error("the oldest file stays")
	}
}

// Two files of one network, of which one names a checkpoint, do not take each other's trust
// away.
func TestTrustIsKeptForEachBeginning(t *testing.T) {
	d, log := TrustDir(t.TempDir()), slog.New(slog.DiscardHandler)
	keepers := map[string]*light.RemoteOptions{"genesis": {}, "five": {Checkpoint: &light.Checkpoint{Height: 5}}, "six": {Checkpoint: &light.Checkpoint{Height: 6}}}
	for name, o := range keepers {
		d.serve("a-1", o, log)
		o.Keep([]byte(name))
	}
	for name, o := range keepers {
		if d.serve("a-1", o, log); string(o.Kept) != name {
			t.Errorf("kept for %s: %q", name, o.Kept)
		}
		if _, err := os.Stat(o.KeptIn); err != nil {
			t.Error(err)
		}
	}
}
