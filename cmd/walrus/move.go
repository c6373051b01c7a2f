package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// move is a transaction that a wallet is about to sign, with its description.
type move struct {
	act    string // in a word
	text   string // in a sentence, for people
	node   *staking.NodeID
	to     *token.Address
	amount *token.Amount
	body   ledger.Body
	notes  []string
	// acts reads, from a view in which a block of that height has done the move, which part
	// of it acts later. It is nil if the whole move acts at once.
	acts func(v ledger.View, height unit.Height) (effect, error)
}

// effect is the epoch from which a part of a move acts.
type effect struct {
	epoch unit.Epoch
	what  string // "it earns from"
}

// moveResult is a move as it is shown before it is signed, with its block once it is done.
type moveResult struct {
	Act    string          `json:"act"`
	Wallet token.Address   `json:"wallet"`
	Node   *staking.NodeID `json:"node,omitempty"`
	To     *token.Address  `json:"to,omitempty"`
	Amount *token.Amount   `json:"amount,omitempty"`
	Cost   token.Amount    `json:"cost"`          // leaves the wallet, beside the fee
	Gain   token.Amount    `json:"gain"`          // comes to it at once
	Fee    token.Amount    `json:"most_fee"`      // at most
	Before token.Amount    `json:"balance"`       // of the wallet
	After  token.Amount    `json:"balance_after"` // at least
	Acts   *unit.Epoch     `json:"acts_in_epoch,omitempty"`
	About  *time.Time      `json:"acts_about,omitempty"`
	Notes  []string        `json:"notes,omitempty"`
	DryRun bool            `json:"dry_run"`
	Height unit.Height     `json:"height,omitempty"` // of the block that did it
	text   string
	when   string
}

const dryFlag = "dry-run"

// moving gives a command that moves money the flag --dry-run.
func moving(c *cobra.Command) *cobra.Command {
	c.Flags().Bool(dryFlag, false, "check it and show what it would do and cost; sign and send nothing")
	return c
}

func (a *app) dry() bool {
	dry, err := a.flags.GetBool(dryFlag)
	return err == nil && dry
}

// preview works out a move on a view, with the ledger's own rules, and returns the view
// after it. It fails as the ledger would.
func (s *session) preview(on ledger.View, m move) (moveResult, ledger.View, error) {
	out := moveResult{Act: m.act, Wallet: s.key.Address(), Node: m.node, To: m.to, Amount: m.amount, Notes: m.notes, text: m.text}
	genesis := s.Network.Genesis
	out.Fee = client.MostFee(genesis.ChainID(), s.Params.Fees, m.body)
	before, err := on.Account(out.Wallet)
	if err != nil {
		return out, on, err
	}
	after, err := on.Try(genesis, s.key.Public(), out.Fee, m.body)
	if err != nil {
		return out, on, s.hint(err)
	}
	left, err := after.Account(out.Wallet)
	if err != nil {
		return out, on, err
	}
	out.Before, out.After = before.Balance, left.Balance
	if less := before.Balance - out.Fee; less >= left.Balance { // the ledger took the fee: it is there
		out.Cost = less - left.Balance
	} else {
		out.Gain = left.Balance - less
	}
	return out, after, s.timed(&out, m, after, s.Head.Height+1)
}

// hint adds advice to a refusal of the ledger.
func (s *session) hint(err error) error {
	switch {
	case errors.Is(err, ledger.ErrFunds):
		return fmt.Errorf("%w; nothing was sent", err)
	case errors.Is(err, ledger.ErrNotOperator):
		return fmt.Errorf("%w; the wallet is %s: name the operator's with --wallet", err, s.key.Address())
	case errors.Is(err, ledger.ErrNothing):
		return fmt.Errorf("%w: walrus stake list shows what comes due and when", err)
	}
	return err
}

func (s *session) timed(out *moveResult, m move, v ledger.View, height unit.Height) error {
	if m.acts == nil {
		return nil
	}
	at, err := m.acts(v, height)
	if err != nil {
		return err
	}
	begins := s.Begins(at.epoch).UTC()
	out.Acts, out.About = &at.epoch, &begins
	out.when = fmt.Sprintf("%s epoch %d (about %s)", at.what, at.epoch, timeText(begins))
	return nil
}

// do shows a move, and sends it unless the run is dry.
func (a *app) do(ctx context.Context, s *session, m move) (moveResult, error) {
	out, _, err := s.preview(s.View, m)
	if err != nil {
		return out, fmt.Errorf("%s: %w", m.text, err)
	}
	if a.dry() {
		out.DryRun = true
		return out, nil
	}
	return out, a.carryOut(ctx, s, m, &out)
}

// carryOut shows the preview of a move, signs the move and sends it.
func (a *app) carryOut(ctx context.Context, s *session, m move, out *moveResult) error {
	var shown strings.Builder
	if err := out.show(&shown); err != nil {
		return err
	}
	a.say("%s", strings.TrimSuffix(shown.String(), "\n"))
	receipt, err := s.send(ctx, m.body)
	if err != nil {
		return fmt.Errorf("%s: %w", m.text, s.hint(err))
	}
	out.Height = receipt.Height
	s.lookAgain(ctx, m, out)
	return nil
}

// lookAgain reads from the ledger when a move that is done acts. If the ledger does not
// answer, the preview's epoch stands.
func (s *session) lookAgain(ctx context.Context, m move, out *moveResult) {
	if n, err := look(ctx, s.Connection); err == nil && n.Head.Height >= out.Height {
		s.Now = n
		is := *out
		if s.timed(&is, m, n.View, out.Height) == nil {
			*out = is
		}
	}
}

// move does a move and prints its result.
func (a *app) move(ctx context.Context, s *session, m move) error {
	out, err := a.do(ctx, s, m)
	if err != nil {
		return err
	}
	return a.print(out, out.print)
}

// show prints a move before it is signed: cost, balances, notes.
func (m moveResult) show(w io.Writer) error {
	if _, err := fmt.Fprintln(w, m.text); err != nil {
		return err
	}
	t := newTable(w)
	cost := fmt.Sprintf("a fee of at most %s", m.Fee)
	if m.Cost > 0 {
		cost = fmt.Sprintf("%s, and %s", m.Cost, cost)
	}
	t.row("  costs", cost)
	if m.Gain > 0 {
		t.row("  brings", m.Gain)
	}
	t.row("  balance", fmt.Sprintf("%s now, at least %s after it", m.Before, m.After))
	if m.when != "" {
		t.row("  acts", m.when)
	}
	for _, n := range m.Notes {
		t.row("  note", n)
	}
	return t.flush()
}

// print prints the result of a move, or its preview.
func (m moveResult) print(w io.Writer) error {
	if m.DryRun {
		if err := m.show(w); err != nil {
			return err
		}
		_, err := fmt.Fprintln(w, "nothing was sent: this was a dry run")
		return err
	}
	text := fmt.Sprintf("done in block %d: %s", m.Height, m.text)
	if m.when != "" {
		text += "; " + m.when
	}
	_, err := fmt.Fprintln(w, text)
	return err
}
