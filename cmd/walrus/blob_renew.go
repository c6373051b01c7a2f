package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/report"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// warnEpochs is the number of epochs before a blob's end from which its owner is warned.
const warnEpochs = 2

// renewalFlags are an allowance and the highest price as they are typed.
type renewalFlags struct {
	allowance, highest         string
	allowanceFlag, highestFlag string
}

func (r *renewalFlags) add(c *cobra.Command, allowance, highest, help string) {
	r.allowanceFlag = allowance
	c.Flags().StringVar(&r.allowance, allowance, "", help)
	r.addHighest(c, highest)
}

func (r *renewalFlags) addHighest(c *cobra.Command, highest string) {
	r.highestFlag = highest
	c.Flags().StringVar(&r.highest, highest, "", "the highest price of a stored KiB and epoch to renew at, like 0.000002WAL (default: twice today's)")
}

// parse reads the flags. Without an allowance both are 0; highest 0 stands for twice
// today's price.
func (r *renewalFlags) parse(a *app) (allowance, highest token.Amount, err error) {
	if !a.flags.Changed(r.allowanceFlag) {
		if a.flags.Changed(r.highestFlag) {
			return 0, 0, errUsage{fmt.Errorf("--%s is the price at which to renew: say with --%s how much to leave for it", r.highestFlag, r.allowanceFlag)}
		}
		return 0, 0, nil
	}
	return r.amounts(a)
}

func (r *renewalFlags) amounts(a *app) (allowance, highest token.Amount, err error) {
	if allowance, err = positive(r.allowance); err == nil && a.flags.Changed(r.highestFlag) {
		highest, err = positive(r.highest)
	}
	return allowance, highest, err
}

// positive reads an amount above 0.
func positive(text string) (token.Amount, error) {
	n, err := token.ParseAmount(text)
	if err == nil && n == 0 {
		err = fmt.Errorf("%s renews nothing", text)
	}
	if err != nil {
		return 0, errUsage{err}
	}
	return n, nil
}

// renewResult is the result of changing a lease's allowance, or its preview.
type renewResult struct {
	moveResult
	Blob        blob.ID      `json:"blob"`
	Allowance   token.Amount `json:"allowance"`
	Highest     token.Amount `json:"highest_price,omitempty"`
	Back        token.Amount `json:"came_back"` // what an earlier allowance had left, to the account that left it
	RenewsUntil unit.Epoch   `json:"renews_until_epoch,omitempty"`
	EndEpoch    unit.Epoch   `json:"end_epoch"` // of what is paid for, before any renewal
}

func (a *app) renewCommand() *cobra.Command {
	var r renewalFlags
	var stop bool
	c := moving(&cobra.Command{
		Use:   "renew ID AMOUNT | --stop",
		Short: "Leave an allowance with a blob, from which it renews itself",
		Long: `Leaves an allowance with the wallet's lease on a blob. When the last epoch of the
lease is half over, the network takes the price of one more epoch from it, until
the price is too high (--highest) or too little is left; what is left then comes
back. An allowance that is there already comes back at once: the new one replaces it.
--stop takes it back and leaves none: the blob ends when its lease does.`,
		Example: "  walrus renew bafy… 5WAL\n  walrus renew bafy… 5WAL --highest 0.0000015WAL\n  walrus renew bafy… --stop",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := parseID(args[0])
			if err != nil {
				return err
			}
			body := ledger.SetRenewal{Blob: id}
			switch {
			case stop && (len(args) == 2 || a.flags.Changed("highest")):
				return errUsage{errors.New("--stop leaves nothing: say either it or an amount")}
			case !stop && len(args) == 1:
				return errUsage{errors.New("how much is to be left? Name an amount, like 5WAL, or --stop")}
			case !stop:
				r.allowance = args[1]
				if body.Allowance, body.HighestPrice, err = r.amounts(a); err != nil {
					return err
				}
			}
			return a.withWallet(c.Context(), func(s *session) error { return a.renew(c.Context(), s, body) })
		},
	})
	r.addHighest(c, "highest")
	c.Flags().BoolVar(&stop, "stop", false, "take the allowance back: the blob ends when its lease does")
	return c
}

