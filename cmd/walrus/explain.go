package main

import (
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/ledger"
)

func (a *app) explainCommand() *cobra.Command {
	return a.group("explain", "Work out again, from the ledger's records, how a number came about", a.explainPrice())
}

// explained is an explanation and the state of the ledger it was read from.
type explained struct {
	ledger.Explanation
	Ledger ledgerState `json:"ledger"`
}

func (a *app) explainPrice() *cobra.Command {
	return &cobra.Command{
		Use:   "price [EPOCH]",
		Short: "Show by which votes the prices of an epoch came about",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.explain(c, args, ledger.ExplainPrice)
		},
	}
}

// explain prints what explains an epoch: the present one unless another was typed.
func (a *app) explain(c *cobra.Command, args []string, about func(ledger.View, uint64) (ledger.Explanation, error)) error {
	var epoch *uint64
	if len(args) > 0 {
		n, err := strconv.ParseUint(args[0], 10, 64)
		if err != nil {
			return errUsage{fmt.Errorf("epoch %q: a whole number; walrus info says which one it is", args[0])}
		}
		epoch = &n
	}
	s, err := a.openWithout(c.Context())
	if err != nil {
		return err
	}
	defer s.Close()
	if epoch == nil {
		epoch = &s.head.Epoch
	}
	e, err := about(s.view, *epoch)
	if err != nil {
		return err
	}
	out := explained{Explanation: e}
	if out.Ledger, err = a.ledgerState(s); err != nil {
		return err
	}
	return a.print(out, out.print)
}

func (e explained) print(w io.Writer) error {
	fmt.Fprintln(w, e.Title)
	t := newTable(w)
	for i, s := range e.Steps {
		t.row(fmt.Sprintf("%3d", i+1), s.Text, s.Sum)
	}
	verdict := "it is what the ledger did"
	if !e.Holds {
		verdict = "it is NOT what the ledger did"
	}
	t.row("", verdict)
	t.row("", e.Ledger)
	return t.flush()
}
