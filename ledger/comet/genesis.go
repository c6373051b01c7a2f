package comet

import (
	"time"

	"github.com/cometbft/cometbft/crypto/ed25519"
	"github.com/cometbft/cometbft/types"

	"github.com/walrus-network/walrus/ledger"
)

// genesisDoc is a genesis as CometBFT wants it. All of it follows from the ledger's.
func genesisDoc(g ledger.Genesis, validators []ledger.Validator) *types.GenesisDoc {
	params := types.DefaultConsensusParams()
	params.Block.MaxBytes = int64(g.Params.BlockBytes)
	params.Evidence = evidenceParams(g.Params)
	params.Version.App = appVersion
	doc := &types.GenesisDoc{
		GenesisTime: time.UnixMilli(g.Time).UTC(), ChainID: string(g.ChainID()), InitialHeight: 1,
		ConsensusParams: params,
	}
	for _, v := range validators {
		key := ed25519.PubKey(v.NodeID[:])
		doc.Validators = append(doc.Validators, types.GenesisValidator{Address: key.Address(), PubKey: key, Power: v.Power})
	}
	return doc
}

// evidenceParams are how long evidence counts: while what it is about can be punished.
func evidenceParams(p ledger.Params) types.EvidenceParams {
	e := types.DefaultEvidenceParams()
	e.MaxAgeDuration = trustPeriod(p)
	e.MaxAgeNumBlocks = max(1, int64(e.MaxAgeDuration/(time.Duration(p.BlockMs)*time.Millisecond)))
	return e
}

// maxTrust bounds the trust period: beyond it numbers would overflow, and no header
// is worth being trusted.
const maxTrust = 10 * 365 * 24 * time.Hour

// trustPeriod is how long a header may be trusted without looking again: as long
// as those who signed it can still be punished, which is UnbondingEpochs epochs,
// less a round in which the evidence travels, or less half an epoch where that is
// shorter than a round. It is never zero.
func trustPeriod(p ledger.Params) time.Duration {
	blocks := p.Staking.UnbondingEpochs*p.EpochBlocks() - min(p.RoundBlocks, p.EpochBlocks()/2)
	if blocks > uint64(maxTrust/time.Millisecond)/p.BlockMs {
		return maxTrust
	}
	return time.Duration(blocks*p.BlockMs) * time.Millisecond
}
