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
	"github.com/walrus-network/walrus/testnet/adversary"
	"github.com/walrus-network/walrus/token"
)

// A grinder that closes a beacon last foresees it, as the ledger then has it: with its
// signature, and without. Any other closer foresees nothing, and is not silent.
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
	choose := adversary.Grinder{Lazy: adversary.Lazy{Drops: 0.5}}.Conduct().Choose
	id := func(i int) staking.NodeID { return staking.NodeID(secrets[i].Key().Public()) }
	for _, silent := range []bool{false, true} {
		l, err := ledger.NewLocal(net.Network.Genesis, state.NewMemory(), func() int64 { return time.Now().UnixMilli() })
		if err != nil {
			t.Fatal(err)
		}
		chain := net.Network.Genesis.ChainID()
		var votes []ledger.VoteExtension // on the last block
		var foreseen challenge.Beacon
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
			state, _, err := before.Round()
			if err != nil {
				t.Fatal(err)
			}
			b := ledger.Block{}
			if w.Carry {
				b.Extensions = votes
			}
			if w.Last {
				b.Proposer, b.Last = id(0), secrets[0].BLSKey().Sign(challenge.LastMessage(chain, w.Round))
			}
			votes = nil
			for i := range secrets {
				v := ledger.VoteExtension{Node: id(i), Power: 1}
				switch {
				case w.Reveal:
					v.Extension = challenge.NewReveal(chain, secrets[i].BLSKey(), w.Round).Encode()
				case w.Closer == id(i):
					e := challenge.NewClosing(chain, secrets[i].BLSKey(), w.Round, w.Turn)
					last := w.Turn+1 == uint64(len(state.Closers))
					p := comet.ProposerView{Self: id(i), Height: h, Wants: w, Last: e.Closing.Signature, Closes: true, Before: before}
					if c := choose(p); c.Pass { // nothing is stored, and nothing drawn that it dropped
						t.Error("it is silent for nothing")
					}
					if foreseen = challenge.Close(state.Beacon, w.Turn, e.Closing.Signature); last && silent {
						foreseen = state.Beacon
						break
					}
					v.Extension = e.Encode()
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
			if drawn = r.Drawn; drawn && r.Beacon != foreseen {
				t.Errorf("silent %v: foreseen %s, drawn from %s", silent, foreseen, r.Beacon)
			}
			if h > 200 {
				t.Fatal("nothing is drawn")
			}
		}
	}
}
