package comet

import (
	"testing"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cometbft/cometbft/crypto/ed25519"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	"github.com/cometbft/cometbft/types"

	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

var someRound = challenge.RoundID{Epoch: 3, Round: 5}

// podium is the app of one of four nodes that have agreed on some blocks.
type podium struct {
	t       testing.TB
	w       *world
	app     *app
	set     *types.ValidatorSet
	secrets []token.Secret // of set
	height  int64          // of the block that is proposed
	round   int32          // in which the last block was agreed on
	self    int            // of set: the proposer
}

func newPodium(t testing.TB, wants ledger.Wants) *podium {
	t.Helper()
	p := &podium{t: t, w: newWorld(t, "test", 3), round: 2, self: 1}
	p.set = p.w.committee(t)
	for _, v := range p.set.Validators {
		for i := range 4 {
			if key := worldSecret(i).Key().Public(); string(key[:]) == string(v.PubKey.Bytes()) {
				p.secrets = append(p.secrets, worldSecret(i))
			}
		}
	}
	m := p.w.local.Machine()
	p.height = int64(m.Height()) + 1
	p.app = newApp(m, Options{Log: quiet(), BLS: p.secrets[p.self].BLSKey()}, func(err error) { t.Error(err) })
	p.app.wants = func(h unit.Height) (ledger.Wants, error) {
		_, err := m.Wants(h)
		return wants, err
	}
	p.app.hadTheTurn = func(_, proposer []byte) bool { return string(proposer) == string(p.set.Validators[p.self].Address) }
	t.Cleanup(p.app.extender.wait)
	return p
}

// vote is what validator i voted and added.
func (p *podium) vote(i int, extension []byte) abci.ExtendedVoteInfo {
	return p.signed(i, extension, cmtproto.Vote{Extension: extension, Height: p.height - 1, Round: p.round})
}

func (p *podium) signed(i int, extension []byte, v cmtproto.Vote) abci.ExtendedVoteInfo {
	sig, err := ed25519.PrivKey(p.secrets[i].Key().Ed25519()).Sign(types.VoteExtensionSignBytes(string(p.w.genesis.ChainID()), &v))
	if err != nil {
		p.t.Fatal(err)
	}
	return abci.ExtendedVoteInfo{Validator: types.TM2PB.Validator(p.set.Validators[i]), BlockIdFlag: cmtproto.BlockIDFlagCommit, VoteExtension: extension, ExtensionSignature: sig}
}

func (p *podium) revealed(i int) abci.ExtendedVoteInfo {
	return p.vote(i, challenge.NewReveal(p.w.genesis.ChainID(), p.secrets[i].BLSKey(), someRound).Encode())
}

// commit is a last commit in which all have revealed.
func (p *podium) commit() (c abci.ExtendedCommitInfo) {
	c.Round = p.round
	for i := range p.secrets {
		c.Votes = append(c.Votes, p.revealed(i))
	}
	return c
}

func (p *podium) propose(c abci.ExtendedCommitInfo, txs ...[]byte) [][]byte {
	p.t.Helper()
	r, err := p.app.PrepareProposal(p.t.Context(), &abci.RequestPrepareProposal{Height: p.height, LocalLastCommit: c, MaxTxBytes: 1 << 20, Txs: txs})
	if err != nil {
		p.t.Fatal(err)
	}
	return r.Txs
}

// process says whether others take a block.
func (p *podium) process(c abci.ExtendedCommitInfo, txs [][]byte) bool {
	p.t.Helper()
	r, err := p.app.ProcessProposal(p.t.Context(), &abci.RequestProcessProposal{Height: p.height, ProposedLastCommit: withoutExtensions(c), Txs: txs, ProposerAddress: p.set.Validators[p.self].Address})
	if err != nil {
		p.t.Fatal(err)
	}
	return r.Status == abci.ResponseProcessProposal_ACCEPT
}

func (p *podium) votes(tx []byte) votes {
	p.t.Helper()
	v, err := decodeVotes(tx, len(p.secrets))
	if err != nil {
		p.t.Fatal(err)
	}
	return v
}

// takes says whether a node takes an extension of a vote on a block.
func (p *podium) takes(height int64, extension []byte) bool {
	p.t.Helper()
	r, err := p.app.VerifyVoteExtension(p.t.Context(), &abci.RequestVerifyVoteExtension{Height: height, VoteExtension: extension})
	if err != nil {
		p.t.Fatal(err)
	}
	return r.Status == abci.ResponseVerifyVoteExtension_ACCEPT
}
