package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/report"
)

// stakeShown is the positions of an address, and the state of the ledger.
type stakeShown struct {
	report.Positions
	Ledger report.LedgerState `json:"ledger"`
}

// dueText prints an amount that acts later.
func dueText(d report.Due) string {
	return fmt.Sprintf("%s in epoch %d (%s)", d.Amount, d.Epoch, timeText(d.About))
}

func (a *app) stakeList() *cobra.Command {
	return &cobra.Command{
		Use:     "list [ADDRESS]",
		Short:   "List what the wallet has at stake, what comes and goes when, and what can be drawn",
		Long:    "Lists what the wallet, or ADDRESS, has at stake. Every row is proven. That the list is complete rests on the node that answered. The gain of a position since it began is not shown, because the ledger does not keep its price; walrus stake rewards shows what it earned in the last epochs.",
		Aliases: []string{"ls"},
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			address, err := a.addressOr(c, first(args))
			if err != nil {
				return err
			}
			return a.withSession(c.Context(), func(s *session) error {
				positions, err := s.Positions(address)
				if err != nil {
					return err
				}
				out := stakeShown{positions, s.ledgerState()}
				return a.print(out, out.print)
			})
		},
	}
}

func (l stakeShown) print(w io.Writer) error {
	if len(l.Delegations)+len(l.Operated) == 0 {
		_, err := fmt.Fprintf(w, "%s has nothing at stake: walrus nodes lists the nodes to put stake behind\n", l.Address)
		return err
	}
	t := newTable(w)
	if len(l.Delegations) > 0 {
		t.row("NODE", "ID", "WORTH", "CAN BE DRAWN", "ON ITS WAY")
		for _, d := range l.Delegations {
			var moves []string
			for _, j := range d.Joining {
				moves = append(moves, "joins: "+dueText(j))
			}
			for _, x := range d.Leaving {
				moves = append(moves, "leaves: "+dueText(x))
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
				moves = append(moves, "leaves: "+dueText(x))
			}
			t.lines([]any{cutText(o.Name), shortID(o.Node), o.Bond, amountOr(o.Withdrawable)}, moves)
		}
	}
	return t.flush()
}
