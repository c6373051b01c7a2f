package light

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cometbft/cometbft/crypto"
	"github.com/cometbft/cometbft/crypto/ed25519"
	"github.com/cometbft/cometbft/types"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// edit changes an honest answer to one kind of question.
func (w *world) edit(ask p2p.Ask, change func(body, answer []byte) []byte) oracle {
	return func(a p2p.Ask, body []byte) ([]byte, error) {
		answer, err := w.honest(a, body)
		if err == nil && a == ask {
			answer = change(body, answer)
		}
		return answer, err
	}
}

// forge changes headers, but not the first: what leads up to a lie is true.
func (w *world) forge(change func(*types.LightBlock) *types.LightBlock) oracle {
	return w.edit(p2p.AskLight, func(_, answer []byte) []byte {
		b, err := decodeBlock(answer, string(w.genesis.ChainID()))
		if err != nil {
			panic(err)
		}
		if b.Height == 1 {
			return answer
		}
		return encodeLight(change(b))
	})
}

// Each liar is asked before an honest node: the value that comes through is the true
// one, and the liar is blamed. Alone it gets nothing through.
func TestNoLieComesThroughAndTheLiarIsBlamed(t *testing.T) {
	const blocks = 30
	w := newWorld(t, "test", blocks)
	g := w.genesis // the same but for the asker's money
	g.Accounts = []ledger.GenesisAccount{{Address: g.Accounts[0].Address, Amount: 1}}
	robbed := newWorldOf(t, g, blocks)
	stranger := newWorld(t, "elsewhere", blocks)
	owner := w.genesis.Accounts[0].Address
	own := ed25519.GenPrivKey()
	ownSet := types.NewValidatorSet([]*types.Validator{types.NewValidator(own.PubKey(), 10)})
	usurper := &world{genesis: w.genesis, keys: map[string]crypto.PrivKey{string(own.PubKey().Address()): own}}
	one := &world{genesis: w.genesis, keys: map[string]crypto.PrivKey{}}
	for a, k := range w.keys {
		one.keys[a] = k
		if len(one.keys) == 2 {
			break // two of four sign
		}
	}
	resigned := func(by *world, set *types.ValidatorSet, change func(*types.Header)) oracle {
		return w.forge(func(b *types.LightBlock) *types.LightBlock {
			h := *b.Header
			change(&h)
			if set == nil {
				set = b.ValidatorSet
			}
			h.ValidatorsHash = set.Hash()
			return by.sign(h, set)
		})
	}
	robbedRoot := func(h *types.Header) {
		root := robbed.local.AppHash()
		h.AppHash = root[:]
	}
	liars := map[string]oracle{
		"changes a byte of a proof": w.edit(p2p.AskGet, func(_, b []byte) []byte { b = bytes.Clone(b); b[len(b)/2] ^= 1; return b }),
		"proves another key": w.edit(p2p.AskGet, func(body, _ []byte) []byte {
			b, _ := w.get(w.tip(), [][]byte{ledger.KeyAccount(token.Address{1})})
			return b
		}),
		"proves nothing":       w.edit(p2p.AskGet, func(_, _ []byte) []byte { return canon.Encode(getAnswer{Height: unit.Height(w.tip())}) }),
		"answers with noise":   func(p2p.Ask, []byte) ([]byte, error) { return []byte("noise"), nil },
		"answers with nothing": func(p2p.Ask, []byte) ([]byte, error) { return nil, nil },
		"answers at height 0":  w.edit(p2p.AskGet, func(_, _ []byte) []byte { return canon.Encode(getAnswer{Proofs: [][]byte{{1}}}) }),
		"shows another state":  robbed.honest,
		"is of another chain":  stranger.honest,
		"forges the first header too": w.edit(p2p.AskLight, func(_, answer []byte) []byte {
			b := must(decodeBlock(answer, string(w.genesis.ChainID())))
			h := *b.Header
			robbedRoot(&h)
			h.ValidatorsHash = ownSet.Hash()
			return encodeLight(usurper.sign(h, ownSet))
		}),
		"changes the header":        w.forge(func(b *types.LightBlock) *types.LightBlock { robbedRoot(b.Header); return b }),
		"signs with its own key":    resigned(usurper, ownSet, robbedRoot),
		"names its own committee":   resigned(w, ownSet, func(*types.Header) {}),
		"has half of the committee": resigned(one, nil, robbedRoot),
		"has a header from tomorrow": resigned(w, nil, func(h *types.Header) {
			if h.Height == w.tip() {
				h.Time = h.Time.Add(24 * time.Hour)
			}
		}),
		"gives another height": w.edit(p2p.AskLight, func(_, _ []byte) []byte {
			return encodeLight(w.blocks[w.tip()-5])
		}),
	}
	want, err := ledger.View{R: must(w.local.View(context.Background())).R}.Account(owner)
	if err != nil {
		t.Fatal(err)
	}
	for name, liar := range liars {
		t.Run(name, func(t *testing.T) {
			two := &town{nodes: []oracle{liar, w.honest}}
			got, err := readAccount(within(t), NewRemote(two, w.genesis, RemoteOptions{}), owner)
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v, %v; want %+v", got, err, want)
			}
			if _, ok := two.blamed[two.name(0)]; !ok || len(two.blamed) != 1 {
				t.Errorf("blamed: %v", two.blamed)
			}
			alone := &town{nodes: []oracle{liar}}
			if got, err := readAccount(within(t), NewRemote(alone, w.genesis, RemoteOptions{}), owner); err == nil {
				t.Errorf("alone it got %+v through", got)
			}
		})
	}
}

