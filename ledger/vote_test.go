package ledger

import (
	"errors"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// vote casts the ballots of nodes, all of them the operator's in this world.
func (w *world) vote(b Vote, nodes ...int) {
	w.t.Helper()
	for _, i := range nodes {
		b.Node = w.g.Nodes[i].ID
		w.do(w.users[0], b)
	}
}

func (w *world) rules() Rules {
	w.t.Helper()
	r, err := w.view().Rules()
	return ok(w, r, err)
}

func (w *world) prices() (store, write token.Amount) {
	w.t.Helper()
	p := w.rules().Params.Registry
	return p.Price, p.WritePrice
}

func (w *world) priceIs(store, write token.Amount) {
	w.t.Helper()
	if s, wr := w.prices(); s != store || wr != write {
		w.t.Fatalf("epoch %d: prices %d and %d, want %d and %d", w.head().Epoch, s, wr, store, write)
	}
}

// In this world a node has two or three of ten shards: one alone is at most a third,
// three are always more than two thirds.
func TestThePriceFollowsTheVotesWithinItsBound(t *testing.T) {
	w := newWorld(t, small(), 4)
	w.priceIs(1000, 500)
	w.vote(Vote{Price: 5000, WritePrice: 1}, 0)
	w.toEpoch(1)
	w.priceIs(1000, 500)
	w.vote(Vote{Price: 1300, WritePrice: 480}, 1)
	w.toEpoch(2)
	w.priceIs(1200, 500) // no two thirds accept less than 1300: up to the bound
	w.vote(Vote{Price: 1, WritePrice: 470}, 2)
	w.toEpoch(3)
	w.priceIs(1300, 480) // the fourth accepts what is
	w.toEpoch(4)
	w.priceIs(1300, 480)
	w.vote(Vote{}, 0, 1, 2, 3) // no node votes: it stays
	w.toEpoch(5)
	w.priceIs(1300, 480)
	w.vote(Vote{Price: 1}, 0, 1, 2)
	w.toEpoch(7)
	w.priceIs(1300-260-208, 480)
}

// The first transaction of an epoch pays its price, and a machine that was opened
// anew, or that replays, agrees.
func TestANewPriceActsFromTheBlockOfTheTurn(t *testing.T) {
	w := newWorld(t, small(), 4)
	w.vote(Vote{Price: 1100}, 0, 1, 2, 3)
	for w.head().Height < w.head().EpochEnd {
		w.advance(1)
	}
	w.priceIs(1000, 500)
	tx := w.sign(w.users[1], RegisterBlob{Manifest: w.manifest(1, 100_000), Epochs: 1, Owner: w.users[1].Address()})
	block := Block{Height: w.head().Height + 1, TimeMs: w.head().TimeMs, Txs: [][]byte{tx}}
	again, err := NewMachine(w.g, w.kv)
	if err != nil {
		t.Fatal(err)
	}
	y, err2 := again.Execute(block)
	x, err := w.l.machine.Execute(block)
	if err := errors.Join(err, err2); err != nil || x.AppHash != y.AppHash || x.Txs[0].Code != 0 {
		t.Fatalf("%v: %+v %+v", err, x, y)
	}
	if p := w.l.machine.Rules().Params; p.Registry.Price != 1000 {
		t.Fatalf("a block that is not committed changed the price to %s", p.Registry.Price)
	}
	if err := w.l.machine.Commit(); err != nil {
		t.Fatal(err)
	}
	w.priceIs(1100, 500)
	e, _, err := w.view().Blob(w.manifest(1, 100_000).ID())
	if err != nil {
		t.Fatal(err)
	}
	if want, err := (Params{Registry: w.rules().Params.Registry}).Registry.PriceOf(e.Units); err != nil || e.Leases[0].Price != want {
		t.Errorf("it pays %s an epoch, want %s: %v", e.Leases[0].Price, want, err)
	}
	if p := w.l.machine.Rules().Params; p.Registry.Price != 1100 {
		t.Errorf("the machine works with %s", p.Registry.Price)
	}
}

func TestOnlyTheGovernanceKeyVotes(t *testing.T) {
	w := newWorld(t, small(), 4)
	op, council := w.users[1], w.users[2]
	id, body := w.newcomer(op, 7, 200*token.WAL)
	body.Governance = council.Address()
	w.do(op, body)
	w.refusedWith(ErrNotGovernance, w.try(op, Vote{Node: id, Price: 5}))
	w.refusedWith(ErrNotGovernance, w.try(w.users[3], Vote{Node: id, Price: 5}))
	w.refusedWith(ErrUnknownNode, w.try(council, Vote{Node: staking.NodeID{1}, Price: 5}))
	w.do(council, Vote{Node: id, Price: 5})
	if b, ok, err := w.view().Ballot(id); err != nil || !ok || b.Price != 5 || b.Height != w.head().Height {
		t.Fatalf("%+v %v %v", b, ok, err)
	}
	w.do(council, Vote{Node: id, WritePrice: 6})
	if b, _, _ := w.view().Ballot(id); b.Price != 0 || b.WritePrice != 6 {
		t.Errorf("the old ballot stands beside the new one: %+v", b)
	}
	w.do(council, Vote{Node: id})
	if _, ok, err := w.view().Ballot(id); err != nil || ok {
		t.Errorf("an empty vote takes the ballot away: %v %v", ok, err)
	}
}

func TestAVoteThatCannotActIsRefusedWhenItIsCast(t *testing.T) {
	w := newWorld(t, small(), 4)
	op, node := w.users[0], w.g.Nodes[0].ID
	try := func(v uint64, changes ...ParamChange) error {
		return w.try(op, Vote{Node: node, Version: v, Changes: changes})
	}
	w.refusedWith(ErrVote, try(1)) // in force
	w.refusedWith(ErrVote, try(0, ParamChange{Name: "shards", Value: 20}))
	w.refusedWith(ErrVote, try(0, ParamChange{Name: "registry.price", Value: 20}))
	w.refusedWith(ErrVote, try(0, ParamChange{Name: "staking.unbonding_epochs", Value: 3}))
	w.refusedWith(ErrVote, try(0, ParamChange{Name: "round_blocks", Value: 200}))
	w.refusedWith(ErrVote, try(0, ParamChange{Name: "pay.fee_bps", Value: 10_001}))
	w.refusedWith(ErrMalformed, try(0, ParamChange{Name: "sweep_blobs", Value: 2}, ParamChange{Name: "sweep_blobs", Value: 3}))
	var many []ParamChange
	for _, v := range Votables()[:maxChanges+1] {
		many = append(many, ParamChange{Name: v.Name, Value: v.Of(w.g.Params)})
	}
	w.refusedWith(ErrMalformed, try(0, many...))
	if err := try(0, many[:maxChanges]...); err != nil {
		t.Errorf("%d changes: %v", maxChanges, err)
	}
	if err := try(0, ParamChange{Name: "Shards"}); err == nil || !strings.Contains(err.Error(), `no parameter "Shards" can be voted`) {
		t.Errorf("an unknown name: %v", err)
	}
}

func TestVotesOfExpelledNodesAndOfNodesWithoutShardsDoNotCount(t *testing.T) {
	w := newWorld(t, small(), 4)
	w.vote(Vote{Price: 900}, 0, 1, 2)
	m := w.l.machine
	if _, err := m.Execute(Block{Height: m.Height() + 1, TimeMs: w.head().TimeMs, DoubleSigns: []DoubleSign{{Node: w.g.Nodes[1].ID, Height: 1, Power: 3}}}); err != nil {
		t.Fatal(err)
	}
	if err := m.Commit(); err != nil {
		t.Fatal(err)
	}
	w.refusedWith(ErrOut, w.try(w.users[0], Vote{Node: w.g.Nodes[1].ID, Price: 900}))
	op := w.users[3]
	id, body := w.newcomer(op, 7, 10*token.WAL)
	w.do(op, body)
	w.do(op, Unbond{Node: id, Amount: token.WAL}) // too little for a shard
	w.do(op, Vote{Node: id, Price: 900})
	w.toEpoch(1)
	w.priceIs(1000, 500)
	w.vote(Vote{Price: 900}, 3)
	w.toEpoch(2)
	w.priceIs(900, 500)
	r, ok, err := w.view().PriceRecord(2)
	if err != nil || !ok || slices.Contains(r.Nodes, id) || slices.Contains(r.Nodes, w.g.Nodes[1].ID) || len(r.Nodes) != 3 {
		t.Errorf("%+v %v %v", r, ok, err)
	}
}

// randomVote is a ballot of some kind. Nodes that vote in the same epoch want the same
// changes, most of the time, so that some are carried; not all of them fit together.
func randomVote(r *rand.Rand, node staking.NodeID, epoch unit.Epoch) Vote {
	v := Vote{Node: node, Price: token.Amount(r.Intn(3) * (500 + r.Intn(1000))), WritePrice: token.Amount(r.Intn(3) * r.Intn(1000))}
	if r.Intn(6) == 0 {
		return v
	}
	r = rand.New(rand.NewSource(int64(epoch)))
	for _, c := range []ParamChange{
		{Name: "pay.tranches", Value: 1 + uint64(r.Intn(12))}, {Name: "fees.per_byte", Value: uint64(100 + r.Intn(2))},
		{Name: "registry.refund_fee_bps", Value: uint64(100 * r.Intn(3))}, {Name: "ladder.fail_slash_4", Value: uint64(400 + r.Intn(3))},
		{Name: "registry.default_epochs", Value: 1 + 40*uint64(r.Intn(3))}, {Name: "registry.max_epochs", Value: 104 - 60*uint64(r.Intn(2))},
	} {
		if r.Intn(2) == 0 {
			v.Changes = append(v.Changes, c)
		}
	}
	return v
}

// priced checks, at a turn, that the prices move within their bound and are explained
// by votes that stood (invariant 19).
func (p *player) priced(before, now Committee) {
	p.t.Helper()
	if now.Epoch == before.Epoch {
		return
	}
	r, ok, err := p.view().PriceRecord(now.Epoch)
	e, err2 := ExplainPrice(p.view(), now.Epoch)
	if err := errors.Join(err, err2); err != nil || !ok || !e.Holds {
		p.t.Fatalf("epoch %d: %v, %s", now.Epoch, err, e.text())
	}
	for i, id := range r.Nodes {
		if k, in := before.Index(id); !in || before.Nodes[k].Shards != int(r.Held[i]) {
			p.t.Fatalf("epoch %d: the vote of %s counts with %d shards", now.Epoch, id, r.Held[i])
		}
	}
	for _, x := range []struct {
		votes         []token.Amount
		before, after token.Amount
	}{{r.Prices, r.Before, r.After}, {r.Writes, r.WriteBefore, r.WriteAfter}} {
		least, most := staking.PriceBounds(x.before, r.BoundBps)
		known := x.after == x.before || x.after == least || x.after == most || slices.Contains(x.votes, x.after)
		if x.after < least || x.after > most || !known {
			p.t.Fatalf("epoch %d: from %d to %d by votes for %d", now.Epoch, x.before, x.after, x.votes)
		}
	}
}

// A vote that shortens how long records are kept leaves none behind that is too old.
func TestAShorterHistoryForgetsAllThatIsOlder(t *testing.T) {
	w := newWorld(t, small(), 4)
	w.toEpoch(5)
	w.vote(Vote{Changes: []ParamChange{{Name: "history_epochs", Value: 2}}}, 0, 1, 2)
	w.toEpoch(8)
	if r := w.rules(); r.Params.HistoryEpochs != 2 {
		t.Fatalf("%+v", r)
	}
	for letter, last := range map[byte]uint64{letterPrice: 8, letterRules: 7, letterBooks: 7, letterStatement: 7} {
		kept := map[uint64]bool{}
		err := list(w.view(), key(letter), func(k, _ []byte) error {
			if len(k) > 8 {
				kept[numberAt(k[1:])] = true
			}
			return nil
		})
		if err != nil || len(kept) == 0 || len(kept) > 2 || !kept[last] {
			t.Errorf("under %c: epochs %v, %v", letter, kept, err)
		}
	}
}
