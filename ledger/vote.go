package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// maxChanges is the most parameters that one ballot asks to change.
const maxChanges = 8

// Vote replaces a node's ballot. It is signed by the node's governance key. The ballot
// stands until it is replaced; a Vote without any opinion takes it away. At an epoch's
// end it counts with the shards that the node had in it.
type Vote struct {
	_          struct{} `cbor:",toarray"`
	Node       staking.NodeID
	Price      token.Amount // least it accepts for a stored KiB and epoch; 0: no opinion
	WritePrice token.Amount // least it accepts for writing a stored KiB; 0: no opinion
	Version    uint64       // of the rules it wants; 0: no opinion
	Changes    []ParamChange
}

// Ballot is what a node votes for.
type Ballot struct {
	_          struct{} `cbor:",toarray"`
	Price      token.Amount
	WritePrice token.Amount
	Version    uint64
	Changes    []ParamChange
	Height     unit.Height // of the block in which it was cast
}

// empty says that the ballot asks for nothing.
func (b Ballot) empty() bool {
	return b.Price == 0 && b.WritePrice == 0 && b.Version == 0 && len(b.Changes) == 0
}

// PriceRecord is how the prices of an epoch came about.
type PriceRecord struct {
	_                       struct{}         `cbor:",toarray"`
	Epoch                   unit.Epoch       // from which on the prices act
	Shards                  int              // of all nodes, at the end of the epoch before
	BoundBps                unit.Bps         // most that a price could move, in 1/10000
	Nodes                   []staking.NodeID // that had shards and a vote, in the order of their IDs
	Held                    []uint16         // shards of each
	Prices, Writes          []token.Amount   // what each voted; 0: no opinion
	Before, After           token.Amount     // of a stored KiB and epoch
	WriteBefore, WriteAfter token.Amount     // of writing a stored KiB
}

func (Vote) kind() Kind { return KindVote }

func (b Vote) check(p Params) error {
	if len(b.Changes) > maxChanges {
		return fmt.Errorf("%d changes, at most %d: %w", len(b.Changes), maxChanges, ErrMalformed)
	}
	for i, c := range b.Changes {
		if slices.ContainsFunc(b.Changes[:i], func(e ParamChange) bool { return e.Name == c.Name }) {
			return fmt.Errorf("%s twice: %w", c.Name, ErrMalformed)
		}
		if _, err := p.apply([]ParamChange{c}); err != nil {
			return fmt.Errorf("%w: %w", ErrVote, err)
		}
	}
	return nil
}

func (b Vote) plan(x *exec, tx Tx) (plan, error) {
	n, err := x.node(b.Node)
	if err != nil {
		return plan{}, err
	}
	if n.Governance != tx.Signer.Address() {
		return plan{}, fmt.Errorf("%s is voted for with the key of %s: %w", b.Node, n.Governance, ErrNotGovernance)
	}
	if n.Out {
		return plan{}, fmt.Errorf("%s: %w", b.Node, ErrOut)
	}
	if b.Version != 0 && b.Version <= x.head.RuleVersion {
		return plan{}, fmt.Errorf("rules %d, and the network follows rules %d: vote for later ones: %w", b.Version, x.head.RuleVersion, ErrVote)
	}
	ballot := Ballot{Price: b.Price, WritePrice: b.WritePrice, Version: b.Version, Changes: b.Changes, Height: x.head.Height}
	return plan{apply: func() { x.putBallot(b.Node, ballot) }}, nil
}

func (x *exec) putBallot(id staking.NodeID, b Ballot) {
	if b.empty() {
		x.o.Delete(KeyBallot(id))
		return
	}
	x.put(KeyBallot(id), b)
}

// ballotOf is a ballot, whose it is, and the shards it counts with.
type ballotOf struct {
	node   staking.NodeID
	shards int
	Ballot
}

// cast is all ballots in the order of their nodes. Those of nodes without a shard in c,
// and of expelled ones, count with none.
func (x *exec) cast(c Committee) (out []ballotOf) {
	err := x.view().eachBallot(func(id staking.NodeID, b Ballot) error {
		one := ballotOf{node: id, Ballot: b}
		n, err := x.node(id)
		if i, in := c.Index(id); in && err == nil && !n.Out {
			one.shards = c.Nodes[i].Shards
		}
		out = append(out, one)
		return nil
	})
	return sure(out, err)
}

