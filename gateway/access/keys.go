package access

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/walrus-network/walrus/token"
)

// Limits bound what a key may have stored. The zero value of a field bounds nothing.
type Limits struct {
	MaxBytes    int64        // of a blob
	MaxEpochs   uint64       // of a lease
	BytesPerDay int64        // of all blobs
	WALPerDay   token.Amount // for all that is paid, allowances included
}

// Key is a key of the keys file.
type Key struct {
	Name string
	Hash [sha256.Size]byte // of the secret
	Limits
}

// keysFile is the file as people see it.
type keysFile struct {
	Key []struct {
		Name        string `toml:"name"`
		Hash        string `toml:"sha256"`
		MaxBytes    int64  `toml:"max_bytes"`
		MaxEpochs   uint64 `toml:"max_epochs"`
		BytesPerDay int64  `toml:"bytes_per_day"`
		WALPerDay   string `toml:"wal_per_day"`
	} `toml:"key"`
}

// secretPrefix begins each secret, so that people and scanners see what it is.
const secretPrefix = "walrus_"

var keyName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// NewSecret makes a secret and the lines of the keys file for it, without limits.
func NewSecret(name string) (secret, lines string, err error) {
	if !keyName.MatchString(name) {
		return "", "", fmt.Errorf("key name %q: 1 to 64 letters, digits, dots, hyphens and underscores", name)
	}
	raw := make([]byte, 24)
	if _, err := rand.Read(raw); err != nil {
		return "", "", err
	}
	secret = secretPrefix + base64.RawURLEncoding.EncodeToString(raw)
	hash := sha256.Sum256([]byte(secret))
	return secret, fmt.Sprintf("[[key]]\nname = %q\nsha256 = %q\n# max_bytes = 104857600\n# max_epochs = 10\n# bytes_per_day = 10737418240\n# wal_per_day = \"50WAL\"\n", name, hex.EncodeToString(hash[:])), nil
}

// ParseKeys reads the bytes of a keys file. An error names the key and what is wrong with it.
func ParseKeys(b []byte) (out []Key, err error) {
	var f keysFile
	if err := toml.NewDecoder(bytes.NewReader(b)).DisallowUnknownFields().Decode(&f); err != nil {
		var strict *toml.StrictMissingError
		if errors.As(err, &strict) {
			return nil, fmt.Errorf("a setting that is not known: %s", strings.TrimSpace(strict.String()))
		}
		return nil, err
	}
	names := map[string]bool{}
	for i, k := range f.Key {
		fail := func(format string, args ...any) error {
			return fmt.Errorf("key %d (%q): %s", i+1, k.Name, fmt.Sprintf(format, args...))
		}
		hash, err := hex.DecodeString(k.Hash)
		switch {
		case !keyName.MatchString(k.Name):
			return nil, fail("a name is 1 to 64 letters, digits, dots, hyphens and underscores")
		case names[k.Name]:
			return nil, fail("the name is there twice")
		case err != nil || len(hash) != sha256.Size:
			return nil, fail("sha256 is not the 64 hex digits of a hash: walrus gateway key NAME makes a key")
		case k.MaxBytes < 0 || k.BytesPerDay < 0:
			return nil, fail("a limit is negative")
		}
		names[k.Name] = true
		key := Key{Name: k.Name, Hash: [sha256.Size]byte(hash), Limits: Limits{MaxBytes: k.MaxBytes, MaxEpochs: k.MaxEpochs, BytesPerDay: k.BytesPerDay}}
		if k.WALPerDay != "" {
			if key.WALPerDay, err = token.ParseAmount(k.WALPerDay); err != nil {
				return nil, fail("wal_per_day: %v", err)
			}
		}
		out = append(out, key)
	}
	return out, nil
}

// keyOf finds the key of a secret. All keys are compared, each in constant time.
func keyOf(keys []Key, secret string) (found Key, ok bool) {
	hash := sha256.Sum256([]byte(secret))
	for _, k := range keys {
		if subtle.ConstantTimeCompare(hash[:], k.Hash[:]) == 1 {
			found, ok = k, true
		}
	}
	return found, ok
}
