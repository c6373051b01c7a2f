package node

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/redstuff"
	"github.com/walrus-network/walrus/store"
	"github.com/walrus-network/walrus/token"
)

// Bounds of a trial, so that it takes a few seconds on any machine that may take part.
const (
	trialStripe    = 32 << 20        // bytes of the stripe that is cut, at most
	trialKept      = 16 << 20        // bytes of its fragments that are kept, at most
	trialOpenings  = 32              // that are proven, at most
	trialPlaces    = 4               // that are kept, at least
	trialTime      = 5 * time.Second // after which no further one is proven
	trialStaleness = time.Hour       // after which what a trial left is nobody's
	trialPrefix    = "doctor-"
)

// TryProving measures what a round costs on this machine: it keeps fragments of the
// network's shape in a store of its own beside the real ones, proves them as a round
// would, from the disk and not from memory as far as the system lets go of it, and checks
// the proofs. What it wrote is gone when it returns, also when ctx ends.
//
// A store of its own, and not the real one, also where the node runs: a new network holds
// nothing that could be proven, and what a node holds would tell nothing of the fragments
// it may be given. A node that runs beside it takes its part of the disk, as it will in
// a round.
//
// From 257 shards on a whole stripe would not fit into the memory of a small machine: a
// smaller one is cut, and the time grown with the bytes, which is rather too much.
func TryProving(ctx context.Context, dir string, p ledger.Params) (OpeningTime, error) {
	t, err := newTrial(ctx, dir, p)
	if err != nil {
		return OpeningTime{}, fmt.Errorf("measure the proof time: %w", err)
	}
	defer t.close()
	out, err := t.run(ctx)
	if err == nil {
		err = t.close()
	}
	if err != nil {
		return out, fmt.Errorf("measure the proof time: %w", err)
	}
	return out, nil
}

// trial is a stripe of random bytes, of which some places are kept.
type trial struct {
	dir    string
	params ledger.Params
	code   *redstuff.Code
	c      blob.Commitment
	shards []blob.Shard // whose places are kept
	grown  int          // a symbol of the network has so many times the bytes
	store  *store.Store
}

func newTrial(ctx context.Context, dir string, p ledger.Params) (t *trial, err error) {
	shape, err := p.Shape()
	if err != nil {
		return nil, err
	}
	if err := sweepTrials(dir); err != nil {
		return nil, err
	}
	place := dir
	if info, err := os.Stat(filepath.Join(dir, FragmentsDir)); err == nil && info.IsDir() {
		place = filepath.Join(dir, FragmentsDir) // it may be another disk
	}
	t = &trial{params: p, code: redstuff.For(shape)}
	if t.dir, err = os.MkdirTemp(place, trialPrefix); err != nil {
		return nil, err
	}
	if err = t.fill(ctx, shape); err != nil {
		return nil, errors.Join(err, t.close())
	}
	return t, nil
}

// sweepTrials removes what a trial that was killed has left.
func sweepTrials(dir string) error {
	var errs []error
	for _, place := range []string{dir, filepath.Join(dir, FragmentsDir)} {
		list, err := os.ReadDir(place)
		if err != nil {
			continue // not there yet
		}
		for _, e := range list {
			info, err := e.Info()
			if err == nil && e.IsDir() && strings.HasPrefix(e.Name(), trialPrefix) && time.Since(info.ModTime()) > trialStaleness {
				errs = append(errs, os.RemoveAll(filepath.Join(place, e.Name())))
			}
		}
	}
	return errors.Join(errs...)
}

func (t *trial) open() (err error) {
	t.store, err = store.Open(store.Options{Dir: t.dir})
	return err
}

func (t *trial) shut() (err error) {
	if t.store != nil {
		err = t.store.Close()
		t.store = nil
	}
	return err
}

// close removes all of it. It may be called twice.
func (t *trial) close() error { return errors.Join(t.shut(), os.RemoveAll(t.dir)) }

