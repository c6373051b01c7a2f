package comet

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cometbft/cometbft/crypto/ed25519"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	"github.com/cometbft/cometbft/types"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/internal/golden"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
)

var carryAndLast = ledger.Wants{Round: someRound, Carry: true, Last: true}

// A vote that came too late to be looked at may bring anything along. The block goes on
// without it, while two thirds of the power have better.
func TestUnfitExtensionsAreLeftOutAndTheBlockStands(t *testing.T) {
	p := newPodium(t, carryAndLast)
	fit := p.revealed(3)
	unfit := map[string]abci.ExtendedVoteInfo{
		"too long":                 p.vote(3, make([]byte, challenge.MaxExtensionBytes+1)),
		"garbage":                  p.vote(3, []byte{1, 2, 3}),
		"bits beyond the shards":   p.vote(3, challenge.NewAttest(someRound, true, blob.Hash{}, []byte{0, 0, 0, 0xf0}).Encode()),
		"signed for another round": p.signed(3, fit.VoteExtension, cmtproto.Vote{Extension: fit.VoteExtension, Height: p.height - 1, Round: p.round + 1}),
		"signed for another block": p.signed(3, fit.VoteExtension, cmtproto.Vote{Extension: fit.VoteExtension, Height: p.height, Round: p.round}),
		"signed by another": func() abci.ExtendedVoteInfo {
			v := fit
			v.ExtensionSignature = p.revealed(2).ExtensionSignature
			return v
		}(),
		"without a vote":      func() abci.ExtendedVoteInfo { v := fit; v.BlockIdFlag = cmtproto.BlockIDFlagNil; return v }(),
		"without a signature": func() abci.ExtendedVoteInfo { v := fit; v.ExtensionSignature = nil; return v }(),
	}
	for name, bad := range unfit {
		c := p.commit()
		c.Votes[3] = bad
		txs := p.propose(c)
		v := p.votes(txs[0])
		if e := v.Extensions[3]; len(e.Extension)+len(e.Signature) > 0 {
			t.Errorf("%s: carried", name)
		}
		for i := range 3 {
			if string(v.Extensions[i].Extension) != string(c.Votes[i].VoteExtension) {
				t.Errorf("%s: extension %d is missing", name, i)
			}
		}
		if !p.process(c, txs) {
			t.Errorf("%s: the block was refused", name)
		}
		// As it is, it is refused.
		v.Extensions[3] = signedExtension{Extension: bad.VoteExtension, Signature: bad.ExtensionSignature}
		if p.process(c, [][]byte{v.encode()}) {
			t.Errorf("%s: taken", name)
		}
		// Two of four: too few. No node breaks; the turn is lost.
		c.Votes[2] = p.vote(2, []byte{9})
		if p.process(c, p.propose(c)) {
			t.Errorf("%s, and one more: half of the power was enough", name)
		}
	}
	c := p.commit()
	c.Votes[0] = p.vote(0, nil) // nothing to say, and signed
	if txs := p.propose(c); !p.process(c, txs) || len(p.votes(txs[0]).Extensions[0].Signature) == 0 {
		t.Error("an empty extension does not count")
	}
}

// A well-formed reveal that is wrong, or of a round that no block asks for, is for the
// block to pass over: no vote and no block is refused for it.
func TestWhatAnExtensionSaysRefusesNoBlock(t *testing.T) {
	p := newPodium(t, carryAndLast)
	c := p.commit()
	wrong := challenge.Extension{Reveal: &challenge.Reveal{Version: 1, Epoch: 77, Round: 1}}.Encode()
	c.Votes[2] = p.vote(2, wrong)
	txs := p.propose(c)
	if !p.process(c, txs) {
		t.Fatal("refused")
	}
	r := &abci.RequestFinalizeBlock{Height: p.height, Txs: txs, DecidedLastCommit: withoutExtensions(c)}
	got, _, _, err := p.app.carried(carryAndLast, r)
	if err != nil || string(got[2].Extension) != string(wrong) {
		t.Fatalf("%+v, %v", got, err)
	}
}

