package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
)

// rewardsShown is what an address earned of late.
type rewardsShown struct {
	Address   token.Address `json:"address"`
	From      uint64        `json:"from_epoch"`
	To        uint64        `json:"to_epoch"` // the last that is settled
	Delegated []delegated   `json:"delegated"`
	Operated  []operatedPay `json:"operated"`
	Held      []heldBack    `json:"held_back"`
	Ledger    ledgerState   `json:"ledger"`
}

// delegated is what shares of one node earned in one epoch.
type delegated struct {
	Epoch  uint64         `json:"epoch"`
	Node   staking.NodeID `json:"node"`
	Name   string         `json:"name"`
	Shares staking.Shares `json:"shares"`
	Earned token.Amount   `json:"earned"`
	Lost   token.Amount   `json:"lost"` // by a slash
}

// operatedPay is what one node's operator earned in one epoch.
type operatedPay struct {
	Epoch      uint64         `json:"epoch"`
	Node       staking.NodeID `json:"node"`
	Name       string         `json:"name"`
	Reward     token.Amount   `json:"reward"` // of the node
	Held       token.Amount   `json:"held_back"`
	Released   token.Amount   `json:"released"` // of earlier epochs'
	Lost       token.Amount   `json:"lost"`     // of what was held back
	Slashed    token.Amount   `json:"slashed"`  // of bond and delegations
	Commission token.Amount   `json:"commission"`
	Bond       token.Amount   `json:"for_the_bond"`
	Delegators token.Amount   `json:"delegators"`
}

// heldBack is pay that an epoch's end releases, if the node passes in that epoch.
type heldBack struct {
	Node staking.NodeID `json:"node"`
	Name string         `json:"name"`
	End  dated          `json:"end"`       // of this epoch; the time is when the next begins
	Late token.Amount   `json:"last_time"` // of the amount: missed once, the next miss loses it
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
			s, err := a.openWithout(c.Context())
			if err != nil {
				return err
			}
			defer s.Close()
			out, err := s.rewards(address, epochs)
			if err != nil {
				return err
			}
			if out.Ledger, err = a.ledgerState(s); err != nil {
				return err
			}
			return a.print(out, out.print)
		},
	}
	c.Flags().Uint64Var(&epochs, "epochs", epochs, "how many epochs to look back")
	return c
}

// stay is shares that are known to have been in a pool from one epoch on, before
// another.
type stay struct {
	shares      staking.Shares
	from, until uint64
}

const never = ^uint64(0)

// stays are the shares of a delegation as it is on the ledger, and when they count.
func (s *session) stays(id staking.NodeID, d staking.Delegation) (out []stay, err error) {
	out = append(out, stay{d.Shares, 0, never})
	for _, j := range d.Joining {
		rate, done, err := s.view.Joined(id, j.Epoch)
		if err != nil {
			return nil, err
		}
		if shares, err := rate.Rate.Buys(j.Amount); done && !rate.Rate.Returned && err == nil {
			out = append(out, stay{shares, j.Epoch, never})
		}
	}
	for _, x := range d.Leaving {
		_, done, err := s.view.Left(id, x.Epoch)
		if err != nil {
			return nil, err
		}
		until := never
		if done {
			until = x.Epoch
		}
		out = append(out, stay{x.Shares, 0, until})
	}
	return out, nil
}

func sharesIn(stays []stay, epoch uint64) (sum staking.Shares) {
	for _, p := range stays {
		if p.from <= epoch && epoch < p.until {
			sum += p.shares // of one pool
		}
	}
	return sum
}

func (s *session) rewards(owner token.Address, epochs uint64) (rewardsShown, error) {
	out := rewardsShown{Address: owner, From: s.head.Epoch - min(s.head.Epoch, epochs), To: s.head.Epoch - min(s.head.Epoch, 1), Delegated: []delegated{}, Operated: []operatedPay{}, Held: []heldBack{}}
	parts := map[staking.NodeID]staking.Delegation{}
	var ids []staking.NodeID
	err := s.view.EachDelegation(owner, func(id staking.NodeID, d staking.Delegation) error {
		ids, parts[id] = append(ids, id), d
		return nil
	})
	if err != nil {
		return out, err
	}
	own, err := s.operatedBy(owner)
	if err != nil {
		return out, err
	}
	all := ids
	for _, n := range own {
		all = append(all, n.ID)
	}
	pasts, err := s.pasts(all, epochs)
	if err != nil {
		return out, err
	}
	for _, id := range ids {
		n, _, err := s.view.Node(id)
		if err != nil {
			return out, err
		}
		stays, err := s.stays(id, parts[id])
		if err != nil {
			return out, err
		}
		for _, p := range pasts[id] {
			if shares := sharesIn(stays, p.epoch); shares > 0 {
				out.Delegated = append(out.Delegated, delegated{p.epoch, id, n.Name, shares, p.GainOf(shares), p.LossOf(shares)})
			}
		}
	}
	for _, n := range own {
		for _, p := range pasts[n.ID] {
			out.Operated = append(out.Operated, operatedPay{p.epoch, n.ID, n.Name, p.Reward, p.Held, p.Released, p.Lost, p.Cut.Total(), p.Payment.Commission, p.Payment.Bond, p.Payment.Delegators})
		}
		held, err := s.heldBack(n)
		if err != nil {
			return out, err
		}
		out.Held = append(out.Held, held...)
	}
	return out, nil
}

// heldBack is the schedule of what is held back of a node's pay.
func (s *session) heldBack(n ledger.NodeRecord) (out []heldBack, err error) {
	pool, _, err := s.view.Pool(n.ID)
	h := pool.Held
	for i := range max(len(h.First), len(h.Late)) {
		one := heldBack{Node: n.ID, Name: n.Name}
		var first token.Amount
		if i < len(h.First) {
			first = h.First[i]
		}
		if i < len(h.Late) {
			one.Late = h.Late[i]
		}
		epoch := s.head.Epoch + uint64(i)
		one.End = dated{first + one.Late, epoch, s.begins(epoch + 1).UTC()} // one pool holds both
		if one.End.Amount > 0 {
			out = append(out, one)
		}
	}
	return out, err
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
	t.row(r.Ledger)
	return t.flush()
}
