package s3

import (
	"context"
	"crypto/md5"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/walrus-network/walrus/kv"
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
		c.put(uploadKey(q.bucket, q.key, id), u)
		return nil
	})
	if err != nil {
		return err
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

func (q *request) partNumber() (int, error) {
	n, err := strconv.ParseUint(q.query.Get("partNumber"), 10, 16)
	if err != nil || n < 1 || n > maxParts {
		return 0, errInvalidArgument.with("Part number must be an integer between 1 and 10000, inclusive.")
	}
	return int(n), nil
}

// putPart stores a part as a blob, or together with other small bodies.
func (s *Server) putPart(w http.ResponseWriter, q *request) error {
	number, err := q.partNumber()
	if err != nil {
		return err
	}
	u, err := q.upload(s.index.db)
	if err != nil {
		return err
	}
	if q.Header.Get("X-Amz-Copy-Source") != "" {
		return s.copyPart(w, q, u, number)
	}
	k, _, err := requested(q.Header)
	if err != nil {
		return err
	}
	if trailer, ok := strings.CutPrefix(strings.ToLower(q.Header.Get("X-Amz-Trailer")), "x-amz-checksum-"); ok {
		k = kindOf(trailer)
	}
	wanted := kindOf(u.Sum)
	if k != nil && wanted != nil && k != wanted {
		return errBadRequest.with("Checksum Type mismatch occurred, expected checksum Type: %s, actual checksum Type: %s", wanted.name, k.name)
	}
	if wanted == nil {
		wanted = kindOf("CRC64NVME")
	}
	content, p, err := s.receive(w, q, wanted)
	if err != nil {
		return err
	}
	defer p.leave()
	err = s.index.change(s.ctx, func(c *change) error {
		if err := p.arrive(c); err != nil {
			return err
		}
		return c.setPart(q, number, uploaded{Content: content, Modified: s.now().UnixMilli()})
	})
	if err != nil {
		return err
	}
	w.Header().Set("ETag", quote+content.ETag+quote)
	setChecksum(w.Header(), content.Sum)
	w.Header().Del("X-Amz-Checksum-Type") // it is the object's
	w.WriteHeader(http.StatusOK)
	return nil
}

// setPart is setObject for a part.
func (c *change) setPart(q *request, number int, p uploaded) error {
	if _, err := q.upload(c); err != nil {
		return err
	}
	key := partKey(q.query.Get("uploadId"), number)
	old, _, err := read[uploaded](c, key)
	if err != nil {
		return err
	}
	if err := c.release(old.Content.Extents); err != nil {
		return err
	}
	c.put(key, p)
	return nil
}

// copyPart makes a part of what another key points to. Its bytes are read, because their
// MD5 is the part's entity tag, and not stored again.
func (s *Server) copyPart(w http.ResponseWriter, q *request, u upload, number int) error {
	bucket, key, o, err := s.copySource(q)
	if err != nil {
		return err
	}
	offset, length := int64(0), o.Content.Size
	if text := q.Header.Get("X-Amz-Copy-Source-Range"); text != "" {
		var ok bool
		offset, length, ok, err = parseRange(text, o.Content.Size)
		_, last, _ := strings.Cut(text, "-")
		end, _ := strconv.ParseInt(last, 10, 64)
		if ok && end >= o.Content.Size {
			return errInvalidArgument.with("Range specified is not valid for source object of size: %d", o.Content.Size)
		}
		if err != nil || !ok || last == "" || strings.HasPrefix(text, "bytes=-") {
			return errInvalidArgument.with("The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy")
		}
	}
	if length > maxBody {
		return errBadRequest.with("The specified copy source is larger than the maximum allowable size for a copy source: %d", int64(maxBody))
	}
	k := kindOf(u.Sum)
	if k == nil {
		k = kindOf("CRC64NVME")
	}
	sum, digest := k.make(), md5.New()
	extents := o.Content.cut(offset, length)
	for _, e := range extents {
		if err := s.storage.ReadRange(q.Context(), e.Blob, e.Offset, e.Length, both{digest, sum}); err != nil {
			s.log.Warn("read for S3", "blob", e.Blob, "err", err)
			return errUnavailable
		}
	}
	p := uploaded{Modified: s.now().UnixMilli(), Content: content{
		Size: length, ETag: hex.EncodeToString(digest.Sum(nil)), Extents: extents, Sum: checksum{Kind: k.name, Value: encode64(sum.Sum(nil)), Type: fullObject},
	}}
	err = s.index.change(q.Context(), func(c *change) error {
		source, there, err := read[object](c, objectKey(bucket, key))
		if err != nil {
			return err
		}
		if !there || !slices.Equal(source.Content.Extents, o.Content.Extents) {
			return errPrecondition.with("The source has changed.")
		}
		if err := c.use(extents); err != nil {
			return err
		}
		return c.setPart(q, number, p)
	})
	if err != nil {
		return err
	}
	x := checksumXML(p.Content.Sum)
	x.ChecksumType = ""
	return s.reply(w, q.Request, http.StatusOK, struct {
		XMLName      xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ CopyPartResult"`
		LastModified string
		ETag         string
		xmlChecksum
	}{LastModified: xmlTime(p.Modified), ETag: quote + p.Content.ETag + quote, xmlChecksum: x})
}

func (s *Server) abortUpload(w http.ResponseWriter, q *request) error {
	if _, err := q.upload(s.index.db); err != nil {
		return err
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
		return c.eachPart(id, func(number int, p uploaded) error {
			c.drop(partKey(id, number))
			return c.release(p.Content.Extents)
		})
	})
}

