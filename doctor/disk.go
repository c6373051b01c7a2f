package doctor

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

	"github.com/walrus-network/walrus/node"
)

// The size of a measurement of a disk.
const (
	syncBytes  = 4 << 10 // written before each fsync
	syncTimes  = 21      // fsyncs, at most
	writeBytes = 32 << 20
	writePiece = 1 << 20
	readBytes  = 64 << 10
	readTimes  = 64              // reads, at most
	diskTime   = 2 * time.Second // for each of the three measurements, at most
)

// DiskSpeed is the measured speed of a disk.
type DiskSpeed struct {
	Sync      time.Duration `json:"fsync_median_ns"`
	WorstSync time.Duration `json:"fsync_worst_ns"`
	Write     int64         `json:"write_bytes_per_second"` // written in order, with a final fsync
	Read      time.Duration `json:"read_median_ns"`         // of 64 KiB at a random place, past the page cache where the system allows that
	Kind      string        `json:"file_system,omitempty"`  // its name, if a node should not lie on it
}

// scratch is a file whose disk is measured.
type scratch interface {
	io.WriterAt
	io.ReaderAt
	Sync() error
	// Forget drops the file from the page cache, so that reads come from the disk.
	Forget() error
}

type scratchFile struct{ *os.File }

func (f scratchFile) Forget() error { return forget(f.File) }

// MeasureDisk measures the disk of the fragments of the node in dir. It takes up to six
// seconds, and removes the 32 MiB that it writes. Errors: those of the system; the end
// of ctx.
func MeasureDisk(ctx context.Context, dir string) (d DiskSpeed, err error) {
	dir = fragmentsDisk(dir)
	f, err := os.CreateTemp(dir, trialPrefix)
	if err != nil {
		return d, fmt.Errorf("measure the disk: %w", err)
	}
	os.Remove(f.Name()) // the file goes when it is closed, whatever happens
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
	syncs, err := repeat(ctx, syncTimes, diskTime, func(i int) error {
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
	writes, err := repeat(ctx, writeBytes/writePiece, diskTime, func(i int) error {
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
	reads, err := repeat(ctx, readTimes, diskTime, func(int) error {
		_, err := f.ReadAt(piece[:readBytes], mrand.Int64N(size/readBytes)*readBytes)
		return err
	})
	d.Read = median(reads)
	return d, err
}

// fragmentsDisk is the directory of a node's fragments, which may be on a disk of its own.
// Before it exists, it is the node's directory, in which it will be made.
func fragmentsDisk(dir string) string {
	fragments := filepath.Join(dir, node.FragmentsDir)
	if info, err := os.Stat(fragments); err == nil && info.IsDir() {
		return fragments
	}
	return dir
}

// repeat calls do with 0, 1, 2 and so on, at most most times, and returns how long each
// call took. After limit it makes no further call; it makes at least one.
func repeat(ctx context.Context, most int, limit time.Duration, do func(int) error) (took []time.Duration, err error) {
	for begin, i := time.Now(), 0; i < most && (i == 0 || time.Since(begin) < limit); i++ {
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

// forgetFiles drops the files in dir from the page cache, so that reads come from the disk.
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
