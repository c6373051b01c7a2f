package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/walrus-network/walrus/internal/testlevel"
	"github.com/walrus-network/walrus/token"
)

func TestSimEconomyTellsWhatBecameOfEachNode(t *testing.T) {
	home(t)
	args := strings.Fields("sim economy --nodes 8 --epochs 3 --uptime 0.9@node2 --uptime 1 --drop 1@node5 --storage-cost 0.5 --seed 3")
	got := walrus(t, append(args, "--json")...)
	if got.code != exitOK || !strings.HasPrefix(got.out, `{"seconds":`) {
		t.Fatalf("%+v", got)
	}
	var r struct {
		Seconds  float64
		SupplyOK bool `json:"supply_ok"`
		Epochs   int
		Nodes    []struct {
			ID                    string
			Uptime, Drop          float64
			Income, Held, Slashed token.Amount
			Shards                *int
		}
		Burned token.Amount
		Funds  map[string]token.Amount
	}
	if err := json.Unmarshal([]byte(got.out), &r); err != nil {
		t.Fatal(err)
	}
	if r.Seconds <= 0 || !r.SupplyOK || r.Epochs != 3 || len(r.Nodes) != 8 || r.Burned == 0 || r.Funds["insurance"] == 0 || r.Funds["repair"] == 0 || r.Funds["subsidy"] == 0 {
		t.Fatal(got.out)
	}
	for i, n := range r.Nodes {
		uptime, drop := 1.0, 0.0
		switch i {
		case 2:
			uptime = 0.9
		case 5:
			drop = 1
		}
		if n.Uptime != uptime || n.Drop != drop || n.Shards == nil || (n.Income == 0) != (i == 5) || (n.Slashed > 0) != (i == 5) {
			t.Errorf("%+v", n)
		}
	}
	got = walrus(t, args...)
	for _, word := range []string{"node5", "rung 4", "every FROST is accounted for", "insurance"} {
		if !strings.Contains(got.out, word) {
			t.Errorf("no %q in\n%s", word, got.out)
		}
	}
}

func TestSimRoundsTellsHowSoonANodeThatDropsIsCaught(t *testing.T) {
	testlevel.Middle(t, "takes seconds of processor time")
	home(t)
	args := strings.Fields("sim rounds --nodes 4 --shards 4 --blobs 512 --rounds 5 --drop 0.3 --runs 2")
	got := walrus(t, append(args, "--json")...)
	var r simRounds
	if err := json.Unmarshal([]byte(got.out), &r); err != nil || got.code != exitOK {
		t.Fatalf("%v %+v", err, got)
	}
	if len(r.Runs) != 2 || r.First != 2 || r.Caught != 2 || r.Honest != 6 || r.HonestHit != 0 || r.HonestPass != 1 || r.FirstIs < 0.9999 || r.Runs[1].Seed != 2 {
		t.Errorf("%+v", r)
	}
	got = walrus(t, append(args, "--runs", "1")...)
	for _, word := range []string{"in 1 of 1 runs", "theory", "3 node-epochs", "0 slashes"} {
		if !strings.Contains(got.out, word) {
			t.Errorf("no %q in\n%s", word, got.out)
		}
	}
	refused(t, exitUsage, []string{"loss 2", "below 1"}, "sim", "rounds", "--loss", "2")
}
