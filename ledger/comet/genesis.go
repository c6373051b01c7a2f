package comet

import (
	"fmt"
	"math"
	"time"

	"github.com/cometbft/cometbft/crypto/ed25519"
	"github.com/cometbft/cometbft/types"

	"github.com/walrus-network/walrus/ledger"
)

// genesisDoc is a genesis as CometBFT wants it. All of it follows from the ledger's.
func genesisDoc(g ledger.Genesis, validators []ledger.Validator) *types.GenesisDoc {
	params := types.DefaultConsensusParams()
	params.Block.MaxBytes = int64(g.Params.BlockBytes)
	// CometBFT drops evidence that is too old by both. The blocks decide, since epochs
	// are counted in blocks: they never pass in less time than the trust period.
	params.Evidence.MaxAgeNumBlocks = int64(g.Params.EvidenceBlocks())
	params.Evidence.MaxAgeDuration = TrustPeriod(g.Params)
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

// letVotesBeExtended turns vote extensions on where the network is challenged, and keeps
// room for transaction 0 in every block: evidence comes first into a block, and must not
// fill it.
func letVotesBeExtended(doc *types.GenesisDoc, p ledger.Params) error {
	if !p.Challenged {
		return nil
	}
	most := p.Shards // validators: each has a shard
	room := types.MaxDataBytesNoEvidence(math.MaxInt64, most) - math.MaxInt64 + int64(p.BlockBytes) - 2*maxVotesBytes(most)
	if room < 0 {
		return fmt.Errorf("genesis: blocks of %d bytes have no room for the votes of %d validators: at least %d are needed", p.BlockBytes, most, int64(p.BlockBytes)-room)
	}
	doc.ConsensusParams.ABCI.VoteExtensionsEnableHeight = 1
	doc.ConsensusParams.Evidence.MaxBytes = min(doc.ConsensusParams.Evidence.MaxBytes, room)
	return nil
}

// maxTrust bounds the trust period: beyond it numbers would overflow, and no header
// is worth being trusted.
const maxTrust = 10 * 365 * 24 * time.Hour

// pause is how long a validator waits after a block before the next one: the least
// time between blocks while more than a third of the power keeps to it. Agreement
// takes the rest of a block's nominal time, and less where nodes are near.
func pause(p ledger.Params) time.Duration {
	return time.Duration(p.BlockMs) * time.Millisecond * 4 / 5
}

// TrustPeriod is how long a header may be trusted without looking again: as long
// as those who signed it can still be punished, even if all blocks come as fast as
// they can. It is never zero.
func TrustPeriod(p ledger.Params) time.Duration {
	blocks := p.EvidenceBlocks()
	if blocks > uint64(maxTrust/pause(p)) {
		return maxTrust
	}
	return time.Duration(blocks) * pause(p)
}
