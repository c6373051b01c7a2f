package ledger_test

import (
	"os"
	"testing"

	"github.com/walrus-network/walrus/explain"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// TestMain gives the worlds of the tests the second implementation of their settlement,
// which this package cannot import.
func TestMain(m *testing.M) {
	ledger.ExplainPrice = func(v ledger.View, epoch unit.Epoch) (ledger.Explained, error) {
		e, err := explain.Price(v, epoch)
		return explained(e), err
	}
	ledger.ExplainSlash = func(v ledger.View, epoch unit.Epoch, id staking.NodeID) (ledger.Explained, error) {
		e, err := explain.Slash(v, epoch, id)
		return explained(e), err
	}
	ledger.ReplayBundle = func(b ledger.Bundle, id staking.NodeID) ledger.Explained { return explained(explain.Replay(b, id)) }
	ledger.ReplayExhibit = func(x ledger.ExhibitText, chain token.ChainID) (ledger.Explained, error) {
		e, err := explain.Exhibit(x).Replay(chain)
		return explained(e), err
	}
	os.Exit(m.Run())
}

func explained(e explain.Explanation) (out ledger.Explained) {
	out.Holds = e.Holds
	for _, s := range e.Steps {
		out.Steps = append(out.Steps, ledger.StepText(s))
	}
	for _, x := range e.Exhibits {
		out.Exhibits = append(out.Exhibits, ledger.ExhibitText(x))
	}
	return out
}
