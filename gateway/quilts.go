package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/sync/singleflight"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/gateway/blobs"
	"github.com/walrus-network/walrus/quilt"
)

const (
	metadataPart = "_metadata"
	mostMetadata = 8 << 20  // bytes of that part
	mostName     = 65535    // bytes of an identifier
	mostType     = 255      // bytes of a content type
	mostLabels   = 16 << 20 // bytes of all of them
	mostParts    = quilt.MaxFiles + 1
)

// quiltResult is the answer to a store of a quilt.
type quiltResult struct {
	Blob  storeResult   `json:"blobStoreResult"`
	Files []storedPatch `json:"storedQuiltBlobs"`
}

type storedPatch struct {
	Identifier string `json:"identifier"`
	Patch      string `json:"quiltPatchId"`
}

// patchInfo is a file in the list of a quilt.
type patchInfo struct {
	Identifier string            `json:"identifier"`
	Patch      string            `json:"patch_id"`
	Tags       map[string]string `json:"tags"`
}

func (s *Server) putQuilt(w http.ResponseWriter, r *http.Request) error {
	g, err := s.admit(r)
	if err != nil {
		return err
	}
	t, err := s.parseTerms(r.URL.RawQuery)
	if err != nil {
		return err
	}
	a, err := s.allow(r.Context(), g, t, -1)
	if err != nil {
		return err
	}
	defer a.end()
	_, params, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	end := &tail{ReadCloser: r.Body, boundary: params["boundary"]}
	r.Body = end
	form, err := r.MultipartReader()
	if err != nil {
		return refuse(400, "MALFORMED_REQUEST", "a quilt is stored from a multipart/form-data body, a part for each file: %v", err)
	}
	parts := &formFiles{form: form, end: end}
	body, err := s.take(w, r, parts, a)
	if err != nil {
		return err
	}
	defer body.Close()
	q, err := parts.quilt(body)
	if err != nil {
		return refuse(400, "MALFORMED_REQUEST", "%v", err)
	}
	out, err := s.store(r.Context(), g, g.Owner(), q, t)
	if err != nil {
		return err
	}
	a.kept = true
	answer := quiltResult{Blob: s.storeResult(r.Context(), out, t), Files: []storedPatch{}}
	index := q.Index()
	for i, e := range index.Entries {
		answer.Files = append(answer.Files, storedPatch{e.Identifier, index.Patch(out.ID, i).String()})
	}
	writeJSON(w, http.StatusOK, answer)
	return nil
}

// formFiles reads the files of a form one after the other, as one stream, and notes where each
// begins. A part's name is the file's identifier; its filename is not looked at.
type formFiles struct {
	form     *multipart.Reader
	end      *tail
	labels   int             // bytes of names and types so far
	part     *multipart.Part // being read
	files    []formFile
	names    map[string]bool
	metadata []byte // nil: the part has not come
	read     int64
}

type formFile struct {
	identifier, kind string
	start, size      int64
}

func (f *formFiles) Read(b []byte) (int, error) {
	for {
		if f.part == nil {
			if err := f.next(); err != nil {
				return 0, err
			}
			continue
		}
		n, err := f.part.Read(b)
		last := &f.files[len(f.files)-1]
		last.size += int64(n)
		f.read += int64(n)
		if errors.Is(err, io.EOF) {
			f.part, err = nil, nil
			if n == 0 {
				continue
			}
		}
		return n, err
	}
}

// next goes to the next file. io.EOF is the form's end.
func (f *formFiles) next() error {
	part, err := f.form.NextPart()
	if errors.Is(err, io.EOF) && (err != io.EOF || !f.end.closes()) {
		return io.ErrUnexpectedEOF // the form was cut off between two parts
	}
	if err != nil {
		return err
	}
	name, kind := part.FormName(), part.Header.Get("Content-Type")
	if f.labels += len(name) + len(kind); len(name) > mostName || len(kind) > mostType || f.labels > mostLabels {
		return refuse(400, "MALFORMED_REQUEST", "the names or types of the form's parts are too long")
	}
	if f.names == nil {
		f.names = map[string]bool{}
	}
	switch {
	case name == "":
		return refuse(400, "MALFORMED_REQUEST", "part %d of the form has no name", len(f.names)+1)
	case f.names[name]:
		return refuse(400, "MALFORMED_REQUEST", "the form has two parts of the name %q", clip(name))
	case len(f.names) >= mostParts:
		return refuse(400, "MALFORMED_REQUEST", "the form has more than %d files", quilt.MaxFiles)
	}
	f.names[name] = true
	if name == metadataPart {
		f.metadata, err = io.ReadAll(io.LimitReader(part, mostMetadata+1))
		if err == nil && len(f.metadata) > mostMetadata {
			err = refuse(400, "MALFORMED_REQUEST", "_metadata has more than %d bytes", mostMetadata)
		}
		return err
	}
	if kind == opaque {
		kind = ""
	}
	f.part = part
	f.files = append(f.files, formFile{identifier: name, kind: kind, start: f.read})
	return nil
}

