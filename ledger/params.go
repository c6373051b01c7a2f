package ledger

import (
	"fmt"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/state"
	"github.com/walrus-network/walrus/token"
)

// Params are all the numbers of a network.
type Params struct {
	_              struct{} `cbor:",toarray"`
	Shards         int      // N
	BlockMs        uint64   // nominal time between blocks
	RoundBlocks    uint64   // blocks in a round
	RoundsPerEpoch uint64
	Buckets        int              // leaves of the state tree, a power of two
	BlockBytes     uint64           // of all transactions of a block
	BlockWork      uint64           // that all transactions of a block may weigh: see Work
	TxBytes        uint64           // of one transaction; a proof of bad encoding may be larger
	SweepBlobs     uint64           // ended blobs and leases that one block works off
	Challenged     bool             // shards are paid for what challenges find; else for being ready
	Challenge      challenge.Params // of no draws: rounds are entered by the driver of the ledger
	Subsidy        token.Amount     // added to each epoch's pay while the genesis' fund lasts
	HistoryEpochs  uint64           // for which records of pay, slashes and prices are kept
	Fees           Fees
	Staking        staking.Params
	Registry       registry.Params
}

// Fees are what a signed transaction pays at least.
type Fees struct {
	_       struct{} `cbor:",toarray"`
	Base    token.Amount
	PerByte token.Amount
}

// Of is the least fee of a transaction of size bytes.
func (f Fees) Of(size int) token.Amount { return f.Base + f.PerByte*token.Amount(size) }

// Default is for a real network: blocks of 3 s, rounds of an hour, epochs of 14 days.
func Default() Params {
	return Params{
		Shards: 100, BlockMs: 3000, RoundBlocks: 1200, RoundsPerEpoch: 336,
		Buckets: 1 << 20, BlockBytes: 2 << 20, BlockWork: 800_000, TxBytes: 64 << 10, SweepBlobs: 100, Challenged: true, Challenge: challenge.Default(), HistoryEpochs: 52,
		Fees: Fees{Base: 100_000, PerByte: 100}, Staking: staking.Default(), Registry: registry.Default(),
	}
}

// Small is for a network of a few dozen nodes whose operators know each other: blocks of a
// second, rounds of 20 minutes, epochs of a day.
func Small() Params {
	p := Default()
	p.Shards, p.BlockMs, p.RoundBlocks, p.RoundsPerEpoch = 40, 1000, 1200, 72
	p.Buckets = 1 << 16
	p.Staking.UnbondingEpochs, p.Staking.CommissionNotice = 14, 16 // two weeks, as in epochs of two weeks
	p.Staking.Ladder.LateEpochs = 14
	return p
}

// Testnet is for a network on one machine: blocks of half a second, epochs of ten minutes.
func Testnet() Params {
	p := Default()
	p.Shards, p.BlockMs, p.RoundBlocks, p.RoundsPerEpoch = 28, 500, 120, 10
	p.Buckets = 1 << 12
	p.Staking.UnbondingEpochs, p.Staking.CommissionNotice = 1, 3
	p.Challenge, _ = challenge.Fitting(p.RoundBlocks)
	p.Subsidy = 100 * token.WAL     // so that pay can be watched
	p.Staking.Ladder.LateEpochs = 6 // an hour: epochs are short, data is not
	return p
}

// mostBytes is the most bytes that a transaction of a kind may have. Two kinds carry a
// proof that may be larger than TxBytes.
func (p Params) mostBytes(k Kind) uint64 {
	switch k {
	case KindInvalidate:
		return max(p.TxBytes, invalidateBytes)
	case KindAnswer:
		return max(p.TxBytes, answerBytes)
	}
	return p.TxBytes
}

// LargestTx is the most bytes that a transaction of any kind may have.
func (p Params) LargestTx() uint64 {
	return max(p.mostBytes(KindInvalidate), p.mostBytes(KindAnswer))
}

// EpochBlocks is the number of blocks in an epoch.
func (p Params) EpochBlocks() uint64 { return p.RoundBlocks * p.RoundsPerEpoch }

