package ledger

import (
	"slices"

	"github.com/walrus-network/walrus/token"
)

// Votable is a parameter that nodes can change by vote. Those that are not listed
// stay for ever what the genesis says: the number of shards and of buckets is the form
// of the data, the time and the size of blocks are settings of every node's consensus.
// The prices have votes of their own.
type Votable struct {
	Name string
	Unit string // of the value
	Doc  string // what it means
	get  func(*Params) uint64
	set  func(*Params, uint64)
}

// UnitFROST is the unit of parameters that are amounts.
const UnitFROST = "FROST"

// Of is the value in p.
func (v Votable) Of(p Params) uint64 { return v.get(&p) }

// Votables lists all of them in the order of their names.
func Votables() []Votable { return slices.Clone(votables) }

func votable(name string) (Votable, bool) {
	for _, v := range votables {
		if v.Name == name {
			return v, true
		}
	}
	return Votable{}, false
}

func amount(name, doc string, at func(*Params) *token.Amount) Votable {
	return Votable{name, UnitFROST, doc, func(p *Params) uint64 { return uint64(*at(p)) }, func(p *Params, v uint64) { *at(p) = token.Amount(v) }}
}

func count(name, unit, doc string, at func(*Params) *uint64) Votable {
	return Votable{name, unit, doc, func(p *Params) uint64 { return *at(p) }, func(p *Params, v uint64) { *at(p) = v }}
}

var votables = []Votable{
	amount("fees.base", "least fee of a transaction", func(p *Params) *token.Amount { return &p.Fees.Base }),
	amount("fees.per_byte", "and for each of its bytes", func(p *Params) *token.Amount { return &p.Fees.PerByte }),
	count("history_epochs", "epochs", "how long records that explain are kept", func(p *Params) *uint64 { return &p.HistoryEpochs }),
	count("registry.default_epochs", "epochs", "length of a lease when told nothing", func(p *Params) *uint64 { return &p.Registry.DefaultEpochs }),
	count("registry.max_epochs", "epochs", "longest lease", func(p *Params) *uint64 { return &p.Registry.MaxEpochs }),
	count("registry.max_leases", "leases", "most leases on one blob", func(p *Params) *uint64 { return &p.Registry.MaxLeases }),
	count("registry.refund_fee_bps", "1/10000", "kept of what is refunded", func(p *Params) *uint64 { return &p.Registry.RefundFeeBps }),
	count("registry.tombstone_epochs", "epochs", "how long an ended blob is remembered", func(p *Params) *uint64 { return &p.Registry.TombstoneEpochs }),
	count("round_blocks", "blocks", "length of a round", func(p *Params) *uint64 { return &p.RoundBlocks }),
	count("rounds_per_epoch", "rounds", "length of an epoch", func(p *Params) *uint64 { return &p.RoundsPerEpoch }),
	count("staking.max_commission_bps", "1/10000", "highest commission of a node", func(p *Params) *uint64 { return &p.Staking.MaxCommissionBps }),
	amount("staking.min_bond", "least bond with which a node is given shards", func(p *Params) *token.Amount { return &p.Staking.MinBond }),
	amount("staking.min_delegation", "least deposit of a delegator", func(p *Params) *token.Amount { return &p.Staking.MinDelegation }),
	count("staking.price_bound_bps", "1/10000", "most that a price moves from one epoch to the next", func(p *Params) *uint64 { return &p.Staking.PriceBoundBps }),
	count("staking.unbonding_epochs", "epochs", "from asking for stake back to getting it", func(p *Params) *uint64 { return &p.Staking.UnbondingEpochs }),
	count("sweep_blobs", "blobs", "ended blobs and leases that one block works off", func(p *Params) *uint64 { return &p.SweepBlobs }),
}
