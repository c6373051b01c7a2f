package gateway

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/walrus-network/walrus/gateway/blobs"
)

// mostJoined bounds the blobs that are joined in one answer, and mostJoinBody the request.
const (
	mostJoined   = 1000
	mostJoinBody = 256 << 10
)

func (s *Server) getConcat(w http.ResponseWriter, r *http.Request) error {
	q, err := checkReadQuery(r)
	if err != nil {
		return err
	}
	if q.Get("ids") == "" {
		return s.concat(w, r, nil)
	}
	return s.concat(w, r, strings.Split(q.Get("ids"), ","))
}

func (s *Server) postConcat(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		IDs    []string `json:"ids"`
		Strict bool     `json:"strict_consistency_check"`
		Skip   bool     `json:"skip_consistency_check"`
	}
	if err := s.readJSON(w, r, &body); err != nil {
		return err
	}
	if body.Strict && body.Skip {
		return refuse(400, "INVALID_CONSISTENCY_CHECK", "strict_consistency_check and skip_consistency_check exclude each other")
	}
	return s.concat(w, r, body.IDs)
}

// readJSON reads a small body.
func (s *Server) readJSON(w http.ResponseWriter, r *http.Request, into any) error {
	in := &patient{r: http.MaxBytesReader(w, r.Body, mostJoinBody), c: http.NewResponseController(w), limit: s.o.StallLimit}
	d := json.NewDecoder(in)
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return refuse(400, "MALFORMED_REQUEST", "the body is not the JSON that is asked for: %v", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return refuse(400, "MALFORMED_REQUEST", "something follows the JSON in the body")
	}
	in.end()
	return nil
}

// concat answers with blobs one after the other. All are found before the first byte.
func (s *Server) concat(w http.ResponseWriter, r *http.Request, ids []string) error {
	if len(ids) == 0 || len(ids) > mostJoined {
		return refuse(400, "MALFORMED_REQUEST", "ids names %d blobs: 1 to %d are joined", len(ids), mostJoined)
	}
	var all []*blobs.Blob
	var total int64
	for _, text := range ids {
		id, err := parseID(text)
		if err != nil {
			return err
		}
		b, err := s.find(r.Context(), id)
		if err != nil {
			return err
		}
		all = append(all, b)
		if total += b.Size; total < 0 {
			return refuse(400, "MALFORMED_REQUEST", "the blobs are too large to be joined")
		}
	}
	h := w.Header()
	hash := sha256.Sum256([]byte(strings.Join(ids, ",")))
	etag := quoted(base64.RawURLEncoding.EncodeToString(hash[:]))
	h.Set("ETag", etag)
	h.Set("Cache-Control", cacheFor)
	h.Set("Content-Security-Policy", sandbox)
	h.Set("Content-Type", opaque)
	if unchanged(r, etag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	h.Set("Content-Length", strconv.FormatInt(total, 10))
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK)
		return nil
	}
	if !s.enter() {
		return fmt.Errorf("%w: %d reads are under way", blobs.ErrBusy, s.o.Reads)
	}
	defer s.leave()
	out := s.streamTo(w, http.StatusOK)
	for _, b := range all {
		if err := s.o.Reader.ReadRange(r.Context(), b, 0, b.Size, out); err != nil {
			if !out.begun {
				h.Del("Content-Length")
			}
			return err
		}
	}
	if !out.begun {
		w.WriteHeader(http.StatusOK)
	}
	return nil
}
