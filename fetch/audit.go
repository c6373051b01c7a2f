package fetch

import (
	"context"
	cryptorand "crypto/rand"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/p2p"
)

// ErrUnproven is returned where k1 or more shards, but not all N, were proven to hold
// a blob.
var ErrUnproven = errors.New("not all shards proved that they hold the blob")

const (
	auditSymbols  = 2                // symbols in a sample: few, because nodes answer readers unpaid
	auditPatience = 15 * time.Second // for one answer
	auditAtOnce   = 16               // members asked at the same time
)

// Audit is the result of asking each shard's holder for random samples of a blob, with
// proofs. For a shard that is handed over the old holder is asked.
type Audit struct {
	Shards  int // N
	Needed  int // k1, the number of shards that rebuild the blob
	Held    int // shards whose samples were all verified
	Samples int // samples per shard
	Nodes   []NodeAudit
}

// NodeAudit is one node's part of an Audit.
type NodeAudit struct {
	Peer     peer.ID
	Shards   int // shards that it was asked for
	Held     int // of Shards: those whose samples were all verified
	Asked    int // samples asked for = Verified + Missing + Wrong + Refused
	Verified int
	Missing  int           // samples that the node says it does not hold
	Wrong    int           // answers that do not match the blob; an honest program never gives one
	Refused  int           // samples that the node refused, or did not answer
	Why      string        // the last failure, or empty
	Elapsed  time.Duration // time spent on its answers, without the waits for a challenge to end
}

// Err is nil if all N shards were proven, ErrUnproven if at least k1 were, else
// ErrUnavailable.
func (a Audit) Err() error {
	switch {
	case a.Held < a.Needed:
		return fmt.Errorf("%w: %d of %d shards proved that they hold it, %d are needed", ErrUnavailable, a.Held, a.Shards, a.Needed)
	case a.Held < a.Shards:
		return fmt.Errorf("%w: %d of %d did, and any %d bring it back", ErrUnproven, a.Held, a.Shards, a.Needed)
	}
	return nil
}

// Audit asks now for random samples, 1 or more, of every shard of a blob. A node
// cannot predict them. While nodes hold answers back because a storage challenge runs,
// Audit asks again, for up to ten minutes; the first time it calls waiting, if not nil.
//
// Errors: a number of samples below 1, or the end of ctx. A node's failure is part of
// the result; see Audit.Err.
func (f *Fetcher) Audit(ctx context.Context, d *Directory, c blob.Commitment, samples int, waiting func()) (Audit, error) {
	if samples < 1 {
		return Audit{}, fmt.Errorf("%d samples: at least 1", samples)
	}
	out := Audit{Shards: d.Shape.N, Needed: d.Shape.K1, Samples: samples}
	places := make([][]blob.Place, len(d.Members))
	for p := range blob.Place(d.Shape.N) {
		m := d.holders(c.ID, p)[0]
		places[m] = append(places[m], p)
	}
	var seed [32]byte
	cryptorand.Read(seed[:])
	random := rand.New(rand.NewChaCha8(seed))
	var once sync.Once
	say := func() {
		if waiting != nil {
			once.Do(waiting)
		}
	}
	audits := make([]*auditor, 0, len(places))
	var running sync.WaitGroup
	room := make(chan struct{}, auditAtOnce)
	for m, of := range places {
		if len(of) == 0 {
			continue
		}
		one := &auditor{f: f, member: d.Members[m], c: c, waiting: say, NodeAudit: NodeAudit{Peer: d.Members[m].Peer, Shards: len(of)}}
		for _, p := range of {
			for range samples {
				one.samples = append(one.samples, drawSample(random, c, p))
			}
		}
		audits = append(audits, one)
		running.Go(func() {
			room <- struct{}{}
			one.run(ctx)
			<-room
		})
	}
	running.Wait()
	for _, one := range audits {
		out.Held += one.Held
		out.Nodes = append(out.Nodes, one.NodeAudit)
	}
	return out, ctx.Err()
}

// sample is a few symbols of one fragment of a place.
type sample struct {
	place   blob.Place
	stripe  uint32
	axis    blob.Axis
	indices []int // ascending
}

// drawSample draws the axis with the odds of a storage challenge.
func drawSample(r *rand.Rand, c blob.Commitment, p blob.Place) sample {
	s := sample{place: p, stripe: uint32(r.IntN(c.Layout.Stripes)), axis: blob.Column}
	if r.IntN(c.Layout.K1+c.Layout.K2) < c.Layout.K2 {
		s.axis = blob.Row
	}
	for len(s.indices) < auditSymbols {
		i := r.IntN(c.Layout.N)
		if at, taken := slices.BinarySearch(s.indices, i); !taken {
			s.indices = slices.Insert(s.indices, at, i)
		}
	}
	return s
}

// auditor asks one member for its samples.
type auditor struct {
	f       *Fetcher
	member  Member
	c       blob.Commitment
	samples []sample
	waiting func()
	NodeAudit
}

// auditInFlight is how many samples one member is asked for at the same time.
const auditInFlight = 8

// sampled is how asking for a sample ended.
type sampled struct {
	held bool
	took time.Duration
	err  error
}

// run asks for some samples at once, and for no further ones once the member has not
// answered.
func (a *auditor) run(ctx context.Context) {
	failed := map[blob.Place]bool{}
	gone := false // a sample was not answered
	for rest := a.samples; len(rest) > 0; rest = rest[min(auditInFlight, len(rest)):] {
		some := rest[:min(auditInFlight, len(rest))]
		got := make([]sampled, len(some))
		if !gone {
			var asking sync.WaitGroup
			for i, q := range some {
				asking.Go(func() { got[i] = a.ask(ctx, q) })
			}
			asking.Wait()
		}
		before := gone
		for i, q := range some {
			a.Asked++
			a.Elapsed += got[i].took
			if before {
				a.Refused++
				failed[q.place] = true
				continue
			}
			held, err := got[i].held, got[i].err
			switch {
			case err == nil && held:
				a.Verified++
				continue
			case err == nil:
				a.Missing++
				a.Why = fmt.Sprintf("it says that it does not hold place %d", q.place)
			case errors.Is(err, blob.ErrMismatch) || errors.Is(err, p2p.ErrProtocol):
				a.Wrong++
				a.Why = err.Error()
				a.f.judge(a.member, err)
			default:
				a.Refused++
				a.Why = err.Error()
				gone = true
			}
			failed[q.place] = true
		}
	}
	a.Held = a.Shards - len(failed)
}

// ask asks for one sample, and again while a challenge runs.
func (a *auditor) ask(ctx context.Context, q sample) (s sampled) {
	for frozen := time.Now(); ; {
		began := time.Now()
		s.held, s.err = a.askOnce(ctx, q)
		s.took = time.Since(began)
		if !p2p.IsRefusal(s.err, p2p.CodeWait) || time.Since(frozen) > freezeLimit {
			return s
		}
		a.waiting()
		select {
		case <-ctx.Done():
			s.held, s.err = false, ctx.Err()
			return s
		case <-time.After(a.f.hedge):
		}
	}
}

func (a *auditor) askOnce(ctx context.Context, q sample) (held bool, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, auditPatience, fmt.Errorf("no answer within %s", auditPatience))
	defer cancel()
	err = a.f.with(ctx, a.member, false, func(l *p2p.FragmentLine) error {
		return provenSymbols(a.c, q.axis, q.indices)(ctx, l, []blob.Place{q.place}, q.stripe, q.stripe+1, func(uint32, blob.Place, []symbol) error {
			held = true
			return nil
		})
	})
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return held, err
}
