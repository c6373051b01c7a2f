package ledger

import (
	"slices"
	"strings"

	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// Votable is a parameter that nodes can change by vote. Those that are not listed
// stay for ever what the genesis says: the number of shards and of buckets is the form
// of the data; the size and number of blocks and the time of unbonding are settings of
// every node's consensus and of every client: how old evidence and what it trusts may be.
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

func count(name, of, doc string, at func(*Params) *uint64) Votable {
	return Votable{name, of, doc, func(p *Params) uint64 { return *at(p) }, func(p *Params, v uint64) { *at(p) = v }}
}

func part(name, doc string, at func(*Params) *unit.Bps) Votable {
	return Votable{name, "1/10000", doc, func(p *Params) uint64 { return uint64(*at(p)) }, func(p *Params, v uint64) { *at(p) = unit.Bps(v) }}
}

var votables = slices.SortedFunc(slices.Values([]Votable{
	amount("fees.base", "least fee of a transaction", func(p *Params) *token.Amount { return &p.Fees.Base }),
	amount("fees.per_byte", "and for each of its bytes", func(p *Params) *token.Amount { return &p.Fees.PerByte }),
	count("history_epochs", "epochs", "how long records that explain are kept", func(p *Params) *uint64 { return &p.HistoryEpochs }),
	amount("subsidy", "added to each epoch's pay while the fund lasts", func(p *Params) *token.Amount { return &p.Subsidy }),
	count("sweep_blobs", "blobs", "ended blobs and leases that one block works off", func(p *Params) *uint64 { return &p.SweepBlobs }),

	count("registry.default_epochs", "epochs", "length of a lease when told nothing", func(p *Params) *uint64 { return &p.Registry.DefaultEpochs }),
	part("registry.finder_bps", "of a bad blob's leases, to the finder", func(p *Params) *unit.Bps { return &p.Registry.FinderBps }),
	count("registry.max_epochs", "epochs", "longest lease", func(p *Params) *uint64 { return &p.Registry.MaxEpochs }),
	count("registry.max_leases", "leases", "most leases on one blob", func(p *Params) *uint64 { return &p.Registry.MaxLeases }),
	part("registry.refund_fee_bps", "kept of what is refunded", func(p *Params) *unit.Bps { return &p.Registry.RefundFeeBps }),
	count("registry.tombstone_epochs", "epochs", "how long an ended blob is remembered", func(p *Params) *uint64 { return &p.Registry.TombstoneEpochs }),

	part("staking.bond_bps", "part of the counted stake that must be bond", func(p *Params) *unit.Bps { return &p.Staking.BondBps }),
	count("staking.commission_notice", "epochs", "before a higher commission acts", func(p *Params) *uint64 { return &p.Staking.CommissionNotice }),
	part("staking.max_commission_bps", "highest commission of a node", func(p *Params) *unit.Bps { return &p.Staking.MaxCommissionBps }),
	amount("staking.min_bond", "least bond with which a node is given shards", func(p *Params) *token.Amount { return &p.Staking.MinBond }),
	amount("staking.min_delegation", "least deposit of a delegator", func(p *Params) *token.Amount { return &p.Staking.MinDelegation }),
	part("staking.price_bound_bps", "most that a price moves from one epoch to the next", func(p *Params) *unit.Bps { return &p.Staking.PriceBoundBps }),

	part("pay.burn_bps", "of what no node earned: burned; the rest is for repair", func(p *Params) *unit.Bps { return &p.Staking.Pay.BurnBps }),
	part("pay.fee_bps", "of an epoch's pool, before it is shared", func(p *Params) *unit.Bps { return &p.Staking.Pay.FeeBps }),
	count("pay.fresh_epochs", "epochs", "in which a node counts as new", func(p *Params) *uint64 { return &p.Staking.Pay.FreshEpochs }),
	part("pay.fresh_hold_bps", "of a new node's reward: held back", func(p *Params) *unit.Bps { return &p.Staking.Pay.FreshHoldBps }),
	part("pay.hold_bps", "of a reward: held back", func(p *Params) *unit.Bps { return &p.Staking.Pay.HoldBps }),
	part("pay.insurance_bps", "of all stake: how much the insurance fund takes in", func(p *Params) *unit.Bps { return &p.Staking.Pay.InsuranceBps }),
	part("pay.release_bps", "of its shard-rounds a node passes for a tranche to be paid", func(p *Params) *unit.Bps { return &p.Staking.Pay.ReleaseBps }),
	count("pay.tranches", "epochs", "over which held back pay is paid out", func(p *Params) *uint64 { return &p.Staking.Pay.Tranches }),

	part("ladder.away_bps_5", "away above this in two epochs in a row: rung 5", func(p *Params) *unit.Bps { return &p.Staking.Ladder.AwayBps[0] }),
	part("ladder.away_bps_6", "away above this in two epochs in a row: rung 6", func(p *Params) *unit.Bps { return &p.Staking.Ladder.AwayBps[1] }),
	part("ladder.fail_bps_2", "undeclared failures above this: rung 2", func(p *Params) *unit.Bps { return &p.Staking.Ladder.FailBps[0] }),
	part("ladder.fail_bps_3", "undeclared failures above this: rung 3", func(p *Params) *unit.Bps { return &p.Staking.Ladder.FailBps[1] }),
	part("ladder.fail_bps_4", "undeclared failures above this: rung 4", func(p *Params) *unit.Bps { return &p.Staking.Ladder.FailBps[2] }),
	part("ladder.away_slash_5", "for what rung 5 punishes", func(p *Params) *unit.Bps { return &p.Staking.Ladder.AwaySlash[0] }),
	part("ladder.away_slash_6", "for what rung 6 punishes", func(p *Params) *unit.Bps { return &p.Staking.Ladder.AwaySlash[1] }),
	part("ladder.bounty_bps", "of a slash, to the finder", func(p *Params) *unit.Bps { return &p.Staking.Ladder.BountyBps }),
	amount("ladder.bounty_most", "highest bounty", func(p *Params) *token.Amount { return &p.Staking.Ladder.BountyMost }),
	part("ladder.double_sign", "least cost of a double sign", func(p *Params) *unit.Bps { return &p.Staking.Ladder.DoubleSign }),
	part("ladder.fail_slash_2", "for what rung 2 punishes", func(p *Params) *unit.Bps { return &p.Staking.Ladder.FailSlash[0] }),
	part("ladder.fail_slash_3", "for what rung 3 punishes", func(p *Params) *unit.Bps { return &p.Staking.Ladder.FailSlash[1] }),
	part("ladder.fail_slash_4", "for what rung 4 punishes", func(p *Params) *unit.Bps { return &p.Staking.Ladder.FailSlash[2] }),
	count("ladder.jail_epochs", "epochs", "for which a node in jail earns nothing", func(p *Params) *uint64 { return &p.Staking.Ladder.JailEpochs }),
	count("ladder.late_epochs", "epochs", "that a receiver may take to become ready", func(p *Params) *uint64 { return &p.Staking.Ladder.LateEpochs }),
	part("ladder.lie_most", "for all proven lies of an epoch, at most", func(p *Params) *unit.Bps { return &p.Staking.Ladder.LieMost }),
	part("ladder.lie_slash", "for a proven lie", func(p *Params) *unit.Bps { return &p.Staking.Ladder.LieSlash }),
	part("ladder.pass_bps", "of its shard-rounds a node passes to be given new shards", func(p *Params) *unit.Bps { return &p.Staking.Ladder.PassBps }),
	part("ladder.repair_bps", "of a slash, to the repair fund", func(p *Params) *unit.Bps { return &p.Staking.Ladder.RepairBps }),
	part("ladder.vote_slash", "for a vote that a dispute showed false", func(p *Params) *unit.Bps { return &p.Staking.Ladder.VoteSlash }),
}), func(a, b Votable) int { return strings.Compare(a.Name, b.Name) })
