package seal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"filippo.io/age"
)

// The chunks of an age file's payload (age-encryption.org/v1, "Payload").
const (
	chunk       = 64 << 10 // bytes of a chunk, but the last
	tag         = 16       // that a chunk has more when it is encrypted
	sealedChunk = chunk + tag
	// maxHeader bounds the header that is read: 300 times what one recipient takes.
	maxHeader = 64 << 10
)

// Errors of Open.
var (
	ErrNotSealed = errors.New("it is not encrypted")
	ErrKey       = errors.New("it is encrypted to another key")
	ErrBroken    = errors.New("it was changed after it was encrypted, or is cut off")
)

// Read writes length bytes of the encrypted blob, from offset on, to w.
type Read func(offset, length int64, w io.Writer) error

// Opened is an encrypted blob whose key is known. One range is read at a time.
type Opened struct {
	size  int64 // bytes of the file
	first int64 // byte of the blob at which the first chunk begins
	last  int64 // and the last one
	plain io.ReaderAt

	mu   sync.Mutex // guards blob while a range is read
	blob *sealedBlob
}

// Open finds the key of an encrypted blob of size bytes, and the length of the file in it. It
// reads the beginning and the end of the blob, at the same time.
//
// Errors: ErrNotSealed, ErrKey, ErrBroken, ErrPadding; those of read.
func Open(size int64, read Read, keys []Identity) (*Opened, error) {
	b := &sealedBlob{size: size}
	if err := b.readEnds(read); err != nil {
		return nil, err
	}
	if !Sealed(b.head) {
		return nil, ErrNotSealed
	}
	plain, padded, err := age.DecryptReaderAt(b, size, keys...)
	var wrong *age.NoIdentityMatchError
	switch {
	case errors.As(err, &wrong):
		return nil, ErrKey
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrBroken, err)
	case padded < lengthBytes:
		return nil, ErrPadding
	}
	var text [lengthBytes]byte
	if _, err := plain.ReadAt(text[:], padded-lengthBytes); err != nil && !errors.Is(err, io.EOF) {
		return nil, ErrPadding // it is not all in the last chunk, as what is padded is
	}
	chunks := max(1, (padded+chunk-1)/chunk)
	o := &Opened{first: size - padded - chunks*tag, plain: plain, blob: b}
	o.last = o.first + (chunks-1)*sealedChunk
	o.size, err = parseLength(string(text[:]), padded)
	return o, err
}

// Size is the file's length in bytes.
func (o *Opened) Size() int64 { return o.size }

// Write writes bytes [from, to) of the file to w, in order. After an error what was written
// is a true beginning of them. The chunks that the range covers are read as one range.
//
// Errors: ErrBroken; those of read and of w.
func (o *Opened) Write(from, to int64, read Read, w io.Writer) error {
	if from < 0 || from > to || to > o.size {
		return fmt.Errorf("bytes %d to %d of %d", from, to, o.size)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	b := o.blob
	end := min(o.first+(to+chunk-1)/chunk*sealedChunk, o.last) // the last is here
	finish := b.stream(read, end)
	kept := &writer{w: w}
	_, err := io.CopyBuffer(kept, struct{ io.Reader }{io.NewSectionReader(o.plain, from, to-from)}, make([]byte, chunk))
	why := finish()
	switch {
	case err == nil:
		return nil
	case kept.err != nil:
		return kept.err
	case why != nil:
		return why
	}
	return fmt.Errorf("%w: %w", ErrBroken, err)
}

// writer remembers whether it was w that failed.
type writer struct {
	w   io.Writer
	err error
}

func (w *writer) Write(p []byte) (n int, err error) {
	n, err = w.w.Write(p)
	w.err = err
	return n, err
}

// sealedBlob is the bytes of an encrypted blob: both ends are in memory, and what is between
// them is read in order while a range is.
type sealedBlob struct {
	size       int64
	head, tail []byte // tail holds the last chunk; a short blob is all head

	begin  func(offset int64) io.Reader // nil: nothing can be read
	coming io.Reader                    // from byte pos on; nil: not begun
	pos    int64
}

// readEnds reads both ends.
func (b *sealedBlob) readEnds(read Read) error {
	part := func(offset, length int64) (out []byte, err error) {
		var buf bytes.Buffer
		if err = read(offset, length, &buf); err == nil && int64(buf.Len()) != length {
			err = fmt.Errorf("%d bytes at byte %d, and not %d", buf.Len(), offset, length)
		}
		return buf.Bytes(), err
	}
	if b.size <= maxHeader+sealedChunk {
		var err error
		b.head, err = part(0, b.size)
		return err
	}
	var reading sync.WaitGroup
	var headErr, tailErr error
	reading.Go(func() { b.head, headErr = part(0, maxHeader) })
	reading.Go(func() { b.tail, tailErr = part(b.size-sealedChunk, sealedChunk) })
	reading.Wait()
	return errors.Join(headErr, tailErr)
}

// stream lets bytes up to end be read, in order from wherever the first read is. The returned
// function ends that, and says why reading failed.
func (b *sealedBlob) stream(read Read, end int64) (finish func() error) {
	var in *io.PipeReader
	var failed error
	done := make(chan struct{})
	b.begin = func(offset int64) io.Reader {
		var out *io.PipeWriter
		in, out = io.Pipe()
		go func() {
			defer close(done)
			failed = read(offset, end-offset, out)
			out.CloseWithError(failed)
		}()
		return in
	}
	return func() error {
		b.begin, b.coming = nil, nil
		if in == nil {
			return nil
		}
		in.Close()
		<-done
		if errors.Is(failed, io.ErrClosedPipe) {
			return nil // it was not needed
		}
		return failed
	}
}

var errAbsent = errors.New("the header is longer than can be read, or a chunk is out of order")

// ReadAt reads from the ends, else from what comes.
func (b *sealedBlob) ReadAt(p []byte, offset int64) (int, error) {
	n := int64(len(p))
	if n > b.size-offset {
		n = max(0, b.size-offset)
	}
	switch tailAt := b.size - int64(len(b.tail)); {
	case offset+n <= int64(len(b.head)):
		copy(p, b.head[offset:offset+n])
	case offset >= tailAt:
		copy(p, b.tail[offset-tailAt:][:n])
	default:
		if b.coming == nil && b.begin != nil {
			b.coming, b.pos = b.begin(offset), offset
		}
		if b.coming == nil || b.pos > offset {
			return 0, errAbsent
		}
		if _, err := io.CopyN(io.Discard, b.coming, offset-b.pos); err != nil { // a chunk that the decrypter has kept
			return 0, err
		}
		if got, err := io.ReadFull(b.coming, p[:n]); err != nil {
			return got, err
		}
		b.pos = offset + n
	}
	if n < int64(len(p)) {
		return int(n), io.EOF
	}
	return int(n), nil
}
