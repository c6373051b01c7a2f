package report

import (
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// Rules is the rules in force, with the numbers that the nodes can change by vote, and
// the changes that are planned.
type Rules struct {
	Version    uint64       `json:"rules"`       // in force
	Known      uint64       `json:"known"`       // newest version that this program knows
	Price      token.Amount `json:"price"`       // for a stored KiB and epoch
	WritePrice token.Amount `json:"write_price"` // for writing a stored KiB, once
	Parameters []Parameter  `json:"parameters"`  // in the order of ledger.Votables
	Planned    []Plan       `json:"planned"`     // in the order of their epochs; never nil
}

// Parameter is a number that the nodes can change by vote.
type Parameter struct {
	Name  string `json:"name"`
	Value uint64 `json:"value"` // in Unit; FROST where that is the unit
	Unit  string `json:"unit"`
	Doc   string `json:"doc"`
}

// Plan is a change of the rules that acts from an epoch on.
type Plan struct {
	Epoch   unit.Epoch        `json:"epoch"`
	Version uint64            `json:"rules,omitempty"` // 0: as before
	Changes map[string]uint64 `json:"parameters"`      // new values by name
}

// RulesOf lists the numbers of rules.
func RulesOf(r ledger.Rules) Rules {
	out := Rules{Version: r.Version, Known: ledger.Newest, Price: r.Params.Registry.Price, WritePrice: r.Params.Registry.WritePrice, Planned: []Plan{}}
	for _, v := range ledger.Votables() {
		out.Parameters = append(out.Parameters, Parameter{v.Name, v.Of(r.Params), v.Unit, v.Doc})
	}
	for _, p := range r.Planned {
		plan := Plan{Epoch: p.Epoch, Version: p.Version, Changes: map[string]uint64{}}
		for _, c := range p.Changes {
			plan.Changes[c.Name] = c.Value
		}
		out.Planned = append(out.Planned, plan)
	}
	return out
}
