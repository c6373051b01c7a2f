package ledger

import (
	"fmt"

	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/state"
)

// workOf is what verifying and doing a transaction of a kind costs at most, in units of
// a microsecond of one core of a 2024 server, without what its bytes cost. A signature
// takes 55, a pairing 900, a committee of a thousand nodes that is written 1000. The
// figures and how to measure them are in doc/performance.md.
var workOf = map[Kind]uint64{
	KindRegisterNode: 3000, // two signatures, the key's group, a pairing
	KindCertify:      2000, // a pairing, and the keys of a thousand signers added
	KindInvalidate:   3000, // a stripe decoded, extended and hashed
	KindAccuse:       2000, // a signature and a proof
	KindAnswer:       2000, // a proof
	KindShardReady:   1000, // a signature, and the committee written
}

// workOfLease is what a transaction costs for each lease that its blob may have: the
// entry is read and written, and for some kinds each lease's payer is.
var workOfLease = map[Kind]uint64{KindRegisterBlob: 2, KindExtend: 2, KindSetRenewal: 2, KindCertify: 4, KindDelete: 12, KindInvalidate: 12}

// workOfShard is what a transaction costs for each shard of the network: a round is read.
var workOfShard = map[Kind]uint64{KindDispute: 2, KindAccuse: 2, KindAnswer: 2}

const (
	workTx      = 100 // of every other kind: a signature and its records
	bytesAWork  = 50  // bytes that are hashed and decoded in one unit
	leastBudget = 40_000
)

// Work is what a transaction weighs in a block, from its bytes alone: also one that is
// wrong has to be looked at. What is no transaction is looked at as one.
func (p Params) Work(raw []byte) uint64 {
	var tx Tx
	units := uint64(workTx)
	if uint64(len(raw)) <= p.LargestTx() && canon.Decode(raw, &tx) == nil {
		if u, heavy := workOf[tx.Kind]; heavy {
			units = u
		}
		units += workOfLease[tx.Kind]*p.Registry.MaxLeases + workOfShard[tx.Kind]*uint64(p.Shards)
	}
	return units + uint64(len(raw))/bytesAWork
}

// JudgeBlock says why a proposed block is refused whole, whatever its transactions would
// do: one of them has no form, or they weigh more than BlockWork together. A proposer
// that packed with a Packer is never refused.
func (m *Machine) JudgeBlock(txs [][]byte) error {
	p := m.Rules().Params
	left := p.BlockWork
	for i, raw := range txs {
		w := p.Work(raw)
		if w > left {
			return fmt.Errorf("transaction %d of %d: the block's transactions weigh more than %d: %w", i, len(txs), p.BlockWork, ErrTooLarge)
		}
		left -= w
		if _, _, err := p.form(raw); err != nil {
			return fmt.Errorf("transaction %d of %d: %w", i, len(txs), err)
		}
	}
	return nil
}

// Packer chooses the transactions of a block that this node proposes: those that can be
// done, one after the other, and weigh no more than BlockWork together.
type Packer struct {
	x     *exec
	block *state.Overlay
	left  uint64
}

// Pack begins with the committed state.
func (m *Machine) Pack() (*Packer, error) {
	x, err := m.exec()
	if err != nil {
		return nil, err
	}
	x.head.Height = x.at
	return &Packer{x: x, block: x.o, left: x.p.BlockWork}, nil
}

// Take says whether a transaction goes into the block. An error is a failing disk's.
func (p *Packer) Take(raw []byte) (ok bool, err error) {
	defer guard(&err)
	w := p.x.p.Work(raw)
	if w > p.left {
		return false, nil
	}
	p.x.o, p.x.buckets = state.NewOverlay(p.block), nil
	a, refused := p.x.admit(raw)
	if refused == nil {
		refused = p.x.perform(a)
	}
	if refused != nil {
		return false, nil
	}
	p.x.o.Merge(p.block)
	p.left -= w
	return true, nil
}
