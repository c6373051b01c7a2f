package rounds

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"github.com/walrus-network/walrus/internal/testlevel"
	"github.com/walrus-network/walrus/sim"
)

func watch(t *testing.T, o Options) Result {
	t.Helper()
	r, err := Run(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A node that drops a tenth is caught almost at once, and no other node is. One seed gives
// one history.
func TestOnlyTheNodeThatDropsATenthIsCaught(t *testing.T) {
	testlevel.Middle(t, "takes seconds of processor time")
	o := Options{Nodes: 7, Shards: 7, Blobs: 512, Rounds: 10, Epochs: 1, Drop: 0.1, Seed: 1}
	r := watch(t, o)
	if r.Caught < 1 || r.Caught > 3 {
		t.Errorf("caught in round %d", r.Caught)
	}
	if len(r.Slashes) != 1 || r.Slashes[0].ID != "node0" || r.Slashes[0].Rung != 4 {
		t.Errorf("slashed: %+v", r.Slashes)
	}
	for _, c := range r.Credits {
		switch {
		case c.ID == "node0" && (c.Failed < 7 || c.Failed+c.Passed != 10):
			t.Errorf("%+v", c)
		case c.ID != "node0" && (c.Passed != 10 || c.Assigned != 10):
			t.Errorf("%+v", c)
		}
	}
	if again := watch(t, o); !reflect.DeepEqual(again, r) {
		t.Error("another history of the same seed")
	}
}

// Honest nodes lose messages and crash, and are not slashed for it.
func TestLossAndCrashesSlashNoNode(t *testing.T) {
	testlevel.Middle(t, "takes seconds of processor time")
	r := watch(t, Options{Nodes: 7, Shards: 14, Blobs: 64, Rounds: 30, Epochs: 2, Loss: 0.05, Crashes: 4, Seed: 2})
	if len(r.Slashes) > 0 {
		t.Errorf("slashed: %+v", r.Slashes)
	}
	missed := uint64(0)
	for _, c := range r.Credits {
		missed += c.Assigned - c.Passed
		if c.Assigned != 2*30*2 || 10*c.Passed < 8*c.Assigned {
			t.Errorf("%+v", c)
		}
	}
	if missed == 0 {
		t.Error("nobody has missed anything: nothing crashed")
	}
	// All messages of all are lost but one in twenty: nobody can pass for long.
	r = watch(t, Options{Nodes: 7, Shards: 14, Blobs: 64, Rounds: 5, Epochs: 1, Loss: 0.95, Seed: 2})
	for _, c := range r.Credits {
		if c.Passed == c.Assigned {
			t.Errorf("%+v where nothing arrives", c)
		}
	}
}

func TestRoundsThatMakeNoNetworkAreRefused(t *testing.T) {
	good := Options{Nodes: 7, Shards: 7, Blobs: 1, Rounds: 1, Epochs: 1}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for what, spoil := range map[string]func(*Options){
		"nodes": func(o *Options) { o.Nodes = 3 }, "shards": func(o *Options) { o.Shards = 6 }, "blobs": func(o *Options) { o.Blobs = 0 },
		"rounds": func(o *Options) { o.Rounds = 0 }, "epochs": func(o *Options) { o.Epochs = 0 }, "drop": func(o *Options) { o.Drop = 1.1 },
		"loss": func(o *Options) { o.Loss = 1 }, "crashes": func(o *Options) { o.Crashes = 2 },
	} {
		o := good
		spoil(&o)
		if err := o.Validate(); !errors.Is(err, sim.ErrOptions) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
