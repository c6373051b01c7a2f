package comet

import (
	"context"
	"errors"
	"fmt"
	"sync"

	abci "github.com/cometbft/cometbft/abci/types"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/state"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// Attester knows what this node has seen of a round's proofs. The agreement on a block
// waits for it: it must answer at once.
type Attester interface {
	// Attest is whether the node listened since the draw, the root over the proofs it sent
	// itself (challenge.Promise), and the shards whose proofs it has seen; nil: none.
	Attest(r challenge.RoundID) (listened bool, own blob.Hash, yes blob.ShardSet)
}

// extender is what this validator adds to its votes and its blocks.
type extender struct {
	chain    token.ChainID
	key      token.BLSKey
	attester Attester // nil: it listens to nothing

	mu     sync.Mutex // guards the fields below
	round  challenge.RoundID
	reveal func() []byte // of round; waits until it is signed
	work   sync.WaitGroup
}

// prepare begins to sign the reveal of a round: a signature takes a millisecond, and the
// voters wait for each other. What it returns waits for the signature.
func (v *extender) prepare(r challenge.RoundID) (reveal func() []byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.reveal == nil || v.round != r {
		v.round, v.reveal = r, sync.OnceValue(func() []byte { return challenge.NewReveal(v.chain, v.key, r).Encode() })
		sign := v.reveal
		v.work.Go(func() { sign() })
	}
	return v.reveal
}

// attest is what was seen of a round; without an attester nothing was, by a node that
// did not listen.
func (v *extender) attest(r challenge.RoundID, shards int) []byte {
	if v.attester == nil {
		return challenge.NewAttest(r, false, blob.Hash{}, blob.NewSet[blob.Shard](shards)).Encode()
	}
	listened, own, yes := v.attester.Attest(r)
	if yes == nil {
		yes = blob.NewSet[blob.Shard](shards)
	}
	return challenge.NewAttest(r, listened, own, yes).Encode()
}

// closing is this node's part where it closes a round's beacon.
func (v *extender) closing(r challenge.RoundID, turn uint64) challenge.Extension {
	return challenge.NewClosing(v.chain, v.key, r, turn)
}

// last is the proposer's signature for a round's block.
func (v *extender) last(r challenge.RoundID) []byte {
	sig := v.key.Sign(challenge.LastMessage(v.chain, r))
	return sig[:]
}

// wait returns when nothing is being signed.
func (v *extender) wait() { v.work.Wait() }

// wanted is what a block is to carry. known is false where the state before that block
// is not here: then nothing is said of what it wants. It is asked for every vote on a
// block, and answered from memory but for the first.
func (a *app) wanted(height int64) (w ledger.Wants, known bool, err error) {
	if last := a.lastWanted.Load(); last != nil && last.height == height {
		return last.wants, true, nil
	}
	w, err = a.wants(unit.Height(height))
	if errors.Is(err, state.ErrHeight) {
		return ledger.Wants{}, false, nil
	}
	if err == nil {
		a.lastWanted.Store(&wantedAt{height, w})
	}
	return w, err == nil, err
}

// wantedAt is what the block of a height is to carry: the state before it decides that,
// and does not change any more.
type wantedAt struct {
	height int64
	wants  ledger.Wants
}

// checkExtension says whether an extension may stand in a vote on a block, by its form
// and by what the state before that block wants: all its voters judge alike. The block
// that carries the extension judges what it says.
func checkExtension(extension []byte, w ledger.Wants, known bool, shards int) error {
	e, err := challenge.DecodeExtension(extension, shards)
	switch {
	case err != nil:
		return err
	case len(extension) == 0 || !known:
		return nil
	case e.Reveal != nil && w.Reveal && w.Round == (challenge.RoundID{Epoch: e.Reveal.Epoch, Round: e.Reveal.Round}):
		return nil
	case e.Closing != nil && w.Closer != (staking.NodeID{}) && e.Closing.Turn == w.Turn && w.Round == (challenge.RoundID{Epoch: e.Closing.Epoch, Round: e.Closing.Round}):
		return nil
	case e.Attest != nil && w.Attest && w.Round == (challenge.RoundID{Epoch: e.Attest.Epoch, Round: e.Attest.Round}):
		return nil
	}
	return fmt.Errorf("this block wants another: %w", challenge.ErrExtension)
}

func (a *app) shards() int { return a.machine.Genesis().Params.Shards }

// ExtendVote is what this validator adds to its vote on a block. What its peers would
// refuse it does not say: without their vote counted no block would be agreed on.
func (a *app) ExtendVote(_ context.Context, r *abci.RequestExtendVote) (*abci.ResponseExtendVote, error) {
	w, known, err := a.wanted(r.Height)
	if err != nil {
		return nil, a.broken(fmt.Errorf("vote on block %d: %w", r.Height, err))
	}
	var extension []byte
	switch {
	case w.Reveal:
		extension = a.extender.prepare(w.Round)()
	case w.Closer == a.self && known && w.Closer != (staking.NodeID{}):
		if extension, err = a.closing(w, unit.Height(r.Height)); err != nil {
			return nil, a.broken(fmt.Errorf("vote on block %d: %w", r.Height, err))
		}
	case w.Attest:
		extension = a.extender.attest(w.Round, a.shards())
	}
	if err := checkExtension(extension, w, known, a.shards()); err != nil {
		a.log.Error("nothing is added to this vote: the node's own words are malformed", "height", r.Height, "err", err)
		extension = nil
	}
	return &abci.ResponseExtendVote{VoteExtension: extension}, nil
}

// VerifyVoteExtension refuses what is malformed and nothing else: a vote that some take
// and others do not would keep them from agreeing.
func (a *app) VerifyVoteExtension(_ context.Context, r *abci.RequestVerifyVoteExtension) (*abci.ResponseVerifyVoteExtension, error) {
	w, known, err := a.wanted(r.Height)
	if err != nil {
		return nil, a.broken(fmt.Errorf("votes on block %d: %w", r.Height, err))
	}
	if err := checkExtension(r.VoteExtension, w, known, a.shards()); err != nil {
		a.log.Debug("extension of a vote refused", "height", r.Height, "err", err)
		return &abci.ResponseVerifyVoteExtension{Status: abci.ResponseVerifyVoteExtension_REJECT}, nil
	}
	return &abci.ResponseVerifyVoteExtension{Status: abci.ResponseVerifyVoteExtension_ACCEPT}, nil
}