// eachPart calls fn with the parts of an upload, those of changes that are not written yet
// included, in no order.
func (c *change) eachPart(id string, fn func(number int, p uploaded) error) error {
	numbers, err := c.partNumbers(id)
	if err != nil {
		return err
	}
	for _, n := range numbers {
		p, there, err := read[uploaded](c, partKey(id, n))
		if err != nil {
			return err
		}
		if there {
			if err := fn(n, p); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *change) partNumbers(id string) (numbers []int, err error) {
	prefix := string(partsOf(id))
	seen := map[int]bool{}
	add := func(k string) {
		if rest, ok := strings.CutPrefix(k, prefix); ok && len(rest) == 2 {
			seen[int(binary.BigEndian.Uint16([]byte(rest)))] = true
		}
	}
	var base reader = c
	for {
		above, ok := base.(*change)
		if !ok {
			break
		}
		for k := range above.set {
			add(k)
		}
		base = above.below
	}
	err = base.(*kv.DB).EachKey([]byte(prefix), func(k []byte) error { add(string(k)); return nil })
	for n := range seen {
		numbers = append(numbers, n)
	}
	return numbers, err
}

// completion is the document of CompleteMultipartUpload.
type completion struct {
	XMLName struct{} `xml:"CompleteMultipartUpload"`
	Part    []struct {
		PartNumber int
		ETag       string
		xmlChecksum
	}
}

// completeUpload makes an object of the list of parts. The parts are certified already.
func (s *Server) completeUpload(w http.ResponseWriter, q *request) error {
	var doc completion
	_, err := q.upload(s.index.db)
	if err != nil {
		if done, ok := s.completed(q); ok {
			return s.replyCompleted(w, q, done)
		}
		return err
	}
	if err := s.xmlBody(w, &request{Request: q.withoutChecksum(), query: q.query, caller: q.caller}, &doc, false); err != nil {
		return err
	}
	if len(doc.Part) == 0 || len(doc.Part) > maxParts {
		return errMalformedXML
	}
	conditions := conditionsOf(q.Header, "")
	var made object
	err = s.index.change(q.Context(), func(c *change) error {
		u, err := q.upload(c)
		if err != nil {
			return err
		}
		if made, err = assemble(c, q, u, doc); err != nil {
			return err
		}
		made.Modified = s.now().UnixMilli()
		if err := c.setObject(q.bucket, q.key, made, conditions); err != nil {
			return err
		}
		used := map[int]bool{}
		for _, p := range doc.Part {
			used[p.PartNumber] = true
		}
		id := q.query.Get("uploadId")
		c.drop(uploadKey(q.bucket, q.key, id))
		return c.eachPart(id, func(number int, p uploaded) error {
			c.drop(partKey(id, number))
			if used[number] {
				return nil // its users are the object's now
			}
			return c.release(p.Content.Extents)
		})
	})
	if errors.Is(err, errNoUpload) {
		if done, ok := s.completed(q); ok { // another request was quicker
			return s.replyCompleted(w, q, done)
		}
	}
	if err != nil {
		return err
	}
	s.setExpiration(q.Context(), w.Header(), made)
	return s.replyCompleted(w, q, made)
}

// withoutChecksum is the request with the headers of its body alone: its checksums are the
// object's.
func (q *request) withoutChecksum() *http.Request {
	r := q.Request.Clone(q.Context())
	for name := range r.Header {
		if strings.HasPrefix(name, headerChecksum) {
			r.Header.Del(name)
		}
	}
	if !trailerNamed(r.Header) {
		r.Header.Del("X-Amz-Sdk-Checksum-Algorithm")
	}
	return r
}

// completed finds the object of an upload that a client completes again, because it did not
// get the answer: its entity tag is that of the parts which the client names.
func (s *Server) completed(q *request) (object, bool) {
	o, err := s.object(q.bucket, q.key)
	if err != nil || len(o.Parts) == 0 || o.Upload == "" || o.Upload != q.query.Get("uploadId") {
		return o, false
	}
	return o, true
}

func (s *Server) replyCompleted(w http.ResponseWriter, q *request, o object) error {
	return s.reply(w, q.Request, http.StatusOK, struct {
		XMLName  xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ CompleteMultipartUploadResult"`
		Location string
		Bucket   string
		Key      string
		ETag     string
		xmlChecksum
	}{Location: "http://" + q.Host + escape(q.URL.Path, true), Bucket: q.bucket, Key: q.key, ETag: quote + o.Content.ETag + quote, xmlChecksum: checksumXML(o.Content.Sum)})
}

// assemble checks the list of parts, and makes the object of them.
func assemble(c *change, q *request, u upload, doc completion) (object, error) {
	o := object{Headers: u.Headers, Meta: u.Meta, Tags: u.Tags, Upload: q.query.Get("uploadId")}
	digest := md5.New()
	var sums []checksum
	var sizes []int64
	for i, listed := range doc.Part {
		if listed.PartNumber < 1 || listed.PartNumber > maxParts {
			return o, errInvalidArgument.with("PartNumber must be >= 1")
		}
		if listed.ETag == "" {
			return o, errMalformedXML
		}
		if i > 0 && listed.PartNumber <= doc.Part[i-1].PartNumber {
			return o, errInvalidPartOrder
		}
		p, there, err := read[uploaded](c, partKey(o.Upload, listed.PartNumber))
		if err != nil {
			return o, err
		}
		if !there || strings.Trim(listed.ETag, quote) != p.Content.ETag {
			return o, errInvalidPart
		}
		for _, k := range kinds {
			if claimed := *listed.field(k.name); claimed != "" && (k.name != p.Content.Sum.Kind || claimed != p.Content.Sum.Value) {
				return o, errInvalidPart
			}
		}
		if i < len(doc.Part)-1 && p.Content.Size < minPart {
			return o, errEntityTooSmall
		}
		b, err := hex.DecodeString(p.Content.ETag)
		if err != nil {
			return o, err
		}
		digest.Write(b)
		o.Content.Size += p.Content.Size
		o.Content.Extents = append(o.Content.Extents, p.Content.Extents...)
		if len(o.Content.Extents) > maxExtents || o.Content.Size > maxObject {
			return o, errBadRequest.with("The object would be of more than %d pieces, or of more than %d bytes: copy it from larger ones.", maxExtents, int64(maxObject))
		}
		o.Parts = append(o.Parts, part{Number: listed.PartNumber, Size: p.Content.Size, Sum: p.Content.Sum})
		sums, sizes = append(sums, p.Content.Sum), append(sizes, p.Content.Size)
	}
	o.Content.ETag = hex.EncodeToString(digest.Sum(nil)) + "-" + strconv.Itoa(len(doc.Part))
	k, full := kindOf(u.Sum), u.SumType == fullObject
	if k == nil {
		k, full = kindOf("CRC64NVME"), true
	}
	if sum, ok := k.summed(sums, sizes, full); ok {
		o.Content.Sum = sum
	}
	return o, claimedOK(q.Header, o.Content, u.Sum != "")
}

// claimedOK compares an object with the size and the checksum that the request names.
// asked says that a checksum was asked for when the upload began: else one of another
// algorithm cannot be compared, and is not.
func claimedOK(h http.Header, c content, asked bool) error {
	if text := h.Get("X-Amz-Mp-Object-Size"); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return errBadRequest.with("Value for x-amz-mp-object-size header is invalid: '%s'", text)
		}
		if n < 0 {
			return errBadRequest.with("Value for x-amz-mp-object-size header is less than zero: '%s'", text)
		}
		if n != c.Size {
			return errBadRequest.with("The provided 'x-amz-mp-object-size' header value %d does not match what was computed: %d", n, c.Size)
		}
	}
	t := h.Get("X-Amz-Checksum-Type")
	if t != "" && !strings.EqualFold(t, composite) && !strings.EqualFold(t, fullObject) {
		return errBadRequest.with("Value for x-amz-checksum-type header is invalid.")
	}
	if asked && t != "" && !strings.EqualFold(t, c.Sum.Type) {
		return errBadRequest.with("The upload was created using the %s checksum mode. The complete request must use the same checksum mode.", c.Sum.Type)
	}
	for _, k := range kinds {
		value := h.Get(headerChecksum + k.name)
		if value == "" || !asked && k.name != c.Sum.Kind {
			continue
		}
		if text, _, _ := strings.Cut(value, "-"); !k.valueOK(text) {
			return errBadRequest.with("Value for x-amz-checksum-%s header is invalid.", strings.ToLower(k.name))
		}
		got := c.Sum.Value
		if k.name != c.Sum.Kind || value != got && value != strings.TrimSuffix(got, "-"+strconv.Itoa(len(c.Extents))) {
			return errBadDigest.with("The %s you specified did not match the calculated checksum.", k.name)
		}
	}
	return nil
}
