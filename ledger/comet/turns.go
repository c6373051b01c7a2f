package comet

import (
	"bytes"
	"fmt"

	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	"github.com/cometbft/cometbft/types"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/ledger/snapshot"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/unit"
)

// The order in which validators propose follows from all blocks since the genesis, and no
// header names it. A node that begins with a snapshot asks all validators, at the addresses
// in the state that it has fetched, and takes what most of their power says. A wrong one
// costs that node its own votes, and nothing else.

// maxValidators bounds a committee from a stranger, and the power of a validator: each has a
// shard.
const maxValidators = 1000

// turns is the committees of the two blocks after a height, with the order of their turns.
func (c *Chain) turns(height unit.Height) ([][]byte, error) {
	var out [][]byte
	for h := int64(height) + 1; h <= int64(height)+2; h++ {
		set, err := c.states.LoadValidators(h)
		if err != nil {
			return nil, err
		}
		p, err := set.ToProto()
		if err != nil {
			return nil, err
		}
		raw, err := p.Marshal()
		if err != nil {
			return nil, err
		}
		out = append(out, raw)
	}
	return out, nil
}

// chooseTurns is the committees that most of the validators' power names, among those that
// fit two verified headers. Of nodes outside the committee one counts as the least.
func chooseTurns(answers map[peer.ID][][]byte, headers []*types.LightBlock) ([]*types.ValidatorSet, error) {
	power := map[peer.ID]int64{}
	for _, v := range headers[0].ValidatorSet.Validators {
		if p, err := p2p.PeerOf(v.PubKey.Bytes()); err == nil {
			power[p] = v.VotingPower
		}
	}
	weight := map[string]int64{}
	var best []*types.ValidatorSet
	var most int64
	const member = 1 << 20 // any member counts more than all others
	for p, raw := range answers {
		sets, err := decodeTurns(raw, headers)
		if err != nil {
			continue
		}
		name := string(bytes.Join(raw, nil))
		if weight[name] += 1 + member*power[p]; weight[name] > most {
			best, most = sets, weight[name]
		}
	}
	if best == nil {
		return nil, fmt.Errorf("%d nodes name the order of the proposers after block %d, and none fits its headers: %w", len(answers), headers[0].Height-1, snapshot.ErrNoNode)
	}
	return best, nil
}

// decodeTurns reads committees from a stranger, and holds them against the headers of their
// heights: against who is in them, and who proposed the block.
func decodeTurns(raw [][]byte, headers []*types.LightBlock) (out []*types.ValidatorSet, err error) {
	if len(raw) != len(headers) {
		return nil, fmt.Errorf("%d committees for %d headers", len(raw), len(headers))
	}
	for i, b := range raw {
		var p cmtproto.ValidatorSet
		if err := p.Unmarshal(b); err != nil {
			return nil, err
		}
		if len(p.Validators) > maxValidators {
			return nil, fmt.Errorf("a committee of %d", len(p.Validators))
		}
		for _, v := range p.Validators { // CometBFT panics where the sum is too large
			if v == nil || v.VotingPower < 1 || v.VotingPower > maxValidators {
				return nil, fmt.Errorf("a validator without a power from 1 to %d", maxValidators)
			}
		}
		set, err := types.ValidatorSetFromProto(&p)
		if err != nil {
			return nil, err
		}
		h := headers[i]
		if !bytes.Equal(set.Hash(), h.ValidatorsHash) {
			return nil, fmt.Errorf("committee of block %d is another", h.Height)
		}
		bound := types.PriorityWindowSizeFactor * set.TotalVotingPower()
		for _, v := range set.Validators {
			if v.ProposerPriority > bound || v.ProposerPriority < -bound {
				return nil, fmt.Errorf("committee of block %d: a priority of %d", h.Height, v.ProposerPriority)
			}
		}
		if !proposed(set, h) {
			return nil, fmt.Errorf("block %d was proposed by another", h.Height)
		}
		out = append(out, set)
	}
	return out, nil
}

// proposed says whether a block's proposer had the turn in the round that agreed on it, or
// in one before: a block may be proposed again by others.
func proposed(set *types.ValidatorSet, h *types.LightBlock) bool {
	const most = 100 // rounds that are looked at
	for r := range min(h.Commit.Round, most) + 1 {
		proposer := set.GetProposer()
		if r > 0 {
			proposer = set.CopyIncrementProposerPriority(r).GetProposer()
		}
		if bytes.Equal(proposer.Address, h.ProposerAddress) {
			return true
		}
	}
	return h.Commit.Round >= most
}
