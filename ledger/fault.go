package ledger

import (
	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// FaultKind says what a node was proven to have done.
type FaultKind uint8

// The faults that a proof shows.
const (
	Lie       FaultKind = 7 // it signed a proof or an answer that is false
	FalseVote FaultKind = 8 // it voted for a shard that a dispute showed unproven
)

// Fault names one proven fault. There is at most one of a kind for a node and round.
type Fault struct {
	Node   staking.NodeID
	Kind   FaultKind
	Epoch  unit.Epoch // in which it was committed
	Round  unit.Round // of that epoch
	Shard  blob.Shard
	Finder token.Address
}

// FaultRecord is a fault as the ledger keeps it: the same proof does nothing twice.
type FaultRecord struct {
	_      struct{} `cbor:",toarray"`
	Finder token.Address
	Found  unit.Epoch  // epoch at whose end it is punished
	Height unit.Height // of the block that brought it
	Shards uint64      // that the node held then
	Shard  blob.Shard  // that the fault is about
}

// counts says whether a fault would be punished: it is new, its node is not expelled,
// and the stake that stood behind the node then can still be slashed.
func (x *exec) counts(f Fault) bool {
	_, there, err := x.o.Get(KeyFault(f))
	n, known, err2 := x.view().Node(f.Node)
	return !sure(there, err) && sure(known, err2) && !n.Out && f.Epoch <= x.epoch() && x.epoch().Since(f.Epoch) <= x.p.Staking.UnbondingEpochs
}

// note enters a proven fault that counts, once.
func (x *exec) note(f Fault) {
	if !x.counts(f) {
		return
	}
	c := x.committee()
	x.put(KeyFault(f), FaultRecord{Finder: f.Finder, Found: x.epoch(), Height: x.head.Height, Shards: uint64(len(c.Duty(f.Node))), Shard: f.Shard})
}

// faults are those that this epoch's end punishes, and forgets those that are too old
// to come again. Lies of which one round names nodes with more than a third of the
// shards have no effect: that many honest nodes err together, for one of our mistakes.
func (x *exec) faults() map[staking.NodeID][]foundFault {
	var all []foundFault
	err := each(x.view(), key(letterFault), func(k []byte, r FaultRecord) error {
		f := faultOf(k)
		f.Shard = r.Shard
		all = append(all, foundFault{f, r})
		return nil
	})
	sure(all, err)
	type when struct {
		epoch unit.Epoch
		round unit.Round
	}
	shards := map[when]uint64{}
	for _, f := range all {
		if f.Kind == Lie {
			shards[when{f.Epoch, f.Round}] += f.Shards
		}
	}
	out := map[staking.NodeID][]foundFault{}
	for _, f := range all {
		excused := f.Kind == Lie && 3*shards[when{f.Epoch, f.Round}] > uint64(x.p.Shards)
		switch {
		case f.Found != x.epoch():
		case excused:
			x.dropBundle(f)
		default:
			out[f.Node] = append(out[f.Node], f)
		}
		if f.Epoch.Plus(x.p.Staking.UnbondingEpochs) < x.epoch() {
			x.o.Delete(KeyFault(f.Fault))
		}
	}
	return out
}

// dropBundle forgets the proof of a lie that no statement names.
func (x *exec) dropBundle(f foundFault) {
	if f.Kind == Lie {
		x.o.Delete(KeyBundle(f.Found, f.Fault))
	}
}

// foundFault is a fault with its record.
type foundFault struct {
	Fault
	FaultRecord
}

// faultOf reads the key of a fault, without its letter.
func faultOf(k []byte) Fault {
	n := len(staking.NodeID{})
	return Fault{Node: staking.NodeID(k[:n]), Epoch: unit.Epoch(numberAt(k[n:])), Round: unit.Round(numberAt(k[n+8:])), Kind: FaultKind(k[n+16])}
}

// EachFault walks the faults that are kept, by node.
func (v View) EachFault(fn func(Fault, FaultRecord) error) error {
	return each(v, key(letterFault), func(k []byte, r FaultRecord) error {
		f := faultOf(k)
		f.Finder, f.Shard = r.Finder, r.Shard
		return fn(f, r)
	})
}
