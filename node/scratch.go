package node

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	mrand "math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// What is measured of a disk.
const (
	syncBytes  = 4 << 10
	syncTimes  = 21
	writeBytes = 32 << 20
	writePiece = 1 << 20
	readBytes  = 64 << 10
	readTimes  = 64
	diskTime   = 2 * time.Second // for each of the three, then it goes on
)

// DiskSpeed is what a disk does.
type DiskSpeed struct {
	Sync      time.Duration `json:"fsync_median_ns"`
	WorstSync time.Duration `json:"fsync_worst_ns"`
	Write     int64         `json:"write_bytes_per_second"` // one after the other, until it is on the disk
	Read      time.Duration `json:"read_median_ns"`         // of 64 KiB anywhere, not from memory as far as the system lets go of it
	Kind      string        `json:"file_system,omitempty"`  // where it is one that a node should not be on
}

// scratch is a file that is written and read to measure its disk.
type scratch interface {
	io.WriterAt
	io.ReaderAt
	Sync() error
	// Forget lets what was written be read from the disk.
	Forget() error
}

type scratchFile struct{ *os.File }

func (f scratchFile) Forget() error { return forget(f.File) }

// MeasureDisk measures the disk on which a node's fragments lie, or will lie. What it
// wrote is gone when it returns.
func MeasureDisk(ctx context.Context, dir string) (d DiskSpeed, err error) {
	if info, err := os.Stat(filepath.Join(dir, FragmentsDir)); err == nil && info.IsDir() {
		dir = filepath.Join(dir, FragmentsDir)
	}
	f, err := os.CreateTemp(dir, trialPrefix)
	if err != nil {
		return d, fmt.Errorf("measure the disk: %w", err)
	}
	os.Remove(f.Name()) // it lives until it is closed, whatever happens
	d, err = measureDisk(ctx, scratchFile{f})
	if err = errors.Join(err, f.Close()); err != nil {
		return d, fmt.Errorf("measure the disk: %w", err)
	}
	d.Kind = oddFileSystem(dir)
	return d, nil
}

func measureDisk(ctx context.Context, f scratch) (d DiskSpeed, err error) {
	piece := make([]byte, writePiece)
	if _, err := rand.Read(piece); err != nil {
		return d, err
	}
	syncs, err := repeat(ctx, syncTimes, func(i int) error {
		if _, err := f.WriteAt(piece[:syncBytes], int64(i*syncBytes)); err != nil {
			return err
		}
		return f.Sync()
	})
	if err != nil {
		return d, err
	}
	d.Sync, d.WorstSync = median(syncs), slices.Max(syncs)
	begin := time.Now()
	writes, err := repeat(ctx, writeBytes/writePiece, func(i int) error {
		_, err := f.WriteAt(piece, int64(i)*writePiece)
		return err
	})
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		return d, err
	}
	size := int64(len(writes)) * writePiece
	d.Write = int64(float64(size) / max(time.Since(begin).Seconds(), 1e-9))
	if err := f.Forget(); err != nil {
		return d, err
	}
	reads, err := repeat(ctx, readTimes, func(int) error {
		_, err := f.ReadAt(piece[:readBytes], mrand.Int64N(size/readBytes)*readBytes)
		return err
	})
	d.Read = median(reads)
	return d, err
}

// repeat times what do does, some times, or fewer where that takes long: once at least.
func repeat(ctx context.Context, most int, do func(int) error) (took []time.Duration, err error) {
	for begin, i := time.Now(), 0; i < most && (i == 0 || time.Since(begin) < diskTime); i++ {
		if err := ctx.Err(); err != nil {
			return took, err
		}
		at := time.Now()
		if err := do(i); err != nil {
			return took, err
		}
		took = append(took, time.Since(at))
	}
	return took, nil
}

// forgetFiles makes the system read the files in dir from the disk again.
func forgetFiles(dir string) error {
	list, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range list {
		if !e.Type().IsRegular() || strings.EqualFold(e.Name(), "LOCK") {
			continue
		}
		f, err := os.Open(filepath.Join(dir, e.Name()))
		if err != nil {
			return err
		}
		if err := errors.Join(forget(f), f.Close()); err != nil {
			return err
		}
	}
	return nil
}