// tail remembers the end of what was read through it.
type tail struct {
	io.ReadCloser
	last     []byte
	boundary string
}

const tailBytes = 4096

func (t *tail) Read(b []byte) (int, error) {
	n, err := t.ReadCloser.Read(b)
	t.last = append(t.last, b[max(0, n-tailBytes):n]...)
	t.last = t.last[max(0, len(t.last)-tailBytes):]
	return n, err
}

// closes says that the form's last boundary has come: a form that is cut off right after a
// boundary would look whole.
func (t *tail) closes() bool {
	return bytes.Contains(t.last, []byte("--"+t.boundary+"--"))
}

// quilt makes the quilt of the files that were read into a body.
func (f *formFiles) quilt(body client.Source) (*quilt.Quilt, error) {
	tags, err := parseTags(f.metadata)
	if err != nil {
		return nil, err
	}
	var files []quilt.File
	for _, file := range f.files {
		files = append(files, quilt.File{Identifier: file.identifier, Size: file.size, ContentType: file.kind, Tags: tags[file.identifier],
			Open: func(offset int64) (io.ReadCloser, error) {
				r, err := body.Open(file.start + offset)
				if err != nil {
					return nil, err
				}
				return struct {
					io.Reader
					io.Closer
				}{io.LimitReader(r, file.size-offset), r}, nil
			}})
	}
	return quilt.New(files)
}

// parseTags reads the part _metadata: for each identifier its tags, sorted by name. Values
// that are no strings are written as JSON.
func parseTags(raw []byte) (map[string][]quilt.Tag, error) {
	if raw == nil {
		return nil, nil
	}
	var list []struct {
		Identifier *string                    `json:"identifier"`
		Tags       map[string]json.RawMessage `json:"tags"`
	}
	if !utf8.Valid(raw) {
		return nil, errors.New("_metadata is not UTF-8")
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf(`_metadata is not a JSON list of {"identifier": …, "tags": {…}}: %w`, err)
	}
	out := map[string][]quilt.Tag{}
	for i, one := range list {
		if one.Identifier == nil {
			return nil, fmt.Errorf("entry %d of _metadata has no identifier", i+1)
		}
		if _, twice := out[*one.Identifier]; twice {
			return nil, fmt.Errorf("_metadata has two entries for %q", clip(*one.Identifier))
		}
		tags := []quilt.Tag{}
		for name, value := range one.Tags {
			var text string
			if json.Unmarshal(value, &text) != nil || string(value) == "null" {
				var compact bytes.Buffer
				if err := json.Compact(&compact, value); err != nil {
					return nil, err
				}
				text = compact.String()
			}
			tags = append(tags, quilt.Tag{Name: name, Value: text})
		}
		slices.SortFunc(tags, func(a, b quilt.Tag) int { return strings.Compare(a.Name, b.Name) })
		out[*one.Identifier] = tags
	}
	return out, nil
}

// Bounds of the indexes that are remembered, in bytes: of all, and of one.
const (
	indexesKept = 64 << 20
	indexKept   = 16 << 20
)

// indexesAtOnce bounds the indexes that are read, or listed, at the same time.
const indexesAtOnce = 4

// indexCache remembers the indexes of quilts.
type indexCache struct {
	group singleflight.Group
	slots chan struct{}

	mu    sync.Mutex // guards the fields below
	kept  *simplelru.LRU[blob.ID, quilt.Index]
	bytes int
}

func newIndexCache() *indexCache {
	c := &indexCache{slots: make(chan struct{}, indexesAtOnce)}
	kept, err := simplelru.NewLRU(1<<20, func(_ blob.ID, i quilt.Index) { c.bytes -= weightOf(i) })
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	c.kept = kept
	return c
}

// weightOf is about the memory that an index takes.
func weightOf(i quilt.Index) (bytes int) {
	const each = 128
	for _, e := range i.Entries {
		bytes += each + len(e.Identifier) + len(e.ContentType)
		for _, t := range e.Tags {
			bytes += each/4 + len(t.Name) + len(t.Value)
		}
	}
	return bytes
}

func (c *indexCache) get(id blob.ID) (quilt.Index, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.kept.Get(id)
}

func (c *indexCache) put(id blob.ID, i quilt.Index) {
	weight := weightOf(i)
	c.mu.Lock()
	defer c.mu.Unlock()
	if weight > indexKept || c.kept.Contains(id) {
		return
	}
	c.kept.Add(id, i)
	for c.bytes += weight; c.bytes > indexesKept && c.kept.Len() > 1; {
		c.kept.RemoveOldest()
	}
}

