package comet

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cometbft/cometbft/crypto/ed25519"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	"github.com/cometbft/cometbft/types"

	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// tampering is what a proposer makes of the transactions of its own block.
type tampering struct {
	name  string
	wants ledger.Wants // the block that it is tried on; Round does not matter
	do    func(f forgery) [][]byte
}

// forgery is what a proposer has at hand.
type forgery struct {
	txs    [][]byte // as an honest one would propose
	votes  votes    // of txs[0], where there are any
	secret token.Secret
	chain  token.ChainID
	round  challenge.RoundID
	height int64 // of the block
	commit abci.ExtendedCommitInfo
}

// with is the block with other votes.
func (f forgery) with(v votes) [][]byte { return append([][]byte{v.encode()}, f.txs[1:]...) }

// sign signs an extension with the proposer's key, for a vote on a block of its choice.
func (f forgery) sign(extension []byte, height int64) signedExtension {
	v := cmtproto.Vote{Extension: extension, Height: height, Round: f.commit.Round}
	sig, err := ed25519.PrivKey(f.secret.Key().Ed25519()).Sign(types.VoteExtensionSignBytes(string(f.chain), &v))
	if err != nil {
		panic(err)
	}
	return signedExtension{Extension: extension, Signature: sig}
}

// places is where the proposer's own vote stands, and another's; -1: nowhere.
func (f forgery) places() (own, other int) {
	own, other = -1, -1
	address := ed25519.PrivKey(f.secret.Key().Ed25519()).PubKey().Address()
	for i, e := range f.votes.Extensions {
		switch {
		case len(e.Signature) == 0:
		case bytes.Equal(f.commit.Votes[i].Validator.Address, address):
			own = i
		default:
			other = i
		}
	}
	return own, other
}

var (
	carries = ledger.Wants{Carry: true}
	lasts   = ledger.Wants{Carry: true, Last: true}
	bare    = ledger.Wants{}
)

// Power and name of a voter cannot be written into transaction 0: what comes next to
// such a lie is to move or to repeat a vote.
var tamperings = []tampering{
	{"no transaction 0", carries, func(f forgery) [][]byte { return f.txs[1:] }},
	{"nothing but another transaction", carries, func(f forgery) [][]byte { return [][]byte{{1}} }},
	{"transaction 0 twice", carries, func(f forgery) [][]byte { return append(f.txs, f.txs[0]) }},
	{"transaction 0 at the end", carries, func(f forgery) [][]byte { return append([][]byte{{1}}, f.txs[0]) }},
	{"transaction 0 where none is wanted", bare, func(f forgery) [][]byte { return append([][]byte{votes{}.encode()}, f.txs...) }},
	{"something that begins like it", bare, func(f forgery) [][]byte { return append(f.txs, append(slices.Clone(votesPrefix), 0xff)) }},
	{"garbage", carries, func(f forgery) [][]byte {
		return append([][]byte{append(slices.Clone(votesPrefix), 1, 2, 3)}, f.txs[1:]...)
	}},
	{"more bytes than votes have", carries, func(f forgery) [][]byte {
		f.votes.Extensions[0] = signedExtension{Extension: make([]byte, 4096)}
		return f.with(f.votes)
	}},
	{"a vote in the place of another", carries, func(f forgery) [][]byte {
		own, other := f.places()
		f.votes.Extensions[own], f.votes.Extensions[other] = f.votes.Extensions[other], f.votes.Extensions[own]
		return f.with(f.votes)
	}},
	{"a vote twice", carries, func(f forgery) [][]byte {
		own, other := f.places()
		f.votes.Extensions[own] = f.votes.Extensions[other]
		return f.with(f.votes)
	}},
	{"a vote more than validators", carries, func(f forgery) [][]byte {
		f.votes.Extensions = append(f.votes.Extensions, f.votes.Extensions[0])
		return f.with(f.votes)
	}},
	{"a third of the power left out", carries, func(f forgery) [][]byte {
		left := 0
		for i := range f.votes.Extensions {
			if left < 2 {
				f.votes.Extensions[i] = signedExtension{}
				left++
			}
		}
		return f.with(f.votes)
	}},
	{"another's words", carries, func(f forgery) [][]byte {
		_, other := f.places()
		f.votes.Extensions[other].Extension = nil
		return f.with(f.votes)
	}},
	{"another's words, signed by the proposer", carries, func(f forgery) [][]byte {
		_, other := f.places()
		f.votes.Extensions[other] = f.sign(challenge.NewReveal(f.chain, f.secret.BLSKey(), f.round).Encode(), f.height-1)
		return f.with(f.votes)
	}},
	{"own words for another block", carries, func(f forgery) [][]byte {
		own, _ := f.places()
		f.votes.Extensions[own] = f.sign(challenge.NewReveal(f.chain, f.secret.BLSKey(), f.round).Encode(), f.height)
		return f.with(f.votes)
	}},
	{"own words, malformed", carries, func(f forgery) [][]byte {
		own, _ := f.places()
		f.votes.Extensions[own] = f.sign([]byte("words"), f.height-1)
		return f.with(f.votes)
	}},
	{"words without a signature", carries, func(f forgery) [][]byte {
		own, _ := f.places()
		f.votes.Extensions[own].Signature = nil
		return f.with(f.votes)
	}},
	{"a last signature of another round", lasts, func(f forgery) [][]byte {
		f.round.Round++
		sig := f.secret.BLSKey().Sign(challenge.LastMessage(f.chain, f.round))
		f.votes.Last = sig[:]
		return f.with(f.votes)
	}},
	{"a last signature by another", lasts, func(f forgery) [][]byte {
		sig := token.Secret{77}.BLSKey().Sign(challenge.LastMessage(f.chain, f.round))
		f.votes.Last = sig[:]
		return f.with(f.votes)
	}},
	{"no last signature", lasts, func(f forgery) [][]byte {
		f.votes.Last = nil
		return f.with(f.votes)
	}},
	{"a last signature where none is wanted", carries, func(f forgery) [][]byte {
		sig := f.secret.BLSKey().Sign(challenge.LastMessage(f.chain, f.round))
		f.votes.Last = sig[:]
		return f.with(f.votes)
	}},
}

