package bench

import (
	"time"

	"github.com/walrus-network/walrus/blob"
)

// limitBytes is about how much each worker processes to measure a limit once.
const limitBytes = 96 << 20

// hashRate is the speed of hashing symbols, all workers together, in MB/s of symbols.
func (r *codecRun) hashRate() (float64, error) {
	seg := r.layout.Seg
	jobs, rounds := r.perWorker(seg*r.layout.N, func(symbols []byte) error {
		blob.Leaves(symbols, seg)
		return nil
	})
	start := time.Now()
	err := together(jobs)
	return rate(float64(seg*r.layout.N)*rounds, time.Since(start)), err
}

// perWorker makes a job for each worker that does work on size bytes of noise again
// and again; rounds is how often that is, over all of them.
func (r *codecRun) perWorker(size int, work func([]byte) error) (jobs []func() error, rounds float64) {
	times := max(1, limitBytes/size)
	for range r.workers {
		buf := make([]byte, size)
		newNoise().Read(buf)
		jobs = append(jobs, func() error {
			for range times {
				if err := work(buf); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return jobs, float64(times * r.workers)
}

// encodeRate is the speed of extending the columns and the rows of a stripe, with
// nothing else, in MB/s of user bytes. A few neighbouring columns are extended at
// once, as an encoder may.
func (r *codecRun) encodeRate() (float64, error) {
	l := r.layout
	run := max(1, min(l.K2, 16<<10/l.Seg))
	columns, err := r.extendTime(blob.Column, run)
	if err != nil {
		return 0, err
	}
	row, err := r.extendTime(blob.Row, 1)
	took := time.Duration(float64(columns)*float64(l.K2)/float64(run)) + time.Duration(l.N)*row
	return rate(float64(l.K1*l.K2*l.Seg), took), err
}

// extendTime is how long extending run neighbouring lines takes, divided by the
// number of workers that do it at once.
func (r *codecRun) extendTime(axis blob.Axis, run int) (time.Duration, error) {
	l := r.layout
	jobs, rounds := r.perWorker(run*l.Seg*l.N, func(b []byte) error {
		shards := make([][]byte, l.N)
		for i := range shards {
			shards[i] = b[i*run*l.Seg : (i+1)*run*l.Seg]
		}
		return r.code.ExtendShards(axis, shards, l.Seg)
	})
	start := time.Now()
	err := together(jobs)
	return time.Duration(float64(time.Since(start)) / rounds), err
}

// worstDecodeRate is the speed of decoding the columns of a stripe from their last k1
// symbols and extending the rows that were missing, in MB/s of user bytes.
func (r *codecRun) worstDecodeRate(missing int) (float64, error) {
	l := r.layout
	column, err := r.recoverTime(blob.Column, l.N-l.K1)
	if err != nil {
		return 0, err
	}
	row, err := r.extendTime(blob.Row, 1)
	took := time.Duration(l.K2)*column + time.Duration(missing)*row
	return rate(float64(l.K1*l.K2*l.Seg), took), err
}

// recoverTime is how long one recovery of a fragment takes from k symbols at from and
// after, divided by the number of workers that do it at once.
func (r *codecRun) recoverTime(axis blob.Axis, from int) (time.Duration, error) {
	k, seg := r.layout.Symbols(axis), r.layout.Seg
	jobs, rounds := r.perWorker(k*seg, func(b []byte) error {
		at, symbols := make([]int, k), make([][]byte, k)
		for i := range at {
			at[i], symbols[i] = from+i, b[i*seg:(i+1)*seg]
		}
		_, err := r.code.Recover(axis, at, symbols, seg)
		return err
	})
	start := time.Now()
	err := together(jobs)
	return time.Duration(float64(time.Since(start)) / rounds), err
}

// repairRate is the speed of recovering and extending one row and one column of each
// stripe from the symbols of the last places, in MB/s of user bytes.
func (r *codecRun) repairRate() (float64, error) {
	l := r.layout
	var took time.Duration
	for _, axis := range []blob.Axis{blob.Row, blob.Column} {
		rebuild, err := r.recoverTime(axis, l.N-l.Symbols(axis))
		if err != nil {
			return 0, err
		}
		extend, err := r.extendTime(axis, 1)
		if err != nil {
			return 0, err
		}
		took += rebuild + extend
	}
	return rate(float64(l.K1*l.K2*l.Seg), took), nil
}
