// Package livefile keeps what a file says current while a program runs: keys, lists and
// certificates that change without a restart.
//
// The promise: a value is told when the file is good and has changed, however it was written;
// a mistake in the file is told once, and again once in a while, and changes nothing.
//
// Left to others: what a file holds, and who may read it.
package livefile

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"time"
)

const (
	every     = 2 * time.Second // a file is looked at
	complains = time.Minute     // between two words about the same mistake
)

// File is a file, or several that are one value. One goroutine uses it at a time.
type File[T any] struct {
	Path  string                  // for errors
	Read  func() ([]byte, error)  // all of it
	Parse func([]byte) (T, error) // its value
	seen  []byte                  // the last bytes that were good
	told  string                  // the last mistake; empty: the file was good
	at    time.Time               // it was told
}

// Look reads the file. changed says that it is good and not what it was at the last look that
// found it good. A mistake is returned when it is new, and once in a while for as long as it
// is there.
func (f *File[T]) Look(now time.Time) (value T, changed bool, mistake error) {
	b, err := f.Read()
	if err == nil {
		if f.seen != nil && bytes.Equal(b, f.seen) {
			f.told = ""
			return value, false, nil
		}
		value, err = f.Parse(b)
	}
	if err == nil {
		f.seen, f.told = append([]byte{}, b...), ""
		return value, true, nil
	}
	var none T
	if err.Error() == f.told && now.Sub(f.at) < complains {
		return none, false, nil
	}
	f.told, f.at = err.Error(), now
	return none, false, fmt.Errorf("%s: %w", f.Path, err)
}

// Watch looks at the file until ctx ends.
func (f *File[T]) Watch(ctx context.Context, take func(T), complain func(error)) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			switch value, changed, err := f.Look(now); {
			case err != nil:
				complain(err)
			case changed:
				take(value)
			}
		}
	}
}

// Bytes reads files one after the other, of at most most bytes each.
func Bytes(most int64, paths ...string) (all []byte, err error) {
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		b, err := io.ReadAll(io.LimitReader(f, most+1))
		f.Close()
		if err != nil {
			return nil, err
		}
		if int64(len(b)) > most {
			return nil, fmt.Errorf("%s has more than %d bytes", path, most)
		}
		all = append(all, b...)
	}
	return all, nil
}
