package s3

import (
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"encoding/xml"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/walrus-network/walrus/kv"
)

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
