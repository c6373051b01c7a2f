package rounds

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/unit"
)

// archive keeps the proofs that a node has received on a disk: up to 200 MB for a round
// of a thousand shards. A node that attested a proof may have to show it after a restart.
// The files are not synced: other nodes have the proofs that a power cut takes.
//
// A file's path is the ordinal of its round and its shard. It holds a challenge.Message.
type archive struct {
	dir string // empty: nothing is kept
}

func (a archive) round(ordinal unit.Ordinal) string {
	return filepath.Join(a.dir, strconv.FormatUint(uint64(ordinal), 10))
}

func (a archive) path(ordinal unit.Ordinal, s blob.Shard) string {
	return filepath.Join(a.round(ordinal), strconv.Itoa(int(s)))
}

// put keeps a message. It returns false if the disk refuses it.
func (a archive) put(ordinal unit.Ordinal, s blob.Shard, raw []byte) bool {
	if a.dir == "" || os.MkdirAll(a.round(ordinal), 0o700) != nil {
		return false
	}
	part, err := os.CreateTemp(a.round(ordinal), "*.part")
	if err != nil {
		return false
	}
	_, err = part.Write(raw)
	if err = errors.Join(err, part.Close()); err == nil {
		err = os.Rename(part.Name(), a.path(ordinal, s))
	}
	if err != nil {
		os.Remove(part.Name())
	}
	return err == nil
}

// get returns a message that was kept.
func (a archive) get(ordinal unit.Ordinal, s blob.Shard) ([]byte, bool) {
	if a.dir == "" {
		return nil, false
	}
	raw, err := os.ReadFile(a.path(ordinal, s))
	return raw, err == nil
}

// forget removes the rounds before an ordinal.
func (a archive) forget(before unit.Ordinal) error {
	if a.dir == "" {
		return nil
	}
	list, err := os.ReadDir(a.dir)
	if os.IsNotExist(err) {
		return nil
	}
	for _, e := range list {
		if ordinal, bad := strconv.ParseUint(e.Name(), 10, 64); bad == nil && unit.Ordinal(ordinal) < before && err == nil {
			err = os.RemoveAll(a.round(unit.Ordinal(ordinal)))
		}
	}
	return err
}