func TestEveryTamperingIsRefused(t *testing.T) {
	for _, tt := range tamperings {
		tt.wants.Round = someRound
		p := newPodium(t, tt.wants)
		c := p.commit()
		txs := p.propose(c)
		if !p.process(c, txs) {
			t.Fatalf("%s: refused before anybody tampered with it", tt.name)
		}
		f := forgery{txs: txs, secret: p.secrets[p.self], chain: p.w.genesis.ChainID(), round: someRound, height: p.height, commit: c}
		if len(txs) > 0 {
			f.votes = p.votes(txs[0])
		}
		if p.process(c, tt.do(f)) {
			t.Errorf("%s: taken", tt.name)
		}
	}
}

// tamperer is a proposer that tampers with one block in every way there is, one after
// the other, whenever it has its turn on a block that fits.
type tamperer struct {
	*witness
	wants  func(unit.Height) ledger.Wants
	secret token.Secret

	mu   sync.Mutex // guards the fields below
	left []tampering
	done map[int64]string // height: what it did
}

func (e *tamperer) PrepareProposal(ctx context.Context, r *abci.RequestPrepareProposal) (*abci.ResponsePrepareProposal, error) {
	out, err := e.witness.PrepareProposal(ctx, r)
	if err != nil {
		return out, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	w := e.wants(unit.Height(r.Height))
	i := slices.IndexFunc(e.left, func(t tampering) bool {
		return t.wants.Carry == w.Carry && t.wants.Last == w.Last
	})
	if _, already := e.done[r.Height]; already || i < 0 {
		return out, nil
	}
	f := forgery{txs: out.Txs, secret: e.secret, chain: e.machine.ChainID(), round: w.Round, height: r.Height, commit: r.LocalLastCommit}
	if w.Carry {
		if f.votes, err = decodeVotes(out.Txs[0], len(r.LocalLastCommit.Votes)); err != nil {
			return nil, err
		}
	}
	if own, other := f.places(); w.Carry && (own < 0 || other < 0) {
		return out, nil // its own vote came too late
	}
	e.done[r.Height] = e.left[i].name
	out.Txs = e.left[i].do(f)
	e.left = slices.Delete(e.left, i, i+1)
	return out, nil
}

// ProcessProposal finds its own blocks good.
func (e *tamperer) ProcessProposal(ctx context.Context, r *abci.RequestProcessProposal) (*abci.ResponseProcessProposal, error) {
	if bytes.Equal(r.ProposerAddress, ed25519.PrivKey(e.secret.Key().Ed25519()).PubKey().Address()) {
		return &abci.ResponseProcessProposal{Status: abci.ResponseProcessProposal_ACCEPT}, nil
	}
	return e.witness.ProcessProposal(ctx, r)
}

func TestATamperingProposerLosesItsTurnAndNothingElse(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 4)
	const bad = 3
	table := func(h unit.Height) ledger.Wants { // in step with no proposer's turn
		w := ledger.Wants{Round: challenge.RoundID{Epoch: unit.Epoch(h)}, Reveal: true, Carry: h%7 != 1, Last: h%7 == 2 || h%7 == 5}
		return w
	}
	list := c.challenged(table)
	var e *tamperer
	honest := c.members[bad].wrap
	c.members[bad].wrap = func(a *app) abci.Application {
		e = &tamperer{witness: honest(a).(*witness), wants: table, secret: c.members[bad].secret, left: slices.Clone(tamperings), done: map[int64]string{}}
		return e
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	c.start(0, 1, 2, 3)
	h := unit.Height(1)
	for left := len(tamperings); left > 0; h++ {
		c.reach(ctx, 0, h)
		e.mu.Lock()
		left = len(e.left)
		e.mu.Unlock()
	}
	h += 4
	for i := range c.members {
		c.reach(ctx, i, h+1)
	}
	if len(e.done) != len(tamperings) {
		t.Errorf("%d blocks tampered with, want %d", len(e.done), len(tamperings))
	}
	blocks := c.members[0].chain.node.BlockStore()
	lost := 0
	for k := int64(2); k <= int64(h); k++ {
		block, round := blocks.LoadBlock(k), blocks.LoadBlockCommit(k).Round
		name, tampered := e.done[k]
		if tampered && (round == 0 || bytes.Equal(block.ProposerAddress, c.members[bad].address())) {
			t.Errorf("%s: agreed on in round %d of block %d", name, round, k)
		}
		if tampered && round == 1 {
			lost++
		}
	}
	// On a busy machine a proposal that comes too late costs another round.
	t.Logf("%d of %d tamperings cost one round, in %d blocks", lost, len(tamperings), h)
	rejected := 0
	for i, l := range list {
		l.mu.Lock()
		rejected += len(l.faulted)
		for _, proposer := range l.faulted {
			if proposer != string(c.members[bad].address()) {
				t.Errorf("node %d rejects a proposal of %X, which tampers with nothing", i, proposer)
			}
		}
		l.mu.Unlock()
	}
	if rejected < len(tamperings) {
		t.Errorf("%d proposals were rejected for %d tamperings", rejected, len(tamperings))
	}
	c.sameBlocks(t, list, h, table)
	if power, _ := c.members[0].power(t, h, c.members[bad].address()); power == 0 {
		t.Error("it is no validator any more")
	}
}
