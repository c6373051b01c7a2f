package node

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/walrus-network/walrus/internal/secretfile"
	"github.com/walrus-network/walrus/ledger/comet"
	"github.com/walrus-network/walrus/token"
)

// A node's directory. Fragments, ledger and keys are apart: wiping one leaves the others.
// Lost proofs of the last rounds cost nothing, except in a dispute that no other node can
// answer.
const (
	FragmentsDir = "fragments"
	LedgerDir    = "ledger"
	KeysDir      = "keys"
	ProofsDir    = "proofs"
	SecretName   = "node.key" // in KeysDir
)

// ErrSecret is returned for a key file that is not one.
var ErrSecret = errors.New("not a node's key file")

// secretHeader begins a key file, so that no other file passes for one.
const secretHeader = "walrus-node-secret-v1 "

// CreateSecret makes the secret of a new node in dir. It never replaces one.
func CreateSecret(dir string) (token.Secret, error) {
	s, err := token.NewSecret(rand.Reader)
	if err != nil {
		return s, err
	}
	keys := filepath.Join(dir, KeysDir)
	if err := os.MkdirAll(keys, 0o700); err != nil {
		return s, fmt.Errorf("node keys: %w", err)
	}
	path := filepath.Join(keys, SecretName)
	if info, err := os.Lstat(path); err == nil && info.Mode().IsRegular() && info.Size() == 0 {
		os.Remove(path) // its making was cut off before a key was in it
	}
	// It gets its name when it is whole: a crash leaves a key or none.
	part, err := os.CreateTemp(keys, SecretName+".part-")
	if err != nil {
		return s, fmt.Errorf("node keys: %w", err)
	}
	defer os.Remove(part.Name())
	_, err = fmt.Fprintf(part, "%s%s\n", secretHeader, hex.EncodeToString(s[:]))
	if err == nil {
		err = part.Sync()
	}
	if err = errors.Join(err, part.Close()); err != nil {
		return s, fmt.Errorf("node keys: %w", err)
	}
	err = os.Link(part.Name(), path)
	if errors.Is(err, fs.ErrExist) {
		return s, fmt.Errorf("%s exists already: a node's key is its stake, so it is not replaced; choose another directory", path)
	}
	if err != nil {
		return s, fmt.Errorf("node keys: %w", err)
	}
	return s, nil
}

// EnsureSecret is the secret in dir, made if there is none: the making of the directory
// may have been interrupted behind it.
func EnsureSecret(dir string) (token.Secret, error) {
	info, err := os.Stat(filepath.Join(dir, KeysDir, SecretName))
	if err == nil && info.Size() > 0 {
		return LoadSecret(dir)
	}
	return CreateSecret(dir)
}

// LoadSecret reads the secret of the node in dir. It is refused where another user may
// read it, or write what was signed last beside it: with either, the node's stake is lost.
func LoadSecret(dir string) (token.Secret, error) { return loadSecret(dir, false) }

// LoadLooseSecret is LoadSecret whatever the modes of the files are.
func LoadLooseSecret(dir string) (token.Secret, error) { return loadSecret(dir, true) }

func loadSecret(dir string, loose bool) (s token.Secret, err error) {
	keys := filepath.Join(dir, KeysDir)
	path := filepath.Join(keys, SecretName)
	for _, beside := range []string{keys, filepath.Join(keys, comet.LastSignName)} {
		if err := secretfile.Check(beside, loose); err != nil {
			return s, fmt.Errorf("node keys: %w", err)
		}
	}
	const longest = 4096
	b, err := secretfile.Read(path, longest, loose)
	if errors.Is(err, fs.ErrNotExist) {
		return s, fmt.Errorf("%s is missing: make a node with walrus node init --dir %s, or restore the file from your backup", path, dir)
	}
	if err != nil {
		return s, fmt.Errorf("node keys: %w", err)
	}
	digits, ok := strings.CutPrefix(string(b), secretHeader)
	raw, err := hex.DecodeString(strings.TrimSpace(digits))
	if !ok || err != nil || len(raw) != len(s) {
		return s, fmt.Errorf("%s: %w: restore it from your backup", path, ErrSecret)
	}
	return token.Secret(raw), nil
}
