package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/token"
)

type paramList struct {
	Rules      uint64       `json:"rules"`       // version in force
	Known      uint64       `json:"known"`       // newest that this program knows
	Price      token.Amount `json:"price"`       // of a stored KiB and epoch
	WritePrice token.Amount `json:"write_price"` // of writing a stored KiB
	Parameters []parameter  `json:"parameters"`
	Planned    []planned    `json:"planned"`
	Ledger     ledgerState  `json:"ledger"`
}

type parameter struct {
	Name  string `json:"name"`
	Value uint64 `json:"value"` // FROST where that is the unit
	Unit  string `json:"unit"`
	Doc   string `json:"doc"`
}

type planned struct {
	Epoch   uint64            `json:"epoch"`
	Rules   uint64            `json:"rules,omitempty"` // 0: as before
	Changes map[string]uint64 `json:"parameters"`
}

func (a *app) paramsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "params",
		Short: "List the numbers that nodes can change by vote, and what is planned",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := a.openWithout(c.Context())
			if err != nil {
				return err
			}
			defer s.Close()
			out := listParams(s.rules)
			if out.Ledger, err = a.ledgerState(s); err != nil {
				return err
			}
			return a.print(out, out.print)
		},
	}
}

func listParams(r ledger.Rules) paramList {
	out := paramList{Rules: r.Version, Known: ledger.Newest, Price: r.Params.Registry.Price, WritePrice: r.Params.Registry.WritePrice, Planned: []planned{}}
	for _, v := range ledger.Votables() {
		out.Parameters = append(out.Parameters, parameter{v.Name, v.Of(r.Params), v.Unit, v.Doc})
	}
	for _, p := range r.Planned {
		plan := planned{Epoch: p.Epoch, Rules: p.Version, Changes: map[string]uint64{}}
		for _, c := range p.Changes {
			plan.Changes[c.Name] = c.Value
		}
		out.Planned = append(out.Planned, plan)
	}
	return out
}

func (l paramList) print(w io.Writer) error {
	t := newTable(w)
	t.row("rules", fmt.Sprintf("%d; this program knows up to %d", l.Rules, l.Known))
	t.row("price", fmt.Sprintf("%d FROST", uint64(l.Price)), "of a stored KiB and epoch (walrus explain price)")
	t.row("write price", fmt.Sprintf("%d FROST", uint64(l.WritePrice)), "of writing a stored KiB")
	all := ledger.Votables()
	for i, p := range l.Parameters {
		t.row(p.Name, valueText(all[i], p.Value), p.Doc)
	}
	for _, p := range l.Planned {
		var what []string
		if p.Rules > 0 {
			what = append(what, fmt.Sprintf("rules %d", p.Rules))
		}
		for _, v := range all {
			if value, ok := p.Changes[v.Name]; ok {
				what = append(what, v.Name+" = "+valueText(v, value))
			}
		}
		t.row(fmt.Sprintf("from epoch %d", p.Epoch), strings.Join(what, ", "))
	}
	t.row("ledger", l.Ledger)
	return t.flush()
}
