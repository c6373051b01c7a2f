package report

import (
	"cmp"
	"slices"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// Node is a registered node: its shards, stake, terms, results and penalties. The ledger
// does not know the last three fields: a caller that has called the node fills them in.
type Node struct {
	Name        string         `json:"name"`
	ID          staking.NodeID `json:"id"`
	Operator    token.Address  `json:"operator"`
	URL         string         `json:"url,omitempty"`
	About       string         `json:"about,omitempty"`         // the operator's words
	Shards      int            `json:"shards"`                  // shards that it has the duty for
	Keeping     int            `json:"keeping"`                 // shards handed over, kept until the new holder is ready
	Power       int            `json:"power"`                   // in the agreement on blocks: its shards, or 0 if it is expelled
	Bond        token.Amount   `json:"bond"`                    // the operator's own stake
	Stake       token.Amount   `json:"stake"`                   // bond and delegations, in the choice of the next open committee
	Counted     token.Amount   `json:"counted"`                 // part of Stake that the bond backs
	Commission  unit.Bps       `json:"commission_bps"`          // 1/10000 of the node's pay, to the operator
	Announced   []Commission   `json:"commission_announced"`    // never nil
	Now         ShardRounds    `json:"passed_now"`              // of the present epoch so far
	Past        ShardRounds    `json:"passed_past"`             // of the last epochs
	Slashes     []Slash        `json:"slashes"`                 // in the last epochs; never nil
	Return      *Returns       `json:"yearly_return,omitempty"` // of a delegator; nil without a statement
	JailedUntil unit.Epoch     `json:"jailed_until_epoch,omitempty"`
	NoNewUntil  unit.Epoch     `json:"no_new_shards_before_epoch,omitempty"`
	CapacityKiB unit.KiB       `json:"capacity_kib"`
	Addresses   []string       `json:"addresses"` // libp2p multiaddrs
	Out         bool           `json:"out"`       // expelled for good
	Penalty     Penalty        `json:"-"`

	Answers bool   `json:"answers"`
	Version string `json:"version,omitempty"`
	Error   string `json:"error,omitempty"` // why it does not answer
}

// Commission is a commission that acts from a later epoch on.
type Commission struct {
	Bps   unit.Bps   `json:"bps"` // 1/10000 of the node's pay, to the operator
	Epoch unit.Epoch `json:"epoch"`
}

// Nodes lists the registered nodes, most stake first; epochs is how many of the last
// epochs Past, Slashes and Return cover. The errors are those of the view, and
// ledger.ErrNoCommittee.
func (n Now) Nodes(epochs uint64) ([]Node, error) {
	committee, err := n.View.Committee(n.Head.Epoch)
	if err != nil {
		return nil, err
	}
	keys := [][]byte{ledger.KeyTally(n.Head.Epoch)}
	of := func(id staking.NodeID) [][]byte {
		return append(n.statementKeys(id, epochs), ledger.KeyPool(id), ledger.KeySanctions(id))
	}
	var records []ledger.NodeRecord
	if err := n.View.EachNodeWith(keys, of, func(r ledger.NodeRecord) error { records = append(records, r); return nil }); err != nil {
		return nil, err
	}
	var ids []staking.NodeID
	for _, r := range records {
		keys = append(keys, of(r.ID)...)
		ids = append(ids, r.ID)
	}
	if err := n.Prefetch(keys...); err != nil {
		return nil, err
	}
	tally, err := n.View.Tally(n.Head.Epoch)
	if err != nil {
		return nil, err
	}
	statements, err := n.Statements(ids, epochs)
	if err != nil {
		return nil, err
	}
	list := []Node{}
	for _, r := range records {
		one, err := n.node(r, statements[r.ID])
		if err != nil {
			return nil, err
		}
		one.Shards, one.Keeping = len(committee.Duty(r.ID)), len(committee.Keeping(r.ID))
		if i, ok := committee.Index(r.ID); ok {
			one.Power = committee.Nodes[i].Power
		}
		one.Now = passedOf(r.ID, committee, tally)
		list = append(list, one)
	}
	slices.SortStableFunc(list, func(a, b Node) int { return cmp.Compare(b.Stake, a.Stake) })
	return list, nil
}

// node fills in the figures that rest on the node's own records.
func (n Now) node(r ledger.NodeRecord, statements []EpochStatement) (Node, error) {
	pool, _, err := n.View.Pool(r.ID)
	if err != nil {
		return Node{}, err
	}
	standing, err := n.View.Sanctions(r.ID)
	if err != nil {
		return Node{}, err
	}
	next, penalty := n.CountsFrom(n.Head.Height), PenaltyOf(r, standing, n.Head.Epoch)
	out := Node{Name: r.Name, ID: r.ID, Operator: r.Operator, URL: r.URL, About: r.About,
		Bond: pool.Bond, Stake: pool.Stake(next), Counted: pool.Counted(next, n.Params.Staking), Commission: pool.CommissionBps, Announced: []Commission{},
		Slashes: Slashes(statements), Return: n.Returns(statements),
		JailedUntil: penalty.JailUntil, NoNewUntil: penalty.NoNewUntil, CapacityKiB: r.CapacityKiB, Addresses: r.Addresses, Out: r.Out, Penalty: penalty}
	for _, c := range pool.NextCommission {
		out.Announced = append(out.Announced, Commission{c.Bps, c.Epoch})
	}
	for _, st := range statements {
		out.Past.add(st.Credit)
	}
	return out, nil
}

// passedOf counts the shard-rounds of a node in the epoch of a tally.
func passedOf(id staking.NodeID, c ledger.Committee, tally ledger.Tally) (out ShardRounds) {
	if i, ok := c.Index(id); ok && i < len(tally.Nodes) {
		out.add(tally.Nodes[i])
	}
	return out
}
