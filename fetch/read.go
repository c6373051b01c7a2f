package fetch

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/redstuff"
)

// readWindow bounds the user bytes, in bytes, that are fetched ahead of the writer.
const readWindow = 24 << 20

// Read writes the blob to w, in order, every byte verified. On an error the bytes
// already written are a true prefix of the blob. Memory stays bounded however large
// the blob is.
//
// Errors: ErrUnavailable where fewer than k1 places of a stripe answer, with ErrFrozen
// if a challenge still runs after ten minutes; redstuff.ErrInconsistent where the blob
// contradicts its commitments; the error of ctx or of w.
func (f *Fetcher) Read(ctx context.Context, d *Directory, c blob.Commitment, w io.Writer) error {
	if c.Layout.Size == 0 {
		return nil
	}
	return f.readStripes(ctx, d, c, 0, uint32(c.Layout.Stripes), func(_ uint32, _ int, b []byte) error {
		_, err := w.Write(b)
		return err
	})
}

// part is user bytes of a stripe, or the error that took their place.
type part struct {
	stripe uint32
	offset int // of the bytes in the stripe
	bytes  []byte
	err    error
}

// partOfRun bounds the user bytes, in bytes, of the stripes that are asked for with one
// question to each member: a stripe of the longest symbols in a network of 28 shards.
const partOfRun = 3 << 20

// firstParts is how many parts are asked for at once before it is known how fast members send.
// With each that is written it is one more, up to readWindow.
const firstParts = 4

// readStripes calls each with the user bytes of stripes [from, to), in order, a stripe in one
// part or several. Stripes are fetched at the same time as far as readWindow allows, so that
// no line is ever idle while one is written.
func (f *Fetcher) readStripes(ctx context.Context, d *Directory, c blob.Commitment, from, to uint32, each func(stripe uint32, offset int, b []byte) error) error {
	ctx, cancel := context.WithCancel(ctx)
	var fetching sync.WaitGroup
	defer fetching.Wait()
	defer cancel()
	var r *run
	var head <-chan []byte
	if f.isHeavy(c, to-from) {
		r = newRun()
		f.PrepareLarge(d)
		if from == 0 {
			head = f.readHead(ctx, &fetching, d, c)
		}
	}
	full := c.Layout.K1 * c.Layout.K2 * c.Layout.Seg
	step := uint32(max(1, partOfRun/full))
	slots := make(chan struct{}, max(1, readWindow/(int(step)*full))) // of what is fetched and not written yet
	closed := max(0, cap(slots)-firstParts)                           // of these
	for range closed {
		slots <- struct{}{}
	}
	coming := make(chan chan part, cap(slots))
	go func() {
		defer close(coming)
		for at := from; at < to; at += step {
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return
			}
			end := min(at+step, to)
			parts := make(chan part, int(end-at)*(c.Layout.K1+1)+1) // never blocks
			fetching.Go(func() { f.fetchStripes(ctx, d, c, at, end, r, parts) })
			coming <- parts
		}
	}()
	var err error
	given := 0 // bytes of the head
	give := func(p part) {
		if err == nil {
			err = p.err
		}
		if err == nil && len(p.bytes) > 0 {
			err = each(p.stripe, p.offset, p.bytes)
		}
	}
	for parts := range coming {
		for more := true; more; {
			select {
			case b := <-head:
				head = nil
				given = len(b)
				give(part{bytes: b})
			case p, ok := <-parts:
				if more = ok; !ok {
					break
				}
				head = nil // it comes too late
				if p.stripe == 0 {
					twice := min(max(given-p.offset, 0), len(p.bytes))
					p.offset, p.bytes = p.offset+twice, p.bytes[twice:]
				}
				give(p)
			}
		}
		if <-slots; closed > 0 {
			<-slots
			closed--
		}
		if err != nil {
			cancel() // the loop goes on to drain the channel, so that the goroutines end
		}
	}
	if err == nil {
		err = ctx.Err()
	}
	return err
}

