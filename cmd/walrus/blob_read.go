package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
)

// readCommand is `walrus read` with its flags.
type readCommand struct {
	a      *app
	output string
	span   string
}

type readResult struct {
	Blob    blob.ID `json:"blob"`
	File    string  `json:"file"`
	Bytes   int64   `json:"bytes"`
	Seconds float64 `json:"seconds"`
}

func (a *app) readCommand() *cobra.Command {
	r := &readCommand{a: a}
	c := &cobra.Command{
		Use:   "read ID",
		Short: "Read a blob to standard output or a file",
		Long: `Reads a blob. Every byte is verified before it is written, in order; after an
error what was written to standard output is a true beginning of the blob.
A file (-o) appears only when it is whole.

--range A-B reads the bytes from A up to, not including, B, as in a slice: 0-100
are the first hundred bytes, 100- all that follow. Only what the range covers is
fetched. A range outside the blob is an error. Sizes like 64MiB may be written.`,
		Example: "  walrus read bafy… -o photo.jpg\n  walrus read bafy… --range 0-1MiB | file -",
		Args:    cobra.ExactArgs(1),
		RunE:    func(c *cobra.Command, args []string) error { return r.run(c.Context(), args[0]) },
	}
	c.Flags().StringVarP(&r.output, "output", "o", "", "write to this file (- is standard output, whatever it is)")
	c.Flags().StringVar(&r.span, "range", "", "only the bytes from A up to, not including, B, written A-B")
	return c
}

func (r *readCommand) run(ctx context.Context, text string) error {
	r.output = outputName(r.output)
	toStdout := r.output == "" || r.output == "-"
	if r.a.json && toStdout {
		return errUsage{errors.New("--json needs -o FILE: standard output cannot take both the blob and the object")}
	}
	id, err := parseID(text)
	if err != nil {
		return err
	}
	span, err := parseRange(r.span)
	if err != nil {
		return errUsage{err}
	}
	r.a.needsNodes = true
	return r.a.withConnection(ctx, func(c *client.Connection) error { return r.read(ctx, c, id, span, toStdout) })
}

// read writes the bytes of the span to standard output or to the file.
func (r *readCommand) read(ctx context.Context, c *client.Connection, id blob.ID, span span, toStdout bool) error {
	done := r.a.slowly(waitsForLedger, c.Network.Genesis.ChainID())
	_, commitment, d, err := c.Find(ctx, id)
	done()
	if err != nil {
		return err
	}
	from, to := span.within(commitment.Layout.Size)
	var written int64
	copyTo := func(w io.Writer) error {
		bar := r.a.newBar("read", to-from)
		defer bar.end()
		counter := &barWriter{w: w, bar: bar}
		w = counter
		if r.span == "" {
			err = c.Fetcher.Read(ctx, d, commitment, w)
		} else {
			err = c.Fetcher.ReadRange(ctx, d, commitment, from, to-from, w)
		}
		written = counter.done
		if err != nil {
			return fmt.Errorf("read blob %s: %w", id, err)
		}
		return nil
	}
	if toStdout {
		w := r.stdout()
		err := copyTo(w)
		if t, ok := w.(*textOnly); ok && err == nil {
			err = t.Close()
		}
		return err
	}
	if err := writeWhole(ctx, r.output, 0o666, copyTo); err != nil {
		return err
	}
	result := readResult{id, r.output, written, time.Since(r.a.began).Seconds()}
	return r.a.print(result, func(io.Writer) error {
		if _, ok := terminal(r.a.err); ok {
			r.a.say("%s: %s in %s, every byte verified", nameText(r.output), bytesText(written), ageText(time.Since(r.a.began)))
		}
		return nil
	})
}

// stdout is standard output; a terminal gets text only, unless the user named it.
func (r *readCommand) stdout() io.Writer {
	if _, ok := terminal(r.a.out); ok && r.output != "-" {
		return &textOnly{w: r.a.out}
	}
	return r.a.out
}
