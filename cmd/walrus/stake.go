package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/report"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

func (a *app) stakeCommand() *cobra.Command {
	return a.group("stake", "Put money behind nodes, see what it earns, and take it back",
		a.stakeDelegate(), a.stakeUnbond(), a.stakeWithdraw(), a.stakeList(), a.stakeRewards())
}

func (a *app) stakeDelegate() *cobra.Command {
	var least uint64
	c := &cobra.Command{
		Use:   "delegate NODE AMOUNT",
		Short: "Put money behind a node",
		Long: `Puts money behind a node. It becomes shares of the node's pool, and earns, from the
first epoch whose committee is not chosen yet: the next one, or the one after that in
the second half of an epoch. What the node is slashed for, its delegators lose too, once
its operator's bond is gone.`,
		Example: "  walrus stake delegate 12D3Koo… 5WAL --dry-run\n  walrus stake delegate …9MC7Zt5x 5WAL",
		Args:    cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			amount, err := token.ParseAmount(args[1])
			if err != nil {
				return errUsage{err}
			}
			return a.withNode(c.Context(), args[0], func(s *session, n ledger.NodeRecord) error {
				m, err := s.delegate(n, amount, staking.Shares(least))
				if err != nil {
					return err
				}
				return a.move(c.Context(), s, m)
			})
		},
	}
	c.Flags().Uint64Var(&least, "least-shares", 0, "refuse if it would buy fewer shares than this at the present rate")
	return moving(c)
}

func (s *session) delegate(n ledger.NodeRecord, amount token.Amount, least staking.Shares) (move, error) {
	m := move{act: "delegate", text: fmt.Sprintf("put %s behind %s", amount, called(n)), node: &n.ID, amount: &amount,
		body: ledger.Delegate{Node: n.ID, Amount: amount, Least: least}}
	m.acts = func(v ledger.View, _ unit.Height) (effect, error) {
		d, _, err := v.Delegation(s.key.Address(), n.ID)
		at := effect{what: "it joins the stake, and earns, from"}
		for _, j := range d.Joining {
			at.epoch = max(at.epoch, j.Epoch)
		}
		return at, err
	}
	pool, _, err := s.View.Pool(n.ID)
	if err != nil {
		return m, err
	}
	if shares, err := pool.Rate().Buys(amount); err == nil {
		m.notes = append(m.notes, fmt.Sprintf("it buys %d shares at the present rate; the operator keeps %s of what it earns", uint64(shares), pool.CommissionBps.Percent()))
	}
	for _, next := range pool.NextCommission {
		m.notes = append(m.notes, fmt.Sprintf("the operator has announced to keep %s from epoch %d on", next.Bps.Percent(), next.Epoch))
	}
	if stake, counted := pool.Stake(s.Head.Epoch+2)+amount, pool.Counted(s.Head.Epoch+2, s.Params.Staking); stake > counted+amount {
		m.notes = append(m.notes, fmt.Sprintf("the node has more behind it than its bond of %s backs: more stake brings it no more shards", pool.Bond))
	}
	standing, err := s.View.Sanctions(n.ID)
	if err != nil {
		return m, err
	}
	if text := penaltyText(report.PenaltyOf(n, standing, s.Head.Epoch)); text != "" {
		m.notes = append(m.notes, fmt.Sprintf("the node is punished (%s): walrus pool jail-status %s", text, shortID(n.ID)))
	}
	return m, nil
}

func (a *app) stakeUnbond() *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use:   "unbond NODE AMOUNT | --all",
		Short: "Ask for delegated money back",
		Long: `Asks for delegated money back. It becomes money some epochs later, earns until then
and can be slashed until then; walrus stake list says when, walrus stake withdraw draws it.`,
		Example: "  walrus stake unbond 12D3Koo… 5WAL\n  walrus stake unbond 12D3Koo… --all",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			if all == (len(args) == 2) {
				return errUsage{errors.New("how much? Name an amount, like 5WAL, or --all")}
			}
			var amount *token.Amount
			if len(args) == 2 {
				n, err := token.ParseAmount(args[1])
				if err != nil {
					return errUsage{err}
				}
				amount = &n
			}
			return a.withNode(c.Context(), args[0], func(s *session, n ledger.NodeRecord) error {
				m, err := s.unbond(n, amount)
				if err != nil {
					return err
				}
				return a.move(c.Context(), s, m)
			})
		},
	}
	c.Flags().BoolVar(&all, "all", false, "all that is there")
	return moving(c)
}