// PrepareLarge begins to dial the members for many bytes.
func (f *Fetcher) PrepareLarge(d *Directory) { f.host.Prepare(d.hosts(), true) }

// heavyBytes is the user bytes of a read for which lines for many bytes are opened.
const heavyBytes = 1 << 20

func (f *Fetcher) isHeavy(c blob.Commitment, stripes uint32) bool {
	return min(c.Layout.Size, int64(stripes)*int64(c.Layout.K1*c.Layout.K2*c.Layout.Seg)) >= heavyBytes
}

// headBytes is how many bytes at the beginning of a large blob are asked for by themselves:
// as many as come in one go over a new connection.
const headBytes = 24 << 10

// readHead reads the beginning of a blob, so that what reads the blob has something before the
// first stripe is here. The first row's holders are asked for it; where they are silent for the
// time in which others answer, these are asked for what rebuilds the row, about as many bytes
// as it has. It gives nothing where that fails.
func (f *Fetcher) readHead(ctx context.Context, fetching *sync.WaitGroup, d *Directory, c blob.Commitment) <-chan []byte {
	head, read := make(chan []byte, 1), make(chan []byte, 2)
	bytes := min(headBytes, int64(c.Layout.K2*c.Layout.Seg), c.Layout.Size)
	ctx, cancel := context.WithCancel(ctx)
	try := func(how func() ([]byte, error)) {
		fetching.Go(func() {
			b, err := how()
			if err != nil {
				b = nil
			}
			read <- b
		})
	}
	try(func() ([]byte, error) { return f.readPart(ctx, d, c, 0, 0, bytes) })
	fetching.Go(func() {
		defer cancel()
		patience := headTrips * f.host.Distance()
		if !f.standsWithHalf(d) { // all are dialed at the same time
			patience += connectTrips * f.host.Distance()
		}
		late := time.NewTimer(max(f.hedge/4, patience))
		defer late.Stop()
		rebuilding := false
		for tries := 1; tries > 0; {
			select {
			case b := <-read:
				if tries--; b != nil {
					head <- b
					return
				}
			case <-late.C:
			case <-ctx.Done():
				return
			}
			if !rebuilding { // the holder is late, or does not have it
				rebuilding = true
				tries++
				try(func() ([]byte, error) { return f.rebuildHead(ctx, d, c, bytes) })
			}
		}
	})
	return head
}

// standsWithHalf says whether connections to half of the members or more stand.
func (f *Fetcher) standsWithHalf(d *Directory) bool {
	stand, all := 0, f.host.Peers()
	for _, m := range d.Members {
		if _, ok := all[m.Peer]; ok {
			stand++
		}
	}
	return 2*stand >= len(d.Members)
}

// headTrips is the round trips in which a member that is connected answers with the beginning;
// one and a half, mostly.
const headTrips = 2

// rebuildHead is the beginning of the first row, rebuilt without its holders.
func (f *Fetcher) rebuildHead(ctx context.Context, d *Directory, c blob.Commitment, bytes int64) (head []byte, err error) {
	err = f.Repair(ctx, d.but(d.holders(c.ID, 0)...), c, Loss{From: 0, To: 1, Rows: []blob.Place{0}}, false, func(_ StripeList, rows []blob.FullFragment) error {
		head = rows[0].Bytes()
		return nil
	})
	return head[:min(int64(len(head)), bytes)], err
}

// fetchStripes reads stripes [from, to), each from any k1 of its rows. The source rows hold
// the user bytes as they are: each is passed on as soon as all before it are there. Other rows
// are decoded, and the result is checked against the roots of the source rows, which come
// from the shares of the root list in the rows' witnesses.
func (f *Fetcher) fetchStripes(ctx context.Context, d *Directory, c blob.Commitment, from, to uint32, r *run, out chan<- part) {
	defer close(out)
	o := rowOrder{c: c, at: from, to: to, out: out, sources: map[position][]byte{}}
	rows, err := gatherIn(ctx, f, d, c.ID, from, to, sourceFirst(c.Layout.N), c.Layout.K1, fragmentsOf(c, blob.Row), r, o.take)
	for err == nil && o.at < to {
		var b []byte
		if b, err = decodeRows(nil, c, o.at, rows[o.at-from]); err == nil {
			o.finish(b)
		}
	}
	if err != nil {
		out <- part{err: err}
	}
}

