package fetch

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/p2p"
)

// ErrUnavailable is returned where too few places answered.
var ErrUnavailable = errors.New("not enough of the blob's fragments can be reached")

// query asks one member for its answers about places in stripes [from, to), and emits
// each answer that the member holds, verified where the answer comes with a proof.
// Wrong bytes are an error that wraps blob.ErrMismatch.
type query[T any] func(ctx context.Context, l *p2p.FragmentLine, places []blob.Place, from, to uint32, emit func(stripe uint32, p blob.Place, v T) error) error

// gatherer collects, for each stripe of a run, answers from need different places. It
// asks places in order, as many as are needed. For a member that fails, lacks a
// fragment or stays silent too long, the next places in order are asked.
type gatherer[T any] struct {
	f        *Fetcher
	d        *Directory
	id       blob.ID
	from, to uint32 // the run of stripes
	need     int    // places for each stripe
	ask      query[T]
	run      *run                                       // of which this is a part; nil: of none
	seen     func(stripe uint32, p blob.Place, value T) // told each answer once; nil: nobody is

	queue    []candidate // not asked yet, best first
	unasked  int         // in a run, places that are to be asked for once a member has room
	have     []map[blob.Place]T
	complete int // stripes with need answers
	pending  map[*request]bool
	events   chan event[T]
	failures []string
	frozen   *frozen // not nil: a member holds an answer back

	heard    time.Time     // time of the last answer of any member, or of the last hedge
	sent     int           // requests so far
	answered int           // requests so far that ended without an error
	slowest  time.Duration // longest time of an answered request
}

// candidate is a place and a member that may answer for it.
type candidate struct {
	place  blob.Place
	member int
	last   bool // after all others
}

// request is a query to one member that is under way.
type request struct {
	member  int
	places  []blob.Place
	left    map[blob.Place]int // stripes without an answer
	began   time.Time
	doubled bool // other members were asked for the same
}

// event is an answer to a request, or, with done, the request's end.
type event[T any] struct {
	request *request
	done    bool
	err     error
	stripe  uint32
	place   blob.Place
	value   T
}

// freezeLimit bounds how long a reader waits for a challenge to end.
const freezeLimit = 10 * time.Minute

// gather returns, for each stripe of [from, to), the answers of at least need places.
// While members hold answers back because a challenge runs, it waits and asks again, and
// says so (OnFrozen).
func gather[T any](ctx context.Context, f *Fetcher, d *Directory, id blob.ID, from, to uint32, order []blob.Place, need int, ask query[T]) ([]map[blob.Place]T, error) {
	return gatherIn(ctx, f, d, id, from, to, order, need, ask, nil, nil)
}

// gatherIn is gather as a part of a run; seen, if not nil, is told each answer once.
func gatherIn[T any](ctx context.Context, f *Fetcher, d *Directory, id blob.ID, from, to uint32, order []blob.Place, need int, ask query[T], r *run, seen func(uint32, blob.Place, T)) ([]map[blob.Place]T, error) {
	told := map[position]bool{}
	once := func(stripe uint32, p blob.Place, v T) {
		if at := (position{stripe, p}); seen != nil && !told[at] {
			told[at] = true
			seen(stripe, p, v)
		}
	}
	for began := time.Now(); ; {
		have, err := gatherOnce(ctx, f, d, id, from, to, order, need, ask, r, once)
		if !errors.Is(err, ErrFrozen) || time.Since(began) > freezeLimit {
			return have, err
		}
		tellFrozen(ctx, err)
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w: %w", ErrUnavailable, ErrFrozen, ctx.Err())
		case <-time.After(f.hedge):
		}
	}
}

// position is a place in a stripe.
type position struct {
	stripe uint32
	place  blob.Place
}

