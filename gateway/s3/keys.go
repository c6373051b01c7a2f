package s3

import (
	"bytes"
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/walrus-network/walrus/internal/livefile"
	"github.com/walrus-network/walrus/internal/secretfile"
)

// Key is a pair of credentials and what it may do.
type Key struct {
	Access  string   `json:"access_key"`
	Secret  string   `json:"secret_key"`
	Buckets []string `json:"buckets"` // names; one that ends with * stands for all that begin so
	Write   bool     `json:"write"`
	Owner   string   `json:"owner,omitempty"` // may use the buckets that keys of this owner have created, too
}

// names says whether the key's line names a bucket.
func (k *Key) names(bucket string) bool {
	return slices.ContainsFunc(k.Buckets, func(name string) bool { return matchesName(name, bucket) })
}

func matchesName(pattern, bucket string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(bucket, prefix)
	}
	return bucket == pattern
}

// NewKey makes random credentials for buckets.
func NewKey(write bool, buckets ...string) Key {
	access, secret := make([]byte, 10), make([]byte, 30)
	rand.Read(access) // never fails
	rand.Read(secret)
	return Key{
		Access:  "WAL" + base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(access),
		Secret:  base64.RawURLEncoding.EncodeToString(secret),
		Buckets: buckets,
		Write:   write,
	}
}

// maxKeysFile bounds a file of keys, in bytes.
const maxKeysFile = 1 << 20

type keysFile struct {
	Keys []Key `json:"keys"`
}

// KeysFile is a file of keys, which only its owner may read.
func KeysFile(path string) *livefile.File[[]Key] {
	return &livefile.File[[]Key]{Path: path, Read: func() ([]byte, error) { return secretfile.Read(path, maxKeysFile, false) }, Parse: ParseKeys}
}

// ReadKeys reads a file of keys, which only its owner may read.
func ReadKeys(path string) ([]Key, error) {
	b, err := secretfile.Read(path, maxKeysFile, false)
	if err != nil {
		return nil, err
	}
	keys, err := ParseKeys(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return keys, nil
}

// ParseKeys reads the JSON of a file of keys. Fields that it does not know are refused: a
// limit with a mistyped name would be no limit.
func ParseKeys(b []byte) ([]Key, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	var file keysFile
	if err := d.Decode(&file); err != nil {
		return nil, err
	}
	if d.More() {
		return nil, errors.New("more than one JSON value")
	}
	seen := map[string]bool{}
	for i, k := range file.Keys {
		switch {
		case k.Access == "" || len(k.Access) > 128 || strings.ContainsAny(k.Access, "/, =\t\r\n"):
			return nil, fmt.Errorf("key %d: access_key must be 1 to 128 characters without blanks, slashes, commas and equals signs", i+1)
		case len(k.Secret) < 16:
			return nil, fmt.Errorf("key %s: secret_key must have at least 16 characters", k.Access)
		case len(k.Buckets) == 0 && k.Owner == "":
			return nil, fmt.Errorf("key %s: buckets is empty: name buckets, or * for all, or an owner of buckets", k.Access)
		case len(k.Owner) > 64 || strings.Trim(strings.ToLower(k.Owner), "abcdefghijklmnopqrstuvwxyz0123456789._-") != "":
			return nil, fmt.Errorf("key %s: owner is a name of at most 64 letters, digits, dots, dashes and underscores", k.Access)
		case slices.ContainsFunc(k.Buckets, func(name string) bool { return strings.Contains(strings.TrimSuffix(name, "*"), "*") }):
			return nil, fmt.Errorf("key %s: in a name of buckets, * may stand at the end only", k.Access)
		case seen[k.Access]:
			return nil, fmt.Errorf("key %s is there twice", k.Access)
		}
		seen[k.Access] = true
	}
	if len(file.Keys) == 0 {
		return nil, errors.New("no keys")
	}
	return file.Keys, nil
}

// OpenKeys reads a file of keys. Where there is none it makes one with a key for all
// buckets.
func OpenKeys(path string) (keys []Key, made bool, err error) {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		keys, err := ReadKeys(path)
		return keys, false, err
	}
	keys = []Key{NewKey(true, "*")}
	b, err := json.MarshalIndent(keysFile{keys}, "", "  ")
	if err != nil {
		return nil, false, err
	}
	return keys, true, writeSecret(path, append(b, '\n'))
}

// writeSecret makes a file that only its owner may read, whole or not at all.
func writeSecret(path string, content []byte) error {
	temporary := path + ".new"
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(temporary, path)
	}
	return err
}