func (s *session) unbond(n ledger.NodeRecord, amount *token.Amount) (move, error) {
	shares, worth, err := s.sharesFor(n.ID, amount)
	if err != nil {
		return move{}, err
	}
	return move{act: "unbond", text: fmt.Sprintf("ask for %s back from %s", worth, called(n)), node: &n.ID, amount: &worth,
		body:  ledger.Undelegate{Node: n.ID, Shares: shares},
		notes: []string{fmt.Sprintf("%d shares; they earn and can be slashed until then, so what they are worth may change", uint64(shares))},
		acts: func(v ledger.View, _ unit.Height) (effect, error) {
			d, _, err := v.Delegation(s.key.Address(), n.ID)
			at := effect{what: "it can be drawn (walrus stake withdraw) from"}
			for _, x := range d.Leaving {
				at.epoch = max(at.epoch, x.Epoch)
			}
			return at, err
		}}, nil
}

// sharesFor gives the shares of an amount, or all shares if amount is nil, and their worth.
func (s *session) sharesFor(id staking.NodeID, amount *token.Amount) (staking.Shares, token.Amount, error) {
	pool, part, _, err := s.Settled(s.key.Address(), id)
	if err != nil {
		return 0, 0, err
	}
	if part.Shares == 0 {
		return 0, 0, fmt.Errorf("%s has no shares of node %s; what was delegated a short while ago becomes shares when an epoch begins: walrus stake list", s.key.Address(), id)
	}
	rate := pool.Rate()
	if amount == nil {
		return part.Shares, rate.Worth(part.Shares), nil
	}
	shares, err := rate.Costs(*amount)
	if err != nil || shares == 0 || shares > part.Shares {
		return 0, 0, fmt.Errorf("%s: more than nothing and at most %s can be asked back", *amount, rate.Worth(part.Shares))
	}
	return shares, *amount, nil
}

// moveResults is the results of several moves.
type moveResults struct {
	Moves []moveResult `json:"moves"`
	Error string       `json:"error,omitempty"`
}

func (l moveResults) print(w io.Writer) error {
	for _, m := range l.Moves {
		if err := m.print(w); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) stakeWithdraw() *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use:   "withdraw NODE | --all",
		Short: "Draw what is yours of a node: stake whose time has come, and an operator's earnings",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if all == (len(args) == 1) {
				return errUsage{errors.New("of which node? Name one, or say --all")}
			}
			if !all {
				return a.withNode(c.Context(), args[0], func(s *session, n ledger.NodeRecord) error {
					m, err := s.withdraw(n)
					if err != nil {
						return err
					}
					return a.move(c.Context(), s, m)
				})
			}
			return a.withWallet(c.Context(), func(s *session) error { return a.withdrawAll(c.Context(), s) })
		},
	}
	c.Flags().BoolVar(&all, "all", false, "of all nodes of which there is anything to draw")
	return moving(c)
}

func (s *session) withdraw(n ledger.NodeRecord) (move, error) {
	m := move{act: "withdraw", text: "draw what is yours of " + called(n), node: &n.ID, body: ledger.Withdraw{Node: n.ID}}
	pool, _, settled, err := s.Settled(s.key.Address(), n.ID)
	if err != nil {
		return m, err
	}
	sum := settled.Out
	if me := s.key.Address(); (me == n.Operator || me == n.Payout) && pool.Earned > 0 {
		sum += pool.Earned // a supply holds both
		m.notes = append(m.notes, fmt.Sprintf("%s of it are the operator's, and go to the payout address %s", pool.Earned, n.Payout))
	}
	m.amount = &sum
	return m, nil
}

// withdrawAll withdraws from one node after the other. An error does not stop the rest.
func (a *app) withdrawAll(ctx context.Context, s *session) error {
	out := moveResults{Moves: []moveResult{}}
	held, err := s.Positions(s.key.Address())
	if err != nil {
		return err
	}
	var errs []error
	on := s.View
	for _, id := range held.Withdrawable() {
		n, err := s.find(nodeRef{id: id})
		if err != nil {
			return err
		}
		m, err := s.withdraw(n)
		if err != nil {
			return err
		}
		var one moveResult
		if a.dry() {
			one, on, err = s.preview(on, m) // one after the other: fees add up
			one.DryRun = true
		} else {
			one, err = a.do(ctx, s, m)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("node %s: %w", id, err))
			continue
		}
		out.Moves = append(out.Moves, one)
	}
	if len(out.Moves)+len(errs) == 0 {
		return fmt.Errorf("%s: %w: walrus stake list shows what comes due and when", s.key.Address(), ledger.ErrNothing)
	}
	err = errors.Join(errs...)
	if err != nil {
		out.Error = err.Error()
	}
	return errors.Join(err, a.print(out, out.print))
}
