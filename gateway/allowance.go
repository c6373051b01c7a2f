package gateway

import (
	"context"
	"errors"
	"math"
	"sort"
	"sync"
	"time"

	"github.com/walrus-network/walrus/gateway/access"
	"github.com/walrus-network/walrus/ledger"
)

// allowance is how much of a body is taken before it is known whether the body is on the
// network already, and so costs nothing. Of what can be paid all is; beyond that little is, as
// unpaid says, and nothing that the key or token is never good for.
type allowance struct {
	s        *Server
	g        *access.Grant
	declared int64 // bytes; -1: not said
	free     int64 // bytes that can be paid; -1: not even an empty body
	most     int64 // bytes that are taken in any case
	refusal  error // of what is beyond free

	ends func(kept bool) // of a body beyond free; nil: it is not
	kept bool            // it was on the network, or is now
}

// isOfMoney says that an error refuses what is to be paid, and not what is there already.
func isOfMoney(err error) bool {
	var over *access.OverError
	return errors.As(err, &over) || errors.Is(err, ledger.ErrFunds) || errors.Is(err, ledger.ErrCapacity)
}

// allow finds out how much of a body is taken, before any of it is. A body whose length is said
// is refused now, if it is at all.
func (s *Server) allow(ctx context.Context, g *access.Grant, t terms, declared int64) (*allowance, error) {
	a := &allowance{s: s, g: g, declared: declared, most: math.MaxInt64}
	if most := g.MostBytes(); most > 0 {
		a.most = most
	}
	if err := g.Allows(access.Use{Bytes: declared, Epochs: t.Epochs, Owner: t.Owner}); err != nil && !isOfMoney(err) {
		return nil, err
	}
	pays := func(size int64) error {
		q, err := s.quote(ctx, size, t)
		if err == nil && g.IsKey() {
			err = g.Allows(access.Use{Bytes: size, Epochs: t.Epochs, Owner: t.Owner, Cost: q.Total})
		}
		if err != nil && !isOfMoney(err) {
			return err
		}
		a.refusal = err
		return nil
	}
	if declared >= 0 {
		if err := pays(declared); err != nil {
			return nil, err
		}
		a.free = declared
		if a.refusal != nil {
			a.free = -1
		}
		return a, a.check(declared)
	}
	largest := min(s.o.Spool.Size(), a.most)
	if s.o.MaxBody > 0 {
		largest = min(largest, s.o.MaxBody)
	}
	if err := pays(largest); err != nil {
		return nil, err
	}
	if a.refusal == nil {
		a.free = math.MaxInt64 // the spool bounds it
		return a, nil
	}
	// The least number of steps of a body that cannot be paid.
	var failed error
	steps := sort.Search(int(min(largest/allowanceStep+1, math.MaxInt32)), func(i int) bool {
		if err := pays(int64(i) * allowanceStep); err != nil {
			failed = err
		}
		return a.refusal != nil
	})
	if failed == nil {
		failed = pays(min(int64(steps)*allowanceStep, largest)) // why not
	}
	a.free = int64(steps-1) * allowanceStep
	return a, failed
}

// allowanceStep is how exactly it is known, in bytes, how long a body of unknown length may get.
const allowanceStep = 1 << 20

// check says whether a body of so many bytes is taken. Beyond what can be paid it takes one of
// the few places. The allowance nil is of bodies that cost nothing.
func (a *allowance) check(bytes int64) error {
	switch {
	case a == nil:
		return nil
	case bytes > a.most:
		if err := a.g.Allows(access.Use{Bytes: bytes}); err != nil {
			return err
		}
		return refuse(413, "BLOB_TOO_LARGE", "the key or token is good for %d bytes", a.most).with("maxBytes", a.most)
	case bytes <= a.free:
		return nil
	case bytes > a.s.unpaid.most:
		return a.refusal
	}
	if a.ends == nil {
		if a.ends = a.s.unpaid.enter(a.g.Owner(), time.Now()); a.ends == nil {
			return a.refusal
		}
	}
	return nil
}

// end is called when the body was stored, or was not.
func (a *allowance) end() {
	if a.ends != nil {
		a.ends(a.kept)
	}
}

// Bounds of bodies that cannot be paid.
const (
	unpaidBytes  = 256 << 20   // of one, and
	unpaidPart   = 8           // the part of the spool, as 1/unpaidPart
	unpaidAtOnce = 2           // of all keys
	unpaidPause  = time.Minute // for a key, after one that was not on the network
)

// unpaid bounds the bodies that are taken though their keys, or the wallet, cannot pay for
// them: bytes that are stored already cost nothing, and are told by them alone. What is not
// stored was taken in vain, so that the next of its key has to wait. All methods may be called
// at the same time.
type unpaid struct {
	most int64 // bytes of one

	mu    sync.Mutex // guards the fields below
	busy  map[string]bool
	again map[string]time.Time // by the name of a key: when it may again
}

func newUnpaid(spool int64) *unpaid {
	return &unpaid{most: min(unpaidBytes, spool/unpaidPart), busy: map[string]bool{}, again: map[string]time.Time{}}
}

// enter takes a place for a key; nil: there is none.
func (u *unpaid) enter(key string, now time.Time) (leave func(kept bool)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.busy[key] || len(u.busy) >= unpaidAtOnce || now.Before(u.again[key]) {
		return nil
	}
	u.busy[key] = true
	return func(kept bool) {
		u.mu.Lock()
		defer u.mu.Unlock()
		delete(u.busy, key)
		if delete(u.again, key); !kept {
			u.again[key] = time.Now().Add(unpaidPause)
		}
	}
}
