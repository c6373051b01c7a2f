package economy

import (
	"bytes"
	"fmt"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/sim"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// Node is one node's result: its operator and its delegators together.
type Node struct {
	ID      string       `json:"id"`
	Uptime  float64      `json:"uptime"`
	Drop    float64      `json:"drop"`
	Income  token.Amount `json:"income"`  // paid
	Held    token.Amount `json:"held"`    // earned, and still held back
	Slashed token.Amount `json:"slashed"` // of bond and delegations
	Shards  int          `json:"shards"`  // at the end

	Lost        token.Amount `json:"lost"`         // was held back, went to the repair fund
	Operator    token.Amount `json:"operator"`     // of the income: commission and the bond's part
	BondSlashed token.Amount `json:"bond_slashed"` // of what was slashed
	ShardEpochs uint64       `json:"shard_epochs"` // duty, summed over all epochs
	Passed      float64      `json:"passed"`       // part of its shard-rounds
	Slashes     []sim.Slash  `json:"slashes"`
	Jailed      int          `json:"jailed"` // epochs
	Cost        token.Amount `json:"cost"`   // of keeping what it kept
	Profit      Difference   `json:"profit"` // income + held - slashed - cost

	assigned, passed uint64
	reach            float64 // FROST: pay if all its shard-rounds had passed
}

// Difference is an amount in FROST that may be negative.
type Difference int64

// String writes WAL as token.Amount does.
func (d Difference) String() string {
	if d < 0 {
		return "-" + token.Amount(-d).String()
	}
	return token.Amount(d).String()
}

// MarshalText makes it its text form in JSON.
func (d Difference) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads the text form.
func (d *Difference) UnmarshalText(b []byte) error {
	text, below := bytes.CutPrefix(b, []byte("-"))
	a, err := token.ParseAmount(string(text))
	if *d = Difference(a); below {
		*d = -*d
	}
	return err
}

// Funds are the network's own money.
type Funds struct {
	Insurance token.Amount `json:"insurance"`
	Repair    token.Amount `json:"repair"`
	Subsidy   token.Amount `json:"subsidy"` // not yet handed out
}

// Result is a network at its end.
type Result struct {
	Seconds  float64      `json:"seconds"`   // the caller measures it; Run leaves 0
	SupplyOK bool         `json:"supply_ok"` // at every epoch's end every FROST was accounted for
	Epochs   int          `json:"epochs"`
	Nodes    []Node       `json:"nodes"`
	Burned   token.Amount `json:"burned"`
	Funds    Funds        `json:"funds"`

	Seed        uint64       `json:"seed"`
	Shards      int          `json:"shards"`
	Rounds      int          `json:"rounds"`       // of an epoch
	Void        uint64       `json:"void_rounds"`  // rounds without slashes, because too many shards did not pass
	ShardReward token.Amount `json:"shard_reward"` // pay of a shard that passes every round, in all epochs
	StorageCost float64      `json:"storage_cost"` // cost of a shard's fragments / shard_reward
}

// account enters what the end of an epoch did, and checks that no FROST was made or
// lost.
func (s *simulation) account(epoch int) error {
	v, err := s.net.View()
	if err != nil {
		return err
	}
	audit, err := v.TrialBalance()
	if err != nil {
		return err
	}
	s.out.SupplyOK = s.out.SupplyOK && audit.Balanced()
	s.out.Burned, s.out.Funds = audit.Burned, Funds{audit.Insurance, audit.Repair, audit.Subsidy}
	books, known, err := v.Books(unit.Epoch(epoch))
	if err != nil || !known {
		return fmt.Errorf("no books of epoch %d: %w", epoch, err)
	}
	s.out.Void += books.Tallied - books.Judged
	reach := books.Pool() / token.Amount(s.p.Shards)
	s.out.ShardReward += reach
	for i, id := range s.net.IDs {
		o, known, err := v.Statement(unit.Epoch(epoch), id)
		if err != nil {
			return err
		}
		if known {
			s.out.Nodes[i].enter(o, unit.Epoch(epoch), float64(reach))
		}
	}
	return nil
}

func (n *Node) enter(o ledger.Statement, epoch unit.Epoch, reach float64) {
	n.Income += o.Payment.Commission + o.Payment.Bond + o.Payment.Delegators
	n.Operator += o.Payment.Commission + o.Payment.Bond
	n.Held = o.HeldAfter
	n.Slashed += o.Cut.Total()
	n.BondSlashed += o.Cut.Bond
	n.Lost += o.Lost
	n.ShardEpochs += o.Shards
	n.assigned += o.Credit.Assigned
	n.passed += o.Credit.Passed
	n.reach += reach * float64(o.Shards)
	if o.Jailed {
		n.Jailed++
	}
	if slash, slashed := sim.SlashOf(o, epoch); slashed {
		n.Slashes = append(n.Slashes, slash)
	}
}

// result adds up the nodes' results.
func (s *simulation) result() Result {
	r := s.out
	for i := range r.Nodes {
		n := &r.Nodes[i]
		if n.assigned > 0 {
			n.Passed = float64(n.passed) / float64(n.assigned)
		}
		n.Cost = token.Amount(s.o.StorageCost * n.reach * (1 - n.Drop))
		n.Profit = Difference(n.Income+n.Held) - Difference(n.Slashed+n.Cost)
	}
	for shard := range s.holders {
		r.Nodes[s.holders[shard]].Shards++
	}
	return r
}
