package quilt_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/internal/golden"
	"github.com/walrus-network/walrus/quilt"
)

// file is a file of these bytes.
func file(identifier string, b []byte) quilt.File {
	return quilt.File{Identifier: identifier, Size: int64(len(b)), Open: func(offset int64) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(b[offset:])), nil
	}}
}

func mustNew(t testing.TB, files ...quilt.File) *quilt.Quilt {
	t.Helper()
	q, err := quilt.New(files)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func bytesOf(t testing.TB, q *quilt.Quilt) []byte {
	t.Helper()
	r, err := q.Open(0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil || int64(len(b)) != q.Size() {
		t.Fatalf("%d bytes of %d, %v", len(b), q.Size(), err)
	}
	return b
}

// readsOf reads b as a blob and counts the reads.
func readsOf(b []byte, reads *int) func(offset, length int64) ([]byte, error) {
	return func(offset, length int64) ([]byte, error) {
		*reads++
		if offset < 0 || length < 0 || offset+length > int64(len(b)) {
			return nil, fmt.Errorf("read %d at %d of %d", length, offset, len(b))
		}
		return bytes.Clone(b[offset : offset+length]), nil
	}
}

func parse(b []byte) (quilt.Index, error) {
	n := 0
	return quilt.ReadIndex(int64(len(b)), readsOf(b, &n))
}

func example(t testing.TB) *quilt.Quilt {
	one := file("b/photo.jpg", golden.Content(10))
	one.ContentType = "image/jpeg"
	one.Tags = []quilt.Tag{{Name: "size", Value: "small"}, {Name: "author", Value: "Ada"}}
	return mustNew(t, one, file("a.txt", []byte("hello")), file("empty", nil))
}

func TestGoldenQuilt(t *testing.T) {
	q := example(t)
	b := bytesOf(t, q)
	g := golden.File{Name: "quilt.txt"}
	g.Add("quilt", b)
	for _, e := range q.Index().Entries {
		g.Add("entry("+e.Identifier+")", fmt.Sprintf("offset=%d length=%d type=%q tags=%v bytes=%x", e.Offset, e.Length, e.ContentType, e.Tags, b[e.Offset:e.Offset+e.Length]))
	}
	id := blob.ID(golden.Content(32))
	g.Add("id", id[:])
	for n := range q.Index().Entries {
		g.Add(fmt.Sprintf("patch(%d)", n), q.Index().Patch(id, n))
	}
	g.Add("patch(65534)", quilt.PatchID{Quilt: id, Version: quilt.Version, Start: 65534, End: 65535})
	g.Check(t)
}

func TestAQuiltIsReadAsItWasMade(t *testing.T) {
	q := example(t)
	i, err := parse(bytesOf(t, q))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(i), fmt.Sprint(q.Index()); got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
	for n, e := range i.Entries {
		if found, ok := i.Find(e.Identifier); !ok || found != n {
			t.Errorf("%q is number %d, found %d %v", e.Identifier, n, found, ok)
		}
	}
	for _, absent := range []string{"", "a", "b", "z"} {
		if _, ok := i.Find(absent); ok {
			t.Errorf("%q was found", absent)
		}
	}
}

// A store opens its source at any byte.
func TestAQuiltIsReadFromAnyByte(t *testing.T) {
	q := example(t)
	b := bytesOf(t, q)
	for offset := range int64(len(b) + 1) {
		r, err := q.Open(offset)
		if err != nil {
			t.Fatal(err)
		}
		if err := iotest.TestReader(struct{ io.Reader }{r}, b[offset:]); err != nil {
			t.Errorf("from byte %d: %v", offset, err)
		}
		r.Close()
	}
	for _, offset := range []int64{-1, q.Size() + 1} {
		if _, err := q.Open(offset); err == nil {
			t.Errorf("byte %d was opened", offset)
		}
	}
}

// closes counts the files that are open.
type closes struct {
	io.Reader
	open *int
}

func (c closes) Close() error { *c.open--; return nil }

func TestOneFileIsOpenAtATime(t *testing.T) {
	open := 0
	files := make([]quilt.File, 50)
	for i := range files {
		b := golden.Content(i)
		files[i] = quilt.File{Identifier: fmt.Sprint(i), Size: int64(len(b)), Open: func(offset int64) (io.ReadCloser, error) {
			if open++; open > 1 {
				t.Errorf("%d files are open", open)
			}
			return closes{iotest.OneByteReader(bytes.NewReader(b[offset:])), &open}, nil
		}}
	}
	q := mustNew(t, files...)
	bytesOf(t, q)
	if open != 0 {
		t.Errorf("%d files stayed open", open)
	}
	r, err := q.Open(q.Size() - 20)
	if err != nil || open != 1 || r.Close() != nil || open != 0 {
		t.Errorf("%d files are open, %v", open, err)
	}
}

func TestAFileThatChangedEndsTheReading(t *testing.T) {
	broken := errors.New("disk")
	for name, test := range map[string]struct {
		read io.Reader
		want error
	}{
		"shorter":     {strings.NewReader("1234"), quilt.ErrChanged},
		"longer":      {strings.NewReader("123456"), quilt.ErrChanged},
		"cannot read": {io.MultiReader(strings.NewReader("123"), iotest.ErrReader(broken)), broken},
		"cannot end":  {io.MultiReader(strings.NewReader("12345"), iotest.ErrReader(broken)), broken},
	} {
		f := quilt.File{Identifier: "x", Size: 5, Open: func(int64) (io.ReadCloser, error) { return io.NopCloser(test.read), nil }}
		r, err := mustNew(t, f, file("y", []byte("abc"))).Open(0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(r); !errors.Is(err, test.want) || !strings.Contains(err.Error(), `"x"`) {
			t.Errorf("%s: %v", name, err)
		}
		r.Close()
	}
}

func TestWhatAQuiltCannotKeepIsRefused(t *testing.T) {
	typed := func(s string) quilt.File { f := file("x", nil); f.ContentType = s; return f }
	tagged := func(tags ...quilt.Tag) quilt.File { f := file("x", nil); f.Tags = tags; return f }
	many := make([]quilt.File, quilt.MaxFiles+1)
	for i := range many {
		many[i] = file(fmt.Sprint(i), nil)
	}
	long := make([]quilt.File, 600)
	for i := range long {
		long[i] = file(strings.Repeat("x", 60000)+fmt.Sprint(i), nil)
	}
	for name, test := range map[string]struct {
		files []quilt.File
		want  error
	}{
		"no files":              {nil, quilt.ErrNoFiles},
		"too many files":        {many, quilt.ErrTooMany},
		"index too large":       {long, quilt.ErrTooMany},
		"size overflows":        {[]quilt.File{{Identifier: "a", Size: 1 << 62}, {Identifier: "b", Size: 1 << 62}}, quilt.ErrTooMany},
		"negative size":         {[]quilt.File{{Identifier: "a", Size: -1}}, quilt.ErrTooMany},
		"same identifier":       {[]quilt.File{file("a", nil), file("a", nil)}, quilt.ErrTwice},
		"empty identifier":      {[]quilt.File{file("", nil)}, quilt.ErrIdentifier},
		"space at the end":      {[]quilt.File{file("a ", nil)}, quilt.ErrIdentifier},
		"wide space at the end": {[]quilt.File{file("a\u3000", nil)}, quilt.ErrIdentifier},
		"control character":     {[]quilt.File{file("a\nb", nil)}, quilt.ErrIdentifier},
		"C1 control character":  {[]quilt.File{file("a\u0085b", nil)}, quilt.ErrIdentifier},
		"not UTF-8":             {[]quilt.File{file("a\xff", nil)}, quilt.ErrIdentifier},
		"long identifier":       {[]quilt.File{file(strings.Repeat("a", 65536), nil)}, quilt.ErrIdentifier},
		"type of two lines":     {[]quilt.File{typed("text/plain\r\nSet-Cookie: a=b")}, quilt.ErrFileType},
		"long type":             {[]quilt.File{typed(strings.Repeat("a", 256))}, quilt.ErrFileType},
		"spaced type":           {[]quilt.File{typed(" text/plain")}, quilt.ErrFileType},
		"tag without a name":    {[]quilt.File{tagged(quilt.Tag{Value: "v"})}, quilt.ErrTag},
		"tag twice":             {[]quilt.File{tagged(quilt.Tag{Name: "a"}, quilt.Tag{Name: "a", Value: "v"})}, quilt.ErrTag},
		"tag of two lines":      {[]quilt.File{tagged(quilt.Tag{Name: "a\nb"})}, quilt.ErrTag},
		"value not UTF-8":       {[]quilt.File{tagged(quilt.Tag{Name: "a", Value: "\xff"})}, quilt.ErrTag},
		"64 KiB of tags":        {[]quilt.File{tagged(quilt.Tag{Name: "a", Value: strings.Repeat("v", 64<<10)})}, quilt.ErrTag},
	} {
		if _, err := quilt.New(test.files); !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheLargestQuiltIsMadeAndRead(t *testing.T) {
	files := make([]quilt.File, quilt.MaxFiles)
	for i := range files {
		files[i] = file(fmt.Sprintf("%0400d", i), []byte{byte(i)})
	}
	files[7].Tags = []quilt.Tag{{Name: "a", Value: strings.Repeat("v", quilt.MaxTagBytes-1)}}
	files[8].Identifier = strings.Repeat("z", quilt.MaxIdentifierBytes)
	b := bytesOf(t, mustNew(t, files...))
	reads := 0
	i, err := quilt.ReadIndex(int64(len(b)), readsOf(b, &reads))
	if err != nil || len(i.Entries) != len(files) || reads != 2 {
		t.Fatalf("%d files in %d reads, %v", len(i.Entries), reads, err)
	}
	if e := i.Entries[65534]; e.Identifier != files[8].Identifier || b[e.Offset] != 8 || e.Length != 1 {
		t.Errorf("the last lies at %d with %d bytes", e.Offset, e.Length)
	}
}

func TestASmallIndexIsReadAtOnce(t *testing.T) {
	b, reads := bytesOf(t, example(t)), 0
	if _, err := quilt.ReadIndex(int64(len(b)), readsOf(b, &reads)); err != nil || reads != 1 {
		t.Errorf("%d reads, %v", reads, err)
	}
}

func TestWhatIsNoQuiltIsRefused(t *testing.T) {
	whole := bytesOf(t, mustNew(t, file("a", []byte("1")), file("b", []byte("22"))))
	change := func(from, to string) []byte {
		b := bytes.Replace(whole, unhex(t, from), unhex(t, to), 1)
		if bytes.Equal(b, whole) {
			t.Fatalf("%s is not in %x", from, whole)
		}
		return b
	}
	if _, err := parse(whole); err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{
		"nothing":            nil,
		"another blob":       []byte("a text that is not a quilt"),
		"cut off":            whole[:len(whole)-1],
		"longer":             append(bytes.Clone(whole), 0),
		"version 1":          change("7175696c7402", "7175696c7401"),
		"no files":           append([]byte("wquilt\x02\x00\x00\x00\x01"), 0x80),
		"long array head":    change("000f82", "000f9802"),
		"index too long":     change("0000000f", "7fffffff"),
		"index shorter":      change("0000000f", "0000000e"),
		"index longer":       change("0000000f", "00000010"),
		"order":              change("6161", "6163"),
		"twice":              change("6162", "6161"),
		"offset":             change("61620102", "61620202"),
		"overlap":            change("61620102", "61620002"),
		"length beyond":      change("61620102", "61620103"),
		"length not all":     change("61620102", "61620101"),
		"huge length":        bytes.Replace(change("0000000f", "00000017"), unhex(t, "61620102"), unhex(t, "6162011bffffffffffffffff"), 1),
		"long number":        bytes.Replace(change("0000000f", "00000010"), unhex(t, "61620102"), unhex(t, "6162011802"), 1),
		"null for no tags":   change("61620102"+"6080", "61620102"+"60f6"),
		"control identifier": change("6161", "6101"),
	} {
		if _, err := parse(b); !errors.Is(err, quilt.ErrNotQuilt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	broken := errors.New("no row")
	for name, read := range map[string]func(int64, int64) ([]byte, error){
		"fails": func(int64, int64) ([]byte, error) { return nil, broken },
		"short": func(int64, int64) ([]byte, error) { return whole[:3], nil },
	} {
		if _, err := quilt.ReadIndex(int64(len(whole)), read); err == nil || errors.Is(err, quilt.ErrNotQuilt) {
			t.Errorf("a read that %s: %v", name, err)
		}
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestPatchIDs(t *testing.T) {
	id := blob.ID(golden.Content(32))
	good := quilt.PatchID{Quilt: id, Version: 2, Start: 258, End: 259}
	if p, err := quilt.ParsePatchID(good.String()); err != nil || p != good || len(good.String()) != 50 {
		t.Fatalf("%v, %v", p, err)
	}
	for name, p := range map[string]quilt.PatchID{
		"version 1": {Quilt: id, Version: 1, Start: 1, End: 2},
		"two files": {Quilt: id, Version: 2, Start: 1, End: 3},
		"no file":   {Quilt: id, Version: 2, Start: 1, End: 1},
		"past all":  {Quilt: id, Version: 2, Start: 65535, End: 0},
	} {
		if _, err := quilt.ParsePatchID(p.String()); !errors.Is(err, quilt.ErrPatchID) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s := good.String()
	for _, text := range []string{"", s[:49], s + "A", s[:49] + "\n", s[:48] + "==", s[:49] + "B", "+" + s[1:], id.String()} {
		if _, err := quilt.ParsePatchID(text); !errors.Is(err, quilt.ErrPatchID) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzReadIndex(f *testing.F) {
	f.Add(bytesOf(f, example(f)))
	f.Add(bytesOf(f, mustNew(f, file("a", []byte("1")), file("b", []byte("22")))))
	f.Add([]byte("wquilt\x02\x00\x00\x00\x01\x80"))
	f.Fuzz(func(t *testing.T, b []byte) {
		i, err := parse(b)
		if err != nil {
			return
		}
		// What is read is made again, byte for byte.
		files := make([]quilt.File, len(i.Entries))
		for n, e := range i.Entries {
			files[n] = file(e.Identifier, b[e.Offset:e.Offset+e.Length])
			files[n].ContentType, files[n].Tags = e.ContentType, e.Tags
		}
		if again := bytesOf(t, mustNew(t, files...)); !bytes.Equal(again, b) {
			t.Fatalf("read %x, made %x", b, again)
		}
	})
}

func FuzzParsePatchID(f *testing.F) {
	f.Add(quilt.PatchID{Version: 2, Start: 7, End: 8}.String())
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		if p, err := quilt.ParsePatchID(s); err == nil && p.String() != s {
			t.Fatalf("%q is read as %q", s, p)
		}
	})
}
