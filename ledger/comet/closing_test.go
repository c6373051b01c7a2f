package comet

import (
	"context"
	"sync"
	"testing"

	abci "github.com/cometbft/cometbft/abci/types"

	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/unit"
)

// closings is what a chain's closers did.
type closings struct {
	mu    sync.Mutex                           // guards the fields below
	mute  []unit.Height                        // votes of honest nodes without their signature, in their turn
	first map[challenge.RoundID]unit.Height    // T when the closers' turns began
	lost  map[challenge.RoundID]map[uint16]int // blocks that may carry a closer's signature and do not
}

// closer tells of its votes.
type closer struct {
	*app
	all *closings
}

func (c closer) ExtendVote(ctx context.Context, r *abci.RequestExtendVote) (*abci.ResponseExtendVote, error) {
	out, err := c.app.ExtendVote(ctx, r)
	if err != nil {
		return out, err
	}
	w, known, err := c.wanted(r.Height)
	if err == nil && known && w.Closer == c.self && len(out.VoteExtension) == 0 {
		c.all.mu.Lock()
		c.all.mute = append(c.all.mute, unit.Height(r.Height))
		c.all.mu.Unlock()
	}
	return out, err
}

// look notes what is due in a block and what it carries, before it is executed.
func (a *closings) look(m *ledger.Machine, b ledger.Block, shards int) error {
	v, err := m.View()
	if err != nil {
		return err
	}
	r, known, err := v.Round()
	if err != nil || !known || !r.Closed || r.Drawn || r.Over || r.Turn == uint64(len(r.Closers)) {
		return err
	}
	committee, err := v.Committee(r.Round.Epoch)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, began := a.first[r.Round]; !began {
		a.first[r.Round], a.lost[r.Round] = r.T, map[uint16]int{}
	}
	if !challenge.TurnDue(r.Since, b.Height) {
		return nil
	}
	due := r.Closers[r.Turn]
	for _, e := range b.Extensions {
		x, err := challenge.DecodeExtension(e.Extension, shards)
		if err == nil && e.Node == committee.Nodes[due].ID && x.Closing != nil && x.Closing.Turn == r.Turn {
			return nil
		}
	}
	a.lost[r.Round][due]++
	return nil
}

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
	all := &closings{first: map[challenge.RoundID]unit.Height{}, lost: map[challenge.RoundID]map[uint16]int{}}
	for i, m := range c.members[:3] {
		m.wrap = func(a *app) abci.Application {
			if execute := a.execute; i == 0 {
				a.execute = func(b ledger.Block) (ledger.Result, error) {
					if err := all.look(a.machine, b, c.genesis.Params.Shards); err != nil {
						t.Error(err)
					}
					return execute(b)
				}
			}
			return closer{a, all}
		}
	}
	ctx := within(t)
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
		all.mu.Lock()
		late, lost := uint64(0), uint64(0) // a vote that comes late, on a busy machine, is lost
		for _, i := range r.Closers {
			if committee.Nodes[i].ID == silent {
				late = p.Challenge.Patience() - 1
				passed++
			} else {
				lost += uint64(all.lost[r.Round][i])
			}
		}
		if first := all.first[r.Round]; r.Turn != uint64(len(r.Closers)) || r.T < r.Nominal.Plus(late) || r.T > first.Plus(late+lost) {
			t.Errorf("%v: T is %d, at first %d and %d, closers %v, late by %d, %d blocks without a signature that was due", r.Round, r.T, r.Nominal, first, r.Closers, late, lost)
		}
		if len(all.mute) > 0 {
			t.Errorf("in their turn honest closers do not sign in votes on %d", all.mute)
		}
		t.Logf("%v: T is %d, at first %d, late by %d, %d blocks without a signature that was due", r.Round, r.T, r.Nominal, late, lost)
		all.mu.Unlock()
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
