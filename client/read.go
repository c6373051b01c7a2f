package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/fetch"
	"github.com/walrus-network/walrus/registry"
)

// Found is a blob that the ledger lets be read.
type Found struct {
	Entry      registry.Entry
	Commitment blob.Commitment
	Directory  *fetch.Directory

	id    blob.ID
	c     *Client
	ahead *aheadOf // nil: nothing was read ahead
}

// Open is Find of a blob that is read at once. Where a committee is known, its members are
// asked for the bytes while the ledger is asked whether the blob may be read; none is handed
// on before the ledger has said so.
func (c *Client) Open(ctx context.Context, id blob.ID) (*Found, error) {
	f := &Found{id: id, c: c, ahead: c.readAhead(ctx, id)}
	var err error
	if f.Entry, f.Commitment, f.Directory, err = c.Find(ctx, id); err != nil {
		f.ahead.drop()
		return nil, err
	}
	if now, _ := c.seated.get(); f.ahead != nil && !f.ahead.of.sameSeats(now) {
		f.ahead.drop() // nothing is waited for that may never come
		f.ahead = nil
	}
	return f, nil
}

// Read writes the whole blob to w.
func (f *Found) Read(ctx context.Context, w io.Writer) error {
	return f.ReadRange(ctx, 0, f.Commitment.Layout.Size, w)
}

// ReadRange writes bytes [offset, offset+length) of the blob to w, as Fetcher.ReadRange does.
func (f *Found) ReadRange(ctx context.Context, offset, length int64, w io.Writer) (err error) {
	size := f.Commitment.Layout.Size
	if b, ok := f.ahead.bytes(ctx); ok && offset >= 0 && length >= 0 && offset <= size && length <= size-offset {
		_, err = w.Write(b[offset : offset+length])
	} else if offset == 0 && length == size {
		err = f.c.Fetcher.Read(ctx, f.Directory, f.Commitment, w)
	} else {
		err = f.c.Fetcher.ReadRange(ctx, f.Directory, f.Commitment, offset, length, w)
	}
	if err != nil {
		return fmt.Errorf("read blob %s: %w", f.id, err)
	}
	return nil
}

// ReadBlob writes the whole blob to w.
func (c *Client) ReadBlob(ctx context.Context, id blob.ID, w io.Writer) error {
	f, err := c.Open(ctx, id)
	if err != nil {
		return err
	}
	defer f.ahead.drop()
	return f.Read(ctx, w)
}

// Close ends the lines to members, and what is read ahead. No other method may be under way.
func (c *Client) Close() {
	c.stopAhead()
	c.aheads.Wait()
	c.Fetcher.Close()
}

// aheadPatience is how long the bytes that are asked for ahead may take.
const aheadPatience = time.Second

// aheadOf is a small blob's bytes, which are asked for before the ledger has said that the blob
// may be read.
type aheadOf struct {
	of   committee
	stop context.CancelFunc
	read chan aheadBytes // of one
}

type aheadBytes struct {
	bytes []byte
	err   error
}

// readAhead begins to read a blob with the committee that is known; nil where none is.
func (c *Client) readAhead(ctx context.Context, id blob.ID) *aheadOf {
	d, known := c.seated.get()
	if !known {
		return nil
	}
	ctx, stop := context.WithTimeout(ctx, aheadPatience)
	a := &aheadOf{of: d, stop: stop, read: make(chan aheadBytes, 1)}
	c.aheads.Go(func() {
		defer context.AfterFunc(c.closing, stop)()
		b, err := c.ReadSmall(ctx, d.Directory, id)
		switch {
		case errors.Is(err, fetch.ErrLarge):
			c.PrepareLarge(d.Directory)
		case err != nil:
			c.log.Debug("not read ahead", "blob", id, "err", err)
		}
		a.read <- aheadBytes{b, err}
	})
	return a
}

// bytes is the blob's bytes, if they have come or come soon.
func (a *aheadOf) bytes(ctx context.Context) ([]byte, bool) {
	if a == nil {
		return nil, false
	}
	select {
	case got := <-a.read:
		a.read <- got
		return got.bytes, got.err == nil
	case <-ctx.Done():
		return nil, false
	}
}

// drop ends the reading, and returns when it has ended.
func (a *aheadOf) drop() {
	if a != nil {
		a.stop()
		a.read <- <-a.read
	}
}