// gatherOnce asks every candidate at most once. It returns when all its goroutines
// have ended.
func gatherOnce[T any](ctx context.Context, f *Fetcher, d *Directory, id blob.ID, from, to uint32, order []blob.Place, need int, ask query[T], r *run, seen func(uint32, blob.Place, T)) ([]map[blob.Place]T, error) {
	ctx, cancel := context.WithCancel(ctx)
	g := &gatherer[T]{f: f, d: d, id: id, from: from, to: to, need: need, ask: ask, run: r, seen: seen,
		have: make([]map[blob.Place]T, to-from), pending: map[*request]bool{}, events: make(chan event[T])}
	for i := range g.have {
		g.have[i] = make(map[blob.Place]T, need)
	}
	g.enqueue(order)
	r.begin(from)
	defer r.end(from)
	err := g.collect(ctx)
	cancel()
	for len(g.pending) > 0 {
		if e := <-g.events; e.done {
			g.close(e.request)
		} else {
			e.request.left[e.place]--
			g.run.came(e.request.member)
		}
	}
	if err != nil {
		return nil, err
	}
	return g.have, nil
}

// enqueue fills the queue: doubtful members after the others, and after the old holder
// of a shard that is handed over its new one.
func (g *gatherer[T]) enqueue(order []blob.Place) {
	var last []candidate
	for _, p := range order {
		for i, m := range g.d.holders(g.id, p) {
			c := candidate{place: p, member: m}
			if g.d.Members[m].Peer == g.f.host.ID() {
				continue // a node that repairs does not dial itself
			}
			if c.last = i > 0 || g.f.doubtful(g.d.Members[m].Peer); c.last {
				last = append(last, c)
			} else {
				g.queue = append(g.queue, c)
			}
		}
	}
	g.queue = append(g.queue, last...)
}

func (g *gatherer[T]) collect(ctx context.Context) error {
	g.heard = time.Now()
	if g.run == nil {
		g.send(ctx, g.need)
	} else {
		g.unasked = g.need
	}
	tick := time.NewTicker(g.f.hedge / 4)
	defer tick.Stop()
	for g.complete < len(g.have) {
		room := g.run.next()
		g.sendUnasked(ctx)
		if len(g.pending) == 0 && g.unasked == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			if g.send(ctx, g.need); len(g.pending) == 0 {
				return g.unavailable()
			}
		}
		select {
		case now := <-tick.C:
			g.hedge(ctx, now)
		case e := <-g.events:
			g.heard = time.Now()
			g.handle(ctx, e)
		case <-room:
		case <-ctx.Done():
			if len(g.pending) == 0 {
				return ctx.Err()
			}
			g.unasked = 0
			g.handle(ctx, <-g.events)
		}
	}
	return nil
}

// send asks the next n candidates, one request per member; in a run, one per place: there a
// row is a large part of what a member sends in a round trip. It skips a place whose other
// holder has answered for all stripes.
func (g *gatherer[T]) send(ctx context.Context, n int) {
	if g.run != nil {
		g.sendInRun(ctx, n, false)
		return
	}
	byMember := map[int][]blob.Place{}
	var members []int
	for n > 0 && len(g.queue) > 0 {
		c := g.queue[0]
		g.queue = g.queue[1:]
		if g.hasAll(c.place) {
			continue
		}
		n--
		if byMember[c.member] == nil {
			members = append(members, c.member)
		}
		byMember[c.member] = append(byMember[c.member], c.place)
	}
	for _, m := range members {
		g.request(ctx, m, byMember[m])
	}
}

// sendUnasked asks for what is left of a run's part, as far as members have room. Which member
// will have sent a row first is not known long before: a row that waits here is asked of the
// one that delivers, and none is left with a member that has become slow.
func (g *gatherer[T]) sendUnasked(ctx context.Context) {
	if g.unasked == 0 {
		return
	}
	if g.run.wait(g.from, true); g.run.isTurn(g.from) {
		g.unasked = g.sendInRun(ctx, g.unasked, true)
	}
	g.run.wait(g.from, g.unasked > 0)
}

