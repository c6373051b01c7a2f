package blobs

import (
	"io"
	"sync"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
)

// Warm puts the bytes of a blob into the cache that are not there, from its source: of a blob
// whose ID was worked out from that source.
func (r *Reader) Warm(id blob.ID, l blob.Layout, src client.Source) error {
	b := &Blob{ID: id, Size: l.Size, commitment: blob.Commitment{ID: id, Layout: l}}
	if r.o.MaxBytes <= 0 || b.Size > r.o.MaxBytes/warmPart {
		return nil // it would drive out all else
	}
	var in io.ReadCloser
	defer func() {
		if in != nil {
			in.Close()
		}
	}()
	var buf []byte
	for offset, at := int64(0), int64(-1); offset < b.Size; {
		p := b.pieceAt(offset)
		if offset += p.length; r.cache.has(p) {
			continue
		}
		var err error
		if at != p.offset {
			if in != nil {
				in.Close()
			}
			if in, err = src.Open(p.offset); err != nil {
				return err
			}
		}
		if int64(cap(buf)) < p.length {
			buf = make([]byte, p.length)
		}
		if _, err := io.ReadFull(in, buf[:p.length]); err != nil {
			return err
		}
		r.cache.put(p, parts{buf[:p.length]})
		at = offset
	}
	return nil
}

// warmPart is the part of the cache, as 1/warmPart, that one blob may fill when it is stored.
const warmPart = 8

// warming puts the bytes of one store into the cache once all of them are on their way to the
// nodes: then the store waits for blocks, and not for this.
type warming struct {
	w   *Writer
	src client.Source
	id  blob.ID // known before any byte is handed on

	once sync.Once
	runs sync.WaitGroup
}

func (w *Writer) warming(src client.Source) *warming { return &warming{w: w, src: src} }

// watch is a store's progress, which is passed on. Of an empty blob, all of which is handed on
// before its ID is known, there is nothing to keep.
func (m *warming) watch(next func(encoded, handed int64)) func(encoded, handed int64) {
	return func(encoded, handed int64) {
		if shape := m.w.c.Shape; handed > 0 && handed >= m.src.Size() && shape.N > 0 {
			if l, err := shape.Layout(handed); err == nil {
				m.begin(l)
			}
		}
		if next != nil {
			next(encoded, handed)
		}
	}
}

func (m *warming) begin(l blob.Layout) {
	if m.w.o.Reader == nil {
		return
	}
	m.once.Do(func() {
		m.runs.Go(func() {
			if err := m.w.o.Reader.Warm(m.id, l, m.src); err != nil {
				m.w.o.Log.Warn("a blob that was stored is not in the cache", "blob", m.id, "err", err)
			}
		})
	})
}

// wait waits until the source is not read any more.
func (m *warming) wait() { m.runs.Wait() }
