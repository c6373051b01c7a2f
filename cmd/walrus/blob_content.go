package main

import (
	"bytes"
	"context"
	"io"

	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/quilt"
)

// blobContent is bytes that are read by ranges: a blob's, or those of a part of it.
type blobContent interface {
	size() int64
	// write writes bytes [from, to) to w, in order. After an error what was written is a
	// true beginning of them.
	write(ctx context.Context, from, to int64, w io.Writer) error
}

// storedBlob is a blob on the network.
type storedBlob struct{ *client.Found }

func (b storedBlob) size() int64 { return b.Commitment.Layout.Size }

func (b storedBlob) write(ctx context.Context, from, to int64, w io.Writer) error {
	return b.ReadRange(ctx, from, to-from, w)
}

// section is a part of one.
type section struct {
	of             blobContent
	offset, length int64
}

func (s section) size() int64 { return s.length }

func (s section) write(ctx context.Context, from, to int64, w io.Writer) error {
	if from == to {
		return nil
	}
	return s.of.write(ctx, s.offset+from, s.offset+to, w)
}

// readIndex reads the index of a quilt.
func readIndex(ctx context.Context, of blobContent) (quilt.Index, error) {
	return quilt.ReadIndex(of.size(), func(offset, length int64) ([]byte, error) {
		var b bytes.Buffer
		err := of.write(ctx, offset, offset+length, &b)
		return b.Bytes(), err
	})
}
