package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/quilt"
)

// quiltOf is a quilt in memory, of files by their identifiers.
func quiltOf(t *testing.T, files map[string]string) *countedBytes {
	t.Helper()
	var list []quilt.File
	for _, name := range slices.Sorted(maps.Keys(files)) {
		text := files[name]
		list = append(list, quilt.File{Identifier: name, Size: int64(len(text)), Open: func(offset int64) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(text[offset:])), nil
		}})
	}
	q, err := quilt.New(list)
	if err != nil {
		t.Fatal(err)
	}
	r, err := q.Open(0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	all, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return &countedBytes{b: all}
}

// filesUnder are the files under a directory by their paths in it.
func filesUnder(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		files[filepath.ToSlash(name)] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// extracted reads all files of a quilt into a directory, in a directory of its own.
func extracted(t *testing.T, b blobContent) (above, dir string, err error) {
	t.Helper()
	above = t.TempDir()
	dir = filepath.Join(above, "out")
	r := &readCommand{a: &app{streams: streams{out: io.Discard, err: io.Discard}}, output: dir}
	return above, dir, r.extract(t.Context(), b, blob.ID{1})
}

func TestAllFilesOfAQuiltComeBack(t *testing.T) {
	files := map[string]string{"a/one": "1", "a/b/two": strings.Repeat("2", 100_000), "a/b/none": "", ".dot": "d", "-odd name": "3", "Ä": "ä", "z": ""}
	b := quiltOf(t, files)
	_, dir, err := extracted(t, b)
	if err != nil {
		t.Fatal(err)
	}
	if got := filesUnder(t, dir); !maps.Equal(got, files) {
		t.Errorf("%q", got)
	}
	if n := len(b.reads); n != 2 {
		t.Errorf("the blob was read %d times: once for the index and once for all files", n)
	}
	empty := map[string]string{"a": "", "b": ""}
	if _, dir, err = extracted(t, quiltOf(t, empty)); err != nil {
		t.Fatal(err)
	}
	if got := filesUnder(t, dir); !maps.Equal(got, empty) {
		t.Errorf("%q", got)
	}
}

// The names in a quilt are a stranger's: none leads out of the directory.
func TestFilesThatCannotLieUnderTheDirectoryAreRefused(t *testing.T) {
	for _, name := range []string{"../x", "/etc/x", "a/../../x", "a/../x", "./x", "a//x", "x/", ".", "..", "a/.", "b/x/y"} {
		above, _, err := extracted(t, quiltOf(t, map[string]string{name: "evil", "b/x": "good", "c": "good"}))
		if !errors.Is(err, errPlace) || !strings.Contains(err.Error(), "nothing was written") {
			t.Errorf("%q: %v", name, err)
		}
		if got := filesUnder(t, above); len(got) > 0 {
			t.Errorf("%q: %q was written", name, got)
		}
	}
}

// torn is a blob that breaks off before its last byte.
type torn struct{ *countedBytes }

var errTorn = errors.New("torn")

func (b torn) write(_ context.Context, from, to int64, w io.Writer) error {
	if from == 0 {
		_, err := w.Write(b.b[from:to])
		return err
	}
	_, err := w.Write(b.b[from : to-1])
	return errors.Join(err, errTorn)
}

func TestADirectoryAppearsWholeOrNotAtAll(t *testing.T) {
	files := map[string]string{"a": "1", "b/c": "22"}
	above, dir, err := extracted(t, torn{quiltOf(t, files)})
	if !errors.Is(err, errTorn) {
		t.Fatal(err)
	}
	if list, err := os.ReadDir(above); err != nil || len(list) > 0 {
		t.Errorf("%v is left, %v", list, err)
	}
	r := &readCommand{a: &app{streams: streams{out: io.Discard, err: io.Discard}}, output: dir}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := r.extract(t.Context(), quiltOf(t, files), blob.ID{1}); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), "new") {
		t.Error(err)
	}
	r.output = filepath.Join(above, "none", "out")
	if err := r.extract(t.Context(), quiltOf(t, files), blob.ID{1}); !errors.Is(err, fs.ErrNotExist) || strings.Contains(err.Error(), ".walrus-") {
		t.Error(err)
	}
	if got := filesUnder(t, above); len(got) > 0 {
		t.Errorf("%q", got)
	}
	if err := r.extract(t.Context(), &countedBytes{b: []byte(strings.Repeat("no quilt", 99))}, blob.ID{1}); !errors.Is(err, quilt.ErrNotQuilt) || !strings.Contains(fmt.Sprint(err), "without --quilt") {
		t.Error(err)
	}
}
