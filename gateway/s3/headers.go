package s3

import (
	"encoding/xml"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	metaPrefix   = "X-Amz-Meta-"
	storageClass = "X-Amz-Storage-Class" // a name that is kept: all objects are stored alike
	redirect     = "X-Amz-Website-Redirect-Location"
	maxMeta      = 2048 // bytes of names and values
	maxHeaders   = 4096 // bytes of the headers that are kept
)

// kept are the headers of a request that are the object's.
var kept = []string{"Content-Type", "Content-Encoding", "Content-Disposition", "Content-Language", "Cache-Control", "Expires", redirect, storageClass}

// headersOf takes from a request what an object keeps beside its bytes. The key of a
// directory ends with a slash.
func headersOf(h http.Header, directory bool) (headers, meta []pair, err error) {
	size := 0
	for _, name := range kept {
		value := h.Get(name)
		if name == "Content-Encoding" {
			value = withoutChunked(value)
		}
		if name == "Content-Type" && value == "" {
			value = "binary/octet-stream"
			if directory {
				value = "application/x-directory"
			}
		}
		if name == redirect && value != "" && !strings.HasPrefix(value, "/") && !strings.HasPrefix(value, "http://") && !strings.HasPrefix(value, "https://") {
			return nil, nil, &failure{400, "InvalidRedirectLocation", "The website redirect location must have a prefix of 'http://' or 'https://' or '/'."}
		}
		if value != "" && (name != storageClass || value != "STANDARD") { // which is not told
			headers = append(headers, pair{Name: name, Value: value})
			size += len(value)
		}
	}
	if size > maxHeaders {
		return nil, nil, errMetadataTooLarge.with("The headers of the object have %d bytes, at most %d.", size, maxHeaders)
	}
	size = 0
	for name, values := range h {
		rest, ok := strings.CutPrefix(name, metaPrefix)
		if !ok || rest == "" {
			continue
		}
		p := pair{Name: strings.ToLower(rest), Value: strings.Join(values, ",")}
		if !utf8.ValidString(p.Value) || !utf8.ValidString(p.Name) {
			return nil, nil, errInvalidArgument.with("The metadata %q is not UTF-8.", p.Name)
		}
		size += len(p.Name) + len(p.Value)
		meta = append(meta, p)
	}
	if size > maxMeta {
		return nil, nil, errMetadataTooLarge
	}
	slices.SortFunc(meta, func(a, b pair) int { return strings.Compare(a.Name, b.Name) })
	switch h.Get(storageClass) {
	case "", "STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER", "DEEP_ARCHIVE", "GLACIER_IR":
	default:
		return nil, nil, &failure{400, "InvalidStorageClass", "The storage class you specified is not valid"}
	}
	for name := range h {
		if strings.HasPrefix(name, "X-Amz-Object-Lock-") {
			return nil, nil, errNotImplemented.with("This gateway has no object lock.")
		}
	}
	return headers, meta, aclOK(h)
}

// withoutChunked takes the encoding of the request's body from that of the object.
func withoutChunked(encoding string) string {
	var left []string
	for _, e := range strings.Split(encoding, ",") {
		if e = strings.TrimSpace(e); e != "" && e != "aws-chunked" {
			left = append(left, e)
		}
	}
	return strings.Join(left, ",")
}

// Bounds of tags.
const (
	maxTags       = 10
	maxBucketTags = 50
	maxTagName    = 128
	maxTagValue   = 256
)

// tagText says whether a text has only characters that a tag may have.
func tagText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsSpace(r) && !strings.ContainsRune("+-=._:/@", r)
	})
}

func tagsOK(tags []pair, most int) error {
	switch {
	case len(tags) > most && most == maxTags:
		return errTagCount
	case len(tags) > most:
		return errTagCount.with("Bucket tag count cannot be greater than %d", most)
	}
	seen := map[string]bool{}
	for _, t := range tags {
		if t.Name == "" || utf8.RuneCountInString(t.Name) > maxTagName || !tagText(t.Name) {
			return (&failure{400, "InvalidTag", "The TagKey you have provided is invalid"})
		}
		if utf8.RuneCountInString(t.Value) > maxTagValue || !tagText(t.Value) {
			return (&failure{400, "InvalidTag", "The TagValue you have provided is invalid"})
		}
		if seen[t.Name] {
			return (&failure{400, "InvalidTag", "Cannot provide multiple Tags with the same key"})
		}
		seen[t.Name] = true
	}
	return nil
}

