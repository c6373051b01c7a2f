package report

import (
	"slices"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// Rewards is what an address earned in the last epochs that have ended.
type Rewards struct {
	Address   token.Address `json:"address"`
	From      unit.Epoch    `json:"from_epoch"`
	To        unit.Epoch    `json:"to_epoch"`  // the last that is settled
	Delegated []ShareReward `json:"delegated"` // never nil
	Operated  []NodeReward  `json:"operated"`  // never nil
	Held      []Release     `json:"held_back"` // never nil
}

// ShareReward is the result of a delegation in one epoch.
type ShareReward struct {
	Epoch  unit.Epoch     `json:"epoch"`
	Node   staking.NodeID `json:"node"`
	Name   string         `json:"name"`
	Shares staking.Shares `json:"shares"` // that are known to have been in the pool
	Earned token.Amount   `json:"earned"` // delegators' pay * Shares / all shares
	Lost   token.Amount   `json:"lost"`   // by a slash: delegators' loss * Shares / all shares
}

// NodeReward is the pay of a node in one epoch, and how it was shared.
type NodeReward struct {
	Epoch      unit.Epoch     `json:"epoch"`
	Node       staking.NodeID `json:"node"`
	Name       string         `json:"name"`
	Reward     token.Amount   `json:"reward"`       // of the node, before anything is held back
	Held       token.Amount   `json:"held_back"`    // part of Reward
	Released   token.Amount   `json:"released"`     // of what earlier epochs had held back
	Lost       token.Amount   `json:"lost"`         // of what was held back
	Slashed    token.Amount   `json:"slashed"`      // of bond and delegations
	Commission token.Amount   `json:"commission"`   // to the operator
	Bond       token.Amount   `json:"for_the_bond"` // to the operator
	Delegators token.Amount   `json:"delegators"`   // to the delegators
}

// Release is held-back pay that an epoch's end releases if the node passes in that epoch.
type Release struct {
	Node staking.NodeID `json:"node"`
	Name string         `json:"name"`
	End  Due            `json:"end"`       // the epoch at whose end; About is when the next begins
	Late token.Amount   `json:"last_time"` // part of the amount: postponed once, the next miss loses it
}

// Rewards works out what an address earned in the last epochs. The ledger does not keep
// how many shares an address had before: they are taken to be the shares of now, less
// those that are known to have joined later. The errors are those of the view.
func (n Now) Rewards(owner token.Address, epochs uint64) (Rewards, error) {
	out := Rewards{Address: owner, From: n.Head.Epoch.Minus(epochs), To: n.Head.Epoch.Minus(1),
		Delegated: []ShareReward{}, Operated: []NodeReward{}, Held: []Release{}}
	parts := map[staking.NodeID]staking.Delegation{}
	var ids []staking.NodeID
	err := n.View.EachDelegation(owner, func(id staking.NodeID, d staking.Delegation) error {
		ids, parts[id] = append(ids, id), d
		return nil
	})
	if err != nil {
		return out, err
	}
	own, err := n.operatedBy(owner)
	if err != nil {
		return out, err
	}
	all := slices.Clone(ids)
	for _, r := range own {
		all = append(all, r.ID)
	}
	statements, err := n.Statements(all, epochs)
	if err != nil {
		return out, err
	}
	for _, id := range ids {
		if out.Delegated, err = n.addShareRewards(out.Delegated, id, parts[id], statements[id]); err != nil {
			return out, err
		}
	}
	for _, r := range own {
		for _, st := range statements[r.ID] {
			out.Operated = append(out.Operated, NodeReward{st.Epoch, r.ID, r.Name, st.Reward, st.Held, st.Released, st.Lost, st.Cut.Total(), st.Payment.Commission, st.Payment.Bond, st.Payment.Delegators})
		}
		if out.Held, err = n.addHeldBack(out.Held, r); err != nil {
			return out, err
		}
	}
	return out, nil
}

func (n Now) addShareRewards(list []ShareReward, id staking.NodeID, d staking.Delegation, statements []EpochStatement) ([]ShareReward, error) {
	r, _, err := n.View.Node(id)
	if err != nil {
		return list, err
	}
	stays, err := n.stays(id, d)
	if err != nil {
		return list, err
	}
	for _, st := range statements {
		if shares := sharesIn(stays, st.Epoch); shares > 0 {
			list = append(list, ShareReward{st.Epoch, id, r.Name, shares, st.GainOf(shares), st.LossOf(shares)})
		}
	}
	return list, nil
}

// shareSpan is shares that were in a pool in the epochs from to until-1, as far as the
// ledger's records tell.
type shareSpan struct {
	shares      staking.Shares
	from, until unit.Epoch
}

const never = ^unit.Epoch(0)

// stays lists the shares of a delegation by the epochs in which they count.
func (n Now) stays(id staking.NodeID, d staking.Delegation) (out []shareSpan, err error) {
	out = append(out, shareSpan{d.Shares, 0, never})
	for _, j := range d.Joining {
		rate, done, err := n.View.Joined(id, j.Epoch)
		if err != nil {
			return nil, err
		}
		if shares, err := rate.Rate.Buys(j.Amount); done && !rate.Rate.Returned && err == nil {
			out = append(out, shareSpan{shares, j.Epoch, never})
		}
	}
	for _, x := range d.Leaving {
		_, done, err := n.View.Left(id, x.Epoch)
		if err != nil {
			return nil, err
		}
		until := never
		if done {
			until = x.Epoch
		}
		out = append(out, shareSpan{x.Shares, 0, until})
	}
	return out, nil
}

func sharesIn(stays []shareSpan, epoch unit.Epoch) (sum staking.Shares) {
	for _, s := range stays {
		if s.from <= epoch && epoch < s.until {
			sum += s.shares // one pool holds them all: the sum fits
		}
	}
	return sum
}

// addHeldBack appends the schedule of a node's pay that is held back.
func (n Now) addHeldBack(list []Release, r ledger.NodeRecord) ([]Release, error) {
	pool, _, err := n.View.Pool(r.ID)
	h := pool.Held
	for i := range max(len(h.First), len(h.Late)) {
		one := Release{Node: r.ID, Name: r.Name}
		var first token.Amount
		if i < len(h.First) {
			first = h.First[i]
		}
		if i < len(h.Late) {
			one.Late = h.Late[i]
		}
		epoch := n.Head.Epoch.Plus(uint64(i))
		one.End = Due{first + one.Late, epoch, n.Begins(epoch + 1).UTC()} // one pool holds both: the sum fits
		if one.End.Amount > 0 {
			list = append(list, one)
		}
	}
	return list, err
}
