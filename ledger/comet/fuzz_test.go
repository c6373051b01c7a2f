package comet

import (
	"testing"

	abci "github.com/cometbft/cometbft/abci/types"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/unit"
)

// Whatever is asked: an answer or a refusal, and lists that end.
func FuzzQuestionsOfStrangers(f *testing.F) {
	c := newFuzzChain(f)
	f.Add(uint8(p2p.AskGet), canon.Encode([]any{[][]byte{[]byte("k")}}))
	f.Add(uint8(p2p.AskLight), canon.Encode([]any{uint64(1)}))
	f.Add(uint8(p2p.AskProve), canon.Encode([]any{[][]byte{[]byte("k")}, uint64(0), uint64(0), uint64(1), true}))
	f.Add(uint8(p2p.AskProve), canon.Encode([]any{[][]byte{[]byte("k")}, uint64(1 << 63), uint64(1 << 62), uint64(1 << 63), true}))
	f.Add(uint8(p2p.AskLight), canon.Encode([]any{uint64(1 << 63)}))
	f.Add(uint8(p2p.AskList), canon.Encode([]any{[]byte{}, []byte{}}))
	f.Add(uint8(p2p.AskList), canon.Encode([]any{[]byte("n"), []byte("n1")}))
	f.Add(uint8(p2p.AskPart), canon.Encode([]any{uint64(3), []byte("h"), uint64(1)}))
	f.Add(uint8(p2p.AskPart), canon.Encode([]any{uint64(1 << 63), []byte("h"), uint64(1 << 63)}))
	f.Add(uint8(p2p.AskGenesis), canon.Encode([]any{uint64(0), []byte{}, uint64(7)}))
	f.Fuzz(func(t *testing.T, ask uint8, body []byte) {
		if p2p.Ask(ask) == p2p.AskSubmit {
			return // FuzzTransactions of package ledger, and it waits for a block
		}
		answer, err := c.Oracle().Answer(t.Context(), "", p2p.Ask(ask), body)
		if err == nil && len(answer) > p2p.MaxAnswer {
			t.Errorf("answer of %d bytes", len(answer))
		}
	})
}

// Whatever a proposer puts first: an answer, never a panic; what is taken is exactly what
// an honest proposer would write, by the validators that voted.
func FuzzVotesOfStrangers(f *testing.F) {
	p := newPodium(f, carryAndLast)
	c := p.commit()
	txs := p.propose(c)
	f.Add(txs[0])
	f.Add(txs[0][:len(votesPrefix)+1])
	f.Add(votes{}.encode())
	f.Add(votes{Extensions: make([]signedExtension, 4)}.encode())
	f.Fuzz(func(t *testing.T, tx []byte) {
		p.t = t
		v, err := decodeVotes(tx, len(p.secrets))
		if err == nil && (string(v.encode()) != string(tx) || !isVotes(tx)) {
			t.Fatal("two encodings of the same votes")
		}
		if p.process(c, [][]byte{tx}) {
			for i, e := range v.Extensions {
				if len(e.Signature) > 0 && string(e.Extension) != string(c.Votes[i].VoteExtension) {
					t.Fatalf("took words of %d that it never signed", i)
				}
			}
		}
		r := &abci.RequestFinalizeBlock{Height: p.height, Txs: [][]byte{tx}, DecidedLastCommit: withoutExtensions(c)}
		if _, _, _, err := p.app.carried(carryAndLast, r); err != nil {
			t.Fatal(err)
		}
	})
}

// Whatever a vote brings along: taken or refused, and what is taken can be carried.
func FuzzExtensionsOfStrangers(f *testing.F) {
	chain, key := newWorld(f, "test", 0).genesis.ChainID(), worldSecret(0).BLSKey()
	f.Add([]byte{})
	f.Add(challenge.NewReveal(chain, key, someRound).Encode())
	f.Add(challenge.NewAttest(someRound, true, blob.Hash{}, make([]byte, 4)).Encode())
	var stages []*podium
	for _, w := range []ledger.Wants{{Round: someRound}, {Round: someRound, Reveal: true}, {Round: someRound, Attest: true}} {
		stages = append(stages, newPodium(f, w))
	}
	f.Fuzz(func(t *testing.T, extension []byte) {
		for _, p := range stages {
			if p.t = t; !p.takes(p.height, extension) {
				continue
			}
			e, err := challenge.DecodeExtension(extension, 28)
			if err != nil || string(e.Encode()) != string(extension) {
				t.Fatalf("%x was taken: %v", extension, err)
			}
		}
	})
}

// newFuzzChain is a chain with blocks that has stopped moving.
func newFuzzChain(f *testing.F) *Chain {
	w := newWorld(f, "test", 0)
	key := worldSecret(0).Key()
	c, err := Open(Options{Dir: f.TempDir(), KeyDir: f.TempDir(), Genesis: w.genesis, Key: key, Listen: "127.0.0.1:0", Peers: func() []Peer { return nil }, Log: quiet()})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { c.db.Close() })
	for h := unit.Height(1); h < 4; h++ {
		if _, err := c.machine.Execute(ledger.Block{Height: h, TimeMs: w.genesis.Time}); err != nil {
			f.Fatal(err)
		}
		if err := c.machine.Commit(); err != nil {
			f.Fatal(err)
		}
	}
	return c
}
