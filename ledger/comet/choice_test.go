package comet

import (
	"testing"

	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/unit"
)

// A proposer may leave out less than a third of the votes' extensions, and its block
// stands; one that leaves out more, or passes its turn, has its block refused.
func TestAProposersChoiceIsJudgedByTheOthers(t *testing.T) {
	p := newPodium(t, carryAndLast)
	p.app.self = staking.NodeID(p.secrets[p.self].Key().Public())
	commit := p.commit()
	for _, tt := range []struct {
		leaveOut int
		pass     bool
		taken    bool
	}{{0, false, true}, {1, false, true}, {2, false, false}, {0, true, false}} {
		p.app.chooser = func(seen ProposerView) Choice {
			if len(seen.Seen) != 4 || seen.Self != p.app.self || seen.Height != unit.Height(p.height) || !seen.Wants.Last || seen.Last == [96]byte{} {
				t.Errorf("it is shown %+v", seen)
			}
			if h, err := seen.Before.Head(); err != nil || int64(h.Height) != p.height-1 {
				t.Errorf("it is shown the state of %d, %v", h.Height, err)
			}
			c := Choice{Pass: tt.pass}
			for _, v := range seen.Seen[:tt.leaveOut] {
				c.LeaveOut = append(c.LeaveOut, v.Node)
			}
			return c
		}
		txs := p.propose(commit, []byte("one"))
		if got := p.process(commit, txs); got != tt.taken {
			t.Errorf("%d left out, passed %v: taken %v", tt.leaveOut, tt.pass, got)
		}
		if tt.pass {
			continue
		}
		carried := 0
		for _, e := range p.votes(txs[0]).Extensions {
			if len(e.Signature) > 0 {
				carried++
			}
		}
		if carried != 4-tt.leaveOut {
			t.Errorf("%d left out: %d carried", tt.leaveOut, carried)
		}
	}
}
