package node

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"

	"github.com/walrus-network/walrus/blob"
)

// ProofsDir is where a node keeps the proofs of the last rounds, in its directory. What
// is lost there costs nothing but in a dispute that nobody else can answer.
const ProofsDir = "proofs"

// bodies are the proofs that a node has heard, on a disk: up to 200 MB for a round of a
// thousand shards, and who voted for one may have to show it after a restart.
// They are not synced: what a power cut takes, others have.
//
// A file is named by the ordinal of its round and by its shard, and holds a
// challenge.Message.
type bodies struct {
	dir string // empty: nothing is kept
}

func (b bodies) round(ordinal uint64) string {
	return filepath.Join(b.dir, strconv.FormatUint(ordinal, 10))
}

func (b bodies) path(ordinal uint64, s blob.Shard) string {
	return filepath.Join(b.round(ordinal), strconv.Itoa(int(s)))
}

// put keeps a message. It says whether that is kept.
func (b bodies) put(ordinal uint64, s blob.Shard, raw []byte) bool {
	if b.dir == "" || os.MkdirAll(b.round(ordinal), 0o700) != nil {
		return false
	}
	part, err := os.CreateTemp(b.round(ordinal), "*.part")
	if err != nil {
		return false
	}
	_, err = part.Write(raw)
	if err = errors.Join(err, part.Close()); err == nil {
		err = os.Rename(part.Name(), b.path(ordinal, s))
	}
	if err != nil {
		os.Remove(part.Name())
	}
	return err == nil
}

// get is a message that was kept, or nothing.
func (b bodies) get(ordinal uint64, s blob.Shard) ([]byte, bool) {
	if b.dir == "" {
		return nil, false
	}
	raw, err := os.ReadFile(b.path(ordinal, s))
	return raw, err == nil
}

// forget removes all rounds before one.
func (b bodies) forget(before uint64) error {
	if b.dir == "" {
		return nil
	}
	list, err := os.ReadDir(b.dir)
	if os.IsNotExist(err) {
		return nil
	}
	for _, e := range list {
		if ordinal, bad := strconv.ParseUint(e.Name(), 10, 64); bad == nil && ordinal < before && err == nil {
			err = os.RemoveAll(b.round(ordinal))
		}
	}
	return err
}
