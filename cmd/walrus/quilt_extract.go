package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/quilt"
)

// errPlace is returned where the files of a quilt cannot lie under one directory.
var errPlace = errors.New("it cannot be a file under a directory")

type extractResult struct {
	Blob      blob.ID `json:"blob"`
	Directory string  `json:"directory"`
	Files     int     `json:"files"`
	Bytes     int64   `json:"bytes"` // of the files
	Seconds   float64 `json:"seconds"`
}

// extract writes all files of the quilt that b is under the directory that was named.
func (r *readCommand) extract(ctx context.Context, b blobContent, id blob.ID) error {
	index, err := readIndex(ctx, b)
	if errors.Is(err, quilt.ErrNotQuilt) {
		err = fmt.Errorf("%w, so it holds no files: read it without --quilt", err)
	}
	if err == nil {
		err = checkPlaces(id, index)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", id, err)
	}
	from := index.Entries[0].Offset
	err = wholeDirectory(r.output, func(dir *os.Root) error {
		bar := r.a.newBar("read", b.size()-from)
		defer bar.end()
		x := &extraction{dir: dir, left: index.Entries}
		x.syncs.SetLimit(syncsAtOnce)
		err := x.next() // files of no bytes get none written
		if err == nil && from < b.size() {
			err = b.write(ctx, from, b.size(), &barWriter{w: x, bar: bar})
		}
		return x.end(err)
	})
	if err != nil {
		return err
	}
	result := extractResult{id, r.output, len(index.Entries), b.size() - from, time.Since(r.a.began).Seconds()}
	return r.a.print(result, func(io.Writer) error {
		if _, ok := terminal(r.a.err); ok {
			r.a.say("%s: %s, %s in %s, every byte verified", nameText(r.output), some(uint64(result.Files), "file"), bytesText(result.Bytes), ageText(time.Since(r.a.began)))
		}
		return nil
	})
}

// checkPlaces refuses a quilt with a file that would not lie under the directory by its name,
// or that another file's directory would have to be.
func checkPlaces(id blob.ID, index quilt.Index) error {
	files := map[string]bool{}
	for _, e := range index.Entries {
		name := e.Identifier
		if path.Clean(name) != name || !filepath.IsLocal(filepath.FromSlash(name)) || name == "." {
			return placeError(id, name, "its name is no plain path")
		}
		files[name] = true
	}
	for name := range files {
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			if files[dir] {
				return placeError(id, dir, fmt.Sprintf("%s would lie in it", nameText(name)))
			}
		}
	}
	return nil
}

func placeError(id blob.ID, name, why string) error {
	return fmt.Errorf("file %s of the quilt: %w: %s; nothing was written: read the files that you need one by one, %s/FILE -o NAME", nameText(name), errPlace, why, id)
}

// wholeDirectory makes a directory with what fill writes. It appears whole or not at all.
func wholeDirectory(name string, fill func(dir *os.Root) error) (err error) {
	name = filepath.Clean(name)
	if _, err := os.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("write the files under %s: %w: name a directory that is new", nameText(name), cmp.Or(err, fs.ErrExist))
	}
	part := partName(filepath.Dir(name))
	if err := os.Mkdir(part, 0o777); err != nil {
		if why := new(fs.PathError); errors.As(err, &why) {
			err = why.Err
		}
		return fmt.Errorf("make a directory in %s: %w", nameText(filepath.Dir(name)), err)
	}
	forget := leaves(part)
	defer func() {
		if err != nil {
			err = roomText(errors.Join(err, os.RemoveAll(part)), "nothing was left behind")
		}
		forget()
	}()
	dir, err := os.OpenRoot(part)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := fill(dir); err != nil {
		return err
	}
	return os.Rename(part, name)
}

// syncsAtOnce is how many files are brought to the disk at the same time.
const syncsAtOnce = 16

// extraction cuts the bytes behind a quilt's index into its files.
type extraction struct {
	dir   *os.Root
	left  []quilt.Entry // the first of them is being written, if file is not nil
	file  *os.File      // nil: none is being written
	lacks int64         // bytes of it that are to come
	syncs errgroup.Group
}

// next begins the next file that has bytes, and makes those before it that have none.
func (x *extraction) next() error {
	for len(x.left) > 0 {
		name := filepath.FromSlash(x.left[0].Identifier)
		err := x.dir.MkdirAll(filepath.Dir(name), 0o777)
		if err == nil {
			x.file, err = x.dir.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
		}
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%s: %w: this disk does not tell its name from another's, as in upper and lower case", nameText(x.left[0].Identifier), errPlace)
		}
		if err != nil {
			return err
		}
		if x.lacks = x.left[0].Length; x.lacks > 0 {
			return nil
		}
		x.done()
	}
	return nil
}

// done ends a file.
func (x *extraction) done() {
	f := x.file
	x.file, x.left = nil, x.left[1:]
	x.syncs.Go(func() error { return errors.Join(f.Sync(), f.Close()) })
}

func (x *extraction) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		if x.file == nil {
			return n, errors.New("more bytes than the index of the quilt says")
		}
		k, err := x.file.Write(p[:min(int64(len(p)), x.lacks)])
		n, p, x.lacks = n+k, p[k:], x.lacks-int64(k)
		if err != nil {
			return n, err
		}
		if x.lacks == 0 {
			x.done()
			if err := x.next(); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// end waits until all files are on the disk. err is what writing them came to.
func (x *extraction) end(err error) error {
	if x.file != nil {
		err = errors.Join(err, x.file.Close())
	}
	err = errors.Join(err, x.syncs.Wait())
	if err == nil && len(x.left) > 0 {
		err = fmt.Errorf("%s: %w", x.left[0].Identifier, io.ErrUnexpectedEOF)
	}
	return err
}

// extracts checks the flags of a read of all files.
func (r *readCommand) extracts(ref blobRef, toStdout bool) error {
	switch {
	case toStdout:
		return errUsage{errors.New("--quilt needs -o DIR: it writes all files of a quilt under a directory")}
	case ref.inQuilt():
		return errUsage{errors.New("--quilt reads all files of a quilt: leave out the file's name, or --quilt")}
	case r.span != "" || r.keys.raw:
		return errUsage{errors.New("--quilt goes with neither --range nor --raw")}
	}
	return nil
}
