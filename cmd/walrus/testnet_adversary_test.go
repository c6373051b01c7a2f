package main

import (
	"strings"
	"testing"
)

// A developer makes nodes adversaries, is told what they do and where to watch them, and
// they stay it through kill and start.
func TestADeveloperMakesANodeAnAdversary(t *testing.T) {
	d := launch(t, "--nodes", "4", "--shards", "7", "--block-time", "200ms", "--adversary", "lazy=0.25@3", "--adversary", "silent@1")
	want := map[int]string{1: "silent", 3: "lazy=0.25"}
	shown := func() {
		t.Helper()
		for _, n := range okJSON[testnetStatus](t, "testnet", "status", "--dir", d.net).Nodes {
			if n.Adversary != want[n.Node] || !n.Running {
				t.Errorf("node %d: %+v", n.Node, n)
			}
		}
	}
	shown()
	if out := ok(t, "testnet", "status", "--dir", d.net); !strings.Contains(out, "ADVERSARY") || !strings.Contains(out, "lazy=0.25") {
		t.Errorf("status: %s", out)
	}
	ok(t, "testnet", "kill", "3", "--dir", d.net)
	ok(t, "testnet", "start", "3", "--dir", d.net)
	shown()
	ok(t, "testnet", "down", "--dir", d.net)
	refused(t, exitUsage, []string{"form is fixed", "--adversary"}, "testnet", "up", "--dir", d.net, "--adversary", "silent@2")
	again := walrus(t, "testnet", "up", "--dir", d.net)
	if again.code != exitOK {
		t.Fatalf("up again: %s", again.err)
	}
	for _, words := range []string{"node 1 is an adversary, silent: it proves nothing", "node 3 is an adversary, lazy=0.25: it drops", "walrus nodes", "walrus explain slash"} {
		if !strings.Contains(again.err, words) {
			t.Errorf("up says nothing of %q: %s", words, again.err)
		}
	}
	shown()
}

// An honest node's program has no word that makes it another one.
func TestOnlyATestnetHasAdversaries(t *testing.T) {
	home(t)
	refused(t, exitUsage, []string{"unknown flag"}, "node", "run", "--adversary", "silent")
	refused(t, exitUsage, []string{"thief", "lazy"}, "testnet", "node", "--adversary", "thief")
	help := ok(t, "testnet", "up", "--help")
	for _, kind := range []string{"lazy", "truncator", "outsourcer", "forger", "replayer", "silent", "withholder", "accuser", "rubberstamp", "flooder", "grinder"} {
		if !strings.Contains(help, "\n  "+kind) {
			t.Errorf("the help does not tell of %s", kind)
		}
	}
	if strings.Contains(ok(t, "testnet", "--help"), "  node ") {
		t.Error("the command that the testnet starts its nodes with is shown to people")
	}
}