// Shape is the code's shape for the network's shards.
func (p Params) Shape() (blob.Shape, error) { return blob.NewShape(p.Shards) }

// agreementLag is how many blocks of an epoch may still be signed by the committee
// before it, until the validators' change acts; and one, by which an age is counted
// from the block before.
const agreementLag = 3

// EvidenceBlocks is how many blocks a fault may be old to be punished still:
// UnbondingEpochs epochs less a round in which the evidence travels, or less half an
// epoch where that is shorter. Stake that counted at the fault is then in its pool,
// and stays there until the settlement of the epoch that holds the evidence.
func (p Params) EvidenceBlocks() uint64 {
	return p.Staking.UnbondingEpochs*p.EpochBlocks() - max(agreementLag, min(p.RoundBlocks, p.EpochBlocks()/2))
}

// minEpochBlocks leaves the middle of an epoch its own block, and validator changes
// (two blocks) time to act before the next.
const minEpochBlocks = 8

// blockOverhead is room in a block for its header, its commit of up to 1000 validators
// and evidence beside the largest transaction.
const blockOverhead = 256 << 10

// Validate refuses numbers that do not fit together.
func (p Params) Validate() error {
	if _, err := p.Shape(); err != nil {
		return fmt.Errorf("params: %w", err)
	}
	if err := state.CheckBuckets(p.Buckets); err != nil {
		return fmt.Errorf("params: %w", err)
	}
	const most = 1 << 32
	switch {
	case p.BlockMs < 1 || p.BlockMs > most:
		return fmt.Errorf("params: BlockMs %d", p.BlockMs)
	case p.RoundBlocks < 1 || p.RoundBlocks > most || p.RoundsPerEpoch < 1 || p.RoundsPerEpoch > most/p.RoundBlocks:
		return fmt.Errorf("params: %d rounds of %d blocks make no epoch", p.RoundsPerEpoch, p.RoundBlocks)
	case p.EpochBlocks() < minEpochBlocks:
		return fmt.Errorf("params: an epoch of %d blocks is too short: at least %d", p.EpochBlocks(), minEpochBlocks)
	case p.TxBytes < 4096 || p.TxBytes > 2<<20 || p.LargestTx()+blockOverhead > p.BlockBytes || p.BlockBytes > 16<<20:
		return fmt.Errorf("params: TxBytes %d in BlockBytes %d: 4096 <= TxBytes <= 2 MiB; a block takes the largest transaction (%d) and is at most 16 MiB", p.TxBytes, p.BlockBytes, p.LargestTx())
	case p.BlockWork < leastBudget || p.BlockWork > 100_000_000:
		return fmt.Errorf("params: BlockWork %d: must be %d, which is more than any transaction weighs, to 100000000 (100 s of one core)", p.BlockWork, leastBudget)
	case p.SweepBlobs < 1 || p.SweepBlobs > 100_000:
		return fmt.Errorf("params: SweepBlobs %d: must be 1 to 100000", p.SweepBlobs)
	case p.HistoryEpochs < 2 || p.HistoryEpochs > 10_000:
		return fmt.Errorf("params: HistoryEpochs %d: must be 2 to 10000: an epoch's records are written when the next one begins, and would be forgotten with it", p.HistoryEpochs)
	case p.Fees.Base > 1_000_000*token.WAL || p.Fees.PerByte > token.WAL:
		return fmt.Errorf("params: fees %s and %s a byte are beyond reason", p.Fees.Base, p.Fees.PerByte)
	}
	if p.Challenged && p.Challenge.Draws() > 0 {
		if err := p.Challenge.Validate(p.RoundBlocks); err != nil {
			return fmt.Errorf("params: %w", err)
		}
		if err := p.Challenge.ValidateEpoch(p.RoundsPerEpoch); err != nil {
			return fmt.Errorf("params: %w", err)
		}
	}
	if err := p.Staking.Validate(); err != nil {
		return fmt.Errorf("params: %w", err)
	}
	if err := p.Registry.Validate(); err != nil {
		return fmt.Errorf("params: %w", err)
	}
	return nil
}
