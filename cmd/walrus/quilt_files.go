package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/quilt"
)

// quiltFile is a file of a quilt as JSON shows it.
type quiltFile struct {
	Identifier  string            `json:"identifier"`
	Bytes       int64             `json:"bytes"`
	ContentType string            `json:"content_type,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
	Patch       quilt.PatchID     `json:"patch_id"`
}

func quiltFiles(id blob.ID, index quilt.Index) []quiltFile {
	out := make([]quiltFile, len(index.Entries))
	for n, e := range index.Entries {
		out[n] = quiltFile{Identifier: e.Identifier, Bytes: e.Length, ContentType: e.ContentType, Patch: index.Patch(id, n)}
		for _, t := range e.Tags {
			if out[n].Tags == nil {
				out[n].Tags = map[string]string{}
			}
			out[n].Tags[t.Name] = t.Value
		}
	}
	return out
}

// newQuilt makes a quilt of files and of all files under directories. A file that is named
// has its own name; a file under a directory has its path in it, with slashes, which begins
// with the directory's name where it is not the only argument.
func newQuilt(paths []string) (*quilt.Quilt, error) {
	var g quiltGatherer
	for _, path := range paths {
		if isStdin(path) {
			return nil, errUsage{errors.New("a quilt holds files, which have names: standard input has none")}
		}
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		name := ""
		if !info.IsDir() || len(paths) > 1 {
			whole, err := filepath.Abs(path) // . and .. have names too
			if err != nil {
				return nil, err
			}
			name = filepath.Base(whole)
		}
		if err := g.add(path, name, info); err != nil {
			return nil, err
		}
	}
	if len(g.files) == 0 {
		return nil, fmt.Errorf("there is no file in %s", strings.Join(paths, ", "))
	}
	return quilt.New(g.files)
}

// quiltGatherer collects the files of directories.
type quiltGatherer struct {
	files []quilt.File
	above []fs.FileInfo // directories that lead to where it is
}

// add adds a file, or all that is under a directory. Symbolic links are followed, since a
// quilt keeps bytes and no links; one that leads to a directory above it has no end.
func (g *quiltGatherer) add(path, name string, info fs.FileInfo) error {
	if !info.IsDir() {
		return g.addFile(path, name)
	}
	for _, a := range g.above {
		if os.SameFile(a, info) {
			return fmt.Errorf("%s is a link to a directory that it lies in: a quilt would hold it without end", path)
		}
	}
	g.above = append(g.above, info)
	defer func() { g.above = g.above[:len(g.above)-1] }()
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		under := filepath.Join(path, e.Name())
		info, err := os.Stat(under)
		if err != nil {
			return err
		}
		identifier := e.Name()
		if name != "" {
			identifier = name + "/" + identifier
		}
		if err := g.add(under, identifier, info); err != nil {
			return err
		}
	}
	return nil
}

func (g *quiltGatherer) addFile(path, identifier string) error {
	if len(g.files) == quilt.MaxFiles {
		return fmt.Errorf("more than %d files: %w", quilt.MaxFiles, quilt.ErrTooMany)
	}
	src, err := client.NewFileSource(path)
	if err != nil {
		return err
	}
	kind, err := contentType(path, src)
	if err != nil {
		return err
	}
	g.files = append(g.files, quilt.File{Identifier: identifier, Size: src.Size(), ContentType: kind, Open: func(offset int64) (io.ReadCloser, error) { return src.Open(offset) }})
	return nil
}
