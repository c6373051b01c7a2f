package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
)

func (a *app) stakeCommand() *cobra.Command {
	return a.group("stake", "Put money behind nodes, and take it back",
		a.stakeMove("bond", "Add to the stake of your own node", func(n staking.NodeID, m token.Amount) ledger.Body { return ledger.Bond{Node: n, Amount: m} }),
		a.stakeMove("unbond", "Ask for stake of your own node back", func(n staking.NodeID, m token.Amount) ledger.Body { return ledger.Unbond{Node: n, Amount: m} }),
		a.stakeMove("delegate", "Put money behind a node", func(n staking.NodeID, m token.Amount) ledger.Body { return ledger.Delegate{Node: n, Amount: m} }),
		a.stakeUndelegate(), a.stakeWithdraw(), a.stakeShow())
}

type staked struct {
	Act    string         `json:"act"`
	Node   staking.NodeID `json:"node"`
	Amount *token.Amount  `json:"amount,omitempty"`
	Height uint64         `json:"height"`
}

// sendStake sends a transaction about a node's stake and prints what was done.
func (a *app) sendStake(ctx context.Context, s *session, out staked, body ledger.Body) error {
	receipt, err := s.send(ctx, body)
	if err != nil {
		return fmt.Errorf("%s, node %s: %w", out.Act, out.Node, err)
	}
	out.Height = receipt.Height
	return a.print(out, func(w io.Writer) error {
		what := ""
		if out.Amount != nil {
			what = " " + out.Amount.String()
		}
		_, err := fmt.Fprintf(w, "%s%s, node %s, in block %d\n", out.Act, what, out.Node, out.Height)
		return err
	})
}

func parseNode(s string) (staking.NodeID, error) {
	id, err := staking.ParseNodeID(s)
	if err != nil {
		return id, errUsage{fmt.Errorf("%w: walrus nodes lists them", err)}
	}
	return id, nil
}

// stakeMove is a command that moves an amount.
func (a *app) stakeMove(act, short string, body func(staking.NodeID, token.Amount) ledger.Body) *cobra.Command {
	return &cobra.Command{Use: act + " NODE AMOUNT", Short: short, Args: cobra.ExactArgs(2), RunE: func(c *cobra.Command, args []string) error {
		id, err := parseNode(args[0])
		if err != nil {
			return err
		}
		amount, err := token.ParseAmount(args[1])
		if err != nil {
			return errUsage{err}
		}
		s, err := a.open(c.Context())
		if err != nil {
			return err
		}
		defer s.Close()
		return a.sendStake(c.Context(), s, staked{Act: act, Node: id, Amount: &amount}, body(id, amount))
	}}
}

func (a *app) stakeUndelegate() *cobra.Command {
	return &cobra.Command{
		Use:   "undelegate NODE [AMOUNT]",
		Short: "Ask for delegated money back, all of it unless AMOUNT is given",
		Args:  cobra.RangeArgs(1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := parseNode(args[0])
			if err != nil {
				return err
			}
			var amount *token.Amount
			if len(args) == 2 {
				m, err := token.ParseAmount(args[1])
				if err != nil {
					return errUsage{err}
				}
				amount = &m
			}
			s, err := a.open(c.Context())
			if err != nil {
				return err
			}
			defer s.Close()
			shares, err := s.sharesFor(id, amount)
			if err != nil {
				return err
			}
			return a.sendStake(c.Context(), s, staked{Act: "undelegate", Node: id, Amount: amount}, ledger.Undelegate{Node: id, Shares: shares})
		},
	}
}

// delegated is the wallet's part of a pool as it would be settled now.
func (s *session) delegated(id staking.NodeID) (staking.Pool, staking.Delegation, error) {
	pool, known, err := s.view.Pool(id)
	if err != nil {
		return pool, staking.Delegation{}, err
	}
	if !known {
		return pool, staking.Delegation{}, fmt.Errorf("%s: %w", id, ledger.ErrUnknownNode)
	}
	part, _, err := s.view.Delegation(s.key.Address(), id)
	if err != nil {
		return pool, part, err
	}
	_, err = s.view.Settle(id, &pool, &part)
	return pool, part, err
}

