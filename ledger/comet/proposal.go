package comet

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cometbft/cometbft/crypto/ed25519"
	"github.com/cometbft/cometbft/types"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
)

// addresses says which node an address of CometBFT's is. An address is a hash of the
// node's ID, so that what was once found stays true. For the consensus connection,
// which asks for one thing at a time.
type addresses struct {
	machine *ledger.Machine
	nodes   map[string]staking.NodeID
}

// node is false for an address that no node ever had.
func (a *addresses) node(address []byte) (staking.NodeID, bool, error) {
	if id, ok := a.nodes[string(address)]; ok {
		return id, true, nil
	}
	v, err := a.machine.View()
	if err != nil {
		return staking.NodeID{}, false, err
	}
	err = v.EachNode(func(n ledger.NodeRecord) error {
		a.nodes[string(ed25519.PubKey(n.ID[:]).Address())] = n.ID
		return nil
	})
	id, ok := a.nodes[string(address)]
	return id, ok, err
}

// lastVotes is the votes on the block before height, as CometBFT gives them for a
// proposed or an agreed block.
func (a *app) lastVotes(height int64, commit abci.CommitInfo) (lastVotes, error) {
	l := lastVotes{chain: a.machine.ChainID(), height: height - 1, round: commit.Round, votes: commit.Votes, shards: a.shards()}
	for _, v := range commit.Votes {
		id, ok, err := a.addresses.node(v.Validator.Address)
		if err == nil && !ok {
			err = fmt.Errorf("validator %X is no node", v.Validator.Address)
		}
		if err != nil {
			return l, err
		}
		l.nodes = append(l.nodes, id)
	}
	return l, nil
}

// withoutExtensions is a proposer's own last commit as others will know it.
func withoutExtensions(c abci.ExtendedCommitInfo) abci.CommitInfo {
	out := abci.CommitInfo{Round: c.Round}
	for _, v := range c.Votes {
		out.Votes = append(out.Votes, abci.VoteInfo{Validator: v.Validator, BlockIdFlag: v.BlockIdFlag})
	}
	return out
}

// carry is transaction 0 of a block that this node proposes; nil if it passes its turn.
func (a *app) carry(w ledger.Wants, r *abci.RequestPrepareProposal) ([]byte, error) {
	l, err := a.lastVotes(r.Height, withoutExtensions(r.LocalLastCommit))
	if err != nil {
		return nil, err
	}
	v := votes{Extensions: l.gather(r.LocalLastCommit)}
	if propose, err := a.choose(w, r.Height, l, v.Extensions); !propose || err != nil {
		return nil, err
	}
	if err := l.enough(v.Extensions); err != nil {
		// Others will refuse the block; the next proposer has seen other votes.
		a.log.Warn("too few extensions of votes are fit to be carried", "height", r.Height, "err", err)
	}
	if w.Last {
		v.Last = a.extender.last(w.Round)
	}
	return v.encode(), nil
}

// pack chooses what goes into a block that this node proposes: first what is urgent to
// it and what waits in the mempool after that, as far as it fits and would be done. What
// fails now stays out: it would take the room of what does not.
func (a *app) pack(waiting [][]byte, room int64) (out [][]byte, err error) {
	p, err := a.machine.Pack()
	if err != nil {
		return nil, err
	}
	var urgent [][]byte
	if a.urgent != nil {
		urgent = a.urgent()
	}
	taken := map[blob.Hash]bool{}
	for _, tx := range slices.Concat(urgent, waiting) {
		n, hash := types.ComputeProtoSizeForTxs([]types.Tx{tx}), ledger.TxHash(tx)
		if isVotes(tx) || taken[hash] || n > room {
			continue
		}
		ok, err := p.Take(tx)
		if err != nil {
			return nil, err
		}
		if ok {
			out, room, taken[hash] = append(out, tx), room-n, true
		}
	}
	return out, nil
}

// PrepareProposal begins with what the votes on the last block carried, where that is
// wanted, goes on with what is urgent, and takes what else fits; the rules of a block's bytes are the network's.
func (a *app) PrepareProposal(_ context.Context, r *abci.RequestPrepareProposal) (*abci.ResponsePrepareProposal, error) {
	w, _, err := a.wanted(r.Height)
	if err != nil {
		return nil, a.broken(fmt.Errorf("propose block %d: %w", r.Height, err))
	}
	var out [][]byte
	var size int64
	if w.Carry {
		tx, err := a.carry(w, r)
		if err != nil {
			return nil, a.broken(fmt.Errorf("propose block %d: %w", r.Height, err))
		}
		if n := types.ComputeProtoSizeForTxs([]types.Tx{tx}); tx != nil && n <= r.MaxTxBytes { // always, see genesisDoc
			out, size = append(out, tx), n
		}
	}
	txs, err := a.pack(r.Txs, r.MaxTxBytes-size)
	if err != nil {
		return nil, a.broken(fmt.Errorf("propose block %d: %w", r.Height, err))
	}
	return &abci.ResponsePrepareProposal{Txs: append(out, txs...)}, nil
}

