package quilt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/walrus-network/walrus/canon"
)

// Limits of the format.
const (
	MaxFiles           = 65535
	MaxIdentifierBytes = 65535
	MaxTagBytes        = 64 << 10 // names and values of one file
	MaxTags            = 1 << 18  // of all files together
	MaxTypeBytes       = 255      // of a content type
	MaxIndexBytes      = 32 << 20
)

// Version is the version of the format of this package; it stands in each quilt and patch ID.
const Version = 2

const (
	magic       = "wquilt\x02" // the last byte is Version
	headerBytes = int64(len(magic)) + 4
	maxHead     = headerBytes + MaxIndexBytes
	// maxRecordBytes is more than a record's canonical bytes can be: what its fields hold,
	// and at most 6 bytes for the heads of each of its tags, of which every name has a byte.
	maxRecordBytes = MaxIdentifierBytes + MaxTypeBytes + 7*MaxTagBytes + 64
	// firstRead is how many bytes ReadIndex asks for before it knows the index' length.
	firstRead = 64 << 10
)

// Errors of the format.
var (
	// ErrNotQuilt is returned for bytes that are not a quilt as New makes it.
	ErrNotQuilt   = errors.New("not a quilt")
	ErrIdentifier = errors.New("not an identifier: it has 1 to 65535 bytes of UTF-8, no control character and no space at its end")
)

// Tag is a name and a value that a file has.
type Tag struct{ Name, Value string }

// Entry is what the index says of one file.
type Entry struct {
	Identifier  string
	Offset      int64 // in the blob
	Length      int64 // bytes
	ContentType string
	Tags        []Tag // sorted by name, which is unique
}

// Index is the files of a quilt.
//
// Invariant: Entries are sorted by identifier, which is unique; each begins where the one
// before ends, and the last ends with the blob.
type Index struct {
	Entries []Entry
}

// record is an entry as it is written. Its offset counts from the end of the index: an
// offset in the blob would change with the length of the index that it is written in.
type record struct {
	_           struct{} `cbor:",toarray"`
	Identifier  string
	Offset      uint64 // bytes from the end of the index
	Length      uint64 // bytes
	ContentType string
	Tags        []pair
}

// pair is a tag as it is written.
type pair struct {
	_           struct{} `cbor:",toarray"`
	Name, Value string
}

// Find is the number of the file with this identifier.
func (i Index) Find(identifier string) (n int, ok bool) {
	return sort.Find(len(i.Entries), func(n int) int { return strings.Compare(identifier, i.Entries[n].Identifier) })
}

// ReadIndex reads the index of a quilt of size bytes, at most twice: the first 64 KiB, and
// what of the index lies behind them. Nothing but what New writes is taken.
//
// Errors: ErrNotQuilt; those of read.
func ReadIndex(size int64, read func(offset, length int64) ([]byte, error)) (Index, error) {
	if size <= headerBytes {
		return Index{}, fmt.Errorf("%w: it has %d bytes", ErrNotQuilt, size)
	}
	b, err := readExactly(read, 0, min(size, firstRead))
	if err != nil {
		return Index{}, err
	}
	length, err := indexLength(b, size)
	if err != nil {
		return Index{}, err
	}
	end := headerBytes + length
	if have := int64(len(b)); end > have {
		more, err := readExactly(read, have, end-have)
		if err != nil {
			return Index{}, err
		}
		b = append(b, more...)
	}
	c := checker{start: end, size: size}
	err = canon.DecodeEach(b[headerBytes:end], MaxFiles, maxRecordBytes, c.add)
	if err == nil {
		err = c.whole()
	}
	if err != nil {
		return Index{}, fmt.Errorf("%w: its index: %w", ErrNotQuilt, err)
	}
	return c.index, nil
}

func readExactly(read func(offset, length int64) ([]byte, error), offset, length int64) ([]byte, error) {
	b, err := read(offset, length)
	if err == nil && int64(len(b)) != length {
		err = fmt.Errorf("%d bytes at byte %d, and not %d", len(b), offset, length)
	}
	if err != nil {
		return nil, fmt.Errorf("read the index of a quilt: %w", err)
	}
	return b, nil
}

