package node

import (
	"sync"
	"time"

	"github.com/walrus-network/walrus/blob"
)

// incomingPatience is how long repair leaves a blob alone that a client is sending:
// long enough to end an upload, too short to hold up repair for good.
const incomingPatience = 30 * time.Second

// incoming is which blobs are being uploaded right now.
type incoming struct {
	mu    sync.Mutex // guards began
	began map[blob.ID]time.Time
}

// begin notes an upload; the returned function ends it.
func (i *incoming) begin(id blob.ID) func() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.began == nil {
		i.began = map[blob.ID]time.Time{}
	}
	i.began[id] = time.Now()
	return func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		delete(i.began, id)
	}
}

func (i *incoming) underWay(id blob.ID) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	at, ok := i.began[id]
	return ok && time.Since(at) < incomingPatience
}
