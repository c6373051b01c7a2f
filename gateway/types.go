package gateway

import (
	"mime"
	"net/http"
	"strings"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/walrus-network/walrus/blob"
)

// opaque is the type of bytes that a browser should only save.
const opaque = "application/octet-stream"

// sniffed is the number of bytes from which a type is told.
const sniffed = 512

// inert is a content type that a browser shows without running any of it, or opaque.
func inert(contentType string) string {
	base, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return opaque
	}
	kind, _, _ := strings.Cut(base, "/")
	switch {
	case base == "image/svg+xml": // it may hold scripts
		return opaque
	case kind == "image", kind == "audio", kind == "video", kind == "font", base == "application/pdf", base == "application/ogg":
		return base
	case base == "text/plain":
		if strings.EqualFold(params["charset"], "utf-8") || params["charset"] == "" {
			return "text/plain; charset=utf-8"
		}
		return base
	}
	return opaque
}

// sniff tells the type of what begins with b, of the inert ones.
func sniff(b []byte) string { return inert(http.DetectContentType(b)) }

// typesKept is the number of blobs whose types are remembered.
const typesKept = 16384

// typeCache remembers the types of blobs.
type typeCache struct {
	mu   sync.Mutex // guards kept
	kept *simplelru.LRU[blob.ID, string]
}

func newTypeCache() *typeCache {
	kept, err := simplelru.NewLRU[blob.ID, string](typesKept, nil)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	return &typeCache{kept: kept}
}

func (c *typeCache) get(id blob.ID) (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.kept.Get(id)
}

func (c *typeCache) put(id blob.ID, t string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept.Add(id, t)
}
