package ledger

import (
	"fmt"

	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// Accuse shows that the holder of a shard signed a proof that does not hold. Any peer
// may send it, while the round is kept. It is punished at the epoch's end, once for a
// node and round.
type Accuse struct {
	_        struct{}     `cbor:",toarray"`
	Ordinal  unit.Ordinal // of the round
	Evidence []byte       // a challenge.Falsehood
	Finder   token.Address
}

func (Accuse) kind() Kind { return KindAccuse }

func (Accuse) check(Params) error { return nil }

func (b Accuse) plan(x *exec, _ Tx) (plan, error) {
	r, known, err := x.view().RoundOf(b.Ordinal)
	if !sure(known, err) || !r.Drawn {
		return plan{}, fmt.Errorf("round %d is not kept, or was never drawn: %w", b.Ordinal, ErrEvidence)
	}
	f, err := challenge.DecodeFalsehood(b.Evidence)
	if err != nil {
		return plan{}, fmt.Errorf("%w: %w", ErrEvidence, err)
	}
	c, err := x.committeeOf(r.Round.Epoch)
	if err != nil {
		return plan{}, fmt.Errorf("%w: %w", ErrEvidence, err)
	}
	if int(f.Signed.Shard) >= len(c.Holder) {
		return plan{}, fmt.Errorf("shard %d of %d: %w", f.Signed.Shard, len(c.Holder), ErrEvidence)
	}
	fault := Fault{Node: c.Holder[f.Signed.Shard], Kind: Lie, Epoch: r.Round.Epoch, Round: r.Round.Round, Shard: f.Signed.Shard, Finder: b.Finder}
	if _, there, err := x.o.Get(KeyFault(fault)); sure(there, err) {
		return plan{}, fmt.Errorf("%s, epoch %d, round %d: %w", fault.Node, fault.Epoch, fault.Round, ErrKnown)
	}
	if !x.counts(fault) {
		return plan{}, fmt.Errorf("%s is expelled, or epoch %d is too long ago: nothing would come of it: %w", fault.Node, fault.Epoch, ErrEvidence)
	}
	if err := f.Check(r.Challenge(x.chain, x.p.Challenge, f.Signed.Shard), fault.Node.PublicKey()); err != nil {
		return plan{}, fmt.Errorf("%w: %w", ErrEvidence, err)
	}
	return plan{subject: string(KeyFault(fault)), apply: func() {
		x.note(fault)
		shown := x.bundle(c, r, Lie, fault.Shard)
		shown.Falsehood = b.Evidence
		x.put(KeyBundle(x.epoch(), fault), shown)
	}}, nil
}