// sendInRun asks the n candidates that will have answered first. Source rows need no decoding
// and are passed on as they come: another row must be here sooner by some time. With room it
// asks none while all have enough to send, and returns how many are left.
func (g *gatherer[T]) sendInRun(ctx context.Context, n int, room bool) (left int) {
	g.queue = slices.DeleteFunc(g.queue, func(c candidate) bool { return g.hasAll(c.place) })
	away := g.f.host.Distance()
	q, rows := g.run.queues(away, connectTrips*away), len(g.have)
	enough := max(g.f.hedge/2, queueTrips*away) + queueRows*time.Duration(rows)*q.usual
	k1 := blob.Place(g.d.Shape.K1)
	for ; n > 0 && len(g.queue) > 0; n-- {
		best, soonest := 0, time.Duration(math.MaxInt64)
		for i, c := range g.queue {
			at := q.after(c.member, rows)
			if c.place >= k1 {
				at += g.f.headStart()
			}
			if c.last {
				at += aWhile
			}
			if at < soonest {
				best, soonest = i, at
			}
		}
		c := g.queue[best]
		if room && q.rows[c.member] >= queueRows*rows && q.after(c.member, rows) > enough {
			return n
		}
		g.queue = slices.Delete(g.queue, best, best+1)
		q.rows[c.member] += rows
		g.request(ctx, c.member, []blob.Place{c.place})
	}
	return 0
}

// A member has enough to send in a run where that takes the time of queueTrips round trips and
// of queueRows answers in the middle of all members: so its line is never idle.
const (
	queueTrips = 2
	queueRows  = 2
)

// aWhile is longer than any row takes.
const aWhile = time.Hour

// headStart is by how much sooner another row than a source row must be here to be asked for.
func (f *Fetcher) headStart() time.Duration { return max(f.hedge/4, 2*f.host.Distance()) }

// request puts a request to a member.
func (g *gatherer[T]) request(ctx context.Context, member int, places []blob.Place) {
	r := &request{member: member, places: places, left: map[blob.Place]int{}, began: time.Now()}
	for _, p := range places {
		r.left[p] = len(g.have)
	}
	g.pending[r] = true
	g.sent++
	g.run.asked(member, len(places)*len(g.have))
	go g.perform(ctx, r)
}

// close notes that nothing more comes for a request.
func (g *gatherer[T]) close(r *request) {
	delete(g.pending, r)
	rows := 0
	for _, left := range r.left {
		rows += left
	}
	g.run.left(r.member, rows)
}

// hasAll says whether a place has answered for all stripes.
func (g *gatherer[T]) hasAll(p blob.Place) bool {
	for _, have := range g.have {
		if _, ok := have[p]; !ok {
			return false
		}
	}
	return true
}

// perform puts a request to its member and turns the answers into events, each once,
// though a question may be put again on another line.
func (g *gatherer[T]) perform(ctx context.Context, r *request) {
	seen := map[position]bool{}
	err := g.f.with(ctx, g.d.Members[r.member], g.run != nil, func(l *p2p.FragmentLine) error {
		return g.ask(ctx, l, r.places, g.from, g.to, func(stripe uint32, p blob.Place, v T) error {
			if a := (position{stripe, p}); !seen[a] {
				seen[a] = true
				g.events <- event[T]{request: r, stripe: stripe, place: p, value: v}
			}
			return nil
		})
	})
	g.events <- event[T]{request: r, done: true, err: err}
}

func (g *gatherer[T]) handle(ctx context.Context, e event[T]) {
	if !e.done {
		e.request.left[e.place]--
		g.run.came(e.request.member)
		have := g.have[e.stripe-g.from]
		if _, ok := have[e.place]; !ok {
			have[e.place] = e.value
			g.seen(e.stripe, e.place, e.value)
			if len(have) == g.need {
				g.complete++
			}
		}
		return
	}
	g.close(e.request)
	if e.err == nil {
		g.answered++
		g.slowest = max(g.slowest, time.Since(e.request.began))
	}
	missing := 0
	for _, left := range e.request.left {
		if left > 0 {
			missing++
		}
	}
	m := g.d.Members[e.request.member]
	if e.err != nil && ctx.Err() == nil {
		g.failures = append(g.failures, fmt.Sprintf("%s: %v", m.Peer, e.err))
		if p2p.IsRefusal(e.err, p2p.CodeWait) {
			if g.frozen == nil {
				g.frozen = new(frozen)
			}
			g.frozen.note(e.err)
		} else {
			g.f.judge(m, e.err)
		}
	} else if missing > 0 {
		g.failures = append(g.failures, fmt.Sprintf("%s: lacks fragments of %d of its places", m.Peer, missing))
	}
	if missing > 0 && !e.request.doubled {
		g.send(ctx, missing)
	}
}

