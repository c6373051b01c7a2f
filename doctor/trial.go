package doctor

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
	"github.com/walrus-network/walrus/node"
	"github.com/walrus-network/walrus/redstuff"
	"github.com/walrus-network/walrus/store"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// Bounds of a trial, so that it takes a few seconds on any machine that may take part.
const (
	trialStripe    = 32 << 20        // bytes of the stripe, at most
	trialKept      = 16 << 20        // bytes of its fragments on the disk, at most
	trialOpenings  = 32              // questions, at most
	trialPlaces    = 4               // places on the disk, at least
	trialTime      = 5 * time.Second // after this, no further question is asked
	trialStaleness = time.Hour       // age at which a killed trial's files are removed
	trialPrefix    = "doctor-"       // of their names
)

// MeasureOpening measures the time for one question of a round on this machine. It keeps
// fragments of the network's shape in a store of its own, beside the fragments of the
// node in dir, proves them as in a round and checks the proofs. Reads go past the page
// cache where the system allows that. The store is removed, also if ctx ends.
//
// The trial never uses the node's own store: a new network holds no blob to prove, and
// the fragments of a node do not tell how long later ones take. A node that runs meanwhile
// uses its part of the disk, as in a round.
//
// From 257 shards on, a full stripe does not fit into the memory of a small machine. The
// trial then takes a smaller stripe and multiplies its times by the ratio of the bytes,
// which is rather too much than too little. Errors: those of the system; the end of ctx.
func MeasureOpening(ctx context.Context, dir string, p ledger.Params) (OpeningTime, error) {
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

// trial is a stripe of random bytes with some of its places in a store.
type trial struct {
	dir    string
	params ledger.Params
	code   *redstuff.Code
	c      blob.Commitment
	shards []blob.Shard // whose places are in the store
	grown  int          // bytes of a symbol of the network / bytes of the trial's, rounded up
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
	t = &trial{params: p, code: redstuff.For(shape)}
	if t.dir, err = os.MkdirTemp(fragmentsDisk(dir), trialPrefix); err != nil {
		return nil, err
	}
	if err = t.fill(ctx, shape); err != nil {
		return nil, errors.Join(err, t.close())
	}
	return t, nil
}

// sweepTrials removes the files of killed trials.
func sweepTrials(dir string) error {
	var errs []error
	for _, place := range []string{dir, filepath.Join(dir, node.FragmentsDir)} {
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

// close removes the trial's files. It may be called twice.
func (t *trial) close() error { return errors.Join(t.shut(), os.RemoveAll(t.dir)) }

// fill encodes a stripe and stores the fragments of some places.
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

// keep stores the two fragments of a place.
func (t *trial) keep(ctx context.Context, s *redstuff.Stripe, path []blob.Hash, place blob.Place) error {
	w := s.Tree().Witness(place, blob.Roots{}, path)
	roots, err := w.Prove(t.c, 0, place)
	if err != nil {
		return err
	}
	var pieces []store.Piece
	for _, axis := range []blob.Axis{blob.Row, blob.Column} {
		fragment, err := roots.VerifyFull(axis, s.AppendFragment(nil, axis, place), t.code)
		if err != nil {
			return err
		}
		pieces = append(pieces, store.Piece{Fragment: fragment, Witness: w})
	}
	return t.store.Put(ctx, t.c.ID, pieces...)
}

// run asks the shards one question each, in turn, until trialOpenings were answered or
// trialTime is over.
func (t *trial) run(ctx context.Context) (out OpeningTime, err error) {
	if err := t.cold(); err != nil {
		return out, err
	}
	var proves, verifies []time.Duration
	_, err = repeat(ctx, trialOpenings, trialTime, func(i int) error {
		if i > 0 && i%len(t.shards) == 0 { // each fragment is in memory now
			if err := t.cold(); err != nil {
				return err
			}
		}
		prove, verify, err := t.answer(t.shards[i%len(t.shards)], unit.Round(i))
		proves, verifies = append(proves, prove), append(verifies, verify)
		return err
	})
	if err != nil {
		return out, err
	}
	grown := time.Duration(t.grown)
	return OpeningTime{Prove: mean(proves) * grown, Verify: mean(verifies) * grown}, nil
}

// cold opens the store again, with its files dropped from the page cache.
func (t *trial) cold() error {
	if err := t.shut(); err != nil {
		return err
	}
	if err := forgetFiles(t.dir); err != nil {
		return err
	}
	return t.open()
}

// answer puts a question to a shard, and returns the times to prove and to check the answer.
func (t *trial) answer(s blob.Shard, round unit.Round) (prove, verify time.Duration, err error) {
	key := token.KeyFromSeed([32]byte{1}) // the proof goes nowhere
	ask := challenge.New(t.params.Challenge, "trial", challenge.RoundID{Round: round}, blob.Leaf([]byte{byte(round)}), []challenge.Draw{{Blob: t.c.ID}}, s, func(blob.ID) blob.Commitment { return t.c })
	begin := time.Now()
	proof, err := ask.Prove(key, t.store, t.code)
	if err != nil {
		return 0, 0, err
	}
	prove = time.Since(begin)
	begin = time.Now()
	err = ask.Verify(key.Public(), proof)
	return prove, time.Since(begin), err
}

func mean(list []time.Duration) (sum time.Duration) {
	for _, d := range list {
		sum += d
	}
	return sum / time.Duration(max(len(list), 1))
}

// median is the middle value, the upper one of two.
func median(list []time.Duration) time.Duration {
	if len(list) == 0 {
		return 0
	}
	list = slices.Clone(list)
	slices.Sort(list)
	return list[len(list)/2]
}