// rowOrder passes source rows on in their order.
type rowOrder struct {
	c       blob.Commitment
	at, to  uint32     // stripes that are not passed on yet; of the first a part may be
	next    blob.Place // row of that stripe
	offset  int        // of the row in the stripe
	out     chan<- part
	sources map[position][]byte // rows that came and are not passed on
}

// take takes a row that came.
func (o *rowOrder) take(stripe uint32, p blob.Place, row fragment) {
	if int(p) < o.c.Layout.K1 {
		o.sources[position{stripe, p}] = row.Bytes()
		o.flush()
	}
}

// flush passes on what is next.
func (o *rowOrder) flush() {
	for o.at < o.to {
		b, ok := o.sources[position{o.at, o.next}]
		if !ok {
			return
		}
		delete(o.sources, position{o.at, o.next})
		o.pass(b)
		if o.next++; int(o.next) == o.c.Layout.K1 {
			o.at, o.next, o.offset = o.at+1, 0, 0
		}
	}
}

// finish passes on the rest of a stripe that was decoded, and what is next.
func (o *rowOrder) finish(stripe []byte) {
	o.pass(stripe[min(o.offset, len(stripe)):])
	o.at, o.next, o.offset = o.at+1, 0, 0
	o.flush()
}

// pass passes bytes on, without the padding at the stripe's end.
func (o *rowOrder) pass(b []byte) {
	left := int(o.c.Layout.StripeBytes(int(o.at))) - o.offset
	if b = b[:min(len(b), max(left, 0))]; len(b) > 0 {
		o.out <- part{stripe: o.at, offset: o.offset, bytes: b}
	}
	o.offset += len(b)
}

func decodeRows(dst []byte, c blob.Commitment, stripe uint32, rows map[blob.Place]fragment) ([]byte, error) {
	witnesses := make(map[blob.Place]blob.Witness, len(rows))
	fragments := make([]blob.VerifiedFragment, 0, len(rows))
	for p, row := range rows {
		witnesses[p] = row.witness
		fragments = append(fragments, row.VerifiedFragment)
	}
	list, err := proveList(c, stripe, witnesses)
	if err != nil {
		return nil, err
	}
	return redstuff.For(c.Layout.Shape).Decode(dst, list.ProvenStripe, fragments)
}

// StripeList is the proven root list of a stripe, with its coded tree and path: all
// that a place's witness is made from.
type StripeList struct {
	blob.ProvenStripe
	Tree *blob.StripeTree
	Path []blob.Hash // from the stripe's root to the blob's
}

// proveList rebuilds the root list of a stripe from k1 witnesses and proves that the
// list belongs to the blob.
func proveList(c blob.Commitment, stripe uint32, witnesses map[blob.Place]blob.Witness) (StripeList, error) {
	code := redstuff.For(c.Layout.Shape)
	shares := make(map[blob.Place][]byte, len(witnesses))
	var path []blob.Hash
	for p, w := range witnesses {
		shares[p], path = w.Share, w.StripePath
	}
	list, err := code.DecodeList(shares)
	if err != nil {
		return StripeList{}, err
	}
	tree := code.EncodeList(list)
	proven, err := tree.Prove(c, stripe, path)
	if err != nil {
		// Every share was proven, so the uploader coded the list itself wrongly.
		return StripeList{}, fmt.Errorf("root list of stripe %d of %s: %w", stripe, c.ID, redstuff.ErrInconsistent)
	}
	return StripeList{ProvenStripe: proven, Tree: tree, Path: path}, nil
}
