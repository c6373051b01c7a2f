package kv

import (
	"encoding/binary"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/pb"
	"github.com/dgraph-io/badger/v4/table"
	"github.com/dgraph-io/badger/v4/y"
	"github.com/dgraph-io/ristretto/v2/z"
	"google.golang.org/protobuf/proto"
)

// inspect looks at the files before Badger does, while the lock is held: what it
// would answer with the end of the process, or by leaving a table out in silence,
// is an error here; leavings of a crash that it stumbles over are cleared away.
func inspect(opt badger.Options, log *slog.Logger) error {
	files, err := os.ReadDir(opt.Dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			return err
		}
		if err := inspectFile(opt.Dir, info, log); err != nil {
			return err
		}
	}
	if err := keepLastLog(opt.Dir, log); err != nil {
		return err
	}
	if err := recount(opt.Dir); err != nil {
		return err
	}
	return inspectTables(opt)
}

func inspectFile(dir string, info fs.FileInfo, log *slog.Logger) error {
	name := info.Name()
	path := filepath.Join(dir, name)
	ext := filepath.Ext(name)
	ours := ext == ".mem" || ext == ".vlog" || ext == ".sst" || name == "MANIFEST" || name == discardFile || name == "KEYREGISTRY"
	if !ours {
		return nil
	}
	if !info.Mode().IsRegular() {
		return damaged(name + " is not a file")
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	f.Close()
	switch {
	case (ext == ".mem" || ext == ".vlog") && info.Size() == 0:
		// Files are emptied before they are removed; a crash can come between.
		log.Info("removing an empty log that was left by a crash", "file", name)
		return os.Remove(path)
	case name == discardFile && (info.Size() < 16 || info.Size()%16 != 0):
		// Only statistics: it is made anew.
		log.Warn("removing damaged statistics", "file", name)
		return os.Remove(path)
	}
	return nil
}

// inspectTables checks the footers of the tables that the manifest names. A table
// cut short would end the process, one whose index is damaged would be left out.
func inspectTables(opt badger.Options) error {
	path := filepath.Join(opt.Dir, badger.ManifestFilename)
	f, err := os.Open(path)
	if os.IsNotExist(err) {
		return orphans(opt.Dir)
	}
	if err != nil {
		return err
	}
	defer f.Close()
	m, err := replayManifest(f, opt)
	if err != nil {
		return damaged("MANIFEST: " + err.Error())
	}
	if err := unnamed(opt.Dir, m); err != nil {
		return err
	}
	for id := range m.Tables {
		name := table.NewFilename(id, opt.Dir)
		if err := inspectTable(name); err != nil {
			return damaged(filepath.Base(name) + ": " + err.Error())
		}
	}
	return nil
}

func replayManifest(f *os.File, opt badger.Options) (m badger.Manifest, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	m, _, err = badger.ReplayManifestFile(f, opt.ExternalMagicVersion, opt)
	return m, err
}

// orphans refuses tables and logs without a manifest: Badger would begin anew and
// remove them.
func orphans(dir string) error {
	for _, ext := range []string{".sst", ".vlog"} {
		found, err := filepath.Glob(filepath.Join(escapeGlob(dir), "*"+ext))
		if err != nil {
			return err
		}
		if len(found) > 0 {
			return damaged("MANIFEST is missing beside " + filepath.Base(found[0]))
		}
	}
	return nil
}

// unnamed refuses tables that the manifest does not name, unless a memtable tells of
// a crash that can explain them. Badger removes them: where the end of the manifest
// was lost, that would be the only copy.
func unnamed(dir string, m badger.Manifest) error {
	crashed, err := filepath.Glob(filepath.Join(escapeGlob(dir), "*.mem"))
	if err != nil || len(crashed) > 0 {
		return err
	}
	tables, err := filepath.Glob(filepath.Join(escapeGlob(dir), "*.sst"))
	if err != nil {
		return err
	}
	for _, name := range tables {
		id, ok := table.ParseFileID(name)
		if _, named := m.Tables[id]; !ok || !named {
			return damaged("MANIFEST does not name " + filepath.Base(name))
		}
	}
	return nil
}

func escapeGlob(s string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(s)
}

// inspectTable reads a table's footer: index, its length, checksum, its length.
func inspectTable(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	end := info.Size()
	sum, end, err := lastPart(f, end)
	if err != nil {
		return fmt.Errorf("checksum: %w", err)
	}
	index, _, err := lastPart(f, end)
	if err != nil {
		return fmt.Errorf("index: %w", err)
	}
	var want pb.Checksum
	if err := proto.Unmarshal(sum, &want); err != nil {
		return fmt.Errorf("checksum: %w", err)
	}
	if err := y.VerifyChecksum(index, &want); err != nil {
		return fmt.Errorf("index: %w", err)
	}
	return verifyBlocks(path)
}

// verifyBlocks reads all blocks of a table. While the database is open, the keys of
// a bad one would be absent without a word.
func verifyBlocks(path string) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	m, err := z.OpenMmapFile(path, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer m.Close(-1)
	t, err := table.OpenTable(m, table.Options{BlockSize: 4096})
	if err != nil {
		return err
	}
	return t.VerifyChecksum()
}

// lastPart reads the part before end that is followed by its length in four bytes.
func lastPart(f *os.File, end int64) (part []byte, begin int64, err error) {
	var length [4]byte
	if end < 4 {
		return nil, 0, fmt.Errorf("file of %d bytes is cut short", end)
	}
	if _, err := f.ReadAt(length[:], end-4); err != nil {
		return nil, 0, err
	}
	n := int64(binary.BigEndian.Uint32(length[:]))
	begin = end - 4 - n
	if n == 0 || begin < 0 {
		return nil, 0, fmt.Errorf("%d bytes in %d: cut short or overwritten", n, end)
	}
	part = make([]byte, n)
	_, err = f.ReadAt(part, begin)
	return part, begin, err
}
