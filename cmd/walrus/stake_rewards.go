package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/report"
	"github.com/walrus-network/walrus/token"
)

// rewardsShown is the rewards of an address, and the state of the ledger.
type rewardsShown struct {
	report.Rewards
	Ledger report.LedgerState `json:"ledger"`
}

func (a *app) stakeRewards() *cobra.Command {
	epochs := uint64(defaultPast)
	c := &cobra.Command{
		Use:   "rewards [ADDRESS]",
		Short: "Show what the wallet's stake earned in the last epochs",
		Long: `Shows what delegated stake, and nodes of one's own, earned in the last epochs.

What a delegation earned is worked out from the ledger's statements: of what the node
paid to its delegators at an epoch's end, the part that the shares are of all shares;
so with what a slash took. The ledger does not keep how many shares an address had
before: they are taken to be those of now, less what is known to have joined later.
walrus explain reward NODE EPOCH shows the whole sum.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if epochs == 0 {
				return errUsage{errors.New("--epochs 0 shows nothing: say at least 1")}
			}
			address, err := a.addressOr(c, first(args))
			if err != nil {
				return err
			}
			return a.withSession(c.Context(), func(s *session) error {
				rewards, err := s.Rewards(address, epochs)
				if err != nil {
					return err
				}
				out := rewardsShown{rewards, s.ledgerState()}
				return a.print(out, out.print)
			})
		},
	}
	c.Flags().Uint64Var(&epochs, "epochs", epochs, "how many epochs to look back")
	return c
}

func (r rewardsShown) print(w io.Writer) error {
	t := newTable(w)
	if len(r.Delegated) > 0 {
		t.row("EPOCH", "NODE", "ID", "SHARES", "EARNED", "LOST BY A SLASH")
		var earned, lost token.Amount
		for _, d := range r.Delegated {
			t.row(d.Epoch, cutText(d.Name), shortID(d.Node), uint64(d.Shares), amountOr(d.Earned), amountOr(d.Lost))
			earned, lost = earned+d.Earned, lost+d.Lost
		}
		t.row("all", "", "", "", amountOr(earned), amountOr(lost))
		t.row("")
	}
	if len(r.Operated) > 0 {
		t.row("EPOCH", "OWN NODE", "EARNED", "HELD BACK", "RELEASED", "COMMISSION", "FOR THE BOND", "SLASHED")
		for _, o := range r.Operated {
			t.row(o.Epoch, cutText(o.Name), amountOr(o.Reward), amountOr(o.Held), amountOr(o.Released), amountOr(o.Commission), amountOr(o.Bond), amountOr(o.Slashed))
		}
		t.row("")
	}
	if len(r.Held) > 0 {
		t.row("AT THE END OF", "OWN NODE", "IS RELEASED", "ABOUT")
		for _, h := range r.Held {
			text := h.End.Amount.String()
			if h.Late > 0 {
				text += fmt.Sprintf(" (%s for the last time)", h.Late)
			}
			t.row(fmt.Sprintf("epoch %d", h.End.Epoch), cutText(h.Name), text, timeText(h.End.About))
		}
		t.row("")
	}
	if len(r.Delegated)+len(r.Operated)+len(r.Held) == 0 {
		t.row(fmt.Sprintf("%s earned nothing in the epochs from %d on that have ended; now is epoch %d", r.Address, r.From, r.Ledger.Epoch))
	}
	t.row(ledgerText(r.Ledger))
	return t.flush()
}
