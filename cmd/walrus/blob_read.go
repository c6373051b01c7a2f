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
	"github.com/walrus-network/walrus/fetch"
	"github.com/walrus-network/walrus/quilt"
)

// readCommand is `walrus read` with its flags.
type readCommand struct {
	a      *app
	output string
	span   string
	quilt  bool // all files of it
	keys   decryptFlags
}

type readResult struct {
	Blob       blob.ID `json:"blob"`
	Identifier string  `json:"identifier,omitempty"` // of the file of a quilt
	File       string  `json:"file"`
	Bytes      int64   `json:"bytes"`
	Seconds    float64 `json:"seconds"`
}

func (a *app) readCommand() *cobra.Command {
	r := &readCommand{a: a}
	c := &cobra.Command{
		Use:   "read ID[/FILE]",
		Short: "Read a blob, or files of a quilt, to standard output or a file",
		Long: `Reads a blob. Every byte is verified before it is written, in order; after an
error what was written to standard output is a true beginning of the blob.
A file (-o) appears only when it is whole.

--range A-B reads the bytes from A up to, not including, B, as in a slice: 0-100
are the first hundred bytes, 100- all that follow. Only what the range covers is
fetched. A range outside the blob is an error. Sizes like 64MiB may be written.

ID/FILE is the file of that name in a quilt (walrus store --quilt), and so is its
patch ID, which walrus list ID shows. Only the index and that file are fetched; a
range counts from the file's first byte. --quilt writes all files of a quilt under
the new directory -o DIR, which appears only when all of them are there.

An encrypted blob (walrus store --encrypt) needs its key, -i or --passphrase; a
range, or a file of an encrypted quilt, then costs the parts of 64 KiB under it.
--raw gives the encrypted bytes, which the program age decrypts too.`,
		Example: "  walrus read bafy… -o photo.jpg\n  walrus read bafy… --range 0-1MiB | file -\n  walrus read bafy…/2026/beach.jpg -o beach.jpg\n  walrus read --quilt bafy… -o website\n  walrus read -i key.txt bafy… -o diary.txt",
		Args:    cobra.ExactArgs(1),
		RunE:    func(c *cobra.Command, args []string) error { return r.run(c.Context(), args[0]) },
	}
	c.Flags().StringVarP(&r.output, "output", "o", "", "write to this file (- is standard output, whatever it is), or with --quilt under this directory")
	r.keys.add(c)
	c.Flags().BoolVar(&r.keys.raw, "raw", false, "take an encrypted blob as it is stored")
	c.Flags().BoolVar(&r.quilt, "quilt", false, "write all files of a quilt under the directory -o DIR")
	c.Flags().StringVar(&r.span, "range", "", "only the bytes from A up to, not including, B, written A-B")
	return c
}

func (r *readCommand) run(ctx context.Context, text string) error {
	r.output = outputName(r.output)
	toStdout := r.output == "" || r.output == "-"
	if r.a.json && toStdout {
		return errUsage{errors.New("--json needs -o FILE: standard output cannot take both the blob and the object")}
	}
	ref, err := parseBlobRef(text)
	if err != nil {
		return err
	}
	if r.quilt {
		if err := r.extracts(ref, toStdout); err != nil {
			return err
		}
	}
	span, err := parseRange(r.span)
	if err != nil {
		return errUsage{err}
	}
	keys, err := r.keys.parse(ctx, r.a)
	if err != nil {
		return err
	}
	r.a.needsNodes = true
	return r.a.withConnection(ctx, func(c *client.Connection) error {
		b, err := r.a.find(ctx, c, ref.id)
		if err != nil {
			return err
		}
		if b, err = r.keys.opened(ctx, b, keys); err != nil {
			return fmt.Errorf("read blob %s: %w", ref.id, err)
		}
		if r.quilt {
			return r.extract(ctx, b, ref.id)
		}
		return r.read(ctx, b, ref, span, toStdout)
	})
}

// read writes the bytes of the span to standard output or to the file.
func (r *readCommand) read(ctx context.Context, b blobContent, ref blobRef, span span, toStdout bool) (err error) {
	var file quilt.Entry
	if ref.inQuilt() {
		if b, file, err = ref.fileOf(ctx, b); err != nil {
			return err
		}
	}
	from, to := span.within(b.size())
	if from > to || to > b.size() {
		return fmt.Errorf("bytes %d to %d of %d: %w", from, to, b.size(), fetch.ErrRange)
	}
	var written int64
	copyTo := func(w io.Writer) error {
		bar := r.a.newBar("read", to-from)
		defer bar.end()
		counter := &barWriter{w: w, bar: bar}
		err := b.write(ctx, from, to, counter)
		written = counter.done
		return err
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
	result := readResult{ref.id, file.Identifier, r.output, written, time.Since(r.a.began).Seconds()}
	return r.a.print(result, func(io.Writer) error {
		if _, ok := terminal(r.a.err); ok {
			r.a.say("%s: %s in %s, every byte verified", nameText(r.output), bytesText(written), ageText(time.Since(r.a.began)))
		}
		return nil
	})
}

// find finds a blob that can be read.
func (a *app) find(ctx context.Context, c *client.Connection, id blob.ID) (blobContent, error) {
	done := a.slowly(waitsForLedger, c.Network.Genesis.ChainID())
	defer done()
	b, err := c.Open(ctx, id)
	return storedBlob{b}, err
}

// stdout is standard output; a terminal gets text only, unless the user named it.
func (r *readCommand) stdout() io.Writer {
	if _, ok := terminal(r.a.out); ok && r.output != "-" {
		return &textOnly{w: r.a.out}
	}
	return r.a.out
}