// tagsOf reads the header x-amz-tagging, which is written like a query.
func tagsOf(text string) (tags []pair, err error) {
	if text == "" {
		return nil, nil
	}
	seen := map[string]bool{}
	for _, field := range strings.Split(text, "&") {
		if field == "" {
			continue
		}
		name, value, _ := strings.Cut(field, "=")
		var err1, err2 error
		name, err1 = url.QueryUnescape(name)
		value, err2 = url.QueryUnescape(value)
		twice := seen[name]
		seen[name] = true
		if err1 != nil || err2 != nil || name == "" || twice {
			return nil, errInvalidArgument.with("The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.")
		}
		tags = append(tags, pair{Name: name, Value: value})
	}
	slices.SortFunc(tags, func(a, b pair) int { return strings.Compare(a.Name, b.Name) })
	return tags, tagsOK(tags, maxTags)
}

type xmlTag struct {
	Key   string
	Value string
}

type xmlTagging struct {
	XMLName xml.Name `xml:"Tagging"`
	TagSet  struct {
		Tag []xmlTag
	}
}

// readTags reads the document of a request about tags.
func (s *Server) readTags(w http.ResponseWriter, q *request, most int) (tags []pair, err error) {
	var doc xmlTagging
	if err := s.xmlBody(w, q, &doc, false); err != nil {
		return nil, err
	}
	return tagList(doc.TagSet.Tag, most)
}

func tagList(list []xmlTag, most int) (tags []pair, err error) {
	for _, t := range list {
		tags = append(tags, pair{Name: t.Key, Value: t.Value})
	}
	slices.SortFunc(tags, func(a, b pair) int { return strings.Compare(a.Name, b.Name) })
	return tags, tagsOK(tags, most)
}

func (s *Server) replyTags(w http.ResponseWriter, q *request, tags []pair) error {
	var out struct {
		XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ Tagging"`
		TagSet  struct{ Tag []xmlTag }
	}
	for _, t := range tags {
		out.TagSet.Tag = append(out.TagSet.Tag, xmlTag{t.Name, t.Value})
	}
	return s.reply(w, q.Request, http.StatusOK, out)
}

func (s *Server) getBucketTags(w http.ResponseWriter, q *request) error {
	b, _, err := read[bucket](s.index.db, bucketKey(q.bucket))
	if err == nil && len(b.Tags) == 0 {
		err = &failure{http.StatusNotFound, "NoSuchTagSet", "The TagSet does not exist."}
	}
	if err != nil {
		return err
	}
	return s.replyTags(w, q, b.Tags)
}

func (s *Server) putBucketTags(w http.ResponseWriter, q *request) error {
	tags, err := s.readTags(w, q, maxBucketTags)
	if err == nil {
		err = s.setBucketTags(q, tags)
	}
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
	}
	return err
}

func (s *Server) deleteBucketTags(w http.ResponseWriter, q *request) error {
	err := s.setBucketTags(q, nil)
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
	}
	return err
}

func (s *Server) setBucketTags(q *request, tags []pair) error {
	return s.index.change(q.Context(), func(c *change) error {
		b, there, err := read[bucket](c, bucketKey(q.bucket))
		if err != nil {
			return err
		}
		if !there {
			return errNoBucket
		}
		b.Tags = tags
		c.put(bucketKey(q.bucket), b)
		return nil
	})
}

func (s *Server) getObjectTags(w http.ResponseWriter, q *request) error {
	o, err := s.object(q.bucket, q.key)
	if err != nil {
		return err
	}
	return s.replyTags(w, q, o.Tags)
}

func (s *Server) putObjectTags(w http.ResponseWriter, q *request) error {
	tags, err := s.readTags(w, q, maxTags)
	if err == nil {
		err = s.setObjectTags(q, tags)
	}
	if err == nil {
		w.WriteHeader(http.StatusOK)
	}
	return err
}

func (s *Server) deleteObjectTags(w http.ResponseWriter, q *request) error {
	err := s.setObjectTags(q, nil)
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
	}
	return err
}

func (s *Server) setObjectTags(q *request, tags []pair) error {
	return s.index.change(q.Context(), func(c *change) error {
		o, there, err := read[object](c, objectKey(q.bucket, q.key))
		if err != nil {
			return err
		}
		if !there {
			return errNoKey
		}
		o.Tags = tags
		c.put(objectKey(q.bucket, q.key), o)
		return nil
	})
}
