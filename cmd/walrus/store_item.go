package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/quilt"
)

// storeItem is what becomes one blob.
type storeItem struct {
	name  string
	size  int64 // bytes; -1: not known before it is read
	quilt *quilt.Quilt
	// open gives the bytes, and what removes a copy that was made of them.
	open func(context.Context) (src client.Source, remove func() error, err error)
}

func nothing() error { return nil }

func (w *storeCommand) fileItem(file string) storeItem {
	if isStdin(file) {
		return storeItem{name: file, size: -1, open: w.stdin}
	}
	item := storeItem{name: file, open: func(context.Context) (client.Source, func() error, error) {
		src, err := client.NewFileSource(file)
		return src, nothing, err
	}}
	if info, err := os.Stat(file); err == nil {
		item.size = info.Size()
	}
	return item
}

func quiltItem(paths []string, q *quilt.Quilt) storeItem {
	return storeItem{name: strings.Join(paths, " "), size: q.Size(), quilt: q, open: func(context.Context) (client.Source, func() error, error) { return q, nothing, nil }}
}

// stdin keeps standard input in a file, since a blob is read twice.
func (w *storeCommand) stdin(ctx context.Context) (client.Source, func() error, error) {
	if _, ok := terminal(w.a.in); ok {
		w.a.say("type what is to be stored, and ^D at its end")
	}
	src, remove, err := client.Spool(&patientReader{ctx: ctx, r: w.a.in}, os.TempDir())
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, client.ErrRoom) {
		err = fmt.Errorf("%w: standard input is kept in a file meanwhile; name a directory with room for it with TMPDIR", err)
	}
	if err == nil && src.Size() == 0 && !w.empty {
		remove()
		err = errors.New("standard input is empty: nothing was stored; say --allow-empty if the empty blob is meant")
	}
	return src, remove, err
}
