package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/blob"
)

// reading is one `walrus read`.
type reading struct {
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
	r := &reading{a: a}
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

func (r *reading) run(ctx context.Context, text string) error {
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
	s, err := r.a.openWithout(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	_, commitment, d, err := s.Find(ctx, id)
	if err != nil {
		return err
	}
	from, to := span.within(commitment.Layout.Size)
	var written int64
	copyTo := func(w io.Writer) error {
		bar := r.a.newBar("read", to-from)
		defer bar.end()
		counter := &counted{w: w, bar: bar}
		w = counter
		if r.span == "" {
			err = s.Fetcher.Read(ctx, d, commitment, w)
		} else {
			err = s.Fetcher.ReadRange(ctx, d, commitment, from, to-from, w)
		}
		written = counter.done
		if err != nil {
			return fmt.Errorf("read blob %s: %w", id, err)
		}
		return nil
	}
	if toStdout {
		return copyTo(r.stdout())
	}
	if err := writeWhole(r.output, copyTo); err != nil {
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

// stdout is standard output; if that is a terminal, only for what is text.
func (r *reading) stdout() io.Writer {
	if _, ok := terminal(r.a.out); ok && r.output != "-" {
		return &textOnly{w: r.a.out}
	}
	return r.a.out
}

// textOnly keeps what is not text away from a terminal.
type textOnly struct {
	w      io.Writer
	looked bool
}

func (t *textOnly) Write(p []byte) (int, error) {
	if !t.looked {
		const enough = 512
		begin := p[:min(len(p), enough)]
		cut := len(begin) == enough // perhaps within a letter
		if bytes.ContainsAny(begin, "\x00\x1b") || !cut && !utf8.Valid(begin) {
			return 0, errors.New("the blob is not text and would upset the terminal: use -o FILE, or -o - to see it all the same")
		}
		t.looked = true
	}
	return t.w.Write(p)
}

// writeWhole makes a file that appears whole or not at all. What is no regular
// file, like /dev/null or a pipe, is written to as it is.
func writeWhole(path string, fill func(io.Writer) error) error {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return fmt.Errorf("write %s: it is a directory: name a file in it", path)
	case err == nil && !info.Mode().IsRegular():
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		return errors.Join(fill(f), f.Close())
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	// The name of another process's attempt is another's: O_EXCL keeps them apart.
	part := filepath.Join(filepath.Dir(path), fmt.Sprintf(".%s.%d.part", filepath.Base(path), os.Getpid()))
	f, err := os.OpenFile(part, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	err = fill(f)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(part, path)
	}
	if err != nil {
		os.Remove(part)
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: nothing was left behind; make room, or write to another disk with -o", err)
	}
	return err
}
