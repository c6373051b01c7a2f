package comet

import (
	"testing"
	"time"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/ledger/light"
)

func TestTheTrustPeriodIsNeverZeroAndNeverOverflows(t *testing.T) {
	for _, c := range []struct {
		name                           string
		blockMs, round, rounds, unbond uint64
		want                           time.Duration
	}{
		{"an epoch of one round", 500, 20, 1, 1, 4 * time.Second},
		{"the shortest epoch", 1, 8, 1, 1, 4 * 800 * time.Microsecond},
		{"many rounds", 500, 120, 10, 1, 9 * time.Minute * 4 / 5},
		{"a real network", 3000, 1200, 336, 2, (2*14*24*time.Hour - time.Hour) * 4 / 5},
		{"as long as can be", 1 << 32, 1, 1 << 32, 100, 10 * 365 * 24 * time.Hour},
	} {
		p := ledger.Testnet()
		p.Challenged = false // epochs of any length
		p.BlockMs, p.RoundBlocks, p.RoundsPerEpoch, p.Staking.UnbondingEpochs = c.blockMs, c.round, c.rounds, c.unbond
		p.Staking.CommissionNotice = c.unbond + 2
		if err := p.Validate(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if got := light.TrustPeriod(p); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		g := newWorld(t, "test", 0).genesis
		g.Params = p
		if _, err := (ledgerGenesis{g}).doc(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
