package s3

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"net/http"
	"strings"
	"time"
)

const (
	minPart   = 5 << 20  // bytes of a part that is not the last
	maxObject = 50 << 40 // bytes of an object of many parts: 10,000 of 5 GiB
)

func (s *Server) createUpload(w http.ResponseWriter, q *request) error {
	headers, meta, err := headersOf(q.Header, strings.HasSuffix(q.key, "/"))
	if err != nil {
		return err
	}
	tags, err := tagsOf(q.Header.Get("X-Amz-Tagging"))
	if err != nil {
		return err
	}
	u := upload{Initiated: s.now().UnixMilli(), Headers: headers, Meta: meta, Tags: tags}
	if err := u.checksums(q.Header); err != nil {
		return err
	}
	// Lists have the uploads of a key in the order of their IDs, which is that of their times.
	random := binary.BigEndian.AppendUint64(nil, uint64(u.Initiated))
	random = append(random, make([]byte, 8)...)
	rand.Read(random[8:]) // never fails
	id := hex.EncodeToString(random)
	err = s.index.change(q.Context(), func(c *change) error {
		if err := ensureBucket(c, q.bucket); err != nil {
			return err
		}
		if begun := s.index.uploads[q.bucket]; begun >= maxUploads {
			return errTooManyUploads
		}
		c.put(uploadKey(q.bucket, q.key, id), u)
		c.uploads[q.bucket]++
		return nil
	})
	if err != nil {
		return err
	}
	rules, _, err := read[lifecycle](s.index.db, lifecycleKey(q.bucket))
	if at, rule := rules.aborts(q.key, u.Initiated); err == nil && !at.IsZero() {
		w.Header().Set("X-Amz-Abort-Date", at.Format(http.TimeFormat))
		w.Header().Set("X-Amz-Abort-Rule-Id", escape(rule, false))
	}
	if u.Sum != "" {
		w.Header().Set("X-Amz-Checksum-Algorithm", u.Sum)
		w.Header().Set("X-Amz-Checksum-Type", u.SumType)
	}
	return s.reply(w, q.Request, http.StatusOK, struct {
		XMLName  xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ InitiateMultipartUploadResult"`
		Bucket   string
		Key      string
		UploadID string `xml:"UploadId"`
	}{Bucket: q.bucket, Key: q.key, UploadID: id})
}

// checksums reads which checksum the parts and the object shall have. Without a word it is
// the one that needs none of the parts'.
func (u *upload) checksums(h http.Header) error {
	name, typ := h.Get("X-Amz-Checksum-Algorithm"), strings.ToUpper(h.Get("X-Amz-Checksum-Type"))
	if typ != "" && typ != composite && typ != fullObject {
		return errBadRequest.with("Value for x-amz-checksum-type header is invalid.")
	}
	if name == "" {
		if typ != "" {
			return errBadRequest.with("The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.")
		}
		return nil
	}
	k := kindOf(name)
	if k == nil {
		return errBadRequest.with("Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, MD5, SHA1, SHA256, SHA512, XXHASH128, XXHASH3, XXHASH64]")
	}
	if typ == "" {
		typ = composite
		if k.name == "CRC64NVME" {
			typ = fullObject
		}
	}
	switch {
	case typ == fullObject && k.crc == 0, typ == composite && k.name == "CRC64NVME":
		return errBadRequest.with("The %s checksum type cannot be used with the %s checksum algorithm.", typ, strings.ToLower(k.name))
	}
	u.Sum, u.SumType = k.name, typ
	return nil
}

// upload reads the upload that a request names.
func (q *request) upload(r reader) (upload, error) {
	id := q.query.Get("uploadId")
	if !uploadIDOK(id) {
		return upload{}, errNoUpload
	}
	u, there, err := read[upload](r, uploadKey(q.bucket, q.key, id))
	if err == nil && !there {
		err = errNoUpload
	}
	return u, err
}

func uploadIDOK(id string) bool { return len(id) == 32 && strings.Trim(id, "0123456789abcdef") == "" }

func (s *Server) abortUpload(w http.ResponseWriter, q *request) error {
	u, err := q.upload(s.index.db)
	if err != nil {
		return err
	}
	if text := q.Header.Get("X-Amz-If-Match-Initiated-Time"); text != "" {
		at, err := http.ParseTime(text)
		if err != nil {
			return errInvalidArgument.with("Value for x-amz-if-match-initiated-time header is invalid.")
		}
		if !at.After(s.now()) && at.Unix() != time.UnixMilli(u.Initiated).Unix() { // S3 ignores times to come
			return errPrecondition
		}
	}
	if err := s.dropUpload(q.Context(), q.bucket, q.key, q.query.Get("uploadId")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// dropUpload deletes an upload with its parts.
func (s *Server) dropUpload(ctx context.Context, bucket, key, id string) error {
	return s.index.change(ctx, func(c *change) error {
		if _, there, err := c.Get(uploadKey(bucket, key, id)); err != nil || !there {
			return errors.Join(err, errNoUpload)
		}
		c.drop(uploadKey(bucket, key, id))
		c.uploads[bucket]--
		return c.eachPart(id, func(number int, p uploaded) error {
			c.drop(partKey(id, number))
			return c.release(p.Content.Extents)
		})
	})
}
