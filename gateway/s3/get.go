package s3

import (
	"net/http"
	"strconv"
	"strings"
)

// overrides are the query names that replace headers of an answer.
var overrides = map[string]string{
	"response-content-type": "Content-Type", "response-content-language": "Content-Language", "response-expires": "Expires",
	"response-cache-control": "Cache-Control", "response-content-disposition": "Content-Disposition", "response-content-encoding": "Content-Encoding",
}

// getObject answers GET and HEAD.
func (s *Server) getObject(w http.ResponseWriter, q *request) error {
	if q.query.Has("partNumber") {
		if _, err := q.partNumber(); err != nil {
			return err
		}
	}
	o, err := s.object(q.bucket, q.key)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("ETag", quote+o.Content.ETag+quote)
	h.Set("Last-Modified", httpTime(o.Modified))
	for _, p := range o.Headers {
		h.Set(p.Name, p.Value)
	}
	if err := conditionsOf(q.Header, "").check(o); err != nil {
		return err
	}
	span, err := spanOf(q, o)
	if err != nil {
		return err
	}
	for _, p := range o.Meta {
		h.Set(metaPrefix+p.Name, p.Value)
	}
	if len(o.Tags) > 0 {
		h.Set("X-Amz-Tagging-Count", strconv.Itoa(len(o.Tags)))
	}
	for name, header := range overrides {
		if !q.query.Has(name) {
			continue
		}
		if q.caller.key == nil {
			return errBadRequest.with("Request specific response headers cannot be used for anonymous GET requests.")
		}
		h.Set(header, q.query.Get(name))
	}
	if strings.EqualFold(q.Header.Get("X-Amz-Checksum-Mode"), "ENABLED") {
		setChecksum(h, span.sum)
	}
	if span.part && len(o.Parts) > 0 {
		h.Set("X-Amz-Mp-Parts-Count", strconv.Itoa(len(o.Parts)))
	}
	h.Set("Accept-Ranges", "bytes")
	h.Set("Content-Length", strconv.FormatInt(span.length, 10))
	s.setExpiration(q.Context(), h, q, o)
	status := http.StatusOK
	if !span.whole {
		status = http.StatusPartialContent
		h.Set("Content-Range", "bytes "+strconv.FormatInt(span.offset, 10)+"-"+strconv.FormatInt(span.offset+span.length-1, 10)+"/"+strconv.FormatInt(o.Content.Size, 10))
	}
	if q.Method == http.MethodHead || span.length == 0 {
		w.WriteHeader(status)
		return nil
	}
	return s.send(w, q, status, o.Content.cut(span.offset, span.length))
}

// span is the bytes of an object that are asked for.
type span struct {
	offset, length int64
	whole, part    bool
	sum            checksum // none of a range
}

func spanOf(q *request, o object) (span, error) {
	size := o.Content.Size
	whole := span{0, size, true, false, o.Content.Sum}
	if q.query.Has("partNumber") {
		n, err := q.partNumber()
		if err != nil {
			return span{}, err
		}
		if q.Header.Get("Range") != "" {
			return span{}, errBadRequest.with("Cannot specify both Range header and partNumber query parameter")
		}
		if len(o.Parts) == 0 && n == 1 {
			return span{0, size, size == 0, true, o.Content.Sum}, nil
		}
		offset := int64(0)
		for _, p := range o.Parts {
			if p.Number == n {
				sum := p.Sum
				sum.Type = o.Content.Sum.Type
				return span{offset, p.Size, false, true, sum}, nil
			}
			offset += p.Size
		}
		return span{}, &failure{http.StatusRequestedRangeNotSatisfiable, "InvalidPartNumber", "The requested partnumber is not satisfiable."}
	}
	offset, length, ok, err := parseRange(q.Header.Get("Range"), size)
	if err != nil {
		return span{}, err
	}
	if !ok {
		return whole, nil
	}
	return span{offset: offset, length: length}, nil
}

// parseRange reads a Range header of one range. Others mean nothing, and ok is false.
func parseRange(text string, size int64) (offset, length int64, ok bool, err error) {
	spec, ok := strings.CutPrefix(text, "bytes=")
	from, to, both := strings.Cut(spec, "-")
	if !ok || !both || strings.Contains(spec, ",") || from == "" && to == "" {
		return 0, 0, false, nil
	}
	var first, last uint64
	var err1, err2 error
	if from != "" {
		first, err1 = strconv.ParseUint(from, 10, 63)
	}
	if to != "" {
		last, err2 = strconv.ParseUint(to, 10, 63)
	}
	switch {
	case err1 != nil || err2 != nil || from != "" && to != "" && last < first:
		return 0, 0, false, nil
	case from == "":
		if last == 0 || size == 0 {
			return 0, 0, false, errInvalidRange
		}
		length = min(int64(last), size)
		return size - length, length, true, nil
	case int64(first) >= size:
		return 0, 0, false, errInvalidRange
	case to == "":
		return int64(first), size - int64(first), true, nil
	}
	return int64(first), min(int64(last), size-1) - int64(first) + 1, true, nil
}

// send streams extents. The status is written with the first byte, so that a failure before
// it can be told; one behind it breaks the connection, because the length was announced.
func (s *Server) send(w http.ResponseWriter, q *request, status int, extents []extent) error {
	out := &lateWriter{w: &pacedWriter{w, http.NewResponseController(w)}, status: status}
	for _, e := range extents {
		err := s.storage.ReadRange(q.Context(), e.Blob, e.Offset, e.Length, out)
		switch {
		case err == nil:
		case out.begun:
			s.log.Warn("an S3 answer broke off", "blob", e.Blob, "err", err)
			panic(http.ErrAbortHandler)
		case q.Context().Err() != nil:
			return err
		default:
			if s.isLost(e.Blob) {
				return errLost
			}
			s.log.Warn("read for S3", "blob", e.Blob, "err", err)
			return errUnavailable
		}
	}
	return nil
}

type lateWriter struct {
	w      http.ResponseWriter
	status int
	begun  bool
}

func (l *lateWriter) Write(p []byte) (int, error) {
	if !l.begun && len(p) > 0 {
		l.begun = true
		l.w.WriteHeader(l.status)
	}
	return l.w.Write(p)
}
