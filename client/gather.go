package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/p2p"
)

// ErrUnavailable is returned where too few places answered.
var ErrUnavailable = errors.New("not enough of the blob's fragments can be reached")

// ErrFrozen is returned, with ErrUnavailable, where nodes keep answers back because a
// challenge runs: they give them once it is over.
var ErrFrozen = errors.New("a storage challenge is running")

// question asks one member for what it holds of places in stripes [from, to) and
// emits each answer that was held and, where it can be, verified. Wrong bytes are
// an error that wraps blob.ErrMismatch.
type question[T any] func(l *p2p.Link, places []blob.Place, from, to uint32, emit func(stripe uint32, p blob.Place, v T) error) error

// gathering collects, for each of a run of stripes, answers from need different
// places. Places are asked in order, as many as are needed; whoever fails, lacks
// something, or keeps silent for too long is made good by the next in order.
type gathering[T any] struct {
	f        *Fetcher
	d        *Directory
	id       blob.ID
	from, to uint32
	need     int
	ask      question[T]

	queue    []candidate // not asked yet, best first
	have     []map[blob.Place]T
	complete int // stripes with enough
	flying   map[*flight]bool
	events   chan event[T]
	failures []string
	frozen   bool            // somebody keeps an answer back
	ctx      context.Context // of this gathering: it ends when enough is there

	heard    time.Time     // when anybody last answered
	launched int           // questions asked
	landed   int           // of these: answered to the end
	slowest  time.Duration // that one of these took
}

type candidate struct {
	place  blob.Place
	member int
}

// flight is a question that is under way.
type flight struct {
	member  int
	places  []blob.Place
	left    map[blob.Place]int // stripes not answered yet
	began   time.Time
	doubled bool // others were asked in its stead
}

type event[T any] struct {
	flight *flight
	done   bool
	err    error
	stripe uint32
	place  blob.Place
	value  T
}

// freezeLimit bounds how long a reader waits for a challenge to be over.
const freezeLimit = 10 * time.Minute

// gather returns, for each stripe of [from, to), the answers of at least need places.
// While nodes keep them back because a challenge runs, it waits and asks again.
func gather[T any](ctx context.Context, f *Fetcher, d *Directory, id blob.ID, from, to uint32, order []blob.Place, need int, ask question[T]) ([]map[blob.Place]T, error) {
	for began := time.Now(); ; {
		have, err := gatherNow(ctx, f, d, id, from, to, order, need, ask)
		if !errors.Is(err, ErrFrozen) || time.Since(began) > freezeLimit {
			return have, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(f.hedge):
		}
	}
}

// gatherNow asks once around.
func gatherNow[T any](ctx context.Context, f *Fetcher, d *Directory, id blob.ID, from, to uint32, order []blob.Place, need int, ask question[T]) ([]map[blob.Place]T, error) {
	ctx, cancel := context.WithCancel(ctx)
	g := &gathering[T]{f: f, d: d, id: id, from: from, to: to, need: need, ask: ask, ctx: ctx,
		have: make([]map[blob.Place]T, to-from), flying: map[*flight]bool{}, events: make(chan event[T])}
	for i := range g.have {
		g.have[i] = make(map[blob.Place]T, need)
	}
	g.enqueue(order)
	err := g.run()
	cancel()
	for len(g.flying) > 0 { // whoever starts a goroutine waits for it
		if e := <-g.events; e.done {
			delete(g.flying, e.flight)
		}
	}
	if err != nil {
		return nil, err
	}
	return g.have, nil
}

// enqueue lists whom to ask: the doubtful after the others, old and new holders of a
// shard that is on its way as two candidates.
func (g *gathering[T]) enqueue(order []blob.Place) {
	var last []candidate
	for _, p := range order {
		for i, m := range g.d.holders(g.id, p) {
			c := candidate{place: p, member: m}
			if i > 0 || g.f.doubtful(g.d.Members[m].Peer) {
				last = append(last, c)
			} else {
				g.queue = append(g.queue, c)
			}
		}
	}
	g.queue = append(g.queue, last...)
}

func (g *gathering[T]) run() error {
	g.heard = time.Now()
	g.launch(g.need)
	tick := time.NewTicker(g.f.hedge / 4)
	defer tick.Stop()
	for g.complete < len(g.have) {
		if len(g.flying) == 0 {
			if err := g.ctx.Err(); err != nil {
				return err
			}
			if g.launch(g.need); len(g.flying) == 0 {
				return g.unavailable()
			}
		}
		select {
		case now := <-tick.C:
			g.hedge(now)
		case e := <-g.events:
			g.heard = time.Now()
			g.handle(e)
		}
	}
	return nil
}

