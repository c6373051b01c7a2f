package client

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/walrus-network/walrus/ledger/light"
	"github.com/walrus-network/walrus/token"
)

const (
	trustSuffix     = ".trust"
	committeeSuffix = ".committee"
	trustFiles      = 64 // files that are kept of each kind; the one that was written first gives way
)

// TrustDir keeps the newest verified header of each chain, a file for each block that trust
// in it began with, so that trust does not run out on a machine that looks at the chain now
// and then; and beside it the committee that was known last. A header that is removed costs no
// more than trust: the next process begins with the checkpoint or the genesis again. A
// committee that is removed costs it some round trips.
type TrustDir string

// trustName names the file of a chain and of the checkpoint that trust in it began with, nil
// for the genesis. Processes that begin with another one cannot use what is in it.
func trustName(chain token.ChainID, begin *light.Checkpoint) string {
	if begin == nil {
		return string(chain)
	}
	return fmt.Sprintf("%s@%d", chain, begin.Height)
}

func (d TrustDir) path(name string) string { return d.file(name, trustSuffix) }

func (d TrustDir) file(name, suffix string) string { return filepath.Join(string(d), name+suffix) }

// Load is the header that was kept under a name, nil for none. A file that others may write is
// an error: its writer decides what this machine trusts.
func (d TrustDir) Load(name string) ([]byte, error) { return d.load(name, trustSuffix, light.MaxKept) }

// load is at most one byte more than most.
func (d TrustDir) load(name, suffix string, most int64) ([]byte, error) {
	f, err := os.Open(d.file(name, suffix))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if others := info.Mode().Perm() & 0o022; others != 0 {
		return nil, fmt.Errorf("%s: other users may write it: remove it", f.Name())
	}
	return io.ReadAll(io.LimitReader(f, most+1))
}

// Keep writes a newest verified header, for this user alone.
func (d TrustDir) Keep(name string, kept []byte) error { return d.keep(name, trustSuffix, kept) }

func (d TrustDir) keep(name, suffix string, kept []byte) error {
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return err
	}
	if err := WriteWhole(d.file(name, suffix), kept, 0o600); err != nil {
		return err
	}
	return d.prune(suffix)
}

// serve lets a reader of the chain begin with what was kept, and keep what it verifies. A
// directory that cannot be used costs trust on later days, no answer now.
func (d TrustDir) serve(chain token.ChainID, o *light.RemoteOptions, log *slog.Logger) {
	name := trustName(chain, o.Checkpoint)
	var err error
	if o.Kept, err = d.Load(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Warn("the header that was verified last is not used", "err", err)
	}
	o.KeptIn = d.path(name)
	o.Keep = func(kept []byte) {
		if err := d.Keep(name, kept); err != nil {
			log.Info("verified headers are not kept for later commands", "err", err)
		}
	}
}

// prune removes the oldest files of a kind beyond trustFiles.
func (d TrustDir) prune(suffix string) error {
	list, err := os.ReadDir(string(d))
	if err != nil || len(list) <= trustFiles {
		return err
	}
	var files []fs.FileInfo
	for _, e := range list {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() && strings.HasSuffix(e.Name(), suffix) {
			files = append(files, info)
		}
	}
	slices.SortFunc(files, func(a, b fs.FileInfo) int { return cmp.Compare(b.ModTime().UnixNano(), a.ModTime().UnixNano()) })
	for _, f := range files[min(trustFiles, len(files)):] {
		if err := os.Remove(filepath.Join(string(d), f.Name())); err != nil {
			return err
		}
	}
	return nil
}
