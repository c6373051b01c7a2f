package comet

import (
	"fmt"
	"math"
	"time"

	"github.com/cometbft/cometbft/crypto/ed25519"
	"github.com/cometbft/cometbft/types"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/ledger/light"
)

// genesisDoc is a genesis as CometBFT wants it. All of it follows from the ledger's.
func genesisDoc(g ledger.Genesis, validators []ledger.Validator) *types.GenesisDoc {
	params := types.DefaultConsensusParams()
	params.Block.MaxBytes = int64(g.Params.BlockBytes)
	// CometBFT drops evidence that is too old by both. The blocks decide, since epochs
	// are counted in blocks: they never pass in less time than the trust period.
	params.Evidence.MaxAgeNumBlocks = int64(g.Params.EvidenceBlocks())
	params.Evidence.MaxAgeDuration = light.TrustPeriod(g.Params)
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

// ledgerGenesis hands CometBFT the genesis as a document.
type ledgerGenesis struct{ ledger.Genesis }

// doc is computed from the genesis alone, not from where the chain is now.
func (g ledgerGenesis) doc() (*types.GenesisDoc, error) {
	validators, err := g.Validators()
	if err != nil {
		return nil, err
	}
	doc := genesisDoc(g.Genesis, validators)
	if err := letVotesBeExtended(doc, g.Params); err != nil {
		return nil, err
	}
	return doc, doc.ValidateAndComplete()
}
