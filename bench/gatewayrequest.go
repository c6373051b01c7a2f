package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
)

// body makes a file of bytes that no other blob has.
func (b *gatewayBench) body(size int64) (client.FileSource, error) {
	b.n++
	path := filepath.Join(b.dir, "body")
	f, err := os.Create(path)
	if err != nil {
		return client.FileSource{}, err
	}
	_, err = io.CopyN(f, rand.NewChaCha8([32]byte{b.n, 7}), size)
	if err := errors.Join(err, f.Close()); err != nil {
		return client.FileSource{}, err
	}
	return client.NewFileSource(path)
}

// stored stores bytes with the client alone, so that the gateway's cache has none of them.
func (b *gatewayBench) stored(size int64) (id string, took time.Duration, err error) {
	src, err := b.body(size)
	if err != nil {
		return "", 0, err
	}
	b.rest()
	out, err := b.c.Store(b.ctx, b.t.Wallet, src, client.StoreOptions{Epochs: 1})
	return out.ID.Base64(), out.TotalTime, err
}

// put stores a file over HTTP.
func (b *gatewayBench) put(url string, src client.FileSource) (id string, took time.Duration, err error) {
	in, err := src.Open(0)
	if err != nil {
		return "", 0, err
	}
	defer in.Close()
	r, err := http.NewRequestWithContext(b.ctx, http.MethodPut, url, in)
	if err != nil {
		return "", 0, err
	}
	if r.ContentLength = src.Size(); r.ContentLength == 0 {
		r.Body = http.NoBody // else no length is sent
	}
	began := time.Now()
	resp, err := b.web.Do(r)
	if err != nil {
		return "", 0, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	took = time.Since(began)
	if err != nil || resp.StatusCode != http.StatusOK {
		return "", took, errors.Join(err, fmt.Errorf("%s: %s", resp.Status, raw[:min(len(raw), 300)]))
	}
	var out struct {
		NewlyCreated struct{ BlobObject struct{ BlobID string } }
	}
	_ = json.Unmarshal(raw, &out) // an answer of S3 is none
	b.noteRead(b.url(out.NewlyCreated.BlobObject.BlobID))
	return out.NewlyCreated.BlobObject.BlobID, took, nil
}

// get reads a URL: the time to its first byte and to its last, and its status.
func (b *gatewayBench) get(url string, into []byte) (first, took time.Duration, code int, err error) {
	b.noteRead(url)
	began := time.Now()
	r, err := http.NewRequestWithContext(b.ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, 0, 0, err
	}
	resp, err := b.web.Do(r)
	if err != nil {
		return 0, 0, 0, err
	}
	defer resp.Body.Close()
	n, err := io.ReadAtLeast(resp.Body, into, 1)
	first = time.Since(began)
	for err == nil && n > 0 {
		n, err = resp.Body.Read(into)
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return first, time.Since(began), resp.StatusCode, err
}

// getWhole is get of what has to be there.
func (b *gatewayBench) getWhole(url string, into []byte) (first, took time.Duration, err error) {
	first, took, code, err := b.get(url, into)
	if err == nil && code != http.StatusOK {
		err = fmt.Errorf("GET: %d", code)
	}
	return first, took, err
}

// noteRead notes a whole blob that is read.
func (b *gatewayBench) noteRead(url string) {
	if id, err := blob.ParseID(strings.TrimPrefix(url, b.url(""))); err == nil {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.read[id] = true
	}
}

func (b *gatewayBench) url(id string) string { return b.g.HTTP + "/v1/blobs/" + id }
