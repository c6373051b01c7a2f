package main

import (
	"context"
	"fmt"
	"io"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
)

type quiltContents struct {
	Blob  blob.ID     `json:"blob"`
	Bytes int64       `json:"bytes"`
	Files []quiltFile `json:"files"`
}

// listQuilt lists the files of a quilt.
func (a *app) listQuilt(ctx context.Context, id blob.ID, d decryptFlags) error {
	keys, err := d.parse(ctx, a)
	if err != nil {
		return err
	}
	a.needsNodes = true
	return a.withConnection(ctx, func(c *client.Connection) error {
		b, err := a.find(ctx, c, id)
		if err != nil {
			return err
		}
		if b, err = d.opened(ctx, b, keys); err != nil {
			return fmt.Errorf("%s: %w", id, err)
		}
		index, err := readIndex(ctx, b)
		if err != nil {
			return fmt.Errorf("%s: %w", id, err)
		}
		out := quiltContents{id, b.size(), quiltFiles(id, index)}
		return a.print(out, func(w io.Writer) error {
			t := newTable(w)
			t.row("SIZE", "TYPE", "PATCH ID", "FILE")
			for _, f := range out.Files {
				kind := f.ContentType
				if kind == "" {
					kind = "-"
				}
				t.row(bytesText(f.Bytes), kind, f.Patch, nameText(f.Identifier))
			}
			return t.flush()
		})
	})
}
