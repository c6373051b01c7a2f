package testnet

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
)

// arena is a network in which some nodes are adversaries, with blobs to be asked for.
type arena struct {
	*running
	adversaries map[int]Adversary
}

const (
	arenaNodes = 10
	arenaBlobs = 24
)

func startArena(ctx context.Context, t *testing.T, adversaries map[int]Adversary) *arena {
	t.Helper()
	o := challenged(arenaNodes)
	o.Adversaries = adversaries
	shorter := o.Difference
	o.Difference = func(p *ledger.Params) {
		shorter(p)
		p.Challenge.FewBlobs = 1 // a round asks for many of the few blobs
	}
	a := &arena{startNet(ctx, t, o), adversaries}
	for i := range arenaBlobs {
		path := filepath.Join(t.TempDir(), fmt.Sprint(i))
		data := make([]byte, 20_000+i)
		rand.Read(data)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		source, err := client.NewFileSource(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.c.Store(ctx, a.Wallet, source, client.StoreOptions{Epochs: 10}); err != nil {
			t.Fatalf("store blob %d: %v", i, err)
		}
	}
	return a
}

// standing is how all nodes stand on the ledger in an epoch, by their number.
type standing struct {
	tally  ledger.Tally
	credit []staking.Credit
	faults map[int][]ledger.Fault
}

func (a *arena) standing(ctx context.Context) (s standing, err error) {
	v, err := a.c.Remote.View(ctx)
	if err != nil {
		return s, err
	}
	h, err := v.Head()
	if err != nil {
		return s, err
	}
	c, err := v.Committee(h.Epoch)
	if err != nil {
		return s, err
	}
	if s.tally, err = v.Tally(h.Epoch); err != nil {
		return s, err
	}
	s.credit, s.faults = make([]staking.Credit, a.Nodes), map[int][]ledger.Fault{}
	for i, n := range a.Network.Genesis.Nodes {
		if k, in := c.Index(n.ID); in && k < len(s.tally.Nodes) {
			s.credit[i] = s.tally.Nodes[k]
		}
	}
	err = v.EachFault(func(f ledger.Fault, _ ledger.FaultRecord) error {
		for i, n := range a.Network.Genesis.Nodes {
			if n.ID == f.Node {
				s.faults[i] = append(s.faults[i], f)
			}
		}
		return nil
	})
	return s, err
}

func (s standing) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "epoch %d, %d rounds, %d judged", s.tally.Epoch, s.tally.Tallied, s.tally.Judged)
	for i, c := range s.credit {
		fmt.Fprintf(&b, "\n node %d: %+v, faults %v", i, c, s.faults[i])
	}
	return b.String()
}

// statement waits for the end of an epoch, and is what became of a node in it.
func (a *arena) statements(ctx context.Context, epoch uint64) (out []ledger.Statement) {
	a.t.Helper()
	a.until(ctx, fmt.Sprintf("epoch %d is over", epoch), func() error {
		v, err := a.c.Remote.View(ctx)
		if err != nil {
			return err
		}
		out = nil
		for i, n := range a.Network.Genesis.Nodes {
			s, known, err := v.Statement(epoch, n.ID)
			if err != nil {
				return err
			}
			if !known {
				return fmt.Errorf("node %d has no statement", i)
			}
			out = append(out, s)
		}
		return nil
	})
	for i, s := range out {
		a.t.Logf("epoch %d, node %d %s: %+v, rung %d, cut %v, reward %v, deferred %v, lies %d", epoch, i, a.adversaries[i].Kind, s.Credit, s.Verdict.Rung, s.Cut, s.Reward, s.Deferred, s.Lies)
	}
	return out
}

// untouched checks that no honest node was made to suffer.
func (a *arena) untouched(list []ledger.Statement) {
	a.t.Helper()
	for i, s := range list {
		if _, bad := a.adversaries[i]; bad {
			continue
		}
		if s.Credit.Failed > 0 || s.Credit.Passed != s.Credit.Assigned || s.Verdict.Rung > 0 || s.Lies+s.FalseVotes > 0 || s.Cut.Total() > 0 || s.Jailed || s.Deferred > 0 {
			a.t.Errorf("honest node %d: %+v", i, s)
		}
	}
}

var (
	_ = bytes.Equal
	_ = errors.New
	_ = time.Second
)

func TestSilentForgerWithholder(t *testing.T) {
	ctx := within(t, 4*time.Minute)
	a := startArena(ctx, t, map[int]Adversary{7: {Kind: "silent"}, 8: {Kind: "forger"}, 9: {Kind: "withholder", Number: 1}})
	t.Log("stored")
	a.untouched(a.statements(ctx, 0))
	a.untouched(a.statements(ctx, 1))
}