func (a *app) renew(ctx context.Context, s *session, body ledger.SetRenewal) error {
	e, end, err := s.own(body.Blob)
	if err != nil {
		return err
	}
	i, _ := e.Last(s.key.Address())
	last := e.Leases[i]
	out := renewResult{Blob: body.Blob, Allowance: body.Allowance, Back: last.Renewal.Left, EndEpoch: end}
	if body.Allowance > 0 {
		if body.HighestPrice, err = client.HighestOr(s.Params, body.HighestPrice); err != nil {
			return err
		}
		if price, err := s.Params.Registry.PriceOf(e.Units); err != nil || body.Allowance < price {
			return fmt.Errorf("%s does not pay for an epoch of %s, which costs %s today: leave at least that", body.Allowance, body.Blob, price)
		}
		last.Renewal = registry.Renewal{Left: body.Allowance, Highest: body.HighestPrice}
		out.Highest, out.RenewsUntil = body.HighestPrice, end.Plus(last.RenewableEpochs(s.Params.Registry, e.Units))
	} else if !last.Renews() {
		return fmt.Errorf("%s does not renew itself: there is nothing to stop", body.Blob)
	}
	m := move{act: "renew", text: fmt.Sprintf("leave %s with %s to renew it", body.Allowance, body.Blob), body: body,
		acts: func(ledger.View, unit.Height) (effect, error) {
			return effect{out.RenewsUntil, "at today's price it is kept until"}, nil
		}}
	if body.Allowance == 0 {
		m.text = fmt.Sprintf("stop renewing %s", body.Blob)
		m.acts = func(ledger.View, unit.Height) (effect, error) { return effect{end, "it is kept until"}, nil }
	}
	if out.moveResult, err = a.do(ctx, s, m); err != nil {
		return err
	}
	if out.DryRun {
		return a.print(out, out.moveResult.print)
	}
	if e, end, err = s.proven(ctx, body.Blob); err != nil {
		return fmt.Errorf("done in block %d; what it comes to could not be read: %w", out.Height, err)
	}
	if i, ok := e.Last(s.key.Address()); ok {
		l := e.Leases[i]
		out.EndEpoch, out.Allowance, out.RenewsUntil = end, l.Renewal.Left, 0
		if l.Renews() {
			out.RenewsUntil = end.Plus(l.RenewableEpochs(s.Params.Registry, e.Units))
		}
	}
	return a.print(out, func(w io.Writer) error { return s.printRenewed(w, out) })
}

func (s *session) printRenewed(w io.Writer, out renewResult) error {
	text := fmt.Sprintf("%s renews itself until about epoch %d at today's price", out.Blob, out.RenewsUntil)
	switch {
	case out.Allowance == 0:
		text = fmt.Sprintf("%s renews itself no more; it is kept until epoch %d begins (about %s)", out.Blob, out.EndEpoch, timeText(s.Begins(out.EndEpoch)))
	case out.RenewsUntil == out.EndEpoch:
		text = fmt.Sprintf("%s renews itself when a KiB and epoch costs %s or less; today it costs %s", out.Blob, out.Highest, s.Params.Registry.Price)
	}
	if out.Back > 0 {
		text += fmt.Sprintf("; %s came back", out.Back)
	}
	_, err := fmt.Fprintln(w, text)
	return err
}

// renewalText says how a lease that ends in epoch end goes on, at a price for a stored KiB
// and epoch.
func renewalText(r report.Renewal, end unit.Epoch, price token.Amount) string {
	switch {
	case r.Until > end:
		return fmt.Sprintf("renews itself until about epoch %d at today's price", r.Until)
	case price > r.Highest:
		return fmt.Sprintf("does not renew itself at today's price of %s for a KiB and epoch, at most %s", price, r.Highest)
	}
	return fmt.Sprintf("does not renew itself: the %s that are left do not pay for an epoch", r.Left)
}

// warn is a warning that a certified blob ends soon, by the leases of one owner, or of all
// if owner is zero.
func (s *session) warn(st report.Blob, owner token.Address) string {
	_, until := st.Lasts(owner)
	if st.State != report.Certified || until > s.Head.Epoch+warnEpochs {
		return ""
	}
	why := "nothing renews it"
	for _, l := range st.Leases {
		if l.Renewal != nil && (owner == (token.Address{}) || l.Owner == owner) {
			why = "what is left to renew it lasts no longer"
		}
	}
	return fmt.Sprintf("ends in epoch %d (about %s), and %s: walrus extend %s, or walrus renew %s AMOUNT", until, timeText(s.Begins(until)), why, st.Blob, st.Blob)
}
