package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/report"
)

type paramList struct {
	report.Rules
	Ledger report.LedgerState `json:"ledger"`
}

func (a *app) paramsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "params",
		Short: "List the numbers that nodes can change by vote, and what is planned",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.withSession(c.Context(), func(s *session) error {
				out := paramList{report.RulesOf(s.Rules), s.ledgerState()}
				return a.print(out, out.print)
			})
		},
	}
}

func (l paramList) print(w io.Writer) error {
	t := newTable(w)
	t.row("rules", fmt.Sprintf("%d; this program knows up to %d", l.Version, l.Known))
	t.row("price", fmt.Sprintf("%d FROST", uint64(l.Price)), "of a stored KiB and epoch (walrus explain price)")
	t.row("write price", fmt.Sprintf("%d FROST", uint64(l.WritePrice)), "of writing a stored KiB")
	all := ledger.Votables()
	for i, p := range l.Parameters {
		t.row(p.Name, valueText(all[i], p.Value), p.Doc)
	}
	for _, p := range l.Planned {
		var what []string
		if p.Version > 0 {
			what = append(what, fmt.Sprintf("rules %d", p.Version))
		}
		for _, v := range all {
			if value, ok := p.Changes[v.Name]; ok {
				what = append(what, v.Name+" = "+valueText(v, value))
			}
		}
		t.row(fmt.Sprintf("from epoch %d", p.Epoch), strings.Join(what, ", "))
	}
	t.row("ledger", ledgerText(l.Ledger))
	return t.flush()
}
