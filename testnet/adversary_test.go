package testnet

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What an adversary is called it is read by, and its node is it whoever opens the network.
func TestAnAdversaryIsRememberedByItsWords(t *testing.T) {
	o := Default()
	o.Dir = filepath.Join(t.TempDir(), "net")
	var err error
	if o.Adversaries, err = ParseAdversaries([]string{"lazy=0.05@3,5", "silent@0", "withholder@1", "flooder=7@2"}, o.Nodes); err != nil {
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
	if _, err := net.Start(4, false); !errors.Is(err, ErrAdversary) {
		t.Errorf("a node that is to be nobody knows what starts: %v", err)
	}
}

// Where nobody is asked for proof an adversary could not be watched.
func TestAdversariesNeedChallenges(t *testing.T) {
	o := Default()
	o.Dir, o.Epoch = filepath.Join(t.TempDir(), "net"), 5*time.Second
	if _, err := o.params(); err != nil {
		t.Fatal(err)
	}
	o.Adversaries = map[int]Adversary{3: {Kind: "silent"}}
	if _, err := Create(o, testProgram()); err == nil || !strings.Contains(err.Error(), "make the epochs longer") {
		t.Errorf("epochs of %s: %v", o.Epoch, err)
	}
}

// Each kind has its words, and a conduct that is not an honest node's.
func TestEveryKindOfAdversaryIsOne(t *testing.T) {
	for kind, s := range strategies() {
		a, err := ParseAdversary(kind)
		if err != nil || a.Kind != kind || a.What() != s.what || s.what == "" {
			t.Errorf("%s: %+v, %v", kind, a, err)
		}
		if again, err := ParseAdversary(a.String()); err != nil || again != a {
			t.Errorf("%s: %q is read as %+v, %v", kind, a, again, err)
		}
		c := a.Conduct()
		if c.Keeps == nil && c.Rounds.Prove == nil && c.Rounds.Send == nil && c.Rounds.Shows == nil && c.Rounds.Attest == nil && c.Choose == nil {
			t.Errorf("%s does nothing", kind)
		}
		if _, shown := fates[kind]; !shown {
			t.Errorf("no scenario says what becomes of a %s", kind)
		}
	}
}

// As much is dropped as was said, and what goes first goes always.
func TestAsMuchIsDroppedAsWasSaid(t *testing.T) {
	const names = 10_000
	before := map[int]bool{}
	for _, part := range []float64{0, 0.05, 0.5, 1} {
		n := 0
		for i := range names {
			name := []byte{byte(i), byte(i >> 8)}
			if dropped(part, name) {
				n++
				before[i] = true
			} else if before[i] {
				t.Errorf("%d is dropped by who drops less than %v, and not then", i, part)
			}
		}
		if want := int(part * names); n < want-want/5 || n > want+want/5 {
			t.Errorf("%v: %d of %d", part, n, names)
		}
	}
}
