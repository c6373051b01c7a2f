package light

import (
	"slices"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/canon"
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
		l, err := decodeBlock(b, chain)
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
	remote := NewRemote(&town{nodes: []oracle{w.honest}}, w.genesis, RemoteOptions{})
	q := remote.question([][]byte{key}, 0, true)
	answer, err := w.whole(p2p.AskProve, canon.Encode(q))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(answer)
	f.Add(canon.Encode(proveAnswer{Height: 1, Proofs: [][]byte{{}}}))
	truth, _, err := must(w.local.View(f.Context())).R.Get(key)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		out, err := remote.check(t.Context(), peer.ID("node-0"), q, nil, b)
		if err != nil {
			return
		}
		if got := out.values[0]; !got.ok || string(got.bytes) != string(truth) {
			t.Errorf("got %x through", got.bytes)
		}
		for k, got := range out.more {
			if want, ok, err := must(w.local.View(t.Context())).R.Get([]byte(k)); err != nil || ok != got.ok || string(want) != string(got.bytes) {
				t.Errorf("got %x through for %x", got.bytes, k)
			}
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
