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
	trustSuffix = ".trust"
	trustFiles  = 64 // chains whose headers are kept; the file that was written first gives way
)

// TrustDir keeps the newest verified header of each chain, a file per chain, so that trust
// does not run out on a machine that looks at the chain now and then. A file that is
// removed costs no more than trust: the next process begins with the checkpoint or the
// genesis again.
type TrustDir string

func (d TrustDir) path(chain token.ChainID) string {
	return filepath.Join(string(d), string(chain)+trustSuffix)
}

// Load is what was kept of a chain, nil for nothing. A file that others may write is an
// error: its writer decides what this machine trusts.
func (d TrustDir) Load(chain token.ChainID) ([]byte, error) {
	f, err := os.Open(d.path(chain))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if others := info.Mode().Perm() & 0o022; others != 0 {
		return nil, fmt.Errorf("%s: other users may write it: remove it", d.path(chain))
	}
	return io.ReadAll(io.LimitReader(f, light.MaxKept+1))
}

// Keep writes a chain's newest verified header, for this user alone.
func (d TrustDir) Keep(chain token.ChainID, kept []byte) error {
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return err
	}
	if err := WriteWhole(d.path(chain), kept, 0o600); err != nil {
		return err
	}
	return d.prune()
}

// serve lets a reader of the chain begin with what was kept, and keep what it verifies. A
// directory that cannot be used costs trust on later days, no answer now.
func (d TrustDir) serve(chain token.ChainID, o *light.RemoteOptions, log *slog.Logger) {
	var err error
	if o.Kept, err = d.Load(chain); err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Warn("the header that was verified last is not used", "err", err)
	}
	o.KeptIn = d.path(chain)
	o.Keep = func(kept []byte) {
		if err := d.Keep(chain, kept); err != nil {
			log.Info("verified headers are not kept for later commands", "err", err)
		}
	}
}

// prune removes the oldest files beyond trustFiles.
func (d TrustDir) prune() error {
	list, err := os.ReadDir(string(d))
	if err != nil || len(list) <= trustFiles {
		return err
	}
	var files []fs.FileInfo
	for _, e := range list {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() && strings.HasSuffix(e.Name(), trustSuffix) {
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