func TestABlockHandsOnVotersWithTheirPowerAndHidesTransactionZero(t *testing.T) {
	p := newPodium(t, carryAndLast)
	tx := p.transfer(0)
	c := p.commit()
	c.Votes[0].BlockIdFlag, c.Votes[0].VoteExtension, c.Votes[0].ExtensionSignature = cmtproto.BlockIDFlagAbsent, nil, nil
	txs := p.propose(c, tx, p.votes(p.propose(c)[0]).encode()) // the second is no transaction for the mempool
	if len(txs) != 2 || !isVotes(txs[0]) || string(txs[1]) != string(tx) {
		t.Fatalf("%d transactions", len(txs))
	}
	var block ledger.Block
	p.app.execute = func(b ledger.Block) (ledger.Result, error) {
		block = b
		return p.app.machine.Execute(b)
	}
	head, err := must(p.app.machine.View()).Head()
	if err != nil {
		t.Fatal(err)
	}
	r := &abci.RequestFinalizeBlock{Height: p.height, Time: time.UnixMilli(head.TimeMs), Txs: txs, DecidedLastCommit: withoutExtensions(c), ProposerAddress: p.set.Validators[p.self].Address}
	out, err := p.app.FinalizeBlock(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if len(out.TxResults) != 2 || out.TxResults[0].Code != 0 || out.TxResults[1].Code != 0 {
		t.Errorf("results %+v", out.TxResults)
	}
	self := staking.NodeID(p.secrets[p.self].Key().Public())
	if len(block.Txs) != 1 || block.Proposer != self || len(block.Extensions) != 3 {
		t.Fatalf("%d transactions, by %s, %d extensions", len(block.Txs), block.Proposer, len(block.Extensions))
	}
	if err := p.secrets[p.self].BLSKey().Public().Verify(challenge.LastMessage(p.w.genesis.ChainID(), someRound), block.Last); err != nil {
		t.Error(err)
	}
	for i, e := range block.Extensions {
		want := p.revealed(i + 1)
		if e.Node != staking.NodeID(p.secrets[i+1].Key().Public()) || e.Power != p.set.Validators[i+1].VotingPower || string(e.Extension) != string(want.VoteExtension) {
			t.Errorf("%d: %+v", i, e)
		}
	}
	// Bytes that were agreed on and are no transaction 0 are a transaction like another.
	r.Txs[0] = append(slices.Clone(votesPrefix), 1)
	if out, err = p.app.FinalizeBlock(t.Context(), r); err != nil || len(out.TxResults) != 2 || out.TxResults[0].Code == 0 || block.Extensions != nil {
		t.Errorf("%+v, %v", out, err)
	}
}

func TestTransactionZeroIsForProposersAlone(t *testing.T) {
	p := newPodium(t, carryAndLast)
	tx := p.propose(p.commit())[0]
	for _, tx := range [][]byte{tx, tx[:len(votesPrefix)]} {
		r, err := p.app.CheckTx(t.Context(), &abci.RequestCheckTx{Tx: tx})
		if err != nil || r.Code != uint32(ledger.ErrMalformed.Code) || !strings.Contains(r.Log, "proposer") {
			t.Errorf("%+v, %v", r, err)
		}
	}
	if _, _, err := ledger.DecodeTx(tx); !errors.Is(err, ledger.ErrMalformed) {
		t.Errorf("the ledger takes it for a transaction: %v", err)
	}
	if isVotes(ledger.Unsigned(ledger.ShardReady{})) {
		t.Error("a transaction is taken for transaction 0")
	}
}

// Whatever transaction 0 needs is taken from the room for others, and it always fits.
func TestOtherTransactionsGetTheRoomThatIsLeft(t *testing.T) {
	p := newPodium(t, carryAndLast)
	c := p.commit()
	zero := types.ComputeProtoSizeForTxs([]types.Tx{p.propose(c)[0]})
	one := types.ComputeProtoSizeForTxs([]types.Tx{p.transfer(0)})
	for room, want := range map[int64]int{zero: 1, zero + one - 1: 1, zero + one: 2, zero + 2*one: 3} {
		r, err := p.app.PrepareProposal(t.Context(), &abci.RequestPrepareProposal{Height: p.height, LocalLastCommit: c, MaxTxBytes: room, Txs: [][]byte{p.transfer(0), p.transfer(1), p.transfer(2)}})
		if err != nil || len(r.Txs) != want || types.ComputeProtoSizeForTxs(types.ToTxs(r.Txs)) > room {
			t.Errorf("%d bytes: %d transactions, want %d, %v", room, len(r.Txs), want, err)
		}
	}
	// The bound on its size holds: longest extensions, all votes, with the proposer's own.
	full := votes{Last: make([]byte, len(token.BLSSignature{}))}
	for range 1000 {
		full.Extensions = append(full.Extensions, signedExtension{Extension: make([]byte, challenge.MaxExtensionBytes), Signature: make([]byte, ed25519.SignatureSize)})
	}
	if n := int64(len(full.encode())); n > maxVotesBytes(1000) || n < maxVotesBytes(1000)-8 {
		t.Errorf("%d bytes, the bound is %d", n, maxVotesBytes(1000))
	}
	wide := ledger.Default()
	wide.Shards = 300 // evidence as CometBFT bounds it would leave no room beside so large a commit
	for _, params := range []ledger.Params{ledger.Default(), ledger.Testnet(), wide} {
		params.Challenged = true
		doc := genesisDoc(ledger.Genesis{Params: params}, nil)
		if err := letVotesBeExtended(doc, params); err != nil {
			t.Fatal(err)
		}
		least := types.MaxDataBytes(doc.ConsensusParams.Block.MaxBytes, doc.ConsensusParams.Evidence.MaxBytes, params.Shards)
		if least < 2*maxVotesBytes(params.Shards) {
			t.Errorf("%d shards: %d bytes are left in a block full of evidence", params.Shards, least)
		}
	}
	params := ledger.Default()
	params.Shards, params.Challenged = 1000, true
	if err := letVotesBeExtended(genesisDoc(ledger.Genesis{Params: params}, nil), params); err == nil || !strings.Contains(err.Error(), "at least") {
		t.Errorf("a thousand validators in 2 MiB: %v", err)
	}
}

func TestOnlyAChallengedNetworkExtendsVotes(t *testing.T) {
	g := newWorld(t, "test", 0).genesis
	for _, challenged := range []bool{false, true} {
		g.Params.Challenged = challenged
		doc, err := ledgerGenesis{g}.doc()
		if err != nil {
			t.Fatal(err)
		}
		if on := doc.ConsensusParams.ABCI.VoteExtensionsEnableHeight == 1; on != challenged {
			t.Errorf("challenged %v: vote extensions from height %d", challenged, doc.ConsensusParams.ABCI.VoteExtensionsEnableHeight)
		}
	}
}

// The signature that a draw follows from is that of the proposer in turn: not of
// the friend whose signature gives the better draw.
func TestAProposerCannotWriteAnothersName(t *testing.T) {
	p := newPodium(t, carryAndLast)
	c := p.commit()
	friend := 2
	v := p.votes(p.propose(c)[0])
	sig := p.secrets[friend].BLSKey().Sign(challenge.LastMessage(p.w.genesis.ChainID(), someRound))
	v.Last = sig[:]
	r := &abci.RequestProcessProposal{Height: p.height, ProposedLastCommit: withoutExtensions(c), Txs: [][]byte{v.encode()}, ProposerAddress: p.set.Validators[friend].Address}
	if refused, err := p.app.judge(r); !errors.Is(refused, errProposer) || err != nil {
		t.Errorf("%v, %v", refused, err)
	}
	p.self = friend // had it been its turn
	if refused, err := p.app.judge(r); refused != nil || err != nil {
		t.Errorf("%v, %v", refused, err)
	}
}

// doc/formats.md shows these bytes.
func TestVotesKeepTheirBytes(t *testing.T) {
	g := golden.File{Name: "votes.txt"}
	reveal := challenge.Extension{Reveal: &challenge.Reveal{Version: 1, Epoch: 3, Round: 5}}.Encode()
	last := token.BLSSignature{0xaa}
	g.Add("nobody", votes{}.encode())
	g.Add("two of three", votes{Extensions: []signedExtension{
		{Extension: reveal, Signature: append([]byte{0xbb}, make([]byte, ed25519.SignatureSize-1)...)}, {},
		{Signature: append([]byte{0xcc}, make([]byte, ed25519.SignatureSize-1)...)}}}.encode())
	g.Add("with the proposer's", votes{Last: last[:]}.encode())
	g.Add("signed by a voter", types.VoteExtensionSignBytes("test", &cmtproto.Vote{Extension: reveal, Height: 7, Round: 2}))
	g.Check(t)
}