// enter waits for a place among the indexes that are read.
func (c *indexCache) enter(ctx context.Context) error {
	select {
	case c.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *indexCache) leave() { <-c.slots }

// index reads the index of a quilt, once for all that ask at the same time.
func (s *Server) index(ctx context.Context, id blob.ID) (*blobs.Blob, quilt.Index, error) {
	b, err := s.find(ctx, id)
	if err != nil {
		return nil, quilt.Index{}, err
	}
	if i, ok := s.indexes.get(id); ok {
		return b, i, nil
	}
	answer := s.indexes.group.DoChan(string(id[:]), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), indexLimit) // for all that wait
		defer cancel()
		if err := s.indexes.enter(ctx); err != nil {
			return quilt.Index{}, blobs.ErrBusy
		}
		defer s.indexes.leave()
		i, err := quilt.ReadIndex(b.Size, s.buffered(ctx, b))
		if err == nil {
			s.indexes.put(id, i)
		}
		return i, err
	})
	select {
	case r := <-answer:
		return b, r.Val.(quilt.Index), r.Err
	case <-ctx.Done():
		return nil, quilt.Index{}, ctx.Err()
	}
}

// indexLimit is how long the reading of an index may take.
const indexLimit = time.Minute

func (s *Server) getPatch(w http.ResponseWriter, r *http.Request, segment string) error {
	if _, err := checkReadQuery(r); err != nil {
		return err
	}
	text, err := unescape(segment)
	if err != nil {
		return err
	}
	p, err := quilt.ParsePatchID(text)
	if err != nil {
		return refuse(400, "INVALID_ID_FORMAT", "%q is not a quilt patch ID: 50 characters of base64url", clip(text))
	}
	b, index, err := s.index(r.Context(), p.Quilt)
	if err != nil {
		return err
	}
	if p.Version != quilt.Version || int(p.Start) >= len(index.Entries) || index.Patch(p.Quilt, int(p.Start)) != p {
		return refuse(404, "QUILT_PATCH_NOT_FOUND", "the quilt has no such file")
	}
	return s.sendFile(w, r, b, index, int(p.Start))
}

func (s *Server) getQuiltFile(w http.ResponseWriter, r *http.Request, rest string) error {
	if _, err := checkReadQuery(r); err != nil {
		return err
	}
	first, name, _ := strings.Cut(rest, "/")
	id, err := pathID(first)
	if err != nil {
		return err
	}
	identifier, err := unescape(name)
	if err != nil {
		return err
	}
	b, index, err := s.index(r.Context(), id)
	if err != nil {
		return err
	}
	i, ok := index.Find(identifier)
	if !ok {
		return refuse(404, "QUILT_PATCH_NOT_FOUND", "the quilt has no file %q", clip(identifier))
	}
	return s.sendFile(w, r, b, index, i)
}

func (s *Server) sendFile(w http.ResponseWriter, r *http.Request, b *blobs.Blob, index quilt.Index, i int) error {
	e := index.Entries[i]
	of := readable{blob: b, start: e.Offset, length: e.Length, etag: quoted(index.Patch(b.ID, i).String()), kind: e.ContentType,
		header: map[string]string{"X-Quilt-Patch-Identifier": headerText(e.Identifier)}}
	for _, tag := range e.Tags {
		name := strings.ToLower(tag.Name)
		switch {
		case name == "content-type":
			of.kind = tag.Value
		case slices.Contains(s.o.Headers, name) && headerText(tag.Value) == tag.Value:
			of.header[tag.Name] = tag.Value
		}
	}
	return s.send(w, r, of)
}

// headerText is text as a header may hold it: percent-encoded where it is not plain.
func headerText(s string) string {
	for _, c := range []byte(s) {
		if c < 0x20 || c > 0x7e {
			return url.PathEscape(s)
		}
	}
	return s
}

func (s *Server) listQuilt(w http.ResponseWriter, r *http.Request) error {
	if _, err := checkReadQuery(r); err != nil {
		return err
	}
	id, err := parseID(r.PathValue("quilt"))
	if err != nil {
		return err
	}
	_, index, err := s.index(r.Context(), id)
	if err != nil {
		return err
	}
	if err := s.indexes.enter(r.Context()); err != nil {
		return err
	}
	defer s.indexes.leave()
	out := []patchInfo{}
	for i, e := range index.Entries {
		tags := map[string]string{}
		for _, t := range e.Tags {
			tags[t.Name] = t.Value
		}
		out = append(out, patchInfo{e.Identifier, index.Patch(id, i).String(), tags})
	}
	w.Header().Set("Cache-Control", cacheFor)
	writeJSON(w, http.StatusOK, out)
	return nil
}
