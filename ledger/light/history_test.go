package light

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/cometbft/cometbft/crypto/ed25519"
	"github.com/cometbft/cometbft/types"

	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
)

// pruned is a chain whose committee is another every ten blocks, all of it. Of its sixty
// blocks the last ten are there, and the headers that are kept for ever.
type pruned struct {
	*world
	kept []*types.LightBlock // ascending
}

func newPruned(t *testing.T) *pruned {
	t.Helper()
	const blocks, each = 60, 10
	w := &pruned{world: newWorld(t, "pruned", 1)}
	sets := []*types.ValidatorSet{w.committee(t)}
	for k := 1; k <= blocks/each; k++ {
		var list []*types.Validator
		for i := range 4 {
			key := ed25519.GenPrivKeyFromSecret([]byte{byte(k), byte(i)})
			w.keys[string(key.PubKey().Address())] = key
			list = append(list, types.NewValidator(key.PubKey(), 1))
		}
		sets = append(sets, types.NewValidatorSet(list))
	}
	began := time.Now().Add(-blocks * worldBlock)
	for h := int64(1); h <= blocks; h++ {
		now, next := sets[(h-1)/each], sets[h/each]
		b := w.sign(header(w.genesis, h, began.Add(time.Duration(h)*worldBlock), make([]byte, 32), now, next), now)
		w.blocks[h] = b
		if h == 1 || h%each == 0 || h%each == 1 {
			w.kept = append(w.kept, b)
		}
	}
	return w
}

func (w *pruned) answer(ask p2p.Ask, body []byte) ([]byte, error) {
	switch ask {
	case p2p.AskLight:
		var q headerQuestion
		if err := decodeQuestion(body, &q); err != nil {
			return nil, err
		}
		if q.Height == 0 {
			q.Height = 60
		}
		if q.Height > 50 {
			return encodeLight(w.blocks[int64(q.Height)]), nil
		}
		for _, b := range w.kept {
			if b.Height >= int64(q.Height) {
				return encodeLight(b), nil
			}
		}
	case p2p.AskHistory:
		return AnswerHistory(w, body)
	}
	return nil, p2p.Refuse(p2p.CodeBadRequest, "no")
}

// History gives three headers at a time.
func (w *pruned) History(from, _ int64) (out [][]byte, more bool, err error) {
	for _, b := range w.kept {
		if b.Height >= from {
			if len(out) == 3 {
				return out, true, nil
			}
			out = append(out, encodeLight(b))
		}
	}
	return out, false, nil
}

func (w *pruned) without(height int64) *pruned {
	c := *w
	c.kept = slices.DeleteFunc(slices.Clone(w.kept), func(b *types.LightBlock) bool { return b.Height == height })
	return &c
}

func (w *pruned) remote(nodes ...oracle) (*Remote, *town) {
	net := &town{nodes: nodes}
	return NewRemote(net, w.genesis, RemoteOptions{TrustPeriod: time.Hour}), net
}

func TestTheWayLeadsOverPrunedBlocks(t *testing.T) {
	w := newPruned(t)
	r, net := w.remote(w.answer)
	got, err := r.Headers(within(t), 58, 3)
	if err != nil || len(got) != 3 || got[2].Height != 60 {
		t.Fatal(got, err)
	}
	if b, err := r.Newest(within(t)); err != nil || b.Height != 60 {
		t.Errorf("%v, %v", b, err)
	}
	// A height that was pruned is not there; that is no lie.
	if _, err := r.Headers(within(t), 15, 1); !p2p.IsRefusal(err, p2p.CodeNotHeld) {
		t.Errorf("a pruned height: %v", err)
	}
	if len(net.blamed) > 0 {
		t.Errorf("blamed: %v", net.blamed)
	}
	// Inside the rules of trust, and not beyond.
	old, _ := w.remote(w.answer)
	old.follow.period = 30 * time.Second
	if _, err := old.Headers(within(t), 60, 1); !errors.Is(err, ErrExpired) {
		t.Errorf("headers older than they may be: %v", err)
	}
	// The header before the committee changed is left out: nothing leads on, but where a node
	// has it.
	gap := w.without(30)
	r, _ = w.remote(gap.answer)
	if _, err := r.Headers(within(t), 60, 1); err == nil {
		t.Error("a committee was trusted that none before it names")
	}
	r, _ = w.remote(gap.answer, w.answer)
	if _, err := r.Headers(within(t), 60, 1); err != nil {
		t.Error(err)
	}
}

