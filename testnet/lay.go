package testnet

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/walrus-network/walrus/node"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/wallet"
)

// realDir is the directory that a path leads to, by links and all: what is removed and
// what is shown is the place itself. The last part, or more, may not be there yet.
func realDir(path string) (string, error) {
	const most = 40 // links, one behind the other
	for range most {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			return filepath.Abs(real)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("testnet: %w", err)
		}
		to, err := os.Readlink(path)
		if err != nil {
			break // not a link that leads nowhere
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(path), to)
		}
		path = to
	}
	abs, err := filepath.Abs(path)
	if err != nil || abs == filepath.Dir(abs) {
		return abs, err
	}
	parent, err := realDir(filepath.Dir(abs))
	return filepath.Join(parent, filepath.Base(abs)), err
}

// holdDir keeps others from laying out a testnet in dir meanwhile.
func holdDir(dir string) (free func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("testnet: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%s: another process makes a testnet here now: wait for it", dir)
		}
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return func() { f.Close() }, nil
}

// halfMade looks at what an interrupted Create may have left. Its keys are used again,
// and the rest is written anew; so nothing is ever removed. Nodes that have run belong
// to a testnet that has lost its network.toml, and are left alone.
func (t *Testnet) halfMade() (err error) {
	list, err := os.ReadDir(filepath.Join(t.Dir, nodesName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("testnet: %w", err)
	}
	for _, e := range list {
		dir := filepath.Join(t.Dir, nodesName, e.Name())
		for _, name := range []string{node.LedgerDir, node.FragmentsDir} {
			if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
				return fmt.Errorf("%s holds what a node has kept, and %s is missing: put that file back, or choose another --dir", dir, t.NetworkFile())
			}
		}
		if i, err := strconv.Atoi(e.Name()); err == nil && strconv.Itoa(i) == e.Name() {
			if err := os.Remove(filepath.Join(dir, adversaryName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	path := t.WalletFile()
	switch info, err := os.Stat(path); {
	case err == nil && info.Size() > 0:
		t.Wallet, err = loadWallet(path)
		return err
	case err == nil:
		os.Remove(path) // nothing was written into it
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("testnet: %w", err)
	}
	if t.Wallet, err = token.NewKey(rand.Reader); err != nil {
		return err
	}
	return wallet.Save(path, t.Wallet, "")
}

func loadWallet(path string) (token.Key, error) {
	return wallet.Load(path, false, func() (string, error) { return "", errors.New("a testnet's wallet has no passphrase") })
}
