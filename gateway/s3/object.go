package s3

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	maxBody = 5 << 30 // bytes of a single upload or part

	quote = `"`
)

// object reads the record of a key.
func (s *Server) object(bucket, key string) (object, error) {
	o, there, err := read[object](s.index.db, objectKey(bucket, key))
	if err == nil && !there {
		err = errNoKey
	}
	return o, err
}

// receive reads a body to its end, checked, and stores it. The caller ends the hold.
func (s *Server) receive(w http.ResponseWriter, q *request, algorithm *kind) (content, *placed, error) {
	b, err := s.newBody(w, q.Request, q.caller, algorithm)
	if err != nil {
		return content{}, nil, err
	}
	if b.length > maxBody {
		return content{}, nil, errEntityTooLarge
	}
	spooled, err := s.storage.Spool(q.Context(), b, b.length)
	if err != nil {
		return content{}, nil, storageFailure(err)
	}
	defer spooled.Close()
	p, err := s.place(q.Context(), spooled)
	if err != nil {
		return content{}, nil, storageFailure(err)
	}
	return content{Size: spooled.Size(), ETag: b.etag(), Sum: b.verified, Extents: p.extents}, p, nil
}

// storageFailure is what a client is told about an error of the storage.
func storageFailure(err error) error {
	switch {
	case errors.Is(err, ErrSpoolFull):
		return errSpoolFull
	case errors.Is(err, ErrTooLarge):
		return errEntityTooLarge
	case errors.Is(err, ErrFunds):
		return errNoFunds
	case errors.Is(err, ErrBusy):
		return errBusy
	case errors.Is(err, ErrNoRoom):
		return errNoRoom
	}
	return err
}

func (s *Server) putObject(w http.ResponseWriter, q *request) error {
	if q.query.Has("partNumber") { // a part must not replace the whole
		return errInvalidArgument.with("This operation does not accept partNumber without uploadId")
	}
	if q.Header.Get("X-Amz-Copy-Source") != "" {
		return s.copyObject(w, q)
	}
	headers, meta, err := headersOf(q.Header, strings.HasSuffix(q.key, "/"))
	if err != nil {
		return err
	}
	tags, err := tagsOf(q.Header.Get("X-Amz-Tagging"))
	if err != nil {
		return err
	}
	conditions := conditionsOf(q.Header, "")
	old, err := s.object(q.bucket, q.key)
	if err != nil && !errors.Is(err, errNoKey) {
		return err
	}
	if err := conditions.writable(old, err == nil); err != nil {
		return err // before the body is read and paid
	}
	content, p, err := s.receive(w, q, kindOf("CRC64NVME"))
	if err != nil {
		return err
	}
	defer p.leave()
	o := object{Content: content, Modified: s.now().UnixMilli(), Headers: headers, Meta: meta, Tags: tags}
	err = s.index.change(s.ctx, func(c *change) error {
		if err := p.arrive(c); err != nil {
			return err
		}
		return c.setObject(q.bucket, q.key, o, conditions)
	})
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("ETag", quote+content.ETag+quote)
	h.Set("X-Amz-Object-Size", strconv.FormatInt(content.Size, 10))
	setChecksum(h, content.Sum)
	s.setExpiration(q.Context(), h, o)
	w.WriteHeader(http.StatusOK)
	return nil
}

// setObject makes a key point to an object to whose blobs the caller has added a user each.
// What the key pointed to before loses one.
func (c *change) setObject(bucket, key string, o object, conditions conditions) error {
	if err := ensureBucket(c, bucket); err != nil {
		return err
	}
	old, there, err := read[object](c, objectKey(bucket, key))
	if err != nil {
		return err
	}
	if err := conditions.writable(old, there); err != nil {
		return err
	}
	if err := c.release(old.Content.Extents); err != nil {
		return err
	}
	c.put(objectKey(bucket, key), o)
	return nil
}

func httpTime(ms int64) string { return time.UnixMilli(ms).UTC().Format(http.TimeFormat) }

func setChecksum(h http.Header, c checksum) {
	if c.Kind != "" {
		h.Set(c.header(), c.Value)
		h.Set("X-Amz-Checksum-Type", c.Type)
	}
}

// setExpiration tells when the first lease of an object ends. It is renewed before.
func (s *Server) setExpiration(ctx context.Context, h http.Header, o object) {
	const most = 64 // extents that are looked at: those of one object are renewed together
	var first lease
	for i, e := range o.Content.Extents[:min(most, len(o.Content.Extents))] {
		l, ok, err := read[lease](s.index.db, leaseKey(e.Blob))
		if err != nil || !ok {
			return
		}
		if i == 0 || l.End < first.End {
			first = l
		}
	}
	clock, err := s.clockAround(ctx)
	if err != nil || first.End == 0 {
		return // it is news, and no part of the answer
	}
	h.Set("X-Amz-Expiration", `expiry-date="`+clock.Begins(first.End).UTC().Format(http.TimeFormat)+`", rule-id="lease"`)
}

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
	s.setExpiration(q.Context(), h, o)
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