// What a node shows that holds the ledger back is true, but old: with one honest
// node beside it, the newer is taken.
func TestAnOldStateIsNotTakenWhereANewerIsKnown(t *testing.T) {
	const blocks = 60
	w := newWorld(t, "test", blocks)
	// As if the liar had stopped listening long ago: the same chain, cut off.
	past := newWorldOf(t, w.genesis, 20)
	past.began = w.began
	for h := range past.blocks {
		past.blocks[h] = w.blocks[h]
	}
	two := &town{nodes: []oracle{past.honest, w.honest}}
	r := NewRemote(two, w.genesis, RemoteOptions{})
	r.follow.now = func() time.Time { return w.began.Add(blocks*worldBlock + time.Second) }
	v := must(r.View(within(t)))
	head, err := v.Head()
	if err != nil || head.Height != blocks-1 {
		t.Fatalf("height %d, %v", head.Height, err)
	}
	// Where nothing newer is to be had, the ledger stands still, and is shown as it is.
	alone := NewRemote(&town{nodes: []oracle{past.honest}}, w.genesis, RemoteOptions{TrustPeriod: time.Hour})
	if head, err := must(alone.View(within(t))).Head(); err != nil || head.Height != 19 {
		t.Fatalf("height %d, %v", head.Height, err)
	}
}

func TestWhatIsTrustedTooLongAgoNeedsACheckpoint(t *testing.T) {
	const blocks = 20
	w := newWorld(t, "test", blocks)
	owner := w.genesis.Accounts[0].Address
	period := 10 * worldBlock
	now := func() time.Time { return w.began.Add((blocks + 1) * worldBlock) }
	only := &town{nodes: []oracle{w.honest}}
	r := NewRemote(only, w.genesis, RemoteOptions{TrustPeriod: period})
	r.follow.now = now
	if _, err := readAccount(within(t), r, owner); !errors.Is(err, ErrExpired) || !strings.Contains(err.Error(), "checkpoint") {
		t.Errorf("got %v", err)
	}
	if len(only.blamed) > 0 {
		t.Errorf("blamed for the time that went by: %v", only.blamed)
	}
	point := w.blocks[blocks-5]
	r = NewRemote(only, w.genesis, RemoteOptions{TrustPeriod: period, Checkpoint: &Checkpoint{Height: point.Height, Hash: blob.Hash(point.Hash())}})
	r.follow.now = now
	if a, err := readAccount(within(t), r, owner); err != nil || a.Balance == 0 {
		t.Errorf("with a checkpoint: %+v, %v", a, err)
	}
	r = NewRemote(only, w.genesis, RemoteOptions{TrustPeriod: period, Checkpoint: &Checkpoint{Height: point.Height, Hash: blob.Hash{1}}})
	r.follow.now = now
	if _, err := readAccount(within(t), r, owner); !errors.Is(err, ErrUntrusted) {
		t.Errorf("a checkpoint of another chain: %v", err)
	}
}

func TestAClockThatIsBehindIsNamedAndNoPeerBlamed(t *testing.T) {
	const blocks = 20
	w := newWorld(t, "test", blocks)
	only := &town{nodes: []oracle{w.honest}}
	r := NewRemote(only, w.genesis, RemoteOptions{})
	r.follow.now = func() time.Time { return w.began.Add(-10 * time.Minute) }
	_, err := readAccount(within(t), r, w.genesis.Accounts[0].Address)
	if !errors.Is(err, ErrClock) || !strings.Contains(err.Error(), "clock") {
		t.Errorf("got %v", err)
	}
	if len(only.blamed) > 0 {
		t.Errorf("blamed for our clock: %v", only.blamed)
	}
}

// In every tenth block a member of the committee is replaced: none of the first is
// left in the end.
func TestAChangingCommitteeIsFollowedBySkipping(t *testing.T) {
	const blocks = 120
	w := newWorld(t, "test", 1)
	sets := []*types.ValidatorSet{w.committee(t)}
	var seats []crypto.PubKey // the longest held first
	for _, v := range sets[0].Validators {
		seats = append(seats, v.PubKey)
	}
	for h := int64(1); h <= blocks; h++ {
		now := sets[len(sets)-1]
		next := now
		if h%10 == 0 {
			key := ed25519.GenPrivKey()
			w.keys[string(key.PubKey().Address())] = key
			next = now.Copy()
			change := []*types.Validator{types.NewValidator(key.PubKey(), 7), types.NewValidator(seats[0], 0)}
			if err := next.UpdateWithChangeSet(change); err != nil {
				t.Fatal(err)
			}
			seats = append(seats[1:], key.PubKey())
		}
		w.blocks[h] = w.sign(header(w.genesis, h, w.began.Add(time.Duration(h)*time.Millisecond), make([]byte, 32), now, next), now)
		sets = append(sets, next)
	}
	first, last := w.committee(t), w.blocks[blocks].ValidatorSet
	for _, v := range first.Validators {
		if last.HasAddress(v.Address) {
			t.Fatal("the test's committee did not change")
		}
	}
	fetched := 0
	f := &follower{genesis: w.genesis, period: time.Hour, now: time.Now}
	from := func(_ context.Context, h int64) (*types.LightBlock, error) {
		fetched++
		return w.blocks[h], nil
	}
	b, err := f.header(within(t), blocks, from)
	if err != nil || b.Height != blocks {
		t.Fatalf("got %v, %v", b, err)
	}
	if fetched > blocks/3 {
		t.Errorf("%d headers fetched of %d", fetched, blocks)
	}
	t.Logf("%d headers fetched of %d", fetched, blocks)
}

func readAccount(ctx context.Context, r *Remote, a token.Address) (ledger.Account, error) {
	v, err := r.View(ctx)
	if err != nil {
		return ledger.Account{}, err
	}
	return v.Account(a)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
