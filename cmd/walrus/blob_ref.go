package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/quilt"
)

// parseID reads a blob ID that was typed.
func parseID(s string) (blob.ID, error) {
	id, err := blob.ParseID(s)
	if err != nil {
		return id, errUsage{fmt.Errorf("%w: walrus store prints IDs like bafy…, walrus list shows yours", err)}
	}
	return id, nil
}

// errNoFile is returned for a name that no file of a quilt has.
var errNoFile = errors.New("the quilt has no such file")

// blobRef is a blob as it was typed, or a file of a quilt: ID, ID/IDENTIFIER, or a patch ID.
type blobRef struct {
	id    blob.ID
	file  string         // identifier; empty: none was typed
	patch *quilt.PatchID // nil: none was typed
}

func parseBlobRef(s string) (blobRef, error) {
	if patch, err := quilt.ParsePatchID(s); err == nil {
		return blobRef{id: patch.Quilt, patch: &patch}, nil
	}
	text, file, inQuilt := strings.Cut(s, "/")
	id, err := parseID(text)
	if err == nil && inQuilt && file == "" {
		err = errUsage{fmt.Errorf("%s names no file: walrus list %s shows the files of a quilt", s, text)}
	}
	return blobRef{id: id, file: file}, err
}

// inQuilt reports whether a file of a quilt was named.
func (r blobRef) inQuilt() bool { return r.file != "" || r.patch != nil }

// fileOf finds the file that was named in the quilt which b is.
func (r blobRef) fileOf(ctx context.Context, b blobContent) (blobContent, quilt.Entry, error) {
	index, err := readIndex(ctx, b)
	if errors.Is(err, quilt.ErrNotQuilt) {
		err = fmt.Errorf("%s: %w, so it holds no files: read it by its ID alone", r.id, err)
	}
	if err != nil {
		return nil, quilt.Entry{}, err
	}
	n, ok := 0, false
	name := r.file
	if r.patch != nil {
		n, name = int(r.patch.Start), fmt.Sprintf("number %d", r.patch.Start)
		ok = n < len(index.Entries)
	} else {
		n, ok = index.Find(r.file)
	}
	if !ok {
		return nil, quilt.Entry{}, fmt.Errorf("%s: %w: walrus list %s shows its %s", nameText(name), errNoFile, r.id, some(uint64(len(index.Entries)), "file"))
	}
	e := index.Entries[n]
	return section{b, e.Offset, e.Length}, e, nil
}