// indexLength reads the header of a quilt of size bytes, which b begins with.
func indexLength(b []byte, size int64) (int64, error) {
	name, version := magic[:len(magic)-1], b[len(magic)-1]
	if string(b[:len(name)]) != name {
		return 0, ErrNotQuilt
	}
	if version != Version {
		return 0, fmt.Errorf("%w of version %d: it has version %d, and a newer program may read it", ErrNotQuilt, Version, version)
	}
	length := int64(binary.BigEndian.Uint32(b[len(magic):]))
	if length > MaxIndexBytes || length > size-headerBytes {
		return 0, fmt.Errorf("%w: an index of %d bytes in a blob of %d; at most %d", ErrNotQuilt, length, size, MaxIndexBytes)
	}
	return length, nil
}

// checker makes an index of records that are what New writes.
type checker struct {
	start, size int64 // of the first file in the blob; of the blob
	index       Index
	tags        int // of all records so far
}

func (c *checker) add(r record) error {
	offset := c.start
	if n := len(c.index.Entries); n > 0 {
		last := c.index.Entries[n-1]
		offset = last.Offset + last.Length
		if last.Identifier == r.Identifier {
			return fmt.Errorf("%w: %q", ErrTwice, r.Identifier)
		}
		if last.Identifier > r.Identifier {
			return fmt.Errorf("file %q stands behind %q", r.Identifier, last.Identifier)
		}
	}
	if err := checkIdentifier(r.Identifier); err != nil {
		return err
	}
	if r.Offset != uint64(offset-c.start) || r.Length > math.MaxInt64 || int64(r.Length) > c.size-offset {
		return fmt.Errorf("file %q lies at byte %d with %d bytes: not behind the file before, or not in the blob", r.Identifier, r.Offset, r.Length)
	}
	if !isContentType(r.ContentType) {
		return fmt.Errorf("file %q: %w: %.80q", r.Identifier, ErrFileType, r.ContentType)
	}
	tags, err := tagsOf(r.Tags)
	if err != nil {
		return fmt.Errorf("file %q: %w", r.Identifier, err)
	}
	if c.tags += len(r.Tags); c.tags > MaxTags {
		return fmt.Errorf("more than %d tags: %w", MaxTags, ErrTooMany)
	}
	c.index.Entries = append(c.index.Entries, Entry{Identifier: r.Identifier, Offset: offset, Length: int64(r.Length), ContentType: r.ContentType, Tags: tags})
	return nil
}

func (c *checker) whole() error {
	n := len(c.index.Entries)
	if n == 0 {
		return ErrNoFiles
	}
	if last := c.index.Entries[n-1]; last.Offset+last.Length != c.size {
		return fmt.Errorf("the files end at byte %d, and the blob at byte %d", last.Offset+last.Length, c.size)
	}
	return nil
}

func checkIdentifier(s string) error {
	last, _ := utf8.DecodeLastRuneInString(s)
	if s == "" || len(s) > MaxIdentifierBytes || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) || unicode.IsSpace(last) {
		return fmt.Errorf("%w: %.80q", ErrIdentifier, s)
	}
	return nil
}

// isContentType reports whether s can stand in a header of HTTP, or is empty.
func isContentType(s string) bool {
	unprintable := func(r rune) bool { return r < ' ' || r > '~' }
	return len(s) <= MaxTypeBytes && !strings.ContainsFunc(s, unprintable) && strings.TrimSpace(s) == s
}

// tagsOf is the tags that pairs stand for, if they are what a file may have.
func tagsOf(pairs []pair) ([]Tag, error) {
	tags, sum := make([]Tag, len(pairs)), 0
	for i, t := range pairs {
		if t.Name == "" || !utf8.ValidString(t.Name) || !utf8.ValidString(t.Value) || strings.ContainsFunc(t.Name, unicode.IsControl) {
			return nil, fmt.Errorf("%w: %.80q: a name is not empty and has no control character, and all is UTF-8", ErrTag, t.Name)
		}
		if i > 0 && pairs[i-1].Name >= t.Name {
			return nil, fmt.Errorf("%w: %.80q comes twice, or behind a later name", ErrTag, t.Name)
		}
		if sum += len(t.Name) + len(t.Value); sum > MaxTagBytes {
			return nil, fmt.Errorf("%w: more than %d bytes of tags", ErrTag, MaxTagBytes)
		}
		tags[i] = Tag{Name: t.Name, Value: t.Value}
	}
	return tags, nil
}
