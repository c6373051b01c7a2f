package comet

import (
	"slices"
	"testing"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
)

// Whatever bytes come as a light block: an error, or a block that is well formed.
func FuzzLightBlocksOfStrangers(f *testing.F) {
	w := newWorld(f, "test", 2)
	f.Add(encodeLight(w.blocks[1]))
	f.Add(encodeLight(w.blocks[2])[:100])
	f.Add([]byte{})
	chain := string(w.genesis.ChainID())
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := decodeLightBlock(b, chain)
		if err != nil {
			return
		}
		if err := l.ValidateBasic(chain); err != nil {
			t.Error(err)
		}
		follow := &follower{genesis: w.genesis, period: maxTrust, now: NewRemote(&town{}, w.genesis, RemoteOptions{}).follow.now}
		got, err := follow.verify(t.Context(), l, NewRemote(&town{nodes: []oracle{w.honest}}, w.genesis, RemoteOptions{}).source("node-0"))
		if err == nil && string(got.Hash()) != string(w.blocks[l.Height].Hash()) {
			t.Error("verified a header that the committee never signed")
		}
	})
}

// Whatever bytes come as proofs: the true value or an error.
func FuzzProofsOfStrangers(f *testing.F) {
	w := newWorld(f, "test", 4)
	owner := w.genesis.Accounts[0].Address
	key := ledger.KeyAccount(owner)
	answer, err := w.get(w.tip(), [][]byte{key})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(answer)
	f.Add(canon.Encode(getAnswer{Height: 1, Proofs: [][]byte{{}}}))
	truth, _, err := must(w.local.View(f.Context())).R.Get(key)
	if err != nil {
		f.Fatal(err)
	}
	remote := NewRemote(&town{nodes: []oracle{w.honest}}, w.genesis, RemoteOptions{})
	f.Fuzz(func(t *testing.T, b []byte) {
		v := &reader{ctx: t.Context(), r: remote, read: map[string]value{}}
		if _, err := v.accept(t.Context(), peer.ID("node-0"), [][]byte{key}, b); err != nil {
			if len(v.read) > 0 {
				t.Error("kept a part of what was refused")
			}
			return
		}
		if got := v.read[string(key)]; !got.ok || string(got.bytes) != string(truth) {
			t.Errorf("got %x through", got.bytes)
		}
	})
}

// Whatever is asked: an answer or a refusal, and lists that end.
func FuzzQuestionsOfStrangers(f *testing.F) {
	c := newFuzzChain(f)
	f.Add(uint8(p2p.AskGet), canon.Encode(getQuestion{Keys: [][]byte{[]byte("k")}}))
	f.Add(uint8(p2p.AskLight), canon.Encode(lightQuestion{Height: 1}))
	f.Add(uint8(p2p.AskLight), canon.Encode(lightQuestion{Height: 1 << 63}))
	f.Add(uint8(p2p.AskList), canon.Encode(listQuestion{Prefix: []byte{}}))
	f.Add(uint8(p2p.AskList), canon.Encode(listQuestion{Prefix: []byte("n"), After: []byte("n1")}))
	f.Add(uint8(p2p.AskPart), canon.Encode(partQuestion{Height: 3, Key: []byte("h"), From: 1}))
	f.Add(uint8(p2p.AskPart), canon.Encode(partQuestion{Height: 1 << 63, Key: []byte("h"), From: 1 << 63}))
	f.Add(uint8(p2p.AskGenesis), canon.Encode(partQuestion{From: 7}))
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

// Whatever is sent for a list: a walk ends, and hands on nothing but what is there.
func FuzzListsOfStrangers(f *testing.F) {
	things := shelf("zz", 40)
	l := newLibrary(f, things)
	truth := wanted(things)
	f.Add(canon.Encode(l.truly(listQuestion{Prefix: []byte("zz")})))
	f.Add(canon.Encode(listAnswer{Keys: [][]byte{things[0].Key}, More: true}))
	f.Add(canon.Encode(listAnswer{Keys: up(nil, 3), More: true}))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, town := l.reader(t, func(ask p2p.Ask, body []byte) ([]byte, error) {
			if ask == p2p.AskList {
				return b, nil
			}
			return l.honest(ask, body)
		})
		got, _ := walked(v, "zz")
		for _, x := range got {
			if !slices.Contains(truth, x) {
				t.Errorf("handed on %s", x)
			}
		}
		if town.asked > 40 {
			t.Errorf("%d questions", town.asked)
		}
	})
}

// Whatever a proposer puts first: an answer, never a panic; what is taken is exactly what
// an honest proposer would write, by those who voted.
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
	for h := uint64(1); h < 4; h++ {
		if _, err := c.machine.Execute(ledger.Block{Height: h, TimeMs: w.genesis.Time}); err != nil {
			f.Fatal(err)
		}
		if err := c.machine.Commit(); err != nil {
			f.Fatal(err)
		}
	}
	return c
}
