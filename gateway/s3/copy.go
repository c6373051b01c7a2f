package s3

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// copySource reads the header of that name, and the object if the caller may read it and the
// request's conditions hold.
func (s *Server) copySource(q *request) (bucket, key string, o object, err error) {
	text, err := url.PathUnescape(strings.TrimPrefix(q.Header.Get("X-Amz-Copy-Source"), "/"))
	path, version, versioned := strings.Cut(text, "?versionId=")
	bucket, key, ok := strings.Cut(path, "/")
	switch {
	case err != nil:
		return "", "", o, errInvalidArgument.with("Invalid copy source encoding")
	case !ok || key == "":
		return "", "", o, errInvalidArgument.with("Copy Source must mention the source bucket and key: sourcebucket/sourcekey")
	case !bucketNameOK(bucket):
		return "", "", o, errInvalidBucketName
	case keyOK(key) != nil:
		return "", "", o, keyOK(key)
	case versioned && version != "null":
		return "", "", o, errNoVersion
	case !s.owns(q, "X-Amz-Source-Expected-Bucket-Owner"):
		return "", "", o, errAccessDenied.with("Access Denied.")
	}
	if ok, err := s.may(q.caller.key, bucket, false); err != nil || !ok {
		return "", "", o, errors.Join(err, errAccessDenied)
	}
	if _, there, err := s.index.db.Get(bucketKey(bucket)); err != nil || !there {
		return "", "", o, errors.Join(err, errNoBucket)
	}
	if o, err = s.object(bucket, key); err != nil {
		return "", "", o, err
	}
	err = conditionsOf(q.Header, "X-Amz-Copy-Source-").check(o)
	if errors.Is(err, errNotModified) {
		err = errPrecondition
	}
	return bucket, key, o, err
}

type copyResult struct {
	XMLName      struct{} `xml:"http://s3.amazonaws.com/doc/2006-03-01/ CopyObjectResult"`
	LastModified string
	ETag         string
	xmlChecksum
}

// copyObject makes a key point to what another points to: no byte moves, and nothing is paid.
func (s *Server) copyObject(w http.ResponseWriter, q *request) error {
	headers, meta, err := headersOf(q.Header, strings.HasSuffix(q.key, "/"))
	if err != nil {
		return err
	}
	tags, err := tagsOf(q.Header.Get("X-Amz-Tagging"))
	if err != nil {
		return err
	}
	if wanted := q.Header.Get("X-Amz-Checksum-Algorithm"); wanted != "" && kindOf(wanted) == nil {
		return errBadRequest.with("Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, MD5, SHA1, SHA256, SHA512, XXHASH128, XXHASH3, XXHASH64]")
	}
	bucket, key, o, err := s.copySource(q)
	if err != nil {
		return err
	}
	// A redirect is the copy's own.
	o.Headers = slices.DeleteFunc(slices.Clone(o.Headers), func(p pair) bool { return p.Name == redirect })
	for _, p := range headers {
		if p.Name == redirect {
			o.Headers = append(o.Headers, p)
		}
	}
	replaced := false
	switch directive := q.Header.Get("X-Amz-Metadata-Directive"); directive {
	case "", "COPY":
	case "REPLACE":
		o.Headers, o.Meta, replaced = headers, meta, true
	default:
		return errInvalidArgument.with("Unknown metadata directive.")
	}
	switch directive := q.Header.Get("X-Amz-Tagging-Directive"); directive {
	case "", "COPY":
	case "REPLACE":
		o.Tags, replaced = tags, true
	default:
		return errInvalidArgument.with("Unknown tagging directive.")
	}
	if bucket == q.bucket && key == q.key && !replaced && q.Header.Get(storageClass) == "" && q.Header.Get("X-Amz-Website-Redirect-Location") == "" {
		return errBadRequest.with("This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.")
	}
	sum, err := s.copySum(q, o)
	if err != nil {
		return err
	}
	o.Modified = s.now().UnixMilli()
	etag := o.Content.ETag
	o.Upload = "" // which completed the source
	err = s.index.change(q.Context(), func(c *change) error {
		source, there, err := read[object](c, objectKey(bucket, key))
		if err != nil {
			return err
		}
		if !there || source.Content.ETag != etag {
			return errPrecondition.with("The source has changed.")
		}
		o.Content = source.Content // the same bytes may lie elsewhere by now
		o.Content.Sum = sum
		if err := c.use(o.Content.Extents); err != nil {
			return err
		}
		return c.setObject(q.bucket, q.key, o, conditionsOf(q.Header, ""))
	})
	if err != nil {
		return err
	}
	return s.reply(w, q.Request, http.StatusOK, copyResult{LastModified: xmlTime(o.Modified), ETag: quote + etag + quote, xmlChecksum: checksumXML(o.Content.Sum)})
}

// copySum is the checksum of a copy: the source's, or another that is asked for, for which the
// bytes are read.
func (s *Server) copySum(q *request, o object) (checksum, error) {
	k := kindOf(q.Header.Get("X-Amz-Checksum-Algorithm"))
	if k == nil || k.name == o.Content.Sum.Kind {
		return o.Content.Sum, nil
	}
	h := k.make()
	for _, e := range o.Content.Extents {
		if err := s.storage.ReadRange(q.Context(), e.Blob, e.Offset, e.Length, h); err != nil {
			s.log.Warn("read for S3", "blob", e.Blob, "err", err)
			return checksum{}, errUnavailable
		}
	}
	return checksum{Kind: k.name, Value: encode64(h.Sum(nil)), Type: fullObject}, nil
}
