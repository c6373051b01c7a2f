package report

import (
	"slices"
	"time"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// Positions is all that an address has at stake.
type Positions struct {
	Address     token.Address `json:"address"`
	Delegations []Delegation  `json:"delegations"` // never nil
	Operated    []OwnNode     `json:"operated"`    // nodes with the address as operator or payout; never nil
}

// Delegation is the stake that an address has put behind a node.
type Delegation struct {
	Node         staking.NodeID `json:"node"`
	Name         string         `json:"name"`
	Shares       staking.Shares `json:"shares"`   // of the node's pool
	Worth        token.Amount   `json:"worth"`    // Shares at the present rate
	Joining      []Due          `json:"joining"`  // money that becomes shares; never nil
	Leaving      []Due          `json:"leaving"`  // shares that become money, at the present rate; at risk until then; never nil
	Withdrawable token.Amount   `json:"drawable"` // by a withdrawal, now
	left         bool           // shares have left, maybe worth nothing: a withdrawal closes that
}

// OwnNode is the stake and pay of a node's operator.
type OwnNode struct {
	Node         staking.NodeID `json:"node"`
	Name         string         `json:"name"`
	Bond         token.Amount   `json:"bond"`
	Leaving      []Due          `json:"leaving"`   // parts of the bond; at risk until then; never nil
	Held         token.Amount   `json:"held_back"` // of its pay: Rewards.Held tells until when
	Withdrawable token.Amount   `json:"drawable"`  // by a withdrawal, now
}

// Due is an amount that acts in an epoch.
type Due struct {
	Amount token.Amount `json:"amount"`
	Epoch  unit.Epoch   `json:"epoch"`
	About  time.Time    `json:"about"` // when the epoch begins, estimated, UTC
}

func (n Now) due(a token.Amount, epoch unit.Epoch) Due { return Due{a, epoch, n.Begins(epoch).UTC()} }

// Positions reads all that an address has at stake. The errors are those of the view.
func (n Now) Positions(owner token.Address) (Positions, error) {
	out := Positions{Address: owner, Delegations: []Delegation{}, Operated: []OwnNode{}}
	var ids []staking.NodeID
	if err := n.View.EachDelegation(owner, func(id staking.NodeID, _ staking.Delegation) error { ids = append(ids, id); return nil }); err != nil {
		return out, err
	}
	for _, id := range ids {
		pool, part, settled, err := n.Settled(owner, id)
		if err != nil {
			return out, err
		}
		record, _, err := n.View.Node(id)
		if err != nil {
			return out, err
		}
		out.Delegations = append(out.Delegations, n.delegation(record, pool, part, settled))
	}
	nodes, err := n.operatedBy(owner)
	if err != nil {
		return out, err
	}
	for _, r := range nodes {
		pool, _, err := n.View.Pool(r.ID)
		if err != nil {
			return out, err
		}
		own := OwnNode{Node: r.ID, Name: r.Name, Bond: pool.Bond, Leaving: []Due{}, Held: pool.Held.Total(), Withdrawable: pool.Earned}
		for _, l := range pool.BondLeaving {
			own.Leaving = append(own.Leaving, n.due(l.Amount, l.Epoch))
		}
		out.Operated = append(out.Operated, own)
	}
	return out, nil
}

// Settled is an address's part of a node's pool, settled as a withdrawal would settle it
// now: shares that have left are money. A pool or a part that is not there is empty.
func (n Now) Settled(owner token.Address, id staking.NodeID) (staking.Pool, staking.Delegation, staking.PoolSettlement, error) {
	pool, _, err := n.View.Pool(id)
	if err != nil {
		return pool, staking.Delegation{}, staking.PoolSettlement{}, err
	}
	part, _, err := n.View.Delegation(owner, id)
	if err != nil {
		return pool, part, staking.PoolSettlement{}, err
	}
	settled, err := n.View.Settle(id, &pool, &part)
	return pool, part, settled, err
}

// operatedBy lists the nodes that have owner as their operator or payout address.
func (n Now) operatedBy(owner token.Address) (out []ledger.NodeRecord, err error) {
	err = n.View.EachNode(func(r ledger.NodeRecord) error {
		if r.Operator == owner || r.Payout == owner {
			out = append(out, r)
		}
		return nil
	})
	return out, err
}

func (n Now) delegation(r ledger.NodeRecord, pool staking.Pool, part staking.Delegation, settled staking.PoolSettlement) Delegation {
	rate := pool.Rate()
	d := Delegation{Node: r.ID, Name: r.Name, Shares: part.Shares, Worth: rate.Worth(part.Shares), Joining: []Due{}, Leaving: []Due{}, Withdrawable: settled.Out, left: len(settled.Gone) > 0}
	for _, j := range part.Joining {
		d.Joining = append(d.Joining, n.due(j.Amount, j.Epoch))
	}
	for _, l := range part.Leaving {
		d.Leaving = append(d.Leaving, n.due(rate.Worth(l.Shares), l.Epoch))
	}
	return d
}

// Withdrawable lists the nodes from which a withdrawal draws something, or closes a part that
// came to nothing.
func (p Positions) Withdrawable() (ids []staking.NodeID) {
	for _, d := range p.Delegations {
		if d.Withdrawable > 0 || d.left {
			ids = append(ids, d.Node)
		}
	}
	for _, o := range p.Operated {
		if o.Withdrawable > 0 && !slices.Contains(ids, o.Node) {
			ids = append(ids, o.Node)
		}
	}
	return ids
}
