package main

import (
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
)

// stakeShown is all that an address has at stake.
type stakeShown struct {
	Address     token.Address `json:"address"`
	Delegations []delegation  `json:"delegations"`
	Operated    []operated    `json:"operated"` // nodes whose operator or payout address it is
	Ledger      ledgerState   `json:"ledger"`
}

type delegation struct {
	Node         staking.NodeID `json:"node"`
	Name         string         `json:"name"`
	Shares       staking.Shares `json:"shares"`
	Worth        token.Amount   `json:"worth"`    // of the shares, now
	Joining      []dated        `json:"joining"`  // money that becomes shares
	Leaving      []dated        `json:"leaving"`  // worth now; it shares in what happens until then
	Withdrawable token.Amount   `json:"drawable"` // by walrus stake withdraw, now
	left         bool           // shares have left, for money or for nothing: a withdrawal closes that
}

// operated is an operator's own.
type operated struct {
	Node    staking.NodeID `json:"node"`
	Name    string         `json:"name"`
	Bond    token.Amount   `json:"bond"`
	Leaving []dated        `json:"leaving"`
	Held    token.Amount   `json:"held_back"` // of its pay: walrus stake rewards says until when
	Earned  token.Amount   `json:"drawable"`
}

// dated is an amount and when something becomes of it.
type dated struct {
	Amount token.Amount `json:"amount"`
	Epoch  uint64       `json:"epoch"`
	About  time.Time    `json:"about"`
}

func (n now) dated(a token.Amount, epoch uint64) dated {
	return dated{a, epoch, n.begins(epoch).UTC()}
}

func (d dated) String() string {
	return fmt.Sprintf("%s in epoch %d (%s)", d.Amount, d.Epoch, timeText(d.About))
}

func (a *app) stakeList() *cobra.Command {
	return &cobra.Command{
		Use:     "list [ADDRESS]",
		Short:   "List what the wallet has at stake, what comes and goes when, and what can be drawn",
		Long:    "Lists what the wallet, or ADDRESS, has at stake. What is said of each node is proven; that none is left out is the word of the node that was asked. What a position has gained since it began is not told: the ledger does not keep what was paid for it; walrus stake rewards tells what it earned of late.",
		Aliases: []string{"ls"},
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			address, err := a.addressOr(c, first(args))
			if err != nil {
				return err
			}
			s, err := a.openWithout(c.Context())
			if err != nil {
				return err
			}
			defer s.Close()
			out, err := s.positions(address)
			if err != nil {
				return err
			}
			if out.Ledger, err = a.ledgerState(s); err != nil {
				return err
			}
			return a.print(out, out.print)
		},
	}
}

// positions reads all that an address has at stake.
func (s *session) positions(owner token.Address) (stakeShown, error) {
	out := stakeShown{Address: owner, Delegations: []delegation{}, Operated: []operated{}}
	var ids []staking.NodeID
	if err := s.view.EachDelegation(owner, func(id staking.NodeID, _ staking.Delegation) error { ids = append(ids, id); return nil }); err != nil {
		return out, err
	}
	for _, id := range ids {
		pool, part, settled, err := s.delegated(owner, id)
		if err != nil {
			return out, err
		}
		n, _, err := s.view.Node(id)
		if err != nil {
			return out, err
		}
		out.Delegations = append(out.Delegations, s.worthOf(n, pool, part, settled))
	}
	nodes, err := s.operatedBy(owner)
	for _, n := range nodes {
		pool, _, err := s.view.Pool(n.ID)
		if err != nil {
			return out, err
		}
		own := operated{Node: n.ID, Name: n.Name, Bond: pool.Bond, Leaving: []dated{}, Held: pool.Held.Total(), Earned: pool.Earned}
		for _, l := range pool.BondLeaving {
			own.Leaving = append(own.Leaving, s.dated(l.Amount, l.Epoch))
		}
		out.Operated = append(out.Operated, own)
	}
	return out, err
}

// operatedBy lists the nodes that have owner as their operator or payout address.
func (s *session) operatedBy(owner token.Address) (out []ledger.NodeRecord, err error) {
	err = s.view.EachNode(func(n ledger.NodeRecord) error {
		if n.Operator == owner || n.Payout == owner {
			out = append(out, n)
		}
		return nil
	})
	return out, err
}

func (s *session) worthOf(n ledger.NodeRecord, pool staking.Pool, part staking.Delegation, settled staking.PoolSettlement) delegation {
	rate := pool.Rate()
	d := delegation{Node: n.ID, Name: n.Name, Shares: part.Shares, Worth: rate.Worth(part.Shares), Joining: []dated{}, Leaving: []dated{}, Withdrawable: settled.Out, left: len(settled.Gone) > 0}
	for _, j := range part.Joining {
		d.Joining = append(d.Joining, s.dated(j.Amount, j.Epoch))
	}
	for _, l := range part.Leaving {
		d.Leaving = append(d.Leaving, s.dated(rate.Worth(l.Shares), l.Epoch))
	}
	return d
}

// withdrawable are the nodes of which there is something to draw.
func (l stakeShown) withdrawable() (ids []staking.NodeID) {
	for _, d := range l.Delegations {
		if d.Withdrawable > 0 || d.left {
			ids = append(ids, d.Node)
		}
	}
	for _, o := range l.Operated {
		if o.Earned > 0 && !slices.Contains(ids, o.Node) {
			ids = append(ids, o.Node)
		}
	}
	return ids
}

func (l stakeShown) print(w io.Writer) error {
	if len(l.Delegations)+len(l.Operated) == 0 {
		_, err := fmt.Fprintf(w, "%s has nothing at stake: walrus nodes lists whom to put it behind\n", l.Address)
		return err
	}
	t := newTable(w)
	if len(l.Delegations) > 0 {
		t.row("NODE", "ID", "WORTH", "CAN BE DRAWN", "ON ITS WAY")
		for _, d := range l.Delegations {
			var moves []string
			for _, j := range d.Joining {
				moves = append(moves, "joins: "+j.String())
			}
			for _, x := range d.Leaving {
				moves = append(moves, "leaves: "+x.String())
			}
			t.lines([]any{cutText(d.Name), shortID(d.Node), d.Worth, amountOr(d.Withdrawable)}, moves)
		}
	}
	if len(l.Operated) > 0 {
		if len(l.Delegations) > 0 {
			t.row("")
		}
		t.row("OWN NODE", "ID", "BOND", "CAN BE DRAWN", "HELD BACK, ON ITS WAY")
		for _, o := range l.Operated {
			moves := []string{"held back: " + amountOr(o.Held)}
			for _, x := range o.Leaving {
				moves = append(moves, "leaves: "+x.String())
			}
			t.lines([]any{cutText(o.Name), shortID(o.Node), o.Bond, amountOr(o.Earned)}, moves)
		}
	}
	return t.flush()
}

// lines is a row whose last cell has several lines.
func (t *table) lines(cells []any, last []string) {
	if len(last) == 0 {
		last = []string{"-"}
	}
	for i, text := range last {
		if i > 0 {
			for j := range cells {
				cells[j] = ""
			}
		}
		t.row(append(slices.Clone(cells), text)...)
	}
}

// amountOr is a dash for nothing.
func amountOr(a token.Amount) string {
	if a == 0 {
		return "-"
	}
	return a.String()
}

// cutText is a node's name as a table has room for it.
func cutText(name string) string {
	const most = 10
	r := []rune(nameText(name))
	switch {
	case len(r) == 0:
		return "-"
	case len(r) > most:
		return string(r[:most-1]) + "…"
	}
	return string(r)
}
