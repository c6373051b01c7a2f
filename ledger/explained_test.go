package ledger

import (
	"strings"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// Package explain stands above this one, and works the results of the worlds of these
// tests out again: TestMain hands its functions in.
var (
	ExplainPrice  func(View, unit.Epoch) (Explained, error)
	ExplainSlash  func(View, unit.Epoch, staking.NodeID) (Explained, error)
	ReplayBundle  func(Bundle, staking.NodeID) Explained
	ReplayExhibit func(ExhibitText, token.ChainID) (Explained, error)
)

// Explained is an explain.Explanation.
type Explained struct {
	Steps    []StepText
	Holds    bool
	Exhibits []ExhibitText
}

// StepText is an explain.Step.
type StepText struct{ Text, Sum string }

// ExhibitText is an explain.Exhibit.
type ExhibitText struct {
	Node   staking.NodeID
	Kind   FaultKind
	Epoch  unit.Epoch
	Round  unit.Round
	Shard  blob.Shard
	Bundle string
}

func (e Explained) text() string {
	var b strings.Builder
	for _, s := range e.Steps {
		b.WriteString(s.Text + " | " + s.Sum + "\n")
	}
	return b.String()
}

func (e Explained) says(words string) bool {
	for _, s := range e.Steps {
		if strings.Contains(s.Text+" "+s.Sum, words) {
			return true
		}
	}
	return false
}
