package light

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/unit"
)

// until answers as a node did when a block was its newest.
func (w *world) until(tip int64) oracle {
	return func(ask p2p.Ask, body []byte) ([]byte, error) {
		var q headerQuestion
		if err := canon.Decode(body, &q); ask != p2p.AskLight || err != nil {
			return nil, p2p.Refuse(p2p.CodeBadRequest, "headers only")
		}
		if q.Height == 0 {
			q.Height = unit.Height(tip)
		}
		if q.Height > unit.Height(tip) {
			return nil, p2p.Refuse(p2p.CodeNotHeld, "no block %d", q.Height)
		}
		return encodeLight(w.blocks[int64(q.Height)]), nil
	}
}

// look is a process that begins with what an earlier one has kept, and reads the newest
// header when tip is the newest block.
func (w *world) look(ctx context.Context, tip int64, o RemoteOptions) (newest int64, err error) {
	r := NewRemote(&town{nodes: []oracle{w.until(tip)}}, w.genesis, RemoteOptions{TrustPeriod: o.TrustPeriod, Checkpoint: o.Checkpoint, Keep: o.Keep})
	r.follow.now = func() time.Time { return w.began.Add(time.Duration(tip) * worldBlock) }
	if b, err := decodeKept(o.Kept, w.genesis, o.Checkpoint); err == nil {
		r.resume(b)
	}
	name := r.host.(*town).name(0)
	b, err := r.lightBlock(ctx, name, 0)
	if err == nil {
		_, err = r.header(ctx, name, b.Height)
	}
	if c, _, ok := r.NewestKnown(); ok {
		newest = c.Height
	}
	return newest, err
}

// A machine that looks at the chain once in less than a trust period can go on for ever. A
// machine that kept nothing, or looked too seldom, is told to name a checkpoint.
func TestTrustIsCarriedOverThreeTrustPeriods(t *testing.T) {
	const blocks, period, step = 4000, 1000, 800
	w := newWorld(t, "test", blocks)
	ctx := within(t)
	var kept []byte
	o := RemoteOptions{TrustPeriod: period * worldBlock, Keep: func(b []byte) { kept = b }}
	for tip := int64(step); tip <= blocks; tip += step {
		o.Kept = kept
		if newest, err := w.look(ctx, tip, o); err != nil || newest != tip {
			t.Fatalf("at block %d: newest %d, %v", tip, newest, err)
		}
	}
	for name, old := range map[string][]byte{
		"kept nothing":    nil,
		"kept garbage":    []byte("garbage"),
		"kept long ago":   must(encodeKept(w.genesis, nil, w.blocks[blocks-period-1])),
		"cut in writing":  kept[:len(kept)/2],
		"of other anchor": must(encodeKept(w.genesis, &Checkpoint{5, blob.Hash{1}}, w.blocks[blocks-5])),
	} {
		o.Kept = old
		if _, err := w.look(ctx, blocks, o); !errors.Is(err, ErrExpired) {
			t.Errorf("%s: %v", name, err)
		}
	}
	at := w.blocks[blocks-10]
	o.Kept, o.Checkpoint = nil, &Checkpoint{at.Height, blob.Hash(at.Hash())}
	if newest, err := w.look(ctx, blocks, o); err != nil || newest != blocks {
		t.Errorf("with a checkpoint: newest %d, %v", newest, err)
	}
	// A newer checkpoint outweighs what was kept, and a changed one makes it void.
	o.Kept = must(encodeKept(w.genesis, o.Checkpoint, w.blocks[blocks-20]))
	if newest, err := w.look(ctx, blocks, o); err != nil || newest != blocks {
		t.Errorf("with an older kept header: newest %d, %v", newest, err)
	}
	o.Checkpoint = &Checkpoint{at.Height, blob.Hash{1}}
	o.Kept = must(encodeKept(w.genesis, nil, w.blocks[blocks-1]))
	if _, err := w.look(ctx, blocks, o); !errors.Is(err, ErrUntrusted) {
		t.Errorf("a checkpoint that no node shows: %v", err)
	}
}

// Headers are kept for later processes now and then, not at every block.
func TestHeadersAreKeptSeldom(t *testing.T) {
	const blocks = 1300
	w := newWorld(t, "test", blocks)
	times := 0
	r := NewRemote(&town{nodes: []oracle{w.until(blocks)}}, w.genesis, RemoteOptions{TrustPeriod: 24 * time.Hour, Keep: func([]byte) { times++ }})
	for h := int64(1); h <= blocks; h++ {
		if _, err := r.follow.verify(within(t), w.blocks[h], r.source(r.host.(*town).name(0))); err != nil {
			t.Fatal(err)
		}
	}
	if most := int(time.Duration(blocks)*worldBlock/keepEvery) + 1; times == 0 || times > most {
		t.Errorf("kept %d times in %d blocks, at most %d", times, blocks, most)
	}
}

