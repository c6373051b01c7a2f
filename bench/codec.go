package bench

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/redstuff"
)

// Rounds is how often each thing is measured; figures are medians.
const Rounds = 5

// CodecOptions say what to encode, decode or repair.
type CodecOptions struct {
	Shards  int
	Size    int64 // bytes of the blob
	Workers int   // goroutines, and GOMAXPROCS while measuring; <= 0 leaves GOMAXPROCS as it is
}

// CodecResult is what Encode, Decode and Repair measured.
type CodecResult struct {
	Shards    int   `json:"shards"`
	SizeBytes int64 `json:"size_bytes"`
	// MBPerS is the speed. Decode: from the source rows, hashing included. Repair:
	// all of one shard's fragments, what the repairing node computes.
	MBPerS float64 `json:"mb_per_s"`
	// WorstMBPerS is Decode's speed from as many parity rows as there can be.
	WorstMBPerS float64    `json:"worst_mb_per_s,omitempty"`
	Limit       CodecLimit `json:"limit"`
	Ratio       CodecRatio `json:"ratio"`
	PeakRSS     int64      `json:"peak_rss_bytes"` // of this process, so far
	Moved       int64      `json:"moved_bytes"`    // Repair: symbols and witnesses received
	Lost        int64      `json:"lost_bytes"`     // Repair: fragment bytes rebuilt
}

// CodecLimit is how fast the two parts of the work are when each runs alone on data
// that is in the cache.
type CodecLimit struct {
	HashMBPerS float64 `json:"hash_mb_per_s"`
	RSMBPerS   float64 `json:"rs_mb_per_s"`
}

// CodecRatio compares the speed with the limits: with hashing alone, and with hashing
// and Reed-Solomon one after the other. Decode's Serial is that of WorstMBPerS.
type CodecRatio struct {
	Hash   float64 `json:"hash"`
	Serial float64 `json:"serial"`
}

// Encode measures encoding and hashing a blob, as the first pass of a store does.
func Encode(ctx context.Context, o CodecOptions) (CodecResult, error) {
	r, err := newCodecRun(o)
	if err != nil {
		return CodecResult{}, fmt.Errorf("bench encode: %w", err)
	}
	defer r.close()
	l := r.layout
	var speed, hash, rs []float64
	// One round more than is counted: the first warms caches, pools and tables.
	for range Rounds + 1 {
		h, err := r.hashRate()
		if err != nil {
			return CodecResult{}, err
		}
		hash = append(hash, h*float64(l.K1*l.K2)/float64(l.N*l.N))
		e, err := r.encodeRate()
		if err != nil {
			return CodecResult{}, fmt.Errorf("bench encode: %w", err)
		}
		rs = append(rs, e)
		start := time.Now()
		if _, _, err := r.code.Commit(ctx, l, r.input(), r.workers, nil); err != nil {
			return CodecResult{}, fmt.Errorf("bench encode: %w", err)
		}
		speed = append(speed, rate(float64(l.Size), time.Since(start)))
	}
	res := r.result(speed, hash, rs)
	res.Ratio.Serial = res.MBPerS / serial(res.Limit)
	return res, nil
}

// Decode measures turning fragments as they come from the wire into the user's
// bytes: all source rows, and as many parity rows as there can be.
func Decode(ctx context.Context, o CodecOptions) (CodecResult, error) {
	r, err := newCodecRun(o)
	if err != nil {
		return CodecResult{}, fmt.Errorf("bench decode: %w", err)
	}
	defer r.close()
	l := r.layout
	missing := min(l.K1, l.N-l.K1)
	var into buffers
	worstHash := float64(l.K1*l.K2+missing*l.N) / float64(l.K1*l.K2)
	var speed, worst, hash, rs []float64
	for range Rounds + 1 {
		h, err := r.hashRate()
		if err != nil {
			return CodecResult{}, err
		}
		hash = append(hash, h)
		d, err := r.worstDecodeRate(missing)
		if err != nil {
			return CodecResult{}, fmt.Errorf("bench decode: %w", err)
		}
		rs = append(rs, d)
		source, err := r.overStripes(ctx, func(s provenStripe) error { return s.decode(r.code, 0, &into) })
		if err != nil {
			return CodecResult{}, fmt.Errorf("bench decode: %w", err)
		}
		parity, err := r.overStripes(ctx, func(s provenStripe) error { return s.decode(r.code, l.N-l.K1, &into) })
		if err != nil {
			return CodecResult{}, fmt.Errorf("bench decode: %w", err)
		}
		speed, worst = append(speed, rate(float64(l.Size), source)), append(worst, rate(float64(l.Size), parity))
	}
	res := r.result(speed, hash, rs)
	res.WorstMBPerS = median(worst)
	res.Ratio.Serial = res.WorstMBPerS / serial(CodecLimit{HashMBPerS: res.Limit.HashMBPerS / worstHash, RSMBPerS: res.Limit.RSMBPerS})
	return res, nil
}

