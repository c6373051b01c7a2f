package comet

import (
	"bytes"
	"fmt"

	"github.com/cometbft/cometbft/consensus"
	"github.com/cometbft/cometbft/node"
)

// agreementOf is the state of a node's agreement, which CometBFT hands to none but its RPC.
func agreementOf(n *node.Node) (*consensus.State, error) {
	rpc, err := n.ConfigureRPC()
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	s, ok := rpc.ConsensusState.(*consensus.State)
	if !ok {
		return nil, fmt.Errorf("ledger: CometBFT's state of agreement is a %T", rpc.ConsensusState)
	}
	return s, nil
}

// hadTheTurn says whether a proposed block is by the validator whose turn to propose it
// is, or was when more than two thirds of the power found it good. It reads what the
// agreement holds under its own lock: only a function that the agreement calls, like
// those of the app, may use it.
func (c *Chain) hadTheTurn(block, proposer []byte) bool {
	now := &c.agreement.RoundState
	rounds := []int32{now.Round}
	if now.Proposal != nil {
		rounds = append(rounds, now.Proposal.POLRound)
	}
	for _, r := range rounds {
		if good, ok := now.Votes.Prevotes(r).TwoThirdsMajority(); ok && bytes.Equal(good.Hash, block) {
			return true
		}
	}
	return bytes.Equal(now.Validators.GetProposer().Address, proposer)
}
