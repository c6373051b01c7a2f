package comet

import (
	"fmt"
	"slices"
	"time"

	cstypes "github.com/cometbft/cometbft/consensus/types"
	"github.com/cometbft/cometbft/types"

	"github.com/walrus-network/walrus/staking"
)

// haltBlocks is how many blocks' time, and haltAtLeast the least time, that pass without a
// block until a node says that the chain stands still.
const (
	haltBlocks  = 6
	haltAtLeast = 10 * time.Second
	haltRounds  = 100             // whose votes are looked at
	haltSettled = 5 * time.Second // after the last vote of a set, in which the others of it would have come
)

// Halt is what a node sees of a chain that makes no blocks.
type Halt struct {
	Since   time.Time        `json:"since"` // time of the last block
	Cause   string           `json:"cause"` // the likely one
	Power   int64            `json:"power"` // of the committee, in shards
	Heard   int64            `json:"heard"` // the part of Power whose votes on the next block have come
	Missing []staking.NodeID `json:"missing,omitempty"`
}

// Halted says since when no block has come, and why that may be; nil: blocks come.
func (c *Chain) Halted() *Halt {
	_, age := c.peers.connects()
	block := time.Duration(c.options.Genesis.Params.BlockMs) * time.Millisecond
	if age < max(haltBlocks*block, haltAtLeast) {
		return nil
	}
	h := &Halt{Since: time.Now().Add(-age).UTC().Truncate(time.Millisecond)}
	if !c.AtTip() {
		h.Cause = fmt.Sprintf("this node catches up, from %d nodes of the ledger: if that is 0, or blocks do not come soon, look at its network", c.Connected())
		return h
	}
	now := c.agreement.GetRoundState()
	sets := awaited(now, time.Now())
	for i, v := range now.Validators.Validators {
		h.Power += v.VotingPower
		if slices.ContainsFunc(sets, func(s *types.VoteSet) bool { return s.GetByIndex(int32(i)) != nil }) {
			h.Heard += v.VotingPower
		} else {
			h.Missing = append(h.Missing, staking.NodeID(v.PubKey.Bytes()))
		}
	}
	slices.SortFunc(h.Missing, staking.NodeID.Compare)
	h.Cause = likely(*h, c.Connected())
	return h
}

// awaited is the sets of votes in one of which a node is to be that is there. The agreement
// waits for one set at a time. Once the last vote in it is old, a node that voted before, and
// is not in it, has gone since: rounds need not go on without it. Until then the votes of the
// last rounds tell which nodes are there.
func awaited(now *cstypes.RoundState, at time.Time) (sets []*types.VoteSet) {
	precommits := now.Votes.Precommits(now.Round)
	waits := now.Votes.Prevotes(now.Round)
	if now.Step >= cstypes.RoundStepPrecommit {
		waits = precommits
	}
	var last time.Time
	for i := range now.Validators.Size() {
		if v := waits.GetByIndex(int32(i)); v != nil && v.Timestamp.After(last) {
			last = v.Timestamp
		}
	}
	if !last.IsZero() && at.Sub(last) > haltSettled {
		return []*types.VoteSet{waits, precommits, now.Votes.Prevotes(now.Round + 1), now.Votes.Precommits(now.Round + 1)}
	}
	for round := max(0, now.Round-haltRounds); round <= now.Round; round++ {
		sets = append(sets, now.Votes.Prevotes(round), now.Votes.Precommits(round))
	}
	return sets
}

// likely names the likely cause of a halt for a node with so many peers of the ledger.
func likely(h Halt, peers int) string {
	switch {
	case peers == 0 && len(h.Missing) > 0:
		return "this node is connected to no other of the ledger: look at its network and its ledger port"
	case 3*h.Heard <= 2*h.Power:
		return fmt.Sprintf("too few nodes vote: those heard of have %d of %d shards, and more than two thirds are needed; blocks come again as soon as enough of the missing ones are back", h.Heard, h.Power)
	default:
		return fmt.Sprintf("votes come from %d of %d shards, which would do, but they do not agree on a block: slow links, or a fault; the log says more with --debug", h.Heard, h.Power)
	}
}