// fill cuts a stripe and keeps the fragments of some places.
func (t *trial) fill(ctx context.Context, shape blob.Shape) error {
	cells, symbol := shape.K1*shape.K2, shape.MaxSymbol()
	seg := min(symbol, trialStripe/cells) &^ 1
	t.grown = (symbol + seg - 1) / seg
	l, err := shape.Layout(int64(cells) * int64(seg))
	if err != nil {
		return err
	}
	data := make([]byte, l.Size)
	if _, err := rand.Read(data); err != nil {
		return err
	}
	var stripe *redstuff.Stripe
	c, tree, err := t.code.Commit(ctx, l, bytes.NewReader(data), 1, func(s *redstuff.Stripe) error { stripe = s; return nil })
	if err != nil {
		return err
	}
	defer stripe.Release()
	t.c = c
	if err := t.open(); err != nil {
		return err
	}
	if err := t.store.Keep(ctx, blob.NewManifest(l, c.Root)); err != nil {
		return err
	}
	pair := (shape.K1 + shape.K2) * seg
	for s := range min(shape.N, trialOpenings, max(trialPlaces, trialKept/pair)) {
		place := c.ID.PlaceOf(blob.Shard(s), shape.N)
		if err := t.keep(ctx, stripe, tree.Path(0), place); err != nil {
			return err
		}
		t.shards = append(t.shards, blob.Shard(s))
	}
	return nil
}

func (t *trial) keep(ctx context.Context, s *redstuff.Stripe, path []blob.Hash, place blob.Place) error {
	w := s.Tree().Witness(place, s.Parity(place), path)
	roots, err := w.Prove(t.c, 0, place)
	if err != nil {
		return err
	}
	var pieces []store.Piece
	for _, axis := range []blob.Axis{blob.Row, blob.Column} {
		fragment, err := roots.Possess(axis, s.AppendFragment(nil, axis, place), t.code)
		if err != nil {
			return err
		}
		pieces = append(pieces, store.Piece{Fragment: fragment, Witness: w})
	}
	return t.store.Put(ctx, t.c.ID, pieces...)
}

// run asks each shard one question, and then again, until there are enough answers.
func (t *trial) run(ctx context.Context) (out OpeningTime, err error) {
	if err := t.cold(); err != nil {
		return out, err
	}
	var proves, verifies []time.Duration
	for begin, i := time.Now(), 0; i < trialOpenings && (i < len(t.shards) || time.Since(begin) < trialTime); i++ {
		if err := ctx.Err(); err != nil {
			return out, err
		}
		if i > 0 && i%len(t.shards) == 0 {
			if err := t.cold(); err != nil {
				return out, err
			}
		}
		prove, verify, err := t.answer(t.shards[i%len(t.shards)], uint64(i))
		if err != nil {
			return out, err
		}
		proves, verifies = append(proves, prove), append(verifies, verify)
		if time.Since(begin) > trialTime {
			break
		}
	}
	grown := time.Duration(t.grown)
	return OpeningTime{Prove: mean(proves) * grown, Verify: mean(verifies) * grown}, nil
}

// cold makes the store read from the disk again.
func (t *trial) cold() error {
	if err := t.shut(); err != nil {
		return err
	}
	if err := forgetFiles(t.dir); err != nil {
		return err
	}
	return t.open()
}

func (t *trial) answer(s blob.Shard, round uint64) (prove, verify time.Duration, err error) {
	key := token.KeyFromSeed([32]byte{1}) // of nobody: it signs a trial
	r, beacon := challenge.Round{Round: round}, blob.Leaf([]byte{byte(round)})
	layout := func(blob.ID) blob.Layout { return t.c.Layout }
	questions := challenge.Questions(t.params.Challenge, beacon, []challenge.Draw{{Blob: t.c.ID}}, s, layout)
	begin := time.Now()
	proof, err := challenge.Prove("trial", key, r, beacon, s, questions, t.store, t.code, layout)
	if err != nil {
		return 0, 0, err
	}
	prove = time.Since(begin)
	begin = time.Now()
	err = challenge.Verify("trial", key.Public(), r, beacon, questions, func(blob.ID) blob.Commitment { return t.c }, proof)
	return prove, time.Since(begin), err
}

func mean(list []time.Duration) (sum time.Duration) {
	for _, d := range list {
		sum += d
	}
	return sum / time.Duration(max(len(list), 1))
}

// median is the upper one of the two in the middle.
func median(list []time.Duration) time.Duration {
	if len(list) == 0 {
		return 0
	}
	list = slices.Clone(list)
	slices.Sort(list)
	return list[len(list)/2]
}
