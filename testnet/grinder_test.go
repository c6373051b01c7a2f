package testnet

import (
	"testing"
	"time"

	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/ledger/comet"
	"github.com/walrus-network/walrus/node"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/state"
	"github.com/walrus-network/walrus/token"
)

// A grinder foresees the beacon of the block that it is about to propose, as the ledger
// then has it: with all reveals, and without one that is new.
func TestAGrinderForeseesTheBeacon(t *testing.T) {
	o := challenged(4)
	o.Dir = t.TempDir()
	net, err := Create(o, testProgram())
	if err != nil {
		t.Fatal(err)
	}
	var secrets []token.Secret
	for i := range o.Nodes {
		s, err := node.LoadSecret(net.NodeDir(i))
		if err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, s)
	}
	id := func(i int) staking.NodeID { return staking.NodeID(secrets[i].Key().Public()) }
	for _, leaveOut := range [][]staking.NodeID{nil, {id(3)}} {
		l, err := ledger.NewLocal(net.Network.Genesis, state.NewMemory(), func() int64 { return time.Now().UnixMilli() })
		if err != nil {
			t.Fatal(err)
		}
		chain := net.Network.Genesis.ChainID()
		var votes []ledger.VoteExtension // on the last block
		for drawn := false; !drawn; {
			h := l.Height() + 1
			w, err := l.Machine().Wants(h)
			if err != nil {
				t.Fatal(err)
			}
			before, err := l.Machine().View()
			if err != nil {
				t.Fatal(err)
			}
			b := ledger.Block{}
			if w.Carry {
				b.Extensions = votes
			}
			var foreseen challenge.Beacon
			if w.Last {
				b.Proposer, b.Last = id(0), secrets[0].BLSKey().Sign(challenge.LastMessage(chain, w.Round))
				p := comet.Proposing{Self: id(0), Height: h, Wants: w, Seen: votes, Last: b.Last, Before: before}
				r, _, err := before.Round()
				if err != nil {
					t.Fatal(err)
				}
				c, err := before.Committee(r.Round.Epoch)
				if err != nil {
					t.Fatal(err)
				}
				if foreseen, err = foreseeBeacon(p, r, c, revealsOf(p, len(c.Holder)), comet.Choice{LeaveOut: leaveOut}); err != nil {
					t.Fatal(err)
				}
				if leaveOut != nil {
					b.Extensions = votes[:3]
				}
			}
			votes = nil
			for i := range secrets {
				v := ledger.VoteExtension{Node: id(i), Power: 1}
				if w.Reveal && (i < 3 || h+1 == w0(t, l)) { // the last one reveals in the last moment
					v.Extension = challenge.NewReveal(chain, secrets[i].BLSKey(), w.Round).Encode()
				}
				votes = append(votes, v)
			}
			if _, err := l.Run(b); err != nil {
				t.Fatal(err)
			}
			after, err := l.Machine().View()
			if err != nil {
				t.Fatal(err)
			}
			r, _, err := after.Round()
			if err != nil {
				t.Fatal(err)
			}
			if drawn = r.Drawn; drawn && (r.Beacon != foreseen || len(r.Reveals) != 4-len(leaveOut)) {
				t.Errorf("without %d: foreseen %s, drawn from %s of %d reveals", len(leaveOut), foreseen, r.Beacon, len(r.Reveals))
			}
			if h > 100 {
				t.Fatal("nothing is drawn")
			}
		}
	}
}

// w0 is the height of the draw.
func w0(t *testing.T, l *ledger.Local) uint64 {
	t.Helper()
	v, err := l.Machine().View()
	if err != nil {
		t.Fatal(err)
	}
	r, _, err := v.Round()
	if err != nil {
		t.Fatal(err)
	}
	return r.T
}

// What a grinder leaves out, a block can do without.
func TestAGrinderLeavesTwoThirdsInItsBlock(t *testing.T) {
	var c ledger.Committee
	var p comet.Proposing
	seen := map[staking.NodeID]token.BLSSignature{}
	for i := range 10 {
		id := staking.NodeID{byte(i + 1)}
		var n = c.Nodes
		n = append(n, ledger.Member{ID: id, Power: 1})
		c.Nodes = n
		seen[id] = token.BLSSignature{}
		p.Seen = append(p.Seen, ledger.VoteExtension{Node: id, Power: 1})
	}
	p.Self = c.Nodes[0].ID
	if got := spare(p, c, seen); len(got) != 3 || got[0] == p.Self {
		t.Errorf("leaves out %v", got)
	}
	p.Seen = p.Seen[:8]
	if got := spare(p, c, seen); len(got) != 1 {
		t.Errorf("of eight it leaves out %v", got)
	}
}