var (
	errNoVotes  = errors.New("the block does not begin with the votes on the last one")
	errStray    = errors.New("a transaction looks like the votes on the last block, where none is to be")
	errLast     = errors.New("the signature that the draw follows from is not the proposer's")
	errProposer = errors.New("the block says that another has proposed it")
)

// ProcessProposal refuses a block whose transaction 0 is not what our own state says it
// must be, or whose transactions have no form or weigh too much: its proposer loses the
// turn. All else is accepted: a transaction that cannot be done does nothing but pay.
func (a *app) ProcessProposal(_ context.Context, r *abci.RequestProcessProposal) (*abci.ResponseProcessProposal, error) {
	refused, err := a.judge(r)
	if err != nil {
		return nil, a.broken(fmt.Errorf("proposed block %d: %w", r.Height, err))
	}
	if refused != nil {
		a.log.Warn("proposed block refused", "height", r.Height, "proposer", hex.EncodeToString(r.ProposerAddress), "err", refused)
		return &abci.ResponseProcessProposal{Status: abci.ResponseProcessProposal_REJECT}, nil
	}
	return &abci.ResponseProcessProposal{Status: abci.ResponseProcessProposal_ACCEPT}, nil
}

// judge says why a proposed block is refused; err is our own failure.
func (a *app) judge(r *abci.RequestProcessProposal) (refused, err error) {
	w, known, err := a.wanted(r.Height)
	if err != nil || !known {
		return nil, err
	}
	rest := r.Txs
	if w.Carry {
		if len(rest) == 0 {
			return errNoVotes, nil
		}
		if refused, err = a.judgeVotes(w, r); refused != nil || err != nil {
			return refused, err
		}
		rest = rest[1:]
	}
	for _, tx := range rest {
		if isVotes(tx) {
			return errStray, nil
		}
	}
	return a.machine.JudgeBlock(rest), nil
}

// judgeVotes judges transaction 0.
func (a *app) judgeVotes(w ledger.Wants, r *abci.RequestProcessProposal) (refused, err error) {
	v, refused := decodeVotes(r.Txs[0], len(r.ProposedLastCommit.Votes))
	if refused != nil {
		return refused, nil
	}
	l, err := a.lastVotes(r.Height, r.ProposedLastCommit)
	if err != nil {
		return nil, err
	}
	if refused := l.check(v.Extensions); refused != nil {
		return refused, nil
	}
	return a.judgeLast(w, v.Last, r)
}

// judgeLast judges the proposer's own signature. CometBFT lets a proposer write any
// validator's name on its block: a few validators that work together could choose among
// their signatures, and so among draws. So the name must be that of the validator that
// had the turn.
func (a *app) judgeLast(w ledger.Wants, last []byte, r *abci.RequestProcessProposal) (refused, err error) {
	if !w.Last {
		if len(last) > 0 {
			return fmt.Errorf("none is wanted: %w", errLast), nil
		}
		return nil, nil
	}
	if !a.hadTheTurn(r.Hash, r.ProposerAddress) {
		return errProposer, nil
	}
	id, ok, err := a.addresses.node(r.ProposerAddress)
	if err != nil || !ok {
		return errProposer, err
	}
	view, err := a.machine.View()
	if err != nil {
		return nil, err
	}
	n, _, err := view.Node(id)
	if err != nil {
		return nil, err
	}
	if len(last) != len(token.BLSSignature{}) || n.BLS.Verify(challenge.LastMessage(a.machine.ChainID(), w.Round), token.BLSSignature(last)) != nil {
		return errLast, nil
	}
	return nil, nil
}

// carried is what an agreed block's transaction 0 says, and the block's transactions
// without it. Its bytes were judged before; every node that replays the block comes to
// the same, whatever they are: what is no transaction 0 is left for the ledger to refuse.
func (a *app) carried(w ledger.Wants, r *abci.RequestFinalizeBlock) (out []ledger.VoteExtension, last token.BLSSignature, txs [][]byte, err error) {
	if !w.Carry || len(r.Txs) == 0 {
		return nil, last, r.Txs, nil
	}
	v, bad := decodeVotes(r.Txs[0], len(r.DecidedLastCommit.Votes))
	if bad != nil {
		return nil, last, r.Txs, nil
	}
	l, err := a.lastVotes(r.Height, r.DecidedLastCommit)
	if err != nil {
		return nil, last, nil, err
	}
	for i, e := range v.Extensions {
		if len(e.Signature) > 0 {
			out = append(out, ledger.VoteExtension{Node: l.nodes[i], Power: l.votes[i].Validator.Power, Extension: e.Extension})
		}
	}
	copy(last[:], v.Last)
	return out, last, r.Txs[1:], nil
}
