package s3

import (
	"encoding/xml"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Bounds of a form, the file left out.
const (
	maxFields = 100
	maxForm   = 64 << 10 // bytes of names and values
)

var errMalformedForm = &failure{400, "MalformedPOSTRequest", "The body of your POST request is not well-formed multipart/form-data."}

// form is an upload from a page of a browser. Fields behind the file are not read.
type form struct {
	fields map[string]string // names in lower case
	file   *multipart.Part
}

// readForm reads the fields of a form up to its file.
func readForm(in io.Reader, contentType string) (f form, err error) {
	kind, params, err := mime.ParseMediaType(contentType)
	if kind != "multipart/form-data" {
		return f, errPrecondition.with("Bucket POST must be of the enclosure-type multipart/form-data")
	}
	if err != nil || params["boundary"] == "" {
		return f, errMalformedForm
	}
	f.fields = map[string]string{}
	parts, left := multipart.NewReader(in, params["boundary"]), int64(maxForm)
	for {
		part, err := parts.NextRawPart()
		if err == io.EOF {
			return f, errInvalidArgument.with("POST requires exactly one file upload per request.")
		}
		if err != nil {
			return f, formError(err)
		}
		name := strings.ToLower(part.FormName())
		if name == "file" {
			f.file = part
			return f, nil
		}
		value, err := io.ReadAll(io.LimitReader(part, left+1))
		if err != nil {
			return f, formError(err)
		}
		if left -= int64(len(name) + len(value)); left < 0 || len(f.fields) >= maxFields {
			return f, &failure{400, "MaxPostPreDataLengthExceeded", "Your POST request fields preceding the upload file were too large."}
		}
		if _, twice := f.fields[name]; twice || name == "" {
			return f, errMalformedForm
		}
		f.fields[name] = string(value)
	}
}

// formError is what a client is told about a form that cannot be read.
func formError(err error) error {
	var f *failure
	if errors.As(err, &f) {
		return err
	}
	return errMalformedForm
}

// signer finds the key that signed a form's policy.
func (s *Server) signer(fields map[string]string) (*Key, error) {
	const missing = "Bucket POST must contain a field named '%s'.  If it is specified, please check the order of the fields."
	needed := []string{"x-amz-algorithm", "x-amz-credential", "x-amz-date", "policy", "x-amz-signature"}
	some := false
	for _, name := range needed {
		_, there := fields[name]
		some = some || there
	}
	if !some {
		return nil, errAccessDenied.with("Access Denied.")
	}
	for _, name := range needed {
		if _, there := fields[name]; !there {
			return nil, errInvalidArgument.with(missing, name).telling("ArgumentName", name, "ArgumentValue", "")
		}
	}
	if fields["x-amz-algorithm"] != algorithm {
		return nil, errInvalidArgument.with("Only AWS4-HMAC-SHA256 is supported")
	}
	at, err := time.Parse(timeFormat, fields["x-amz-date"])
	if err != nil {
		return nil, errInvalidArgument.with("AWS authentication requires a valid Date or x-amz-date header")
	}
	c, err := parseCredential(fields["x-amz-credential"], errInvalidArgument, "Error parsing the x-amz-credential field")
	if err != nil {
		return nil, err
	}
	key := s.keys.find(c.access)
	if key == nil {
		return nil, errForeignKey.telling("AWSAccessKeyId", c.access)
	}
	if !sameHex(hmacSha256(signingKey(key.Secret, c), fields["policy"]), fields["x-amz-signature"]) {
		return nil, errSignature.telling("AWSAccessKeyId", c.access, "StringToSign", fields["policy"], "SignatureProvided", fields["x-amz-signature"])
	}
	if now := s.now(); c.date != at.Format(dateFormat) || at.Sub(now) > maxSkew || now.Sub(at) > maxExpires {
		return nil, deniedByPolicy("Policy expired.")
	}
	return key, nil
}

// header is the fields as a PUT would have them in its header.
func (f form) header() http.Header {
	h := http.Header{}
	for name, value := range f.fields {
		switch name {
		case "acl":
			name = "X-Amz-Acl"
		case "key", "policy", "bucket", "tagging", "redirect", "success_action_redirect", "success_action_status",
			"x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature":
			continue
		}
		h.Set(name, value)
	}
	return h
}

// postObject is the upload of a form of a browser, which a key's owner has signed.
func (s *Server) postObject(w http.ResponseWriter, q *request) error {
	in := &pacedReader{in: q.Body, control: http.NewResponseController(w), began: time.Now()}
	f, err := readForm(in, q.Header.Get("Content-Type"))
	if err != nil {
		return err
	}
	if q.caller.key, err = s.signer(f.fields); err != nil {
		return err
	}
	if err := s.allow(q, operation{writes: true}); err != nil {
		return err
	}
	if _, there, err := s.index.db.Get(bucketKey(q.bucket)); err != nil || !there {
		return errors.Join(err, errNoBucket)
	}
	p, err := parsePolicy(f.fields["policy"])
	if err != nil {
		return err
	}
	key := strings.ReplaceAll(f.fields["key"], "${filename}", f.file.FileName())
	if key == "" {
		return errInvalidArgument.with("Bucket POST must contain a field named 'key'.  If it is specified, please check the order of the fields.")
	}
	f.fields["key"], f.fields["bucket"] = key, q.bucket
	if err := p.check(f.fields, s.now()); err != nil {
		return err
	}
	if err := keyOK(key); err != nil {
		return err
	}
	q.key = key
	return s.storeForm(w, q, f, p, in)
}

// storeForm stores the file of a form that may be.
func (s *Server) storeForm(w http.ResponseWriter, q *request, f form, p policy, in *pacedReader) error {
	h := f.header()
	if err := noEncryption(h); err != nil {
		return err
	}
	headers, meta, err := headersOf(h, strings.HasSuffix(q.key, "/"))
	if err != nil {
		return err
	}
	var tags []pair
	if text := f.fields["tagging"]; text != "" {
		var doc xmlTagging
		if err := xml.Unmarshal([]byte(text), &doc); err != nil {
			return errMalformedXML
		}
		if tags, err = tagList(doc.TagSet.Tag, maxTags); err != nil {
			return err
		}
	}
	b := newFileBody(f.file, in)
	if p.most > 0 && p.most < b.length {
		b.length = p.most
	}
	if err := b.checksums(h, "", kindOf("CRC64NVME")); err != nil {
		return err
	}
	content, placed, err := s.keepBody(q, b, -1, func(size int64) error {
		if size < p.least {
			return errEntityTooSmall
		}
		return nil
	})
	if err != nil {
		return err
	}
	defer placed.leave()
	o := object{Content: content, Modified: s.now().UnixMilli(), Headers: headers, Meta: meta, Tags: tags}
	err = s.index.change(s.ctx, func(c *change) error {
		if err := placed.arrive(c); err != nil {
			return err
		}
		return c.setObject(q.bucket, q.key, o, conditions{})
	})
	if err != nil {
		return err
	}
	s.setExpiration(q.Context(), w.Header(), q, o)
	setChecksum(w.Header(), content.Sum)
	return s.answerForm(w, q, f, content.ETag)
}

// answerForm answers as the form wants it.
func (s *Server) answerForm(w http.ResponseWriter, q *request, f form, etag string) error {
	h := w.Header()
	location := s.location(q)
	h.Set("ETag", quote+etag+quote)
	h.Set("Location", location)
	to := f.fields["success_action_redirect"]
	if to == "" {
		to = f.fields["redirect"]
	}
	if u, err := url.Parse(to); err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" {
		v := u.Query()
		v.Set("bucket", q.bucket)
		v.Set("key", q.key)
		v.Set("etag", quote+etag+quote)
		u.RawQuery = v.Encode()
		h.Set("Location", u.String())
		w.WriteHeader(http.StatusSeeOther)
		return nil
	}
	switch f.fields["success_action_status"] {
	case "200":
		w.WriteHeader(http.StatusOK)
		return nil
	case "201":
		return s.reply(w, q.Request, http.StatusCreated, struct {
			XMLName  struct{} `xml:"PostResponse"`
			Location string
			Bucket   string
			Key      string
			ETag     string
		}{Location: location, Bucket: q.bucket, Key: q.key, ETag: quote + etag + quote})
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// location is the URL of an object that a form has made.
func (s *Server) location(q *request) string {
	scheme := "http://"
	if q.TLS != nil {
		scheme = "https://"
	}
	if bucketOfHost(q.Host, s.o.Domains) != "" {
		return scheme + q.Host + "/" + escape(q.key, true)
	}
	return scheme + q.Host + "/" + q.bucket + "/" + escape(q.key, true)
}
