package ledger

import (
	"slices"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/state"
	"github.com/walrus-network/walrus/unit"
)

const (
	touchedBlocks = 256     // how many blocks are remembered
	touchedBlobs  = 1 << 16 // and how many blobs of them at most
)

// writtenBlobs remembers which blobs the last blocks wrote, so that a follower of the ledger
// need not read all of it for every block. It is no part of the state.
//
// Invariant: the blocks are consecutive, the last is the newest committed or the one
// that is being committed.
type writtenBlobs struct {
	first  unit.Height // height of blocks[0]
	blocks [][]blob.ID
	blobs  int // in all blocks
}

func (t *writtenBlobs) add(height unit.Height, ids []blob.ID) {
	if next := t.first.Plus(uint64(len(t.blocks))); len(t.blocks) == 0 || height > next || height < t.first {
		*t = writtenBlobs{first: height}
	} else if height < next { // a commit that failed is tried again
		for _, ids := range t.blocks[height.Since(t.first):] {
			t.blobs -= len(ids)
		}
		t.blocks = t.blocks[:height.Since(t.first)]
	}
	t.blocks = append(t.blocks, ids)
	t.blobs += len(ids)
	drop := 0
	for len(t.blocks)-drop > touchedBlocks || t.blobs > touchedBlobs {
		t.blobs -= len(t.blocks[drop])
		drop++
	}
	t.first = t.first.Plus(uint64(drop))
	t.blocks = slices.Delete(t.blocks, 0, drop)
}

func (t *writtenBlobs) since(height unit.Height) (ids []blob.ID, ok bool) {
	last := t.first.Plus(uint64(len(t.blocks))) // exclusive
	if len(t.blocks) == 0 || height+1 < t.first || height+1 > last {
		return nil, false
	}
	for _, block := range t.blocks[(height + 1).Since(t.first):] {
		ids = append(ids, block...)
	}
	return ids, true
}

// entriesIn is the blobs whose entries are among changes.
func entriesIn(changes []state.Change) (ids []blob.ID) {
	for _, c := range changes {
		if len(c.Key) == 1+len(blob.ID{}) && c.Key[0] == letterBlob {
			ids = append(ids, blob.ID(c.Key[1:]))
		}
	}
	return ids
}