// Repair measures rebuilding all fragments of one place from single symbols, checked
// to the last leaf, and counts what has to be moved for it. The symbols come from the
// last places, so that none is a copy of what was lost.
func Repair(ctx context.Context, o CodecOptions) (CodecResult, error) {
	r, err := newCodecRun(o)
	if err != nil {
		return CodecResult{}, fmt.Errorf("bench repair: %w", err)
	}
	defer r.close()
	l := r.layout
	const place = blob.Place(0)
	var speed, hash, rs []float64
	var moved, lost int64
	for range Rounds + 1 {
		h, err := r.hashRate()
		if err != nil {
			return CodecResult{}, err
		}
		hash = append(hash, h*float64(l.K1*l.K2)/float64(2*l.N))
		e, err := r.repairRate()
		if err != nil {
			return CodecResult{}, fmt.Errorf("bench repair: %w", err)
		}
		rs = append(rs, e)
		var mu sync.Mutex // guards moved and lost
		moved, lost = 0, 0
		took, err := r.overStripesPrepared(ctx, func(s provenStripe) (func() error, error) {
			repair, m, n, err := s.repair(r.code, place)
			mu.Lock()
			defer mu.Unlock()
			moved, lost = moved+m, lost+n
			return repair, err
		})
		if err != nil {
			return CodecResult{}, fmt.Errorf("bench repair: %w", err)
		}
		speed = append(speed, rate(float64(l.Size), took))
	}
	res := r.result(speed, hash, rs)
	res.Ratio.Serial = res.MBPerS / serial(res.Limit)
	res.Moved, res.Lost = moved, lost
	return res, nil
}

// codecRun is one measurement: the code, and a blob that is made up as it is read.
type codecRun struct {
	code    *redstuff.Code
	layout  blob.Layout
	workers int
	close   func() // gives GOMAXPROCS back
}

func newCodecRun(o CodecOptions) (*codecRun, error) {
	shape, err := blob.NewShape(o.Shards)
	if err != nil {
		return nil, err
	}
	l, err := shape.Layout(o.Size)
	if err != nil {
		return nil, err
	}
	if o.Size == 0 {
		return nil, fmt.Errorf("an empty blob has no speed")
	}
	r := &codecRun{code: redstuff.For(shape), layout: l, workers: o.Workers, close: func() {}}
	if r.workers <= 0 {
		r.workers = runtime.GOMAXPROCS(0)
	} else {
		before := runtime.GOMAXPROCS(o.Workers)
		r.close = func() { runtime.GOMAXPROCS(before) }
	}
	return r, nil
}

func (r *codecRun) input() io.Reader { return io.LimitReader(newNoise(), r.layout.Size) }

func (r *codecRun) result(speed, hash, rs []float64) CodecResult {
	res := CodecResult{
		Shards: r.layout.N, SizeBytes: r.layout.Size, MBPerS: median(speed),
		Limit:   CodecLimit{HashMBPerS: median(hash), RSMBPerS: median(rs)},
		PeakRSS: peakRSS(),
	}
	res.Ratio.Hash = res.MBPerS / res.Limit.HashMBPerS
	return res
}

// median is that of all values but the first, which was for warming up.
func median(v []float64) float64 {
	v = slices.Clone(v[1:])
	slices.Sort(v)
	return v[len(v)/2]
}

func serial(l CodecLimit) float64 { return 1 / (1/l.HashMBPerS + 1/l.RSMBPerS) }

// rate is in MB/s.
func rate(bytes float64, took time.Duration) float64 { return bytes / 1e6 / took.Seconds() }
