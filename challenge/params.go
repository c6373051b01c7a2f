package challenge

import (
	"fmt"

	"github.com/walrus-network/walrus/token"
)

// Params are the numbers of a challenge. Heights are counted from the round's first block.
type Params struct {
	_              struct{}     `cbor:",toarray"`
	Start          uint64       // block of the draw, T
	Freeze         uint64       // blocks before T from which the index stands still
	Deadline       uint64       // blocks after T until which proofs count
	Attest         uint64       // blocks after the deadline in which votes are collected
	Late           uint64       // blocks after T until which a promised proof may still come
	Second         uint64       // blocks after T at which votes on such proofs are collected
	Pull           uint64       // blocks after T at which a validator asks for what it lacks
	ByBytes        uint64       // draws that weigh a blob by its stored bytes
	ByCount        uint64       // draws that weigh all blobs alike
	Symbols        uint64       // asked for in each draw
	FewBlobs       uint64       // of so many eligible blobs one more may be drawn: no round hangs on one blob
	Redraws        uint64       // of what has ended, before a draw is given up
	UncreditedFor  uint64       // rounds after one without a reveal
	KeepRounds     uint64       // for which bodies of proofs are kept
	DisputeRounds  uint64       // after a round in which it can still be disputed
	AnswerParts    uint64       // of a round: one of them is the time in which a dispute is answered
	MaxOpenDispute uint64       // of one account
	DisputeBond    token.Amount // of whoever opens one: lost if it is answered
	AnswerBps      uint64       // of that bond, to who answers; the rest is burned
}

// Default is for a real network: rounds of 1200 blocks.
func Default() Params {
	return Params{Start: 10, Freeze: 6, Deadline: 40, Attest: 5, Late: 75, Second: 80, Pull: 30,
		ByBytes: 24, ByCount: 8, Symbols: 4, FewBlobs: 16, Redraws: 16, UncreditedFor: 2, KeepRounds: 2,
		DisputeRounds: 1, AnswerParts: 4, MaxOpenDispute: 4, DisputeBond: 10 * token.WAL, AnswerBps: 1000}
}

// Fitting is for rounds of so many blocks, where those are shorter than on a real
// network; ok is false where no challenge fits into one.
func Fitting(roundBlocks uint64) (p Params, ok bool) {
	p = Default()
	if p.Validate(roundBlocks) == nil {
		return p, true
	}
	p.Start, p.Attest = 8, 3
	p.Deadline = max(2, roundBlocks/10) // a tenth of a round, less the blocks around it
	p.Deadline -= min(5, p.Deadline-2)
	p.Pull = (p.Deadline + 1) / 2
	p.Late = max(2*p.Deadline, p.Deadline+p.Attest)
	p.Second = p.Late + 2
	return p, p.Validate(roundBlocks) == nil
}

// Tail is how many blocks at a round's end are free of windows, and at an epoch's end
// of disputes.
const Tail = 10

// MostMoves is by how many blocks the draw waits for reveals.
const MostMoves = 10

// Bounds that keep a proof within a message.
const (
	maxDraws   = 64
	maxSymbols = 8
)

// Draws is how many there are in a round.
func (p Params) Draws() int { return int(p.ByBytes + p.ByCount) }

// AnswerBlocks is how long a dispute waits for its answer, in rounds of so many blocks.
func (p Params) AnswerBlocks(roundBlocks uint64) uint64 { return roundBlocks / max(p.AnswerParts, 1) }

// Validate refuses numbers that do not fit into a round of so many blocks.
func (p Params) Validate(roundBlocks uint64) error {
	windows := []uint64{p.Start, p.Freeze, p.Deadline, p.Attest, p.Late, p.Second}
	for _, n := range windows {
		if n > 1<<20 {
			return fmt.Errorf("challenge: a window of %d blocks", n)
		}
	}
	switch {
	case p.Freeze < 4 || p.Start < p.Freeze:
		return fmt.Errorf("challenge: the index must stand still before the three blocks of reveals: Freeze %d (at least 4), Start %d (at least Freeze)", p.Freeze, p.Start)
	case p.Deadline < 2 || p.Attest < 1 || p.Pull >= p.Deadline:
		return fmt.Errorf("challenge: Deadline %d, Attest %d, Pull %d: proofs need time, and to be asked for before they are late", p.Deadline, p.Attest, p.Pull)
	case p.Late < p.Deadline+p.Attest || p.Second <= p.Late:
		return fmt.Errorf("challenge: Late %d must follow the votes (%d), and Second %d must follow Late", p.Late, p.Deadline+p.Attest, p.Second)
	case roundBlocks < 10*(5+p.Deadline):
		return fmt.Errorf("challenge: a round of %d blocks is too short for a deadline of %d: at least %d", roundBlocks, p.Deadline, 10*(5+p.Deadline))
	case p.Start+p.Second+p.Attest+Tail > roundBlocks:
		return fmt.Errorf("challenge: the windows end at block %d of a round of %d: %d blocks are to be left", p.Start+p.Second+p.Attest, roundBlocks, Tail)
	case p.Draws() < 1 || p.Draws() > maxDraws || p.Symbols < 1 || p.Symbols > maxSymbols:
		return fmt.Errorf("challenge: %d draws of %d symbols: 1 to %d of 1 to %d", p.Draws(), p.Symbols, maxDraws, maxSymbols)
	case p.FewBlobs < 1 || p.Redraws < 1 || p.Redraws > 64:
		return fmt.Errorf("challenge: FewBlobs %d, Redraws %d", p.FewBlobs, p.Redraws)
	}
	return p.validateDisputes(roundBlocks)
}

// validateDisputes sees to it that each round, an epoch's last one too, can be disputed
// and answered while its proofs are kept.
func (p Params) validateDisputes(roundBlocks uint64) error {
	if p.AnswerParts < 2 || p.AnswerParts > roundBlocks {
		return fmt.Errorf("challenge: AnswerParts %d of a round of %d blocks: 2 to %d", p.AnswerParts, roundBlocks, roundBlocks)
	}
	tallied, answer := p.Start+MostMoves+p.Second+p.Attest, p.AnswerBlocks(roundBlocks)
	switch {
	case tallied+answer+Tail >= roundBlocks:
		return fmt.Errorf("challenge: a round is tallied by its block %d, and a dispute waits %d blocks for its answer: both and %d blocks do not fit into %d", tallied, answer, Tail, roundBlocks)
	case p.DisputeRounds < 1 || p.DisputeRounds >= p.KeepRounds || p.KeepRounds > 8:
		return fmt.Errorf("challenge: DisputeRounds %d, KeepRounds %d: proofs are kept longer than they can be disputed, for 8 rounds at most", p.DisputeRounds, p.KeepRounds)
	case p.MaxOpenDispute < 1 || p.MaxOpenDispute > 1<<16 || p.DisputeBond < 1 || p.DisputeBond > 1_000_000*token.WAL:
		return fmt.Errorf("challenge: %d disputes open at once of an account, with a bond of %s each", p.MaxOpenDispute, p.DisputeBond)
	case p.AnswerBps > 5000:
		return fmt.Errorf("challenge: AnswerBps %d: at most 5000, or who disputes and answers in one pays too little", p.AnswerBps)
	}
	return nil
}
