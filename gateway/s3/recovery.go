package s3

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"filippo.io/age"

	"github.com/walrus-network/walrus/internal/secretfile"
)

// OpenRecovery reads the recovery key, which opens snapshots. Where there is none it makes
// one.
func OpenRecovery(path string) (key *age.X25519Identity, made bool, err error) {
	key, err = readRecovery(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, false, err
	}
	if key, err = age.GenerateX25519Identity(); err != nil {
		return nil, false, err
	}
	return key, true, writeSecret(path, []byte(key.String()+"\n"))
}

func readRecovery(path string) (*age.X25519Identity, error) {
	b, err := secretfile.Read(path, 4096, false)
	if err != nil {
		return nil, err
	}
	key, err := ParseRecovery(string(b))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}

// KeepRecovery writes the recovery key where OpenRecovery finds it, if it is not there.
func KeepRecovery(path string, key *age.X25519Identity) (made bool, err error) {
	there, err := readRecovery(path)
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return false, err
	case err == nil && there.String() != key.String():
		return false, fmt.Errorf("%s holds another recovery key", path)
	case err == nil:
		return false, nil
	}
	return true, writeSecret(path, []byte(key.String()+"\n"))
}

// ParseRecovery reads a recovery key as OpenRecovery writes it.
func ParseRecovery(text string) (*age.X25519Identity, error) {
	key, err := age.ParseX25519Identity(strings.TrimSpace(text))
	if err != nil {
		return nil, errors.New("not a recovery key: it begins with AGE-SECRET-KEY-1")
	}
	return key, nil
}
