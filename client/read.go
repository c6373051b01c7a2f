package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/fetch"
)

// ReadBlob writes the whole blob to w. Where a committee is known, its members are asked for the
// bytes while the ledger is asked whether the blob may be read; nothing is written before the
// ledger has said so.
func (c *Client) ReadBlob(ctx context.Context, id blob.ID, w io.Writer) error {
	ahead := c.readAhead(ctx, id)
	defer ahead.drop()
	_, commitment, d, err := c.Find(ctx, id)
	if err != nil {
		return err
	}
	if b, ok := ahead.bytes(ctx); ok {
		_, err = w.Write(b)
	} else {
		err = c.Fetcher.Read(ctx, d, commitment, w)
	}
	if err != nil {
		return fmt.Errorf("read blob %s: %w", id, err)
	}
	return nil
}

// aheadPatience is how long the bytes that are asked for ahead may take.
const aheadPatience = time.Second

// aheadOf is a small blob's bytes, which are asked for before the ledger has said that the blob
// may be read.
type aheadOf struct {
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
	a := &aheadOf{stop: stop, read: make(chan aheadBytes, 1)}
	go func() {
		b, err := c.ReadSmall(ctx, d.Directory, id)
		if err != nil && !errors.Is(err, fetch.ErrLarge) {
			c.log.Debug("not read ahead", "blob", id, "err", err)
		}
		a.read <- aheadBytes{b, err}
	}()
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
