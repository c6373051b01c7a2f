package gateway

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/gateway/blobs"
)

// readable is bytes that are read: a blob, or a part of one.
type readable struct {
	blob   *blobs.Blob
	start  int64 // in the blob
	length int64
	etag   string            // with its quotes
	kind   string            // content type; empty: it is told from the bytes
	part   bool              // of a blob whose type it has
	header map[string]string // of tags, never over the gateway's own
}

const (
	cacheFor = "public, max-age=86400, stale-while-revalidate=3600"
	// sandbox keeps a browser from running what users have stored, whatever it takes it for.
	sandbox = "sandbox; default-src 'none'"
)

func quoted(tag string) string { return `"` + tag + `"` }

// checkReadQuery refuses what contradicts itself. Names that are not known are let through:
// applications add some to get past caches.
func checkReadQuery(r *http.Request) (url.Values, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, refuse(400, "MALFORMED_REQUEST", "the query is not percent-encoded: %v", err)
	}
	var asked int
	for _, name := range []string{"strict_consistency_check", "skip_consistency_check"} {
		yes, err := boolean(q, name)
		if err != nil {
			return nil, err
		}
		if yes {
			asked++
		}
	}
	if asked == 2 {
		return nil, refuse(400, "INVALID_CONSISTENCY_CHECK", "strict_consistency_check and skip_consistency_check exclude each other; here every byte is checked in any case")
	}
	return q, nil
}

// boolean reads a query value that is true or false.
func boolean(q url.Values, name string) (bool, error) {
	values := q[name]
	switch {
	case len(values) == 0:
		return false, nil
	case len(values) > 1:
		return false, refuse(400, "MALFORMED_REQUEST", "%s is there %d times", name, len(values))
	case values[0] == "true":
		return true, nil
	case values[0] == "false":
		return false, nil
	}
	return false, refuse(400, "MALFORMED_REQUEST", "%s=%s: it is true or false", name, clip(values[0]))
}

// find finds a blob that may be given out.
func (s *Server) find(ctx context.Context, id blob.ID) (*blobs.Blob, error) {
	if s.o.Blocked != nil && s.o.Blocked(id) {
		return nil, refuse(451, "FORBIDDEN_BLOB", "this gateway does not give out this blob; it is on the network")
	}
	b, err := s.o.Reader.Find(ctx, id)
	if err != nil {
		return nil, err
	}
	if s.o.MaxRead > 0 && b.Size > s.o.MaxRead {
		p := refuse(403, "BLOB_TOO_LARGE", "the blob has %d bytes, and this gateway gives out at most %d; it is on the network", b.Size, s.o.MaxRead).with("maxBytes", s.o.MaxRead)
		p.status = statuses[413]
		return nil, p
	}
	return b, nil
}

func (s *Server) getBlob(w http.ResponseWriter, r *http.Request, id blob.ID) error {
	if _, err := checkReadQuery(r); err != nil {
		return err
	}
	b, err := s.find(r.Context(), id)
	if err != nil {
		return err
	}
	return s.send(w, r, readable{blob: b, length: b.Size, etag: quoted(id.Base64())})
}

func (s *Server) getObject(w http.ResponseWriter, r *http.Request, segment string) error {
	text, err := unescape(segment)
	if err != nil {
		return err
	}
	id, err := parseObject(text)
	if err != nil {
		return err
	}
	return s.getBlob(w, r, id)
}

// getByteRange answers 200 with a part, which caches keep that keep no 206.
func (s *Server) getByteRange(w http.ResponseWriter, r *http.Request, id blob.ID) error {
	q, err := checkReadQuery(r)
	if err != nil {
		return err
	}
	var of [2]int64
	for i, name := range []string{"start", "length"} {
		n, ok := digits(q.Get(name))
		if !ok || len(q[name]) != 1 {
			return refuse(400, "INVALID_BYTE_RANGE", "start and length are needed, each once: numbers of bytes")
		}
		of[i] = n
	}
	b, err := s.find(r.Context(), id)
	if err != nil {
		return err
	}
	if of[1] == 0 || of[0] > b.Size || of[1] > b.Size-of[0] {
		return refuse(400, "INVALID_BYTE_RANGE", "%[2]d bytes from %[1]d on are not inside the %[3]d bytes of the blob", of[0], of[1], b.Size).with("size", b.Size)
	}
	r.Header.Del("Range")
	return s.send(w, r, readable{blob: b, start: of[0], length: of[1], part: true, etag: quoted(fmt.Sprintf("%s-%d-%d", id.Base64(), of[0], of[1]))})
}

func (s *Server) getStream(w http.ResponseWriter, r *http.Request) error {
	id, err := parseID(r.PathValue("id"))
	if err != nil {
		return err
	}
	w.Header().Set("X-Walrus-Streaming", "true")
	return s.getBlob(w, r, id)
}

