package sim

import (
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/unit"
)

// Slash is one slash of a node.
type Slash struct {
	Epoch unit.Epoch `json:"epoch"`
	Rung  uint8      `json:"rung"`
	Bps   unit.Bps   `json:"bps"`
}

// SlashOf returns the slash in a node's statement of an epoch, if there is one.
func SlashOf(o ledger.Statement, epoch unit.Epoch) (s Slash, slashed bool) {
	return Slash{Epoch: epoch, Rung: o.Verdict.Rung, Bps: o.Verdict.Bps}, o.Verdict.Bps > 0
}
