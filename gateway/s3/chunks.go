package s3

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// Bodies in chunks, as "Signature calculations for the authorization header: transferring
// payload in multiple chunks" of the S3 API reference defines them:
//
//	400;chunk-signature=<64 hex>\r\n <1024 bytes> \r\n 0;chunk-signature=<64 hex>\r\n \r\n
//
// With trailers, lines name:value follow the last chunk, and their signature where the
// chunks are signed. Unsigned chunks have no chunk-signature.
const (
	streamingSigned          = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	streamingSignedTrailer   = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
	streamingUnsignedTrailer = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"

	maxChunk      = 16 << 20 // bytes of a chunk; a signed one is held back until its signature is checked by its end
	maxChunkLine  = 256      // bytes of the line before a chunk
	maxTrailers   = 8
	maxTrailer    = 1024 // bytes of a line
	emptySha256   = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	chunkSign     = "AWS4-HMAC-SHA256-PAYLOAD"
	trailerSign   = "AWS4-HMAC-SHA256-TRAILER"
	trailerSigned = "x-amz-trailer-signature"
)

func payloadOK(payload string) bool {
	switch payload {
	case unsignedPayload, streamingSigned, streamingSignedTrailer, streamingUnsignedTrailer:
		return true
	}
	b, err := hex.DecodeString(payload)
	return err == nil && len(b) == sha256.Size
}

func streaming(payload string) bool { return strings.HasPrefix(payload, "STREAMING-") }

// chunkSigner computes the chain of chunk signatures, which begins with the request's.
type chunkSigner struct {
	key                 []byte
	at, scope, previous string
}

func (c *chunkSigner) check(kind, sum, signature string) bool {
	text := kind + "\n" + c.at + "\n" + c.scope + "\n" + c.previous + "\n"
	if kind == chunkSign {
		text += emptySha256 + "\n"
	}
	mac := hmacSha256(c.key, text+sum)
	c.previous = hex.EncodeToString(mac)
	return sameHex(mac, signature)
}

// errChunk is a body that is not in chunks.
var errChunk = errBadRequest.with("The body is not in the chunked form that x-amz-content-sha256 says.")

// chunkReader decodes a body in chunks. It returns bytes before their chunk's signature is
// checked: what they become must wait for io.EOF.
type chunkReader struct {
	in       *bufio.Reader
	signer   *chunkSigner // nil: unsigned
	trailing bool
	left     int64 // bytes of the present chunk
	begun    bool
	claimed  string // signature of the present chunk
	sum      hash.Hash
	trailers http.Header
	err      error
}

func newChunkReader(in io.Reader, payload string, signer *chunkSigner) *chunkReader {
	c := &chunkReader{in: bufio.NewReaderSize(in, 32<<10), trailing: strings.HasSuffix(payload, "-TRAILER"), sum: sha256.New(), trailers: http.Header{}}
	if payload != streamingUnsignedTrailer {
		c.signer = signer
	}
	return c
}

func (c *chunkReader) Read(p []byte) (int, error) {
	for c.err == nil && c.left == 0 {
		if c.begun {
			c.err = c.endChunk()
		}
		if c.err == nil {
			c.err = c.nextChunk()
		}
	}
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.in.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	if c.signer != nil {
		c.sum.Write(p[:n])
	}
	if err != nil {
		c.err = ended(err)
	}
	return n, c.err
}

// ended makes the end of the connection inside a body a failure.
func ended(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errIncomplete
	}
	return err
}

// line reads up to \n, without \r\n.
func (c *chunkReader) line(limit int) (string, error) {
	var b []byte
	for len(b) <= limit {
		ch, err := c.in.ReadByte()
		if err != nil {
			return "", ended(err)
		}
		if ch == '\n' {
			return string(bytes.TrimSuffix(b, []byte("\r"))), nil
		}
		b = append(b, ch)
	}
	return "", errChunk
}

// endChunk checks what follows a chunk's bytes, and its signature.
func (c *chunkReader) endChunk() error {
	if err := c.newline(); err != nil {
		return err
	}
	return c.verify()
}

func (c *chunkReader) newline() error {
	if text, err := c.line(2); err != nil || text != "" {
		if err == nil {
			err = errChunk
		}
		return err
	}
	return nil
}

func (c *chunkReader) verify() error {
	if c.signer == nil {
		return nil
	}
	sum := hex.EncodeToString(c.sum.Sum(nil))
	c.sum.Reset()
	if !c.signer.check(chunkSign, sum, c.claimed) {
		return errSignature
	}
	return nil
}

// nextChunk reads the line before a chunk. After the last chunk it reads the trailers and
// returns io.EOF.
func (c *chunkReader) nextChunk() error {
	text, err := c.line(maxChunkLine)
	if err != nil {
		return err
	}
	size, extension, extended := strings.Cut(text, ";")
	if c.left, err = parseHex(size); err != nil {
		return err
	}
	c.claimed = ""
	if c.signer != nil {
		signature, ok := strings.CutPrefix(extension, "chunk-signature=")
		if !extended || !ok {
			return errChunk
		}
		c.claimed = signature
	}
	c.begun = true
	if c.left > 0 {
		return nil
	}
	if err := c.verify(); err != nil {
		return err
	}
	if err := c.readTrailers(); err != nil {
		return err
	}
	return io.EOF
}

func parseHex(text string) (int64, error) {
	n, err := strconv.ParseUint(text, 16, 32)
	if err != nil || len(text) > 8 {
		return 0, errChunk
	}
	if n > maxChunk {
		return 0, errBadRequest.with("A chunk has %d bytes, at most %d are taken.", n, maxChunk)
	}
	return int64(n), nil
}

// readTrailers reads what is behind the last chunk: lines, their signature, an empty line.
func (c *chunkReader) readTrailers() error {
	if !c.trailing {
		return c.newline()
	}
	var signed strings.Builder
	for range maxTrailers {
		text, err := c.line(maxTrailer)
		if err != nil {
			return err
		}
		if text == "" {
			if c.signer == nil {
				return nil
			}
			continue // minio-go has an empty line before the signature
		}
		name, value, ok := strings.Cut(text, ":")
		if !ok {
			return errMalformedTrailer
		}
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
		if name == trailerSigned {
			if c.signer == nil {
				return errMalformedTrailer
			}
			if err := c.trailerSignature(value, signed.String()); err != nil {
				return err
			}
			return c.newline()
		}
		c.trailers.Add(name, value)
		signed.WriteString(name + ":" + value + "\n")
	}
	return errMalformedTrailer
}

var errMalformedTrailer = &failure{400, "MalformedTrailerError", "The request contained trailing data that was not well-formed or did not conform to our published schema."}

func (c *chunkReader) trailerSignature(signature, lines string) error {
	sum := sha256.Sum256([]byte(lines))
	if !c.signer.check(trailerSign, hex.EncodeToString(sum[:]), signature) {
		return errSignature
	}
	return nil
}