// votes counts what stands at the end of an epoch, by the shards that before had in it.
// New prices act from the epoch that begins; parameters and versions are planned for
// the one after, and what was planned for this one acts.
func (x *exec) votes(before Committee) {
	r, ballots := x.rules(), x.cast(before)
	x.price(&r, ballots)
	x.adopt(&r)
	x.carry(&r, ballots)
	x.putRules(r)
	for _, letter := range []byte{letterPrice, letterRules, letterStatement, letterBooks, letterTerms, letterBundle} {
		x.forget(letter)
	}
}

// price works out the prices of the epoch that begins, and leaves a record of how.
func (x *exec) price(r *Rules, ballots []ballotOf) {
	p := r.Params
	record := PriceRecord{Epoch: x.epoch(), Shards: p.Shards, BoundBps: p.Staking.PriceBoundBps, Before: p.Registry.Price, WriteBefore: p.Registry.WritePrice}
	for _, b := range ballots {
		if b.shards == 0 || b.Price == 0 && b.WritePrice == 0 {
			continue
		}
		record.Nodes, record.Held = append(record.Nodes, b.node), append(record.Held, uint16(b.shards))
		record.Prices, record.Writes = append(record.Prices, b.Price), append(record.Writes, b.WritePrice)
	}
	record.After = staking.PriceOf(record.votes(record.Prices), p.Shards, record.Before, record.BoundBps)
	record.WriteAfter = staking.PriceOf(record.votes(record.Writes), p.Shards, record.WriteBefore, record.BoundBps)
	r.Params.Registry.Price, r.Params.Registry.WritePrice = record.After, record.WriteAfter
	x.put(KeyPriceRecord(record.Epoch), record)
}

// votes puts each node's shards beside what it voted.
func (r PriceRecord) votes(prices []token.Amount) []staking.PriceVote {
	out := make([]staking.PriceVote, len(r.Nodes))
	for i := range out {
		out[i] = staking.PriceVote{Shards: int(r.Held[i]), Price: prices[i]}
	}
	return out
}

// carry plans what ballots of more than two thirds of the shards ask for, each version
// and each value counted on its own, and takes it off all ballots: it is not asked for
// again. What is in force already is no plan.
func (x *exec) carry(r *Rules, ballots []ballotOf) {
	versions, changes := map[uint64]int{}, map[ParamChange]int{}
	for _, b := range ballots {
		versions[b.Version] += b.shards
		for _, c := range b.Changes {
			changes[c] += b.shards
		}
	}
	plan := Plan{Epoch: x.epoch() + 1}
	for v, shards := range versions { // at most one has two thirds
		if v > r.Version && staking.Carried(shards, r.Params.Shards) {
			plan.Version = v
		}
	}
	for c, shards := range changes {
		if v, ok := votable(c.Name); ok && v.Of(r.Params) != c.Value && staking.Carried(shards, r.Params.Shards) {
			plan.Changes = append(plan.Changes, c)
		}
	}
	if plan.Version == 0 && len(plan.Changes) == 0 {
		return
	}
	slices.SortFunc(plan.Changes, func(a, b ParamChange) int { return strings.Compare(a.Name, b.Name) })
	r.Planned = append(r.Planned, plan)
	for _, b := range ballots {
		x.putBallot(b.node, b.without(plan))
	}
}

// without is a ballot less what was carried.
func (b Ballot) without(p Plan) Ballot {
	if b.Version <= p.Version {
		b.Version = 0
	}
	b.Changes = slices.DeleteFunc(slices.Clone(b.Changes), func(c ParamChange) bool { return slices.Contains(p.Changes, c) })
	return b
}

// forget removes the records under a letter, whose keys begin with an epoch, that are
// older than Params.HistoryEpochs.
func (x *exec) forget(letter byte) {
	var old [][]byte
	prefix := key(letter)
	err := list(x.view(), prefix, func(k, _ []byte) error {
		if len(k) == len(prefix) {
			return nil // the rules themselves
		}
		if unit.Epoch(numberAt(k[len(prefix):])).Plus(x.p.HistoryEpochs) > x.epoch() {
			return errEnough
		}
		old = append(old, bytes.Clone(k))
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		sure(0, err)
	}
	for _, k := range old {
		x.o.Delete(k)
	}
}
