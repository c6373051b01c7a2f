package main

import (
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/explain"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/report"
	"github.com/walrus-network/walrus/unit"
)

// disputeList is the disputes of the rounds that the ledger keeps.
type disputeList struct {
	Disputes []report.Dispute   `json:"disputes"`
	Ledger   report.LedgerState `json:"ledger"`
}

func (a *app) disputeCommand() *cobra.Command {
	var round string
	var listed bool
	c := &cobra.Command{
		Use:   "dispute SHARD [--round N] | --list",
		Short: "Demand the proof of a shard that nodes say they have seen",
		Long: `Demands the proof of a shard that a round of this epoch took for proven. It takes a
bond. A node that has the proof shows it on the ledger within a part of a round, and the
bond is lost. If no node has it, the bond comes back, the shard's holder is not paid for
the round, and all nodes that voted to have seen the proof are slashed; a part of that
is yours. Do it if you know that there is no proof: nodes answer by themselves.`,
		Example: "  walrus dispute 12 --dry-run\n  walrus dispute 12 --round 7\n  walrus dispute --list",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if listed == (len(args) == 1) {
				return errUsage{errors.New("which shard? Name its number, or say --list")}
			}
			if listed {
				return a.listDisputes(c)
			}
			shard, err := parseCount("shard", args[0], math.MaxUint16)
			if err != nil {
				return fmt.Errorf("%w; walrus nodes says how many shards there are", err)
			}
			var number *unit.Round
			if round != "" {
				n, err := parseCount("round", round, math.MaxUint64)
				if err != nil {
					return fmt.Errorf("%w; it is the number of a round of this epoch", err)
				}
				number = (*unit.Round)(&n)
			}
			return a.dispute(c, blob.Shard(shard), number)
		},
	}
	c.Flags().StringVar(&round, "round", "", "number of the round in this epoch (default: the last that was tallied)")
	c.Flags().BoolVar(&listed, "list", false, "show the disputes of the last rounds instead")
	return moving(c)
}

func (a *app) dispute(c *cobra.Command, shard blob.Shard, round *unit.Round) error {
	return a.withWallet(c.Context(), func(s *session) error {
		m, err := s.dispute(shard, round)
		if err != nil {
			return err
		}
		return a.move(c.Context(), s, m)
	})
}

func (s *session) dispute(shard blob.Shard, number *unit.Round) (move, error) {
	if int(shard) >= s.Params.Shards {
		return move{}, errUsage{fmt.Errorf("shard %d: this network has the shards 0 to %d", shard, s.Params.Shards-1)}
	}
	r, err := s.tallied(number)
	if err != nil {
		return move{}, err
	}
	committee, err := s.View.Committee(r.Round.Epoch)
	if err != nil {
		return move{}, err
	}
	holder, p := committee.Holder[shard], s.Params.Challenge
	return move{act: "dispute", text: fmt.Sprintf("dispute that node %s has proven shard %d in round %d of epoch %d", shortID(holder), shard, r.Round.Round, r.Round.Epoch),
		node: &holder, amount: &p.DisputeBond, body: ledger.Dispute{Ordinal: r.Ordinal, Shard: shard},
		notes: []string{
			fmt.Sprintf("the bond of %s is lost if a node shows the proof within %d blocks; else it comes back, with a part of what is slashed", p.DisputeBond, p.AnswerBlocks(s.Params.RoundBlocks)),
			fmt.Sprintf("the round can be disputed until block %d, now is block %d", s.Params.DisputableUntil(s.Head, r.Round), s.Head.Height),
		}}, nil
}

// tallied finds a tallied round of this epoch: the one with a number, or the last.
func (s *session) tallied(number *unit.Round) (ledger.RoundState, error) {
	now, known, err := s.View.Round()
	if err != nil {
		return now, err
	}
	for back := uint64(0); known && back <= s.Params.Challenge.KeepRounds && unit.Ordinal(back) <= now.Ordinal; back++ {
		r, kept, err := s.View.RoundOf(now.Ordinal.Minus(back))
		if err != nil {
			return r, err
		}
		if kept && r.Over && r.Round.Epoch == s.Head.Epoch && (number == nil || r.Round.Round == *number) {
			return r, nil
		}
	}
	if number == nil {
		return now, fmt.Errorf("no round of epoch %d has been tallied yet: there is nothing to dispute", s.Head.Epoch)
	}
	return now, fmt.Errorf("round %d of epoch %d: %w: it is not tallied yet, or too long ago", *number, s.Head.Epoch, explain.ErrNoRecord)
}

func (a *app) listDisputes(c *cobra.Command) error {
	return a.withSession(c.Context(), func(s *session) error {
		disputes, err := s.Disputes()
		if err != nil {
			return err
		}
		out := disputeList{disputes, s.ledgerState()}
		return a.print(out, out.print)
	})
}

func (l disputeList) print(w io.Writer) error {
	if len(l.Disputes) == 0 {
		_, err := fmt.Fprintf(w, "no proof of the last rounds is disputed\n%s\n", ledgerText(l.Ledger))
		return err
	}
	t := newTable(w)
	t.row("EPOCH", "ROUND", "SHARD", "HELD BY", "STATE", "OPENED", "ANSWER BY", "DECIDED")
	for _, d := range l.Disputes {
		decided := "-"
		if d.Closed > 0 {
			decided = fmt.Sprint(d.Closed)
		}
		t.row(d.Epoch, d.Round, d.Shard, shortID(d.Holder), d.State, d.Opened, d.AnswerBy, decided)
	}
	if err := t.flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w, ledgerText(l.Ledger))
	return err
}
