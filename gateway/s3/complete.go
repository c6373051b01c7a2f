package s3

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"net/http"
	"strconv"
	"strings"
)

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
	if n := countChecksums(q.Header); n > 1 {
		return errBadRequest.with("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
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
		c.uploads[q.bucket]--
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
	s.setExpiration(q.Context(), w.Header(), q, made)
	return s.replyCompleted(w, q, made)
}

// countChecksums counts the headers that have a checksum.
func countChecksums(h http.Header) (n int) {
	for _, k := range kinds {
		if h.Get(headerChecksum+k.name) != "" {
			n++
		}
	}
	return n
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
		if listed.PartNumber == 0 {
			return o, errMalformedXML // it is missing
		}
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
	if len(o.Parts)*len(o.Parts[0].Sum.Value) > maxSums {
		for i := range o.Parts {
			o.Parts[i].Sum = checksum{} // the record would be too large; the object's stays
		}
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
