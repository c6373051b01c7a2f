package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/quilt"
)

// tree makes files under a new directory.
func tree(t *testing.T, files map[string]string) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "tree")
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, path, text)
	}
	return dir
}

func identifiers(q *quilt.Quilt) (out []string) {
	for _, e := range q.Index().Entries {
		out = append(out, e.Identifier)
	}
	return out
}

func TestTheFilesOfADirectoryAreNamedByTheirPaths(t *testing.T) {
	dir := tree(t, map[string]string{"b.txt": "b", "a/one": "1", "a/deep/two.JPG": "2", "-odd name": "3"})
	if err := os.Mkdir(filepath.Join(dir, "empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	other := tree(t, map[string]string{"x": "x"})
	t.Chdir(dir)
	for _, test := range []struct{ paths, want []string }{
		{[]string{dir}, []string{"-odd name", "a/deep/two.JPG", "a/one", "b.txt"}},
		{[]string{dir + "/"}, []string{"-odd name", "a/deep/two.JPG", "a/one", "b.txt"}},
		{[]string{"."}, []string{"-odd name", "a/deep/two.JPG", "a/one", "b.txt"}},
		{[]string{"a/one"}, []string{"one"}},
		{[]string{"b.txt", "./a/one", "a/deep"}, []string{"b.txt", "deep/two.JPG", "one"}},
		{[]string{".", "b.txt"}, []string{"b.txt", "tree/-odd name", "tree/a/deep/two.JPG", "tree/a/one", "tree/b.txt"}},
	} {
		q, err := newQuilt(test.paths)
		if err != nil || !slices.Equal(identifiers(q), test.want) {
			t.Errorf("%q: %q, %v", test.paths, identifiers(q), err)
		}
	}
	if _, err := newQuilt([]string{dir, other}); err != nil {
		t.Error(err) // tree/x is not in the first
	}
	if _, err := newQuilt([]string{"b.txt", "b.txt"}); !errors.Is(err, quilt.ErrTwice) {
		t.Error(err)
	}
	if _, err := newQuilt([]string{"empty"}); err == nil || !strings.Contains(err.Error(), "no file") {
		t.Error(err)
	}
}

func TestLinksAreFollowedAndLoopsRefused(t *testing.T) {
	dir := tree(t, map[string]string{"a/one": "1"})
	link := func(to, name string) {
		t.Helper()
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	link("a/one", "file")
	link("a", "again") // twice the same directory, and no loop
	if q, err := newQuilt([]string{dir}); err != nil || !slices.Equal(identifiers(q), []string{"a/one", "again/one", "file"}) {
		t.Fatal(identifiers(q), err)
	}
	for name, to := range map[string]string{"a/up": "..", "loop": "loop", "broken": "nowhere", "device": "/dev/null"} {
		link(to, name)
		if _, err := newQuilt([]string{dir}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
		os.Remove(filepath.Join(dir, name))
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := newQuilt([]string{dir}); err == nil || !strings.Contains(err.Error(), "pipe") {
		t.Error(err)
	}
}

func TestContentTypesDoNotDependOnTheMachine(t *testing.T) {
	dir := tree(t, map[string]string{"a.JPG": "no picture", "b.webp": "", "c": "\x89PNG\r\n\x1a\n", "d": "plain words", "e": "", "f.xyz": "<!DOCTYPE html>", "g": "\x00\x01"})
	q, err := newQuilt([]string{dir})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"a.JPG": "image/jpeg", "b.webp": "image/webp", "c": "image/png", "d": "text/plain; charset=utf-8", "e": "text/plain; charset=utf-8", "f.xyz": "text/html; charset=utf-8", "g": "application/octet-stream"}
	got := map[string]string{}
	for _, e := range q.Index().Entries {
		got[e.Identifier] = e.ContentType
	}
	if !maps.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestARefOfABlobOrAFile(t *testing.T) {
	id := blob.ID{0: 0xf8, 31: 9}
	patch := quilt.PatchID{Quilt: id, Version: quilt.Version, Start: 3, End: 4}
	for text, want := range map[string]blobRef{
		id.String():             {id: id},
		id.Base64():             {id: id},
		id.String() + "/a/b c":  {id: id, file: "a/b c"},
		id.Base64() + "/../x":   {id: id, file: "../x"},
		id.Base64() + "//":      {id: id, file: "/"},
		patch.String():          {id: id, patch: &patch},
		id.String() + "/" + "-": {id: id, file: "-"},
	} {
		got, err := parseBlobRef(text)
		if err != nil || got.id != want.id || got.file != want.file || fmt.Sprint(got.patch) != fmt.Sprint(want.patch) {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "/", "/a", id.String() + "/", patch.String() + "/a", "bafy/a"} {
		if _, err := parseBlobRef(text); exitCode(t.Context(), err) != exitUsage {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzARefOfABlobOrAFile(f *testing.F) {
	id := blob.ID{0: 0xf8, 31: 9}
	f.Add(id.String())
	f.Add(id.Base64() + "/../a b")
	f.Add(quilt.PatchID{Quilt: id, Version: quilt.Version, End: 1}.String())
	f.Fuzz(func(t *testing.T, s string) {
		ref, err := parseBlobRef(s)
		if err != nil {
			return
		}
		again := ref.id.String()
		switch {
		case ref.patch != nil:
			again = ref.patch.String()
		case ref.file != "":
			again += "/" + ref.file
		}
		if back, err := parseBlobRef(again); err != nil || back.id != ref.id || back.file != ref.file || fmt.Sprint(back.patch) != fmt.Sprint(ref.patch) {
			t.Errorf("%q is read as %+v, and %q as %+v (%v)", s, ref, again, back, err)
		}
		if args := markHyphens((&app{}).root(), []string{"read", s}); strings.HasPrefix(s, "-") != strings.HasPrefix(args[1], hyphenMark) {
			t.Errorf("%q is marked as %q", s, args[1])
		}
	})
}

// countedBytes is a blob in memory that notes what is read of it.
type countedBytes struct {
	b     []byte
	reads [][2]int64
}

func (c *countedBytes) size() int64 { return int64(len(c.b)) }

func (c *countedBytes) write(_ context.Context, from, to int64, w io.Writer) error {
	c.reads = append(c.reads, [2]int64{from, to})
	_, err := w.Write(c.b[from:to])
	return err
}

func TestAFileOfAQuiltIsReadByItself(t *testing.T) {
	dir := tree(t, map[string]string{"a": strings.Repeat("a", 100_000), "b": "hello world", "c": strings.Repeat("c", 100_000)})
	q, err := newQuilt([]string{dir})
	if err != nil {
		t.Fatal(err)
	}
	r, err := q.Open(0)
	if err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	b := &countedBytes{b: all}
	patch := q.Index().Patch(blob.ID{}, 1)
	for _, ref := range []blobRef{{file: "b"}, {patch: &patch}} {
		b.reads = nil
		file, e, err := ref.fileOf(t.Context(), b)
		var out bytes.Buffer
		if err == nil {
			err = file.write(t.Context(), 6, 9, &out)
		}
		if err != nil || out.String() != "wor" || e.Identifier != "b" || file.size() != 11 {
			t.Errorf("%q, %+v, %v", out.String(), e, err)
		}
		if at := q.Index().Entries[1].Offset + 6; len(b.reads) != 2 || b.reads[1] != [2]int64{at, at + 3} {
			t.Errorf("read %v; the bytes lie at %d", b.reads, at)
		}
	}
	patch.Start = 3
	for _, ref := range []blobRef{{file: "bb"}, {patch: &patch}} {
		if _, _, err := ref.fileOf(t.Context(), b); exitCode(t.Context(), err) != exitMissing || !strings.Contains(err.Error(), "3 files") {
			t.Error(err)
		}
	}
	if _, _, err := (blobRef{file: "b"}).fileOf(t.Context(), &countedBytes{b: all[1:]}); !errors.Is(err, quilt.ErrNotQuilt) || exitCode(t.Context(), err) != exitFail {
		t.Error(err)
	}
}

// quilts is a step of a developer's story.
func (d *developer) quilts() {
	files := map[string]string{"index.html": "<p>hello", "img/-dot.png": "\x89PNG\r\n\x1a\n123", "empty": "", "big": strings.Repeat("0123456789", 30_000)}
	dir := tree(d.T, files)
	plan := okJSON[storeResult](d.T, "store", "--quilt", dir, "--dry-run").Blobs[0].DryRun
	one := okJSON[storeResult](d.T, "store", "--quilt", dir).Blobs[0]
	if one.StoreResult == nil || one.ID != plan.Blob || len(one.Files) != len(files) {
		d.Fatalf("planned %+v, stored %+v", plan, one)
	}
	id := one.ID.Base64()
	shown := okJSON[quiltContents](d.T, "list", id)
	if shown.Blob != one.ID || fmt.Sprint(shown.Files) != fmt.Sprint(one.Files) {
		d.Errorf("stored %+v, listed %+v", one.Files, shown.Files)
	}
	for _, f := range shown.Files {
		for _, ref := range []string{id + "/" + f.Identifier, one.ID.String() + "/" + f.Identifier, f.Patch.String()} {
			if got := ok(d.T, "read", ref); got != files[f.Identifier] {
				d.Errorf("read %s: %.40q", ref, got)
			}
		}
	}
	if got := ok(d.T, "read", id+"/big", "--range", "11-15"); got != "1234" {
		d.Errorf("range: %q", got)
	}
	out := filepath.Join(d.dir, "quilted")
	if got := okJSON[readResult](d.T, "read", id+"/index.html", "-o", out); got.Identifier != "index.html" || got.Bytes != 8 {
		d.Errorf("%+v", got)
	}
	content(d.T, out, files["index.html"])
	lines := strings.Split(strings.TrimSpace(ok(d.T, "store", "--quilt", dir)), "\n")
	if len(lines) != 1+len(files) || lines[1] != one.ID.String()+"/big" {
		d.Errorf("printed %q", lines)
	}
	if text := ok(d.T, "list", id); !strings.Contains(text, "image/png") || !strings.Contains(text, shown.Files[0].Patch.String()) {
		d.Error(text)
	}
	all := filepath.Join(d.dir, "whole")
	if got := okJSON[extractResult](d.T, "read", "--quilt", id, "-o", all); got.Files != len(files) || got.Directory != all {
		d.Errorf("%+v", got)
	}
	if got := filesUnder(d.T, all); !maps.Equal(got, files) {
		d.Errorf("%q", got)
	}
	for _, more := range [][]string{{id}, {id, "-o", "-"}, {id + "/big", "-o", all + "2"}, {id, "-o", all + "2", "--range", "0-1"}, {id, "-o", all + "2", "--raw"}} {
		refused(d.T, exitUsage, []string{"--quilt"}, append([]string{"read", "--quilt"}, more...)...)
	}
	refused(d.T, exitMissing, []string{"no such file", "walrus list"}, "read", id+"/none", "-o", out)
	refused(d.T, exitFail, []string{"range outside the blob"}, "read", id+"/index.html", "--range", "0-9", "-o", out)
	single, _ := d.file("single", 1000, 33)
	plain := d.store(single)
	refused(d.T, exitFail, []string{"not a quilt"}, "list", plain.ID.Base64())
	refused(d.T, exitFail, []string{"not a quilt", "ID alone"}, "read", plain.ID.String()+"/x", "-o", out)
	refused(d.T, exitUsage, []string{"standard input"}, "store", "--quilt", "-")
	refused(d.T, exitFail, []string{"--quilt"}, "store", dir)
}