func TestBetweenTakesNoHeaderFromElsewhere(t *testing.T) {
	w := newPruned(t)
	give := func(h int64) source {
		return func(context.Context, int64) (*types.LightBlock, error) { return w.blocks[h], nil }
	}
	for _, h := range []int64{3, 10, 14} {
		if b, err := between(within(t), 10, 20, give(h)); err == nil {
			t.Errorf("header %d between 10 and 20, where 15 was asked for", b.Height)
		}
	}
	if _, err := between(within(t), 10, 20, give(20)); err == nil {
		t.Error("no header is between, and one was found")
	}
}

// history is what a remote takes of a history.
func history(t *testing.T, r *Remote, last *types.LightBlock) (heights []int64, err error) {
	t.Helper()
	err = r.History(within(t), last, func(b *types.LightBlock) error {
		heights = append(heights, b.Height)
		return nil
	})
	return heights, err
}

func TestAHistoryIsProvenFromTheGenesisToItsEnd(t *testing.T) {
	w := newPruned(t)
	r, net := w.remote(w.answer)
	last := w.blocks[58]
	want := []int64{1, 10, 11, 20, 21, 30, 31, 40, 41, 50, 51}
	if got, err := history(t, r, last); err != nil || !slices.Equal(got, want) {
		t.Fatalf("%v, %v", got, err)
	}
	if len(net.blamed) > 0 {
		t.Errorf("blamed: %v", net.blamed)
	}
	forged := *w
	forged.kept = slices.Clone(w.kept)
	bent := *w.kept[3].Header
	bent.AppHash = bytes.Repeat([]byte{9}, 32)
	commit := *w.kept[3].Commit
	commit.BlockID.Hash = bent.Hash()
	forged.kept[3] = &types.LightBlock{SignedHeader: &types.SignedHeader{Header: &bent, Commit: &commit}, ValidatorSet: w.kept[3].ValidatorSet}
	lies := map[string]oracle{
		"one left out":   w.without(30).answer,
		"the first":      w.without(1).answer,
		"the last":       w.without(50).answer,
		"one forged":     forged.answer,
		"none":           func(p2p.Ask, []byte) ([]byte, error) { return canon.Encode(historyAnswer{}), nil },
		"none, and more": func(p2p.Ask, []byte) ([]byte, error) { return canon.Encode(historyAnswer{More: true}), nil },
		"the same again": func(p2p.Ask, []byte) ([]byte, error) {
			return canon.Encode(historyAnswer{Blocks: [][]byte{encodeLight(w.kept[0]), encodeLight(w.kept[0])}, More: true}), nil
		},
		"from the middle": func(_ p2p.Ask, _ []byte) ([]byte, error) {
			return AnswerHistory(w, canon.Encode(historyQuestion{From: 25}))
		},
	}
	for name, lie := range lies {
		r, net := w.remote(lie)
		if got, err := history(t, r, last); err == nil {
			t.Errorf("%s: %v", name, got)
		} else if len(net.blamed) == 0 {
			t.Errorf("%s: not blamed: %v", name, err)
		}
		r, _ = w.remote(lie, w.answer)
		if got, err := history(t, r, last); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: beside an honest node: %v, %v", name, got, err)
		}
	}
}

func FuzzHistory(f *testing.F) {
	g := ledger.Genesis{Name: "fuzz", Params: ledger.Testnet()}
	r := NewRemote(&town{}, g, RemoteOptions{TrustPeriod: time.Hour})
	f.Add(canon.Encode(historyAnswer{Blocks: [][]byte{{1}}, More: true}))
	f.Add(canon.Encode(historyAnswer{}))
	f.Fuzz(func(t *testing.T, raw []byte) {
		blocks, more, err := r.decodeHistory(raw, 1)
		if err == nil && more && len(blocks) == 0 {
			t.Fatal("a history without an end")
		}
	})
}