// sharesFor is the shares that stand for an amount, or all there are.
func (s *session) sharesFor(id staking.NodeID, amount *token.Amount) (staking.Shares, error) {
	pool, part, err := s.delegated(id)
	if err != nil {
		return 0, err
	}
	if part.Shares == 0 {
		return 0, fmt.Errorf("%s has no shares of node %s; what was delegated in this epoch becomes shares when the next begins", s.key.Address(), id)
	}
	if amount == nil {
		return part.Shares, nil
	}
	rate := pool.Rate()
	shares, err := rate.Costs(*amount)
	if err != nil || shares == 0 || shares > part.Shares {
		return 0, fmt.Errorf("%s: between nothing and %s can be undelegated", *amount, rate.Worth(part.Shares))
	}
	return shares, nil
}

func (a *app) stakeWithdraw() *cobra.Command {
	return &cobra.Command{
		Use:   "withdraw NODE",
		Short: "Draw what is yours of a node: stake whose time has come, and earnings",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := parseNode(args[0])
			if err != nil {
				return err
			}
			s, err := a.open(c.Context())
			if err != nil {
				return err
			}
			defer s.Close()
			return a.sendStake(c.Context(), s, staked{Act: "withdraw", Node: id}, ledger.Withdraw{Node: id})
		},
	}
}

type stakeShown struct {
	Address     token.Address `json:"address"`
	Delegations []delegation  `json:"delegations"`
}

type delegation struct {
	Node    staking.NodeID `json:"node"`
	Worth   token.Amount   `json:"worth"`   // of the shares, now
	Joining token.Amount   `json:"joining"` // becomes shares when the next epoch begins
	Leaving []leaving      `json:"leaving"`
}

type leaving struct {
	Worth token.Amount `json:"worth"` // now; it shares in what happens until then
	Epoch uint64       `json:"epoch"` // from whose start it can be drawn
}

func (a *app) stakeShow() *cobra.Command {
	return &cobra.Command{
		Use:   "show",
		Short: "Show what the wallet has delegated",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := a.open(c.Context())
			if err != nil {
				return err
			}
			defer s.Close()
			out := stakeShown{Address: s.key.Address(), Delegations: []delegation{}}
			var ids []staking.NodeID
			if err := s.view.EachDelegation(out.Address, func(id staking.NodeID, _ staking.Delegation) error { ids = append(ids, id); return nil }); err != nil {
				return err
			}
			for _, id := range ids {
				pool, part, err := s.delegated(id)
				if err != nil {
					return err
				}
				out.Delegations = append(out.Delegations, worthOf(id, pool, part))
			}
			return a.print(out, out.print)
		},
	}
}

func worthOf(id staking.NodeID, pool staking.Pool, part staking.Delegation) delegation {
	rate := pool.Rate()
	d := delegation{Node: id, Worth: rate.Worth(part.Shares), Leaving: []leaving{}}
	for _, j := range part.Joining {
		d.Joining += j.Amount // a supply bounds the sum
	}
	for _, l := range part.Leaving {
		d.Leaving = append(d.Leaving, leaving{rate.Worth(l.Shares), l.Epoch})
	}
	return d
}

func (s stakeShown) print(w io.Writer) error {
	if len(s.Delegations) == 0 {
		_, err := fmt.Fprintf(w, "%s has delegated nothing\n", s.Address)
		return err
	}
	t := newTable(w)
	t.row("NODE", "WORTH", "JOINING", "LEAVING")
	for _, d := range s.Delegations {
		out := "-"
		for _, l := range d.Leaving {
			out = fmt.Sprintf("%s in epoch %d", l.Worth, l.Epoch)
		}
		t.row(d.Node, d.Worth, d.Joining, out)
	}
	return t.flush()
}
