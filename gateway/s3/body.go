package s3

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// Time for a body: patience and, beyond it, a second for each slowest bytes.
const (
	bodyPatience = time.Minute
	slowest      = 8 << 10
)

// body reads a request's body as the object that it is, and computes what it must be
// compared with. Verify says whether what was read is what the request says.
type body struct {
	in       io.Reader
	raw      io.Reader // in, before chunks were decoded
	chunks   *chunkReader
	length   int64 // bytes of the object
	upTo     bool  // it may have fewer
	read     int64
	md5      hash.Hash
	sha      hash.Hash // nil: not compared
	claims   string    // x-amz-content-sha256
	digest   []byte    // Content-MD5
	kind     *kind     // nil: no checksum
	sum      hash.Hash
	value    string // of the checksum; empty: in a trailer
	trailer  bool
	verified checksum
}

// newBody checks a request's headers about its body. algorithm is a checksum to compute
// where the request has none; nil: none.
func (s *Server) newBody(w http.ResponseWriter, r *http.Request, c caller, algorithm *kind) (*body, error) {
	b := &body{length: r.ContentLength, md5: md5.New()}
	if text := r.Header.Get("X-Amz-Decoded-Content-Length"); streaming(c.payload) {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 {
			return nil, errLength
		}
		b.length = n
	}
	if b.length < 0 {
		return nil, errLength
	}
	if values, there := r.Header["Content-Md5"]; there {
		digest, err := base64.StdEncoding.DecodeString(values[0])
		if err != nil || len(digest) != md5.Size {
			return nil, errInvalidDigest
		}
		b.digest = digest
	}
	if err := b.checksums(r.Header, c.payload, algorithm); err != nil {
		return nil, err
	}
	b.raw = &pacedReader{in: r.Body, control: http.NewResponseController(w), began: time.Now()}
	b.in = b.raw
	switch {
	case streaming(c.payload):
		b.chunks = newChunkReader(b.raw, c.payload, c.chunks)
		b.in = b.chunks
	case c.payload != unsignedPayload && c.payload != "":
		b.sha, b.claims = sha256.New(), c.payload
	}
	return b, nil
}

// newFileBody is the body of a file in a form, whose length is not said. raw is what the form
// is read from.
func newFileBody(file, raw io.Reader) *body {
	return &body{in: file, raw: raw, length: maxBody, upTo: true, md5: md5.New()}
}

func (b *body) checksums(h http.Header, payload string, algorithm *kind) (err error) {
	if b.kind, b.value, err = requested(h); err != nil {
		return err
	}
	trailer := h.Get("X-Amz-Trailer")
	if strings.HasSuffix(payload, "-TRAILER") && trailer != "" {
		name, ok := strings.CutPrefix(strings.ToLower(trailer), "x-amz-checksum-")
		k := kindOf(name)
		if !ok || k == nil {
			return errBadRequest.with("The value specified in the x-amz-trailer header is not supported")
		}
		if b.kind != nil {
			return errBadRequest.with("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
		}
		b.kind, b.trailer = k, true
	} else if trailer != "" {
		return errBadRequest.with("x-amz-trailer is there, and x-amz-content-sha256 says that no trailer follows")
	}
	if b.kind == nil {
		b.kind = algorithm
	}
	if b.kind != nil {
		b.sum = b.kind.make()
	}
	return nil
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.in.Read(p)
	b.read += int64(n)
	b.md5.Write(p[:n])
	if b.sha != nil {
		b.sha.Write(p[:n])
	}
	if b.sum != nil {
		b.sum.Write(p[:n])
	}
	switch {
	case b.read > b.length && b.upTo:
		return n, errEntityTooLarge
	case b.read > b.length:
		return n, errIncomplete
	case errors.Is(err, io.ErrUnexpectedEOF):
		return n, errIncomplete
	case errors.Is(err, os.ErrDeadlineExceeded):
		return n, errTimeout
	case err == io.EOF:
		if err := b.verify(); err != nil {
			return n, err
		}
	}
	return n, err
}

// verify compares what was read with what the request says, at the body's end.
func (b *body) verify() error {
	if b.read != b.length && !b.upTo {
		return errIncomplete
	}
	if b.chunks != nil {
		rest, _ := io.ReadAll(io.LimitReader(b.chunks.in, 3))
		if len(rest) > 0 && string(rest) != "\r\n" { // which minio-go adds
			return errIncomplete.with("Bytes follow the last chunk.")
		}
	}
	if b.sha != nil && hex.EncodeToString(b.sha.Sum(nil)) != strings.ToLower(b.claims) {
		return errSha256
	}
	if b.digest != nil && !bytes.Equal(b.digest, b.md5.Sum(nil)) {
		return errBadDigest
	}
	if b.kind == nil {
		return nil
	}
	got := base64.StdEncoding.EncodeToString(b.sum.Sum(nil))
	if b.trailer {
		values := b.chunks.trailers.Values(headerChecksum + b.kind.name)
		if len(values) != 1 {
			return errMalformedTrailer
		}
		if b.value = values[0]; !b.kind.valueOK(b.value) {
			return errBadRequest.with("Value for x-amz-checksum-%s trailing header is invalid.", strings.ToLower(b.kind.name))
		}
	}
	if b.value != "" && b.value != got {
		return errBadDigest.with("The %s you specified did not match the calculated checksum.", b.kind.name)
	}
	b.verified = checksum{Kind: b.kind.name, Value: got, Type: fullObject}
	return nil
}

// etag is the hex MD5 of what was read.
func (b *body) etag() string { return hex.EncodeToString(b.md5.Sum(nil)) }

// all reads a body of a few bytes whole.
func (b *body) all(limit int64) ([]byte, error) {
	if b.length > limit {
		return nil, errMalformedXML.with("The body has %d bytes, at most %d are taken.", b.length, limit)
	}
	return io.ReadAll(b)
}

// pacedReader gives a client time for its body by the bytes that came so far: a connection
// that sends a byte now and then ends.
type pacedReader struct {
	in      io.Reader
	control *http.ResponseController
	began   time.Time
	read    int64
}

func (p *pacedReader) Read(b []byte) (int, error) {
	// A ResponseWriter of a test has no deadlines.
	_ = p.control.SetReadDeadline(p.began.Add(bodyPatience + time.Duration(p.read/slowest)*time.Second))
	n, err := p.in.Read(b)
	p.read += int64(n)
	if err != nil {
		_ = p.control.SetReadDeadline(time.Time{})
	}
	return n, err
}

// pacedWriter gives a client a time for each piece that it reads.
type pacedWriter struct {
	http.ResponseWriter
	control *http.ResponseController
}

func (p *pacedWriter) Write(b []byte) (n int, err error) {
	for len(b) > 0 && err == nil {
		piece := b[:min(len(b), 64<<10)]
		_ = p.control.SetWriteDeadline(time.Now().Add(bodyPatience))
		var m int
		m, err = p.ResponseWriter.Write(piece)
		n, b = n+m, b[m:]
	}
	return n, err
}
