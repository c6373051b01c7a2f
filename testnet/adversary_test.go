package testnet

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/walrus-network/walrus/testnet/adversary"
)

// What an adversary is called it is read by, and its node is it whichever program opens the network.
func TestAnAdversaryIsRememberedByItsWords(t *testing.T) {
	o := Default()
	o.Dir = filepath.Join(t.TempDir(), "net")
	var err error
	if o.Adversaries, err = adversary.ParseList([]string{"lazy=0.05@3,5", "silent@0", "withholder@1", "flooder=7@2"}, o.Nodes); err != nil {
		t.Fatal(err)
	}
	if _, err := Create(o, testProgram()); err != nil {
		t.Fatal(err)
	}
	net, err := Open(o.Dir, testProgram())
	if err != nil {
		t.Fatal(err)
	}
	want := map[int]string{0: "silent", 1: "withholder=1", 2: "flooder=7", 3: "lazy=0.05", 5: "lazy=0.05"}
	for i := range o.Nodes {
		a, ok, err := net.Adversary(i)
		if err != nil || ok != (want[i] != "") || ok && a.String() != want[i] {
			t.Errorf("node %d: %v, %v, %v", i, a, ok, err)
		}
	}
	if err := os.WriteFile(filepath.Join(net.NodeDir(4), adversaryName), []byte("thief"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := net.Start(4, false); !errors.Is(err, adversary.ErrUnknown) {
		t.Errorf("a node that is to be nobody knows what starts: %v", err)
	}
}

// Where no node is asked for proof an adversary could not be watched.
func TestAdversariesNeedChallenges(t *testing.T) {
	o := Default()
	o.Dir, o.Epoch = filepath.Join(t.TempDir(), "net"), 5*time.Second
	if _, err := o.params(); err != nil {
		t.Fatal(err)
	}
	o.Adversaries = map[int]adversary.Adversary{3: {Kind: "silent"}}
	if _, err := Create(o, testProgram()); err == nil || !strings.Contains(err.Error(), "make the epochs longer") {
		t.Errorf("epochs of %s: %v", o.Epoch, err)
	}
}

// Each kind of adversary stands in a scenario.
func TestEveryKindOfAdversaryHasAScenario(t *testing.T) {
	kinds := adversary.Kinds()
	if len(kinds) != len(fates) {
		t.Errorf("%d kinds and %d scenarios", len(kinds), len(fates))
	}
	for _, kind := range kinds {
		if _, shown := fates[kind]; !shown {
			t.Errorf("no scenario says what becomes of a %s", kind)
		}
	}
}
