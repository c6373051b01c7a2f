package challenge

import (
	"fmt"

	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// Params are the numbers of a challenge. Heights are counted from the round's first block.
type Params struct {
	_              struct{}     `cbor:",toarray"`
	Start          uint64       // block of the draw, T, before its offset: see Offset
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
	UncreditedFor  uint64       // rounds after one in which a node was away: it is away in these too
	KeepRounds     uint64       // for which bodies of proofs are kept
	DisputeRounds  uint64       // after a round in which it can still be disputed
	AnswerParts    uint64       // of a round: one of them is the time in which a dispute is answered
	MaxOpenDispute uint64       // of one account
	DisputeBond    token.Amount // of the opener of a dispute: lost if it is answered
	AnswerBps      unit.Bps     // of that bond, to the account that the answer names; the rest is burned
}

// Default is for a real network: rounds of 1200 blocks.
func Default() Params {
	return Params{Start: 20, Freeze: 20, Deadline: 40, Attest: 5, Late: 75, Second: 80, Pull: 30,
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
	p.Start, p.Freeze, p.Attest = 8, 8, 3
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

// turnBlocks is how long a closer's turn takes: the block that begins it, the votes on the
// next, and the block that carries these.
const turnBlocks = 2

// Closers is how many nodes close a beacon, one after the other: as many as fit behind
// three blocks of reveals, 3 at most. With 3, a coalition with a twelfth of the shards
// holds all of them in a round of 1700.
func (p Params) Closers() int {
	return int(min(max(p.Freeze, 6)-4, 6) / turnBlocks)
}

// Patience is how many blocks may carry a closer's signature before its turn is over: 10
// at most. A coalition keeps a signature off
// the ledger only where it proposes all of these.
func (p Params) Patience() uint64 { return min(max(p.Freeze/2, 3), 10) }

// ClosingBlocks is how long so many closers take where none is silent.
func ClosingBlocks(closers int) uint64 { return turnBlocks * uint64(closers) }

// TurnEnds says whether a closer's turn that began in block since is over at a height
// whose block did not carry its signature.
func (p Params) TurnEnds(since, height unit.Height) bool {
	return height >= (since + turnBlocks - 1).Plus(p.Patience())
}

// TurnDue says whether the block of a height may carry the signature of a closer whose
// turn began in block since.
func TurnDue(since, height unit.Height) bool { return height >= since+turnBlocks }

// RevealMoves is for how many blocks a round waits for reveals, before it is skipped.
const RevealMoves = 8

// mostMoves is by how many blocks the draw is late at most: as long as reveals, and then
// each of its closers, are waited for.
func (p Params) mostMoves() uint64 {
	return RevealMoves + uint64(p.Closers())*(p.Patience()-1)
}

// silentPart of the network's shards is the price of a silent closer: it is away for so
// many rounds that it loses as many shard-rounds as a fifth of all shards has in one. A
// closer that finds the draw bad for its friends saves less for them by silence than it
// pays, as long as they hold a tenth of the shards or less and have dropped little enough
// to pass half of their rounds.
const silentPart = 5

// SilentFor is for how many rounds a closer with some of the network's shards is away
// when it was silent, the present one included.
func SilentFor(held, shards int) uint64 {
	each := silentPart * max(held, 1)
	return uint64((shards + each - 1) / each)
}

// Bounds that keep a proof within a message.
const (
	maxDraws   = 64
	maxSymbols = 8
)

// Draws is how many there are in a round.
func (p Params) Draws() int { return int(p.ByBytes + p.ByCount) }

// AnswerBlocks is how long a dispute waits for its answer, in rounds of so many blocks.
func (p Params) AnswerBlocks(roundBlocks uint64) uint64 { return roundBlocks / max(p.AnswerParts, 1) }

// Offsets is how many blocks the draw of a round may be at: half of the room that the
// windows leave, as the other half is for opening disputes, and at most as many as there
// are shards, so that the turn to propose goes round once. Where the blocks of a round and
// the shards have a common divisor d, rounds begin at every d-th turn alone: a multiple of
// d makes all turns equally likely over many rounds, and is taken wherever d has room.
func (p Params) Offsets(roundBlocks uint64, shards int) uint64 {
	room, turns := p.room(roundBlocks), uint64(max(shards, 1))
	n, d := min(room/2, turns), gcd(roundBlocks, turns)
	switch {
	case d <= n:
		return n - n%d
	case d < room:
		return d
	}
	return max(n, 1)
}

// room is how many blocks of a round no window needs.
func (p Params) room(roundBlocks uint64) uint64 {
	need := p.tallied() + p.AnswerBlocks(roundBlocks) + Tail
	return roundBlocks - min(roundBlocks, need)
}

// tallied is the block of a round, at the latest and without its offset, after which it
// is tallied.
func (p Params) tallied() uint64 { return p.Start + p.mostMoves() + p.Second + p.Attest }

func gcd(a, b uint64) uint64 {
	for b > 0 {
		a, b = b, a%b
	}
	return a
}

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
		return fmt.Errorf("challenge: the index must stand still before the blocks of reveals and of closers: Freeze %d (at least 4), Start %d (at least Freeze)", p.Freeze, p.Start)
	case p.Deadline < 2 || p.Attest < 1 || p.Pull >= p.Deadline:
		return fmt.Errorf("challenge: Deadline %d, Attest %d, Pull %d: proofs need time, and to be asked for before they are late", p.Deadline, p.Attest, p.Pull)
	case p.Late < p.Deadline+p.Attest || p.Second <= p.Late:
		return fmt.Errorf("challenge: Late %d must follow the votes (%d), and Second %d must follow Late", p.Late, p.Deadline+p.Attest, p.Second)
	case roundBlocks < 10*(5+p.Deadline):
		return fmt.Errorf("challenge: a round of %d blocks is too short for a deadline of %d: at least %d", roundBlocks, p.Deadline, 10*(5+p.Deadline))
	case p.tallied()+Tail > roundBlocks:
		return fmt.Errorf("challenge: the windows end at block %d of a round of %d: %d blocks are to be left", p.tallied(), roundBlocks, Tail)
	case p.UncreditedFor > 64:
		return fmt.Errorf("challenge: UncreditedFor %d: 64 rounds at most", p.UncreditedFor)
	case p.Draws() < 1 || p.Draws() > maxDraws || p.Symbols < 1 || p.Symbols > maxSymbols:
		return fmt.Errorf("challenge: %d draws of %d symbols: 1 to %d of 1 to %d", p.Draws(), p.Symbols, maxDraws, maxSymbols)
	case p.FewBlobs < 1 || p.Redraws < 1 || p.Redraws > 64:
		return fmt.Errorf("challenge: FewBlobs %d, Redraws %d", p.FewBlobs, p.Redraws)
	}
	return p.validateDisputes(roundBlocks)
}

// ValidateEpoch refuses numbers under which a round is kept for longer than the ledger
// knows the holders of its shards: a committee is forgotten when the second epoch after
// its own begins.
func (p Params) ValidateEpoch(rounds uint64) error {
	if p.KeepRounds > rounds {
		return fmt.Errorf("challenge: KeepRounds %d, in epochs of %d rounds: at most as many, as committees are kept for the present epoch and the last", p.KeepRounds, rounds)
	}
	return nil
}

// validateDisputes sees to it that each round, an epoch's last one too, can be disputed
// and answered while its proofs are kept.
func (p Params) validateDisputes(roundBlocks uint64) error {
	if p.AnswerParts < 2 || p.AnswerParts > roundBlocks {
		return fmt.Errorf("challenge: AnswerParts %d of a round of %d blocks: 2 to %d", p.AnswerParts, roundBlocks, roundBlocks)
	}
	switch {
	case p.room(roundBlocks) < 2:
		return fmt.Errorf("challenge: a round is tallied by its block %d, and a dispute waits %d blocks for its answer: both, %d blocks, one to open it in and one for the draw to move do not fit into %d", p.tallied(), p.AnswerBlocks(roundBlocks), Tail, roundBlocks)
	case p.DisputeRounds < 1 || p.DisputeRounds >= p.KeepRounds || p.KeepRounds > 8:
		return fmt.Errorf("challenge: DisputeRounds %d, KeepRounds %d: proofs are kept longer than they can be disputed, for 8 rounds at most", p.DisputeRounds, p.KeepRounds)
	case p.MaxOpenDispute < 1 || p.MaxOpenDispute > 1<<16 || p.DisputeBond < 1 || p.DisputeBond > 1_000_000*token.WAL:
		return fmt.Errorf("challenge: %d disputes open at once of an account, with a bond of %s each", p.MaxOpenDispute, p.DisputeBond)
	case p.AnswerBps > 5000:
		return fmt.Errorf("challenge: AnswerBps %d: at most 5000, or a node that answers its own dispute pays too little", p.AnswerBps)
	}
	return nil
}