// launch asks the next n candidates, one question per member. A place that has
// answered already is not asked again of its shard's other holder.
func (g *gathering[T]) launch(n int) {
	byMember := map[int][]blob.Place{}
	var members []int
	for n > 0 && len(g.queue) > 0 {
		c := g.queue[0]
		g.queue = g.queue[1:]
		if g.answered(c.place) {
			continue
		}
		n--
		if byMember[c.member] == nil {
			members = append(members, c.member)
		}
		byMember[c.member] = append(byMember[c.member], c.place)
	}
	for _, m := range members {
		fl := &flight{member: m, places: byMember[m], left: map[blob.Place]int{}, began: time.Now()}
		for _, p := range fl.places {
			fl.left[p] = len(g.have)
		}
		g.flying[fl] = true
		g.launched++
		go g.fly(fl)
	}
}

// answered says whether a place has answered for all stripes.
func (g *gathering[T]) answered(p blob.Place) bool {
	for _, have := range g.have {
		if _, ok := have[p]; !ok {
			return false
		}
	}
	return true
}

func (g *gathering[T]) fly(fl *flight) {
	err := g.f.with(g.ctx, g.d.Members[fl.member], func(l *p2p.Link) error {
		return g.ask(l, fl.places, g.from, g.to, func(stripe uint32, p blob.Place, v T) error {
			g.events <- event[T]{flight: fl, stripe: stripe, place: p, value: v}
			return g.ctx.Err()
		})
	})
	g.events <- event[T]{flight: fl, done: true, err: err}
}

func (g *gathering[T]) handle(e event[T]) {
	if !e.done {
		e.flight.left[e.place]--
		have := g.have[e.stripe-g.from]
		if _, ok := have[e.place]; !ok {
			have[e.place] = e.value
			if len(have) == g.need {
				g.complete++
			}
		}
		return
	}
	delete(g.flying, e.flight)
	if e.err == nil {
		g.landed++
		g.slowest = max(g.slowest, time.Since(e.flight.began))
	}
	missing := 0
	for _, left := range e.flight.left {
		if left > 0 {
			missing++
		}
	}
	m := g.d.Members[e.flight.member]
	if e.err != nil && g.ctx.Err() == nil {
		g.failures = append(g.failures, fmt.Sprintf("%s: %v", m.Peer, e.err))
		if p2p.IsRefusal(e.err, p2p.CodeWait) {
			g.frozen = true
		} else {
			g.f.judge(m, e.err)
		}
	} else if missing > 0 {
		g.failures = append(g.failures, fmt.Sprintf("%s: lacks fragments of %d of its places", m.Peer, missing))
	}
	if missing > 0 && !e.flight.doubled {
		g.launch(missing)
	}
}

// hedge asks others for what some owe: all of them if nobody was heard for a while,
// else those who take far longer than most have taken, who may answer a byte at a
// time to look alive. Whoever was waited for in vain is asked last for a while.
func (g *gathering[T]) hedge(now time.Time) {
	silence := now.Sub(g.heard) >= g.f.hedge
	patience := 2*g.slowest + g.f.hedge
	n := 0
	for fl := range g.flying {
		late := 2*g.landed >= g.launched && now.Sub(fl.began) > patience
		if !fl.doubled && (silence || late) {
			fl.doubled = true
			n += len(fl.places)
			g.f.mark(g.d.Members[fl.member].Peer, true)
		}
	}
	if silence {
		g.heard = now
	}
	g.launch(n)
}

func (g *gathering[T]) unavailable() error {
	worst, stripe := g.need, g.from
	for i, have := range g.have {
		if len(have) < worst {
			worst, stripe = len(have), g.from+uint32(i)
		}
	}
	const shown = 4
	detail := g.failures
	if len(detail) > shown {
		detail = append(detail[:shown:shown], fmt.Sprintf("and %d more", len(g.failures)-shown))
	}
	err := ErrUnavailable
	if g.frozen {
		err = fmt.Errorf("%w: %w", ErrUnavailable, ErrFrozen)
	}
	return fmt.Errorf("stripe %d of %s: %d of %d places answered: %w (%s)", stripe, g.id, worst, g.need, err, strings.Join(detail, "; "))
}
