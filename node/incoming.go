package node

import (
	"sync"
	"time"

	"github.com/walrus-network/walrus/blob"
)

// incomingPatience is how long repair leaves a blob alone of which a client sends
// nothing more, though its upload has not ended.
const incomingPatience = 10 * time.Second

// incoming is which blobs are being uploaded right now.
type incoming struct {
	mu    sync.Mutex // guards blobs
	blobs map[blob.ID]*blobUploads
}

// blobUploads is a blob's uploads: several clients may send it at once.
type blobUploads struct {
	uploads int
	last    time.Time // when a part of it came
}

// begin notes an upload; the returned function ends it, once.
func (i *incoming) begin(id blob.ID) (end func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.blobs == nil {
		i.blobs = map[blob.ID]*blobUploads{}
	}
	a := i.blobs[id]
	if a == nil {
		a = &blobUploads{}
		i.blobs[id] = a
	}
	a.uploads++
	a.last = time.Now()
	return sync.OnceFunc(func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		if a.uploads--; a.uploads == 0 {
			delete(i.blobs, id)
		}
	})
}

// progress notes that a part of a blob came.
func (i *incoming) progress(id blob.ID) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if a := i.blobs[id]; a != nil {
		a.last = time.Now()
	}
}

// any says whether an upload of the blob has not ended.
func (i *incoming) any(id blob.ID) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.blobs[id] != nil
}

// underWay says whether an upload of the blob goes on.
func (i *incoming) underWay(id blob.ID) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	a := i.blobs[id]
	return a != nil && time.Since(a.last) < incomingPatience
}
