package light

import (
	"context"
	"time"

	"github.com/cometbft/cometbft/crypto/ed25519"
	"github.com/cometbft/cometbft/types"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
)

// maxTrust bounds the trust period. A longer one would overflow, and no header deserves it.
const maxTrust = 10 * 365 * 24 * time.Hour

// BlockPause is how long a validator waits after a block before the next one. It is the
// least time between blocks as long as more than a third of the power keeps to it.
// Agreement takes the rest of a block's nominal time, and less between near nodes.
func BlockPause(p ledger.Params) time.Duration {
	return time.Duration(p.BlockMs) * time.Millisecond * 4 / 5
}

// TrustPeriod is how long a header may be trusted without looking again: evidence blocks
// x the least time between blocks, at most 10 years. As long as that, the signers of the
// header can still be punished, however fast blocks come. It is never zero.
func TrustPeriod(p ledger.Params) time.Duration {
	blocks := p.EvidenceBlocks()
	if blocks > uint64(maxTrust/BlockPause(p)) {
		return maxTrust
	}
	return time.Duration(blocks) * BlockPause(p)
}

// firstCommittee is the committee that a genesis names, as CometBFT orders and hashes it.
func firstCommittee(g ledger.Genesis) (*types.ValidatorSet, error) {
	validators, err := g.Validators()
	if err != nil {
		return nil, err
	}
	var list []*types.Validator
	for _, v := range validators {
		list = append(list, types.NewValidator(ed25519.PubKey(v.NodeID[:]), v.Power))
	}
	return types.NewValidatorSet(list), nil
}

// FetchGenesis asks a node for the genesis of its network. The caller shows the hash of
// the genesis to a person before anything is built on it.
func FetchGenesis(ctx context.Context, host *p2p.Host, from peer.ID) (ledger.Genesis, error) {
	b, err := join(ctx, ledger.MaxGenesis, func(ctx context.Context, at uint64) ([]byte, error) {
		return host.AskLedger(ctx, from, p2p.AskGenesis, canon.Encode(partQuestion{From: at}))
	})
	if err != nil {
		return ledger.Genesis{}, err
	}
	return ledger.DecodeGenesis(b)
}