func TestCheckpointsAreReadAsTheyAreShown(t *testing.T) {
	c := Checkpoint{184467, blob.Hash{1, 2, 3}}
	if got, err := ParseCheckpoint(c.String()); err != nil || got != c {
		t.Errorf("%s: %v, %v", c, got, err)
	}
	for _, s := range []string{"", ":", "5", "5:", "0:" + c.Hash.String(), "-5:" + c.Hash.String(), "05:" + c.Hash.String(), "5:" + c.Hash.String()[1:], c.Hash.String() + ":5", "9223372036854775808:" + c.Hash.String()} {
		if _, err := ParseCheckpoint(s); err == nil {
			t.Errorf("%q was read", s)
		}
	}
}

// FuzzKeptHeader reads what lies in a file that anything may have damaged.
func FuzzKeptHeader(f *testing.F) {
	w := newWorld(f, "test", 3)
	f.Add(must(encodeKept(w.genesis, nil, w.blocks[3])))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if l, err := decodeKept(b, w.genesis, nil); err == nil && l.ValidateBasic(string(w.genesis.ChainID())) != nil {
			t.Error("a header that is not well formed was read")
		}
	})
}

// A machine that has seen more of a chain than its nodes have now is told so, and what to do
// where the network was begun anew. Its nodes answer: they are not said to be silent.
func TestAChainThatWasBegunAnewIsNoSilence(t *testing.T) {
	w := newWorld(t, "test", 20)
	kept := must(encodeKept(w.genesis, nil, w.blocks[20]))
	anew := newWorldOf(t, w.genesis, 5)
	town := &town{nodes: []oracle{anew.whole, anew.whole}}
	_, err := firstLook(within(t), NewRemote(town, w.genesis, RemoteOptions{Kept: kept, KeptIn: "/home/u/x.trust"}))
	if !errors.Is(err, ErrBehind) || errors.Is(err, ErrNoNode) || !strings.Contains(err.Error(), "/home/u/x.trust") || len(town.blamed) > 0 {
		t.Errorf("%v, blamed %v", err, town.blamed)
	}
	// On the word of a node, what was verified before counts no more.
	if _, err := firstLook(within(t), NewRemote(town, w.genesis, RemoteOptions{Kept: kept, TrustNode: true})); err != nil {
		t.Error(err)
	}
	// What this process has verified itself is no reason to begin anew.
	r := NewRemote(town, w.genesis, RemoteOptions{KeptIn: "/home/u/x.trust"})
	r.rise(20)
	if _, err := firstLook(within(t), r); !errors.Is(err, ErrBehind) || strings.Contains(err.Error(), "x.trust") {
		t.Error(err)
	}
}

// Nodes that are asked on their word contradict each other, and prove nothing of it.
func TestNoNodeIsBlamedForTheWordOfAnother(t *testing.T) {
	w := newWorld(t, "test", 20)
	liar := func(ask p2p.Ask, body []byte) ([]byte, error) {
		var q proveQuestion
		if ask != p2p.AskProve || decodeQuestion(body, &q) != nil {
			return w.whole(ask, body)
		}
		if q.Height != 0 {
			return nil, p2p.Refuse(p2p.CodeBusy, "busy")
		}
		header := w.blocks[20].Header
		made := *header
		made.AppHash = w.blocks[19].AppHash
		var a proveAnswer
		if err := decodeAnswer(must(w.whole(ask, body)), &a); err != nil {
			return nil, err
		}
		for i, k := range q.Keys {
			a.Proofs[i] = must(w.local.Machine().Prove(k, 18)).Encode()
		}
		a.More, a.Headers = nil, [][]byte{encodeLight(w.sign(made, w.committee(t)))}
		return canon.Encode(a), nil
	}
	town := &town{nodes: []oracle{liar, w.whole}}
	r := NewRemote(town, w.genesis, RemoteOptions{TrustNode: true})
	v, err := r.View(within(t))
	for _, key := range [][]byte{[]byte("a"), ledger.KeySupply()} {
		if err == nil {
			_, _, err = v.R.Get(key)
		}
	}
	if err != nil || town.blamed[town.name(1)] != nil {
		t.Errorf("%v, blamed %v", err, town.blamed)
	}
}

// A checkpoint that is too old to lead anywhere is refused before it takes the place of what
// is trusted.
func TestAnOldCheckpointIsNotBegunWith(t *testing.T) {
	const blocks, period = 100, 50
	w := newWorld(t, "test", blocks)
	for height, want := range map[int64]error{10: ErrExpired, 90: nil} {
		at := w.blocks[height]
		town := &town{nodes: []oracle{w.until(blocks)}}
		r := NewRemote(town, w.genesis, RemoteOptions{TrustPeriod: period * worldBlock, Checkpoint: &Checkpoint{height, blob.Hash(at.Hash())}})
		r.follow.now = func() time.Time { return w.began.Add(blocks * worldBlock) }
		if got, err := r.Begin(within(t)); !errors.Is(err, want) || err == nil && !got.Equal(at.Time) || len(town.blamed) > 0 {
			t.Errorf("block %d: %s, %v, blamed %v", height, got, err, town.blamed)
		}
	}
}
