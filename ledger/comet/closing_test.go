package comet

import (
	"context"
	"testing"
	"time"

	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/unit"
)

// On a chain the closers sign in their turn, round after round, and each draw is where
// the beacon before says; one that is silent delays it, and is passed over.
func TestClosersCloseTheBeaconsOfAChain(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 4)
	p := &c.genesis.Params
	p.Challenged, p.RoundBlocks, p.RoundsPerEpoch = true, 80, 3
	p.Challenge, _ = challenge.Fitting(80)
	p.Challenge.Start, p.Challenge.Freeze = 10, 10 // three closers
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	silent := c.members[3].id()
	c.members[3].choose = func(at ProposerView) Choice { return Choice{Pass: at.Closes} }
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	c.start(0, 1, 2, 3)
	passed, drawn := 0, 0
	for h := unit.Height(10); drawn < 2; h++ {
		c.reach(ctx, 0, h)
		v := must(c.members[0].chain.machine.View())
		r, _, err := v.Round()
		if err != nil {
			t.Fatal(err)
		}
		if !r.Drawn || r.Over || int(r.Round.Round) < drawn {
			continue
		}
		drawn = int(r.Round.Round) + 1
		committee := must(v.Committee(r.Round.Epoch))
		late := uint64(0)
		for _, i := range r.Closers {
			if committee.Nodes[i].ID == silent {
				late = p.Challenge.Patience() - 1
				passed++
			}
		}
		if r.Turn != uint64(len(r.Closers)) || r.T < r.Nominal.Plus(late) || r.T > r.Nominal.Plus(late)+3 { // a block may lack a vote
			t.Errorf("%v: T is %d, at first %d, closers %v, late by %d", r.Round, r.T, r.Nominal, r.Closers, late)
		}
	}
	t.Logf("%d draws, %d turns of a silent closer", drawn, passed)
}

// What a vote carries of a closer is judged by form, round and turn: by all alike.
func TestAClosingIsTakenInItsTurnAlone(t *testing.T) {
	wants := ledger.Wants{Round: someRound, Closer: staking.NodeID{1}, Turn: 1, Carry: true}
	p := newPodium(t, wants)
	chain, key := p.w.genesis.ChainID(), p.secrets[0].BLSKey()
	for name, c := range map[string]struct {
		extension challenge.Extension
		taken     bool
	}{
		"in turn":       {challenge.NewClosing(chain, key, someRound, 1), true},
		"another turn":  {challenge.NewClosing(chain, key, someRound, 0), false},
		"another round": {challenge.NewClosing(chain, key, challenge.RoundID{Epoch: 9}, 1), false},
		"a reveal":      {challenge.NewReveal(chain, key, someRound), false},
	} {
		if got := p.takes(p.height, c.extension.Encode()); got != c.taken {
			t.Errorf("%s: taken %v", name, got)
		}
	}
}