// hedge sends further requests in place of late ones. A late member is asked last for
// downFor; in a run, one that is silent.
func (g *gatherer[T]) hedge(ctx context.Context, now time.Time) {
	n := 0
	for r := range g.pending {
		if r.doubled {
			continue
		}
		late, down := false, true
		if g.run != nil {
			late, down = g.lateInRun(r, now)
		} else {
			late = g.lateAlone(r, now)
		}
		if !late {
			continue
		}
		r.doubled = true
		n += len(r.places)
		if down {
			g.f.mark(g.d.Members[r.member].Peer, true)
		}
	}
	if now.Sub(g.heard) >= g.f.quietFor() {
		g.heard = now
	}
	g.send(ctx, n)
}

// lateAlone says whether a request is late. After a silence of all members every one is whose
// member answers no other question either: answers to one member's questions come one after
// the other. Otherwise, once half of the requests were answered, one is that takes longer
// than twice the slowest of those plus the hedge time: a member may answer a byte at a time
// to look alive.
func (g *gatherer[T]) lateAlone(r *request, now time.Time) bool {
	quietFor := g.f.quietFor()
	quiet := now.Sub(g.heard) >= quietFor && now.Sub(g.f.heardFrom(g.d.Members[r.member].Peer)) >= quietFor
	return quiet || 2*g.answered >= g.sent && now.Sub(r.began) > 2*g.slowest+quietFor
}

// A read waits for the next row of the first part for the time of patientRows of a member,
// patientAlive times as long where bytes of that member come.
const (
	patientRows  = 4
	patientAlive = 3
)

// lateInRun says whether a request of a run is late: its member sends nothing at all; or all
// others wait for this part of the run, and none of its rows has come for the time in which
// another one is asked for. While the members have more to send, the line may be full: then it
// is late after the time of two rows more. Where half of them have nothing more to send, the
// rows of all parts are asked of these, and not of the first alone. Members send at very
// different rates: which of them are late no fixed time tells. down says that the member is to
// be asked last.
func (g *gatherer[T]) lateInRun(r *request, now time.Time) (late, down bool) {
	p := g.d.Members[r.member].Peer
	if min(now.Sub(r.began), now.Sub(g.f.aliveAt(p))) >= g.f.quietFor() {
		return true, true
	}
	if g.f.downSince(p).After(r.began) {
		return true, false
	}
	since, first := g.run.isFirst(g.from)
	patience, rests := g.f.headStart(), g.run.rests()
	if !first {
		return rests && min(now.Sub(g.heard), now.Sub(r.began)) >= patience, false
	}
	if !rests {
		alive := now.Sub(g.f.aliveAt(p)) < patience
		if patience += patientRows * g.run.usual(g.f.hedge); alive {
			patience *= patientAlive
		}
	}
	late = min(now.Sub(g.heard), now.Sub(since), now.Sub(r.began)) >= patience
	return late, late && rests && g.run.isSlow(r.member, connectTrips*g.f.host.Distance())
}

// unavailable names the stripe with the fewest answers, and the first failures.
func (g *gatherer[T]) unavailable() error {
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
	if g.frozen != nil {
		err = fmt.Errorf("%w: %w", ErrUnavailable, *g.frozen)
	}
	return fmt.Errorf("stripe %d of %s: %d of %d places answered: %w (%s)", stripe, g.id, worst, g.need, err, strings.Join(detail, "; "))
}