// send answers with bytes of a blob.
func (s *Server) send(w http.ResponseWriter, r *http.Request, of readable) error {
	h := w.Header()
	h.Set("ETag", of.etag)
	h.Set("Cache-Control", cacheFor)
	h.Set("Accept-Ranges", "bytes")
	h.Set("Content-Security-Policy", sandbox)
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	h.Set("X-Walrus-Cid", of.blob.ID.String())
	if otherThan(r, of.etag) {
		return refuse(412, "PRECONDITION_FAILED", "If-Match names other bytes than these, whose ETag is %s", of.etag)
	}
	if unchanged(r, of.etag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	want, code := span{0, of.length}, http.StatusOK
	if rangeCounts(r, of.etag) {
		part, ok, err := parseRange(r.Header.Get("Range"), of.length)
		if err != nil {
			h.Set("Content-Range", fmt.Sprintf("bytes */%d", of.length))
			return err
		}
		if ok {
			want, code = part, http.StatusPartialContent
		}
	}
	if !s.enter() {
		return fmt.Errorf("%w: %d reads are under way", blobs.ErrBusy, s.o.Reads)
	}
	defer s.leave()
	toBody := r.Method != http.MethodHead && want.length > 0
	kind, known := s.kindKnown(of)
	shown := !known && toBody && s.shows(of, want)
	if !known && !shown {
		var err error
		if kind, err = s.kindOf(r.Context(), of); err != nil {
			return err
		}
	}
	for name, value := range of.header {
		if h.Get(name) == "" {
			h.Set(name, value)
		}
	}
	if !shown {
		h.Set("Content-Type", kind)
	}
	h.Set("Content-Length", strconv.FormatInt(want.length, 10))
	if code == http.StatusPartialContent {
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", want.start, want.start+want.length-1, of.length))
	}
	if !toBody {
		w.WriteHeader(code)
		return nil
	}
	out := s.streamTo(w, code)
	if shown {
		out.sniffs(min(sniffed, of.length), func(head []byte) { h.Set("Content-Type", s.kindFrom(of, head)) })
	}
	if err := s.o.Reader.ReadRange(r.Context(), of.blob, of.start+want.start, want.length, out); err != nil {
		for _, name := range []string{"Content-Length", "Content-Security-Policy"} {
			if !out.begun {
				h.Del(name)
			}
		}
		return err
	}
	return nil
}

// kindKnown is the content type of bytes, where they need not be looked at.
func (s *Server) kindKnown(of readable) (string, bool) {
	if of.kind != "" {
		return inert(of.kind), true
	}
	if of.isOfWhole() {
		return s.types.get(of.blob.ID)
	}
	return "", false
}

// isOfWhole says that the content type is that of the whole blob.
func (of readable) isOfWhole() bool { return of.part || of.start == 0 && of.length == of.blob.Size }

// shows says whether an answer begins with the bytes that tell the content type: then they are
// not read before it.
func (s *Server) shows(of readable, want span) bool {
	return want.start == 0 && want.length >= min(sniffed, of.length) && (!of.part || of.start == 0 && want.length >= min(sniffed, of.blob.Size))
}

// kindFrom is the content type of what begins with head.
func (s *Server) kindFrom(of readable, head []byte) string {
	kind := sniff(head)
	if of.isOfWhole() {
		s.types.put(of.blob.ID, kind)
	}
	return kind
}

// kindOf reads what the content type of bytes is told from. It is the same for each range of
// them.
func (s *Server) kindOf(ctx context.Context, of readable) (string, error) {
	if of.part {
		of.start, of.length = 0, of.blob.Size
	}
	var head bytes.Buffer
	if err := s.o.Reader.ReadRange(ctx, of.blob, of.start, min(sniffed, of.length), &head); err != nil {
		return "", err
	}
	return s.kindFrom(of, head.Bytes()), nil
}

// enter takes a place among the reads.
func (s *Server) enter() bool {
	select {
	case s.reads <- struct{}{}:
		return true
	default:
		return false
	}
}

func (s *Server) leave() { <-s.reads }

// stream writes an answer. Its status goes out with the first bytes, so that an error before
// them can still be told; and a client that takes nothing for a while is left.
type stream struct {
	w     http.ResponseWriter
	c     *http.ResponseController
	code  int
	limit time.Duration
	begun bool

	head  []byte            // held back until there are need bytes
	need  int64             // bytes that tell the content type; 0: it is known
	tells func(head []byte) // is told them
}

func (s *Server) streamTo(w http.ResponseWriter, code int) *stream {
	return &stream{w: w, c: http.NewResponseController(w), code: code, limit: s.o.StallLimit}
}

// sniffs has the first need bytes told before the status goes out. The answer has as many.
func (s *stream) sniffs(need int64, tells func(head []byte)) { s.need, s.tells = need, tells }

func (s *stream) Write(b []byte) (int, error) {
	if s.need == 0 {
		return s.write(b)
	}
	at := min(int(s.need), len(b))
	if s.head = append(s.head, b[:at]...); int64(len(b)) < s.need {
		s.need -= int64(len(b))
		return len(b), nil
	}
	head := s.head
	s.tells(head)
	s.need, s.head = 0, nil
	if _, err := s.write(head); err != nil {
		return 0, err
	}
	n, err := s.write(b[at:])
	return at + n, err
}

func (s *stream) write(b []byte) (int, error) {
	if !s.begun {
		s.begun = true
		s.w.WriteHeader(s.code)
	}
	if s.limit > 0 {
		_ = s.c.SetWriteDeadline(time.Now().Add(s.limit)) // where it cannot, the server's own holds
	}
	return s.w.Write(b)
}

// buffered reads bytes of a blob into memory; the caller bounds their number.
func (s *Server) buffered(ctx context.Context, b *blobs.Blob) func(offset, length int64) ([]byte, error) {
	return func(offset, length int64) ([]byte, error) {
		var out bytes.Buffer
		err := s.o.Reader.ReadRange(ctx, b, offset, length, &out)
		return out.Bytes(), err
	}
}
