package testnet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/walrus-network/walrus/internal/testlevel"
	"github.com/walrus-network/walrus/ledger"
)

// release is a walrus that was built for the test.
type release struct {
	Command
	t *testing.T
}

// build makes a walrus of the sources, with build tags.
func build(ctx context.Context, t *testing.T, name, tags string) release {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-tags", tags, "-o", path, "../cmd/walrus")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", name, err, out)
	}
	return release{Command{Program: path}, t}
}

// run types words, and returns the JSON object that is printed.
func (r release) run(ctx context.Context, n *Testnet, words ...string) (out map[string]any) {
	r.t.Helper()
	out, err := r.try(ctx, n, words...)
	if err != nil {
		r.t.Fatal(err)
	}
	return out
}

// try is run for a command that may fail.
func (r release) try(ctx context.Context, n *Testnet, words ...string) (out map[string]any, err error) {
	cmd := exec.CommandContext(ctx, r.Program, append(words, "--json", "--network", n.NetworkFile(), "--wallet", n.WalletFile())...)
	cmd.Env = append(os.Environ(), "HOME="+r.t.TempDir())
	var said bytes.Buffer
	cmd.Stderr = &said
	b, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("walrus %s: %w\n%s%s", strings.Join(words, " "), err, b, &said)
	}
	if err := json.Unmarshal(b, &out); err != nil {
		return nil, fmt.Errorf("walrus %s: %w in %s", strings.Join(words, " "), err, b)
	}
	return out, nil
}

// stopped waits until node i has ended and checks that it said what to install, without
// a trace, and that it exited with an error.
func (r *running) stopped(ctx context.Context, i int) {
	r.t.Helper()
	select {
	case <-r.processes[i].Exited():
	case <-ctx.Done():
		r.t.Fatalf("node %d does not stop: %s", i, r.LastLine(i))
	}
	if r.processes[i].err == nil {
		r.t.Errorf("node %d exited with 0", i)
	}
	log, err := os.ReadFile(r.logFile(i))
	if err != nil {
		r.t.Fatal(err)
	}
	if !strings.Contains(r.LastLine(i), "install a release that knows rules 2, then start again; nothing is lost") {
		r.t.Errorf("node %d: its last words are %s", i, r.LastLine(i))
	}
	if bytes.Contains(log, []byte("goroutine ")) || bytes.Contains(log, []byte("CONSENSUS FAILURE")) {
		r.t.Errorf("node %d ended with a trace:\n%s", i, log)
	}
}

func (r *running) head(ctx context.Context) ledger.Head {
	r.t.Helper()
	v, err := r.c.Remote.View(ctx)
	if err != nil {
		r.t.Fatal(err)
	}
	h, err := v.Head()
	if err != nil {
		r.t.Fatal(err)
	}
	return h
}

// Two releases of the program carry a network from rules 1 to rules 2, one node after
// another, and nothing is lost. One node is away while it happens and comes back with
// the old release.
func TestANetworkGoesOnUnderNewRulesWithANewerProgram(t *testing.T) {
	testlevel.Whole(t, "builds two releases and carries a network from one to the other")
	ctx := within(t, 15*time.Minute) // the builds included
	older, newer := build(ctx, t, "walrus-1", ""), build(ctx, t, "walrus-2", "walrus_rules2")
	began := time.Now()
	o := Default()
	o.Nodes, o.Block, o.Epoch = 4, 200*time.Millisecond, 12*time.Second
	r := startNetOf(ctx, t, o, older.Command)

	for i := range 3 { // 21 of 28 shards
		id := r.Network.Genesis.Nodes[i].ID.String()
		if v := older.run(ctx, r.Testnet, "pool", "vote", id, "--version", "2"); v["sent"] != true || v["shards"] != 7.0 {
			t.Fatalf("%+v", v)
		}
	}
	r.until(ctx, "rules 2 are planned and the nodes warn of them", func() error {
		s, err := r.Status(ctx, 0)
		if err == nil && (s.Rules != 1 || !strings.Contains(s.Notice, "begins with rules 2")) {
			err = fmt.Errorf("epoch %d, rules %d, notice %q", s.Epoch, s.Rules, s.Notice)
		}
		return err
	})
	r.until(ctx, "clients can prove it", func() error { // a block later
		v, err := r.c.Remote.View(ctx)
		if err != nil {
			return err
		}
		rules, err := v.Rules()
		if err == nil && len(rules.Planned) == 0 {
			err = errors.New("nothing is planned")
		}
		return err
	})
	info := older.run(ctx, r.Testnet, "info")
	if at := info["ledger"].(map[string]any); !strings.Contains(fmt.Sprint(at["notice"]), "install a release that knows rules 2") {
		t.Errorf("info with the old release: %+v", at)
	}
	if at := newer.run(ctx, r.Testnet, "info")["ledger"].(map[string]any); at["notice"] != nil {
		t.Errorf("info with the new release: %+v", at)
	}
	if plans := older.run(ctx, r.Testnet, "params")["planned"].([]any); len(plans) != 1 || plans[0].(map[string]any)["epoch"] != float64(r.head(ctx).Epoch+1) || plans[0].(map[string]any)["rules"] != 2.0 {
		t.Errorf("planned: %+v", plans)
	}
	before := r.head(ctx)
	r.kill(ctx, 3)
	for i := range 3 {
		r.stopped(ctx, i)
		log, err := os.ReadFile(r.logFile(i))
		if n := bytes.Count(log, []byte("install a release that knows rules 2 before then")); err != nil || n != 1 {
			t.Errorf("node %d warned %d times: %v", i, n, err)
		}
	}
	// The old release, started again, says the same at once.
	r.start(0)
	r.stopped(ctx, 0)

	r.command = newer.Command
	r.start(0, 1, 2)
	r.until(ctx, "the chain goes on", func() error { return r.pay(ctx, 1) })
	r.until(ctx, "clients see the new rules", func() error { // what they prove is a block behind
		if h := r.head(ctx); h.RuleVersion != 2 || h.Epoch <= before.Epoch {
			return fmt.Errorf("%+v", h)
		}
		return nil
	})
	// The node that was away catches up with the old release as far as that goes.
	r.command = older.Command
	r.start(3)
	r.stopped(ctx, 3)
	r.command = newer.Command
	r.start(3)
	r.caughtUp(ctx, 0, 1, 2, 3)
	for i := range o.Nodes {
		if s, err := r.Status(ctx, i); err != nil || s.Rules != 2 || s.Notice != "" {
			t.Errorf("node %d: rules %d, notice %q, %v", i, s.Rules, s.Notice, err)
		}
	}
	if e := newer.run(ctx, r.Testnet, "explain", "price"); e["holds"] != true {
		t.Errorf("%+v", e)
	}
	if inv, err := r.Check(ctx, r.c); err != nil {
		t.Errorf("%+v: %v", inv, err)
	}
	t.Logf("from the start to the check: %v", time.Since(began))
}
