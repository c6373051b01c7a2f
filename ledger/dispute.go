package ledger

import (
	"errors"
	"fmt"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// Dispute says that a shard was tallied as proven although there is no proof of it. Its
// opener puts up a bond. A node that has the proof answers within AnswerBlocks, with an
// Answer: then the bond is lost. Without an answer the bond comes back, the shard's pass
// is taken back, and the nodes that voted for it are slashed at the epoch's end.
//
// A round can be disputed from its tally on until so long before the end of the
// DisputeRounds rounds after it, and of the epoch, that the answer has its time: all is
// decided while the proofs are kept and the epoch's pay is open.
type Dispute struct {
	_       struct{}     `cbor:",toarray"`
	Ordinal unit.Ordinal // of the round
	Shard   blob.Shard
}

// DisputeState is what became of a dispute.
type DisputeState uint8

// The states of a dispute.
const (
	DisputeOpen     DisputeState = 1 // it waits for an answer
	DisputeAnswered DisputeState = 2 // the proof was shown
	DisputeUpheld   DisputeState = 3 // no node has shown it
)

// String is the name.
func (s DisputeState) String() string {
	switch s {
	case DisputeOpen:
		return "open"
	case DisputeAnswered:
		return "answered"
	case DisputeUpheld:
		return "upheld"
	}
	return fmt.Sprintf("state %d", uint8(s))
}

// DisputeRecord is a dispute as the ledger keeps it, as long as its round.
type DisputeRecord struct {
	_        struct{} `cbor:",toarray"`
	Opener   token.Address
	Bond     token.Amount // zero once it was paid back or lost
	Opened   unit.Height  // height
	AnswerBy unit.Height  // last height at which an answer counts
	State    DisputeState
	Closed   unit.Height // height; 0 while it is open
}

func (Dispute) kind() Kind { return KindDispute }

func (Dispute) check(Params) error { return nil }

func (b Dispute) plan(x *exec, tx Tx) (plan, error) {
	if err := x.disputable(b); err != nil {
		return plan{}, err
	}
	opener, p := tx.Signer.Address(), x.p.Challenge
	if room := x.p.disputeRoom(); sure(x.view().OpenDisputes()) >= room {
		return plan{}, fmt.Errorf("%d are open, of all payers: %w", room, ErrOpenDisputes)
	}
	if sure(x.view().openDisputesOf(opener)) >= p.MaxOpenDispute {
		return plan{}, fmt.Errorf("%s has opened %d: %w", opener, p.MaxOpenDispute, ErrOpenDisputes)
	}
	return plan{cost: p.DisputeBond, apply: func() {
		d := DisputeRecord{Opener: opener, Bond: p.DisputeBond, Opened: x.head.Height, AnswerBy: x.head.Height.Plus(p.AnswerBlocks(x.p.RoundBlocks)), State: DisputeOpen}
		x.put(KeyDispute(b.Ordinal, b.Shard), d)
		x.o.Set(keyAnswerBy(d.AnswerBy, b.Ordinal, b.Shard), nil)
		x.countOpen(opener, 1)
	}}, nil
}

// disputable says why a shard cannot be disputed.
func (x *exec) disputable(b Dispute) error {
	r, known, err := x.view().RoundOf(b.Ordinal)
	switch sure(known, err); {
	case !known:
		return fmt.Errorf("round %d is not kept any more, or is to come: %w", b.Ordinal, ErrDispute)
	case !r.Over:
		return fmt.Errorf("round %d is not tallied yet: %w", b.Ordinal, ErrDispute)
	case !r.Proven(b.Shard):
		return fmt.Errorf("shard %d was not taken for proven in round %d, there is nothing to take back: %w", b.Shard, b.Ordinal, ErrDispute)
	}
	if last := x.p.DisputableUntil(x.head, r.Round); r.Round.Epoch != x.epoch() || x.head.Height > last {
		return fmt.Errorf("round %d could be disputed until block %d: %w", b.Ordinal, last, ErrDispute)
	}
	if d, there, err := x.view().Dispute(b.Ordinal, b.Shard); sure(there, err) {
		return fmt.Errorf("shard %d, round %d, in block %d, and it is %s: %w", b.Shard, b.Ordinal, d.Opened, d.State, ErrDisputed)
	}
	return nil
}

// DisputableUntil is the last block in which a round of the head's epoch can be disputed.
func (p Params) DisputableUntil(h Head, r challenge.RoundID) unit.Height {
	start := h.EpochStart.Plus(uint64(r.Round) * p.RoundBlocks)
	end := min(start.Plus((1+p.Challenge.DisputeRounds)*p.RoundBlocks)-1, h.EpochEnd)
	return end.Minus(challenge.Tail + p.Challenge.AnswerBlocks(p.RoundBlocks))
}

// disputeRoom is how many disputes may be open at once: the answers to all of them fill
// at most half of the blocks in which they count.
func (p Params) disputeRoom() uint64 {
	return p.Challenge.AnswerBlocks(p.RoundBlocks) * (p.BlockBytes / answerBytes) / 2
}

// closings is how many disputes one block decides: all that can be open within Tail.
func (p Params) closings() uint64 { return p.disputeRoom()/challenge.Tail + 1 }

// Dispute is what was disputed of a round that is kept.
func (v View) Dispute(ordinal unit.Ordinal, s blob.Shard) (DisputeRecord, bool, error) {
	return read[DisputeRecord](v, "dispute", KeyDispute(ordinal, s))
}

// EachDispute walks the disputes of the rounds that are kept, in their order, then in
// that of their shards.
func (v View) EachDispute(fn func(ordinal unit.Ordinal, s blob.Shard, d DisputeRecord) error) error {
	return each(v, key(letterDispute), func(k []byte, d DisputeRecord) error {
		return fn(unit.Ordinal(numberAt(k)), blob.Shard(numberAt(k[8:])), d)
	})
}

// OpenDisputes is how many disputes wait for an answer.
func (v View) OpenDisputes() (n uint64, err error) {
	n, _, err = read[uint64](v, "open disputes", KeyOpenDisputes())
	return n, err
}

// openDisputesOf is how many of these an account has opened.
func (v View) openDisputesOf(a token.Address) (n uint64, err error) {
	n, _, err = read[uint64](v, "open disputes", KeyOpenDisputesOf(a))
	return n, err
}

// countOpen counts a dispute that is opened (1) or decided (-1).
func (x *exec) countOpen(opener token.Address, by int) {
	for _, k := range [][]byte{KeyOpenDisputes(), KeyOpenDisputesOf(opener)} {
		n, _, err := read[uint64](x.view(), "open disputes", k)
		if sure(n, err); by < 0 && n <= 1 {
			x.o.Delete(k)
			continue
		}
		x.put(k, uint64(int64(n)+int64(by)))
	}
}

// disputeAt names a dispute.
type disputeAt struct {
	height  unit.Height // the last for its answer
	ordinal unit.Ordinal
	shard   blob.Shard
}

// closeDisputes decides those whose time for an answer is over, in the order of their
// heights, rounds and shards: so many in a block that none is left at the epoch's end.
func (x *exec) closeDisputes() {
	var due []disputeAt
	err := list(x.view(), key(letterAnswerBy), func(k, _ []byte) error {
		d := disputeAt{unit.Height(numberAt(k[1:])), unit.Ordinal(numberAt(k[9:])), blob.Shard(numberAt(k[17:]))}
		if d.height >= x.head.Height || uint64(len(due)) == x.p.closings() {
			return errEnough
		}
		due = append(due, d)
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		sure(0, err)
	}
	for _, d := range due {
		x.uphold(d)
	}
}

// decide takes an open dispute off the list and returns the bond, which is to be put
// somewhere.
func (x *exec) decide(at disputeAt, d *DisputeRecord, s DisputeState) (bond token.Amount) {
	bond, d.Bond, d.State, d.Closed = d.Bond, 0, s, x.head.Height
	x.put(KeyDispute(at.ordinal, at.shard), *d)
	x.o.Delete(keyAnswerBy(d.AnswerBy, at.ordinal, at.shard))
	x.countOpen(d.Opener, -1)
	return bond
}

// uphold decides a dispute that had no answer.
func (x *exec) uphold(at disputeAt) {
	d, there, err := x.view().Dispute(at.ordinal, at.shard)
	r, kept, err2 := x.view().RoundOf(at.ordinal)
	if !sure(there, err) || !sure(kept, err2) {
		panic(readFailure{fmt.Errorf("dispute of shard %d in round %d: it or its round is not there", at.shard, at.ordinal)})
	}
	x.credit(d.Opener, x.decide(at, &d, DisputeUpheld))
	c := x.committee()
	if r.Round.Epoch != c.Epoch {
		return // never: it is decided before its epoch ends
	}
	x.takeBack(c, r, c.Holder[at.shard])
	x.takeBackDrawn(r, at.shard)
	x.blame(c, r, at.shard, d)
}

// blame notes the false votes of all nodes that voted for a shard without a proof, its
// holder too.
func (x *exec) blame(c Committee, r RoundState, shard blob.Shard, d DisputeRecord) {
	b := x.bundle(c, r, FalseVote, shard)
	b.Dispute = d
	for _, v := range r.Votes {
		if v.Yes.Has(shard) {
			b.Voters = append(b.Voters, c.Nodes[v.Node].ID)
		}
	}
	for _, id := range b.Voters {
		x.note(Fault{Node: id, Kind: FalseVote, Epoch: r.Round.Epoch, Round: r.Round.Round, Shard: shard, Finder: d.Opener})
	}
	x.put(KeyBundle(x.epoch(), b.Fault()), b)
}

// forgetDisputes removes what was disputed of a round that is not kept any more.
func (x *exec) forgetDisputes(ordinal unit.Ordinal) {
	var old [][]byte
	err := list(x.view(), key(letterDispute, number(ordinal)), func(k, _ []byte) error {
		old = append(old, append([]byte{}, k...))
		return nil
	})
	sure(0, err)
	for _, k := range old {
		x.o.Delete(k)
	}
}