func (s *Server) deleteObject(w http.ResponseWriter, q *request) error {
	d := deletion{Key: q.key, ETag: q.Header.Get("If-Match"), LastModifiedTime: q.Header.Get("X-Amz-If-Match-Last-Modified-Time"), Size: q.Header.Get("X-Amz-If-Match-Size")}
	if err := s.dropObject(q.Context(), q.bucket, d); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// dropObject deletes a key, which need not be there.
func (s *Server) dropObject(ctx context.Context, bucket string, d deletion) error {
	return s.index.change(ctx, func(c *change) error {
		old, there, err := read[object](c, objectKey(bucket, d.Key))
		if err != nil || !there {
			return err
		}
		if err := d.check(old); err != nil {
			return err
		}
		if err := c.release(old.Content.Extents); err != nil {
			return err
		}
		c.drop(objectKey(bucket, d.Key))
		return nil
	})
}

// copySource reads the header of that name, and the object if the caller may read it and the
// request's conditions hold.
func (s *Server) copySource(q *request) (bucket, key string, o object, err error) {
	text, err := url.PathUnescape(strings.TrimPrefix(q.Header.Get("X-Amz-Copy-Source"), "/"))
	path, version, versioned := strings.Cut(text, "?versionId=")
	bucket, key, ok := strings.Cut(path, "/")
	switch {
	case err != nil || !ok || key == "":
		return "", "", o, errInvalidArgument.with("Copy Source must mention the source bucket and key: sourcebucket/sourcekey")
	case !bucketNameOK(bucket):
		return "", "", o, errInvalidBucketName
	case keyOK(key) != nil:
		return "", "", o, keyOK(key)
	case versioned && version != "null":
		return "", "", o, errNoVersion
	case !q.caller.key.may(bucket, false), !s.owns(q, "X-Amz-Source-Expected-Bucket-Owner"):
		return "", "", o, errAccessDenied
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

// xmlChecksum is a checksum in a document.
type xmlChecksum struct {
	ChecksumCRC32     string `xml:",omitempty"`
	ChecksumCRC32C    string `xml:",omitempty"`
	ChecksumCRC64NVME string `xml:",omitempty"`
	ChecksumSHA1      string `xml:",omitempty"`
	ChecksumSHA256    string `xml:",omitempty"`
	ChecksumSHA512    string `xml:",omitempty"`
	ChecksumMD5       string `xml:",omitempty"`
	ChecksumXXHASH64  string `xml:",omitempty"`
	ChecksumXXHASH3   string `xml:",omitempty"`
	ChecksumXXHASH128 string `xml:",omitempty"`
	ChecksumType      string `xml:",omitempty"`
}

func (x *xmlChecksum) field(kind string) *string {
	switch kind {
	case "CRC32":
		return &x.ChecksumCRC32
	case "CRC32C":
		return &x.ChecksumCRC32C
	case "CRC64NVME":
		return &x.ChecksumCRC64NVME
	case "SHA1":
		return &x.ChecksumSHA1
	case "SHA256":
		return &x.ChecksumSHA256
	case "SHA512":
		return &x.ChecksumSHA512
	case "MD5":
		return &x.ChecksumMD5
	case "XXHASH64":
		return &x.ChecksumXXHASH64
	case "XXHASH3":
		return &x.ChecksumXXHASH3
	case "XXHASH128":
		return &x.ChecksumXXHASH128
	}
	return new(string)
}

func checksumXML(c checksum) (x xmlChecksum) {
	*x.field(c.Kind) = c.Value
	x.ChecksumType = c.Type
	return x
}

// deletion is a key that is to be deleted, if its object is the one that is meant.
type deletion struct {
	Key              string
	VersionID        string `xml:"VersionId"`
	ETag             string // empty: any; so are the others
	LastModifiedTime string
	Size             string
}

func (d deletion) check(o object) error {
	if d.ETag != "" && !matches(d.ETag, o.Content.ETag) {
		return errPrecondition
	}
	if d.Size != "" && d.Size != strconv.FormatInt(o.Content.Size, 10) {
		return errPrecondition
	}
	if d.LastModifiedTime == "" {
		return nil
	}
	for _, format := range []string{time.RFC3339, http.TimeFormat} {
		at, err := time.Parse(format, d.LastModifiedTime)
		if err == nil && at.Unix() == time.UnixMilli(o.Modified).Unix() {
			return nil
		}
	}
	return errPrecondition
}

func (s *Server) deleteObjects(w http.ResponseWriter, q *request) error {
	var doc struct {
		XMLName struct{} `xml:"Delete"`
		Quiet   bool
		Object  []deletion
	}
	if err := s.xmlBody(w, q, &doc, false); err != nil {
		return err
	}
	if len(doc.Object) == 0 || len(doc.Object) > 1000 {
		return errMalformedXML
	}
	type deleted struct {
		Key string
	}
	type failed struct {
		Key     string
		Code    string
		Message string
	}
	var out struct {
		XMLName struct{}  `xml:"http://s3.amazonaws.com/doc/2006-03-01/ DeleteResult"`
		Deleted []deleted `xml:",omitempty"`
		Error   []failed  `xml:",omitempty"`
	}
	if slices.ContainsFunc(doc.Object, func(d deletion) bool { return d.Key == "" }) {
		return errMalformedXML
	}
	results := make([]error, len(doc.Object))
	var g errgroup.Group
	g.SetLimit(64) // that share writes to the disk
	for i, d := range doc.Object {
		g.Go(func() error {
			results[i] = s.dropListed(q, d)
			return nil
		})
	}
	_ = g.Wait() // each has its result
	for i, d := range doc.Object {
		err := results[i]
		var f *failure
		switch {
		case err == nil && !doc.Quiet:
			out.Deleted = append(out.Deleted, deleted{d.Key})
		case errors.As(err, &f):
			out.Error = append(out.Error, failed{d.Key, f.code, f.message})
		case err != nil:
			return err
		}
	}
	return s.reply(w, q.Request, http.StatusOK, out)
}

func (s *Server) dropListed(q *request, d deletion) error {
	if err := keyOK(d.Key); err != nil {
		return err
	}
	if d.VersionID != "" && d.VersionID != "null" {
		return errNoVersion
	}
	return s.dropObject(q.Context(), q.bucket, d)
}

// postObject is the upload of a form of a browser.
func (s *Server) postObject(http.ResponseWriter, *request) error {
	return errNotImplemented.with("This gateway takes no forms: use a presigned PUT.")
}
