package client

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

// ErrUnproven is returned where some shards did not prove that they hold a blob, but
// enough did to bring it back.
var ErrUnproven = errors.New("not all shards proved that they hold the blob")

const (
	auditSymbols  = 2                // asked for at once: a reader's bandwidth is paid by nobody
	auditPatience = 15 * time.Second // for one answer
	auditAtOnce   = 16               // nodes
)

// Audit is what came of asking every shard's holder for random parts of a blob, each
// with its proof. Who keeps a shard that is handed over is asked for it.
type Audit struct {
	Shards  int // N
	Needed  int // k1: so many bring the blob back
	Held    int // shards that gave all they were asked for, and it was right
	Samples int // that each was asked for
	Nodes   []NodeAudit
}

// NodeAudit is one node's part.
type NodeAudit struct {
	Peer     peer.ID
	Shards   int // that it was asked for
	Held     int // of these, see Audit
	Asked    int // questions; the sum of the next four
	Verified int
	Missing  int           // it says that it does not hold it
	Wrong    int           // the answer does not match the blob: no honest program gives it
	Refused  int           // or did not answer
	Why      string        // the last of what went wrong
	Elapsed  time.Duration // until its last answer, without waiting for a challenge to end
}

// Err says that not all is well.
func (a Audit) Err() error {
	switch {
	case a.Held < a.Needed:
		return fmt.Errorf("%w: %d of %d shards proved that they hold it, %d are needed", ErrUnavailable, a.Held, a.Shards, a.Needed)
	case a.Held < a.Shards:
		return fmt.Errorf("%w: %d of %d did, and any %d bring it back", ErrUnproven, a.Held, a.Shards, a.Needed)
	}
	return nil
}

// Audit challenges a blob now, as a reader: it asks for samples of every shard, which
// it draws so that nobody can know them before. While nodes keep answers back because
// a storage challenge runs, it calls waiting, once, and asks again.
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
	audits := make([]*audit, 0, len(places))
	var running sync.WaitGroup
	room := make(chan struct{}, auditAtOnce)
	for m, of := range places {
		if len(of) == 0 {
			continue
		}
		one := &audit{f: f, member: d.Members[m], c: c, waiting: say, NodeAudit: NodeAudit{Peer: d.Members[m].Peer, Shards: len(of)}}
		for _, p := range of {
			for range samples {
				one.questions = append(one.questions, sample(random, c, p))
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

// sampled is what a place is asked for.
type sampled struct {
	place   blob.Place
	stripe  uint32
	axis    blob.Axis
	indices []int // ascending
}

func sample(r *rand.Rand, c blob.Commitment, p blob.Place) sampled {
	s := sampled{place: p, stripe: uint32(r.IntN(c.Layout.Stripes)), axis: blob.Column}
	if r.IntN(c.Layout.K1+c.Layout.K2) < c.Layout.K2 {
		s.axis = blob.Row // as a challenge asks
	}
	for len(s.indices) < auditSymbols {
		i := r.IntN(c.Layout.N)
		if at, taken := slices.BinarySearch(s.indices, i); !taken {
			s.indices = slices.Insert(s.indices, at, i)
		}
	}
	return s
}

// audit asks one node.
type audit struct {
	f         *Fetcher
	member    Member
	c         blob.Commitment
	questions []sampled
	waiting   func()
	NodeAudit
}

func (a *audit) run(ctx context.Context) {
	failed := map[blob.Place]bool{}
	gone := false // it does not answer: it is not asked for the rest
	for _, q := range a.questions {
		a.Asked++
		if gone {
			a.Refused++
			failed[q.place] = true
			continue
		}
		held, err := a.ask(ctx, q)
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
	a.Held = a.Shards - len(failed)
}

// ask puts one question, again while a challenge runs.
func (a *audit) ask(ctx context.Context, q sampled) (held bool, err error) {
	for frozen := time.Now(); ; {
		began := time.Now()
		held, err = a.askNow(ctx, q)
		if !p2p.IsRefusal(err, p2p.CodeWait) || time.Since(frozen) > freezeLimit {
			a.Elapsed += time.Since(began)
			return held, err
		}
		a.waiting()
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(a.f.hedge):
		}
	}
}

func (a *audit) askNow(ctx context.Context, q sampled) (held bool, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, auditPatience, fmt.Errorf("no answer within %s", auditPatience))
	defer cancel()
	err = a.f.with(ctx, a.member, func(l *p2p.Link) error {
		return provenSymbols(a.c, q.axis, q.indices)(l, []blob.Place{q.place}, q.stripe, q.stripe+1, func(uint32, blob.Place, []shown) error {
			held = true
			return nil
		})
	})
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return held, err
}
