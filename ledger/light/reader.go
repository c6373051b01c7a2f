package light

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/cometbft/cometbft/types"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/state"
	"github.com/walrus-network/walrus/unit"
)

// View reads the ledger as of now. It is for one task: it keeps the values that it has
// read, and the end of ctx ends it.
func (r *Remote) View(ctx context.Context) (ledger.View, error) {
	if err := ctx.Err(); err != nil {
		return ledger.View{}, err
	}
	return ledger.View{R: &reader{ctx: ctx, r: r, read: map[string]value{}}}, nil
}

// viewAt is View of the state that the header of a height names, which may be one of the next;
// where no node has it, of the newest.
func (r *Remote) viewAt(ctx context.Context, height unit.Height) ledger.View {
	return ledger.View{R: &reader{ctx: ctx, r: r, want: height, read: map[string]value{}}}
}

// reader is a state.Lister over proven answers. The interface has no room for a
// context; a reader lives no longer than the one it was made with.
type reader struct {
	ctx   context.Context
	r     *Remote
	at    *types.LightBlock // verified: names the state that is read; nil: nothing was read yet
	want  unit.Height       // of the header that is to name the first state; 0: the newest
	read  map[string]value  // by key; values of walks are not kept
	bytes int               // of these, about
	// committee says that the present committee was read too, as much of it as fits into an answer.
	committee bool
	listed    *listed // answer to a list question that was put ahead of its walk; nil: none
	// beside is the keys to read while a page that was listed ahead is proven; nil: none.
	beside func(listed [][]byte) [][]byte
}

type value struct {
	bytes []byte
	ok    bool
}

var _ state.Lister = (*reader)(nil)

// mostGone is the number of nodes that say they do not keep a state, after which no other is
// asked for it: nodes keep a few states, all of them the newest, and one or two are a block
// behind.
const mostGone = 3

// Bounds on a reader's questions, and on the values that it keeps.
const (
	askedKeys  = 256      // keys of one question
	askedBytes = 12 << 10 // of these: a question is a small frame
	readBytes  = 32 << 20 // of values that are kept
)

// Get reads a key, proven present or absent.
func (v *reader) Get(key []byte) ([]byte, bool, error) {
	if got, ok := v.read[string(key)]; ok {
		return got.bytes, got.ok, nil
	}
	if err := v.Prefetch([][]byte{key}); err != nil {
		return nil, false, err
	}
	got := v.read[string(key)]
	return got.bytes, got.ok, nil
}

// Prefetch reads many keys with few questions. An answer holds as many proofs as fit.
func (v *reader) Prefetch(keys [][]byte) error { return v.prefetch(keys, false) }

// PrefetchCommittee is Prefetch, with the committee of the present epoch and the records
// of its nodes in the same answer.
func (v *reader) PrefetchCommittee(keys [][]byte) error { return v.prefetch(keys, true) }

// PrefetchList is PrefetchCommittee, with the question for the first page of keys that begin
// with prefix beside it: the walk over them begins with their proofs.
func (v *reader) PrefetchList(prefix []byte, keys [][]byte) error {
	q := listQuestion{Prefix: prefix}
	var asking sync.WaitGroup
	asking.Go(func() { v.listed = v.r.listAhead(v.ctx, q) })
	err := v.PrefetchCommittee(keys)
	asking.Wait()
	return err
}

// PrefetchBeside lets the next walk read keys while it proves the page that was asked for ahead
// of it.
func (v *reader) PrefetchBeside(keys func(listed [][]byte) [][]byte) { v.beside = keys }

func (v *reader) prefetch(keys [][]byte, committee bool) error {
	committee = committee && !v.committee
	keys = slices.DeleteFunc(slices.Clone(keys), func(k []byte) bool {
		_, has := v.read[string(k)]
		return has
	})
	if len(keys) == 0 && committee {
		keys = [][]byte{ledger.KeyHead()}
	}
	for len(keys) > 0 {
		got, err := v.ask(question(keys), committee)
		if err != nil {
			return err
		}
		keys, committee = keys[got:], false
	}
	return nil
}

// ask reads the first of keys in the state that was read before, and returns their number.
// Once the nodes keep that state no longer, and once this process has written to the
// ledger, it is the newest state that is read from then on.
func (v *reader) ask(keys [][]byte, committee bool) (got int, err error) {
	if v.at != nil && v.r.written.Load() >= uint64(v.at.Height) {
		v.forget()
	}
	for {
		height, most := unit.Height(0), unpinned
		switch {
		case v.at != nil:
			height, most = unit.Height(v.at.Height), mostGone
		case v.want != 0:
			height, most = v.want, 1
		}
		at, q := v.at, v.r.question(keys, height, committee)
		err = v.r.askAbout(v.ctx, most, p2p.AskProve, canon.Encode(q), func(ctx context.Context, from peer.ID, b []byte) (func(), error) {
			out, err := v.r.check(ctx, from, q, at, b)
			return func() {
				v.keep(keys, out)
				got = len(out.values)
			}, err
		})
		if err == nil || height == 0 || v.ctx.Err() != nil || errors.Is(err, ErrNoNode) {
			return got, err
		}
		v.forget()
	}
}

// forget leaves the state that was read before.
func (v *reader) forget() {
	clear(v.read)
	v.at, v.want, v.bytes, v.committee = nil, 0, 0, false
}

// question is the first keys that one question may have.
func question(keys [][]byte) [][]byte {
	size := 0
	for i, k := range keys {
		if size += len(k); i == askedKeys || i > 0 && size > askedBytes {
			return keys[:i]
		}
	}
	return keys
}

// keep takes over what an answer proves.
func (v *reader) keep(keys [][]byte, out provenAnswer) {
	v.at, v.committee = out.header, v.committee || len(out.more) > 0
	size := 0
	for i, got := range out.values {
		size += len(keys[i]) + len(got.bytes)
	}
	for k, got := range out.more {
		size += len(k) + len(got.bytes)
	}
	if v.bytes += size; v.bytes > readBytes {
		clear(v.read) // it is asked for again
		v.bytes, v.committee = size, len(out.more) > 0
	}
	for i, got := range out.values {
		v.read[string(keys[i])] = got
	}
	maps.Copy(v.read, out.more)
}
