package comet

import (
	"testing"
	"time"

	"github.com/walrus-network/walrus/ledger"
)

// Evidence was still taken when the stake that had to pay was gone, or no more while it
// was there: ASA-2024-004 of CometBFT. Here the agreement's window is that of the ledger,
// and shorter than the time for which stake that counted stays in its pool.
func TestTheEvidenceWindowFitsTheTimeOfUnbonding(t *testing.T) {
	for name, p := range map[string]ledger.Params{"default": ledger.Default(), "testnet": ledger.Testnet()} {
		for _, epochs := range []uint64{1, 2, 5} {
			p.Staking.UnbondingEpochs = epochs
			got := genesisDoc(ledger.Genesis{Params: p}, nil).ConsensusParams.Evidence
			blocks := epochs * p.EpochBlocks()
			if got.MaxAgeNumBlocks != int64(p.EvidenceBlocks()) || got.MaxAgeNumBlocks >= int64(blocks) || got.MaxAgeNumBlocks < int64(blocks/2-1) {
				t.Errorf("%s, unbonding takes %d blocks, evidence counts for %d", name, blocks, got.MaxAgeNumBlocks)
			}
			if most := time.Duration(blocks*p.BlockMs) * time.Millisecond; got.MaxAgeDuration > most {
				t.Errorf("%s: evidence counts for %s, unbonding takes %s", name, got.MaxAgeDuration, most)
			}
		}
	}
}
