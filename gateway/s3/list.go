package s3

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/walrus-network/walrus/kv"
)

const maxList = 1000 // entries of an answer

// count reads a number of the query that is at most most, and most where there is none.
func (q *request) count(name string, most int) (int, error) {
	text := q.query.Get(name)
	if text == "" {
		return most, nil
	}
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return 0, errInvalidArgument.with("Argument %s must be an integer between 0 and 2147483647", text)
	}
	return min(int(n), most), nil
}

// listing is a question for keys, in the order of their bytes.
type listing struct {
	prefix, delimiter string
	after             string // neither a key nor a common prefix up to here is wanted
	from              string // no key below it is wanted; empty: any
	most              int
}

func listingOf(q *request) (l listing, err error) {
	l = listing{prefix: q.query.Get("prefix"), delimiter: q.query.Get("delimiter")}
	for _, text := range []string{l.prefix, l.delimiter, q.query.Get("marker"), q.query.Get("start-after"), q.query.Get("key-marker")} {
		if !utf8.ValidString(text) || strings.Contains(text, "\x00") || len(text) > maxKey+8 {
			return l, errInvalidArgument.with("A prefix, delimiter or marker must be UTF-8 of at most %d bytes without the byte 0.", maxKey)
		}
	}
	if e := q.query.Get("encoding-type"); e != "" && e != "url" {
		return l, errInvalidArgument.with("Invalid Encoding Method specified in Request")
	}
	return l, nil
}

// found is a key with what is kept of its value, or a common prefix.
type found[T any] struct {
	name   string
	value  T
	common bool
}

// walk goes over the keys of a bucket of the index that follow space. more says that
// others follow. keep takes what a list needs from a value, which may have a MiB.
func walk[T any](l listing, db *kv.DB, space []byte, keep func(value []byte) (T, error)) (out []found[T], more bool, err error) {
	if l.most == 0 {
		return nil, false, nil
	}
	begin := append(append([]byte{}, space...), l.prefix...)
	start := begin
	for _, bound := range []string{l.after, l.from} {
		if at := append(append([]byte{}, space...), bound...); bound != "" && bytes.Compare(at, start) > 0 {
			start = at
		}
	}
	err = db.View(func(r kv.Reader) error {
		for {
			var jump []byte
			err := r.From(begin, start, func(k, value []byte) error {
				name := string(k[len(space):])
				common := false
				if l.delimiter != "" {
					key, _, _ := strings.Cut(name[len(l.prefix):], "\x00") // behind it is an upload's ID
					if i := strings.Index(key, l.delimiter); i >= 0 {
						name, common = name[:len(l.prefix)+i+len(l.delimiter)], true
					}
				}
				if name > l.after || l.after == "" {
					if len(out) == l.most {
						more = true
						return errStop
					}
					f := found[T]{name: name, common: common}
					if !common {
						var err error
						if f.value, err = keep(value); err != nil {
							return err
						}
					}
					out = append(out, f)
				}
				if common {
					jump = append(append([]byte{}, space...), behind(name)...)
					return errStop
				}
				return nil
			})
			if err != nil && !errors.Is(err, errStop) {
				return err
			}
			if jump == nil || more {
				return nil
			}
			start = jump
		}
	})
	return out, more, err
}

// behind is the first string behind all that begin with s. A key is UTF-8, and so none of its
// bytes is 0xff.
func behind(s string) string { return s + "\xff" }

type contents struct {
	Key               string
	LastModified      string
	ETag              string
	ChecksumAlgorithm string `xml:",omitempty"`
	ChecksumType      string `xml:",omitempty"`
	Size              int64
	StorageClass      string
	Owner             *owner `xml:",omitempty"`
}

type commonPrefix struct{ Prefix string }

// coder writes keys in documents as the request wants them.
func coder(q *request) func(string) string {
	if q.query.Get("encoding-type") == "url" {
		return func(s string) string { return escape(s, true) }
	}
	return func(s string) string { return s }
}

// contentsOf is what a list says of an object, without its key.
func contentsOf(value []byte) (c contents, err error) {
	var o object
	if err := decode(value, &o); err != nil {
		return c, err
	}
	return contents{
		LastModified: xmlTime(o.Modified), ETag: quote + o.Content.ETag + quote, Size: o.Content.Size,
		ChecksumAlgorithm: o.Content.Sum.Kind, ChecksumType: o.Content.Sum.Type, StorageClass: "STANDARD",
	}, nil
}

// page is an answer of a list of objects.
type page struct {
	listing
	encode   func(string) string
	coding   string // as the request named it
	keys     []contents
	prefixes []commonPrefix
	more     bool
	last     string // key or common prefix; empty: the page is
}

// page lists the objects of a bucket behind after. who is named as their owner; nil: none.
func (s *Server) page(q *request, after string, who *owner) (p page, err error) {
	if p.listing, err = listingOf(q); err != nil {
		return p, err
	}
	if p.most, err = q.count("max-keys", maxList); err != nil {
		return p, err
	}
	p.after, p.encode, p.coding = after, coder(q), q.query.Get("encoding-type")
	var list []found[contents]
	if list, p.more, err = walk(p.listing, s.index.db, objectsOf(q.bucket), contentsOf); err != nil {
		return p, err
	}
	for _, f := range list {
		p.last = f.name
		if f.common {
			p.prefixes = append(p.prefixes, commonPrefix{p.encode(f.name)})
			continue
		}
		f.value.Key, f.value.Owner = p.encode(f.name), who
		p.keys = append(p.keys, f.value)
	}
	return p, nil
}

func (s *Server) listObjects(w http.ResponseWriter, q *request) error {
	switch q.query.Get("list-type") {
	case "2":
		return s.listObjects2(w, q)
	case "":
		return s.listObjects1(w, q)
	}
	return errInvalidArgument.with("list-type must be 2")
}

func (s *Server) listObjects1(w http.ResponseWriter, q *request) error {
	p, err := s.page(q, q.query.Get("marker"), &account)
	if err != nil {
		return err
	}
	var out struct {
		XMLName        xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListBucketResult"`
		Name           string
		Prefix         string `xml:",omitempty"`
		Marker         string `xml:",omitempty"`
		NextMarker     string `xml:",omitempty"`
		MaxKeys        int
		Delimiter      string `xml:",omitempty"`
		EncodingType   string `xml:",omitempty"`
		IsTruncated    bool
		Contents       []contents
		CommonPrefixes []commonPrefix
	}
	out.Name, out.Prefix, out.Marker, out.MaxKeys, out.Delimiter = q.bucket, p.encode(p.prefix), p.encode(p.after), p.most, p.encode(p.delimiter)
	out.EncodingType, out.IsTruncated, out.Contents, out.CommonPrefixes = p.coding, p.more, p.keys, p.prefixes
	if p.more {
		out.NextMarker = p.encode(p.last)
	}
	return s.reply(w, q.Request, http.StatusOK, out)
}

func (s *Server) listObjects2(w http.ResponseWriter, q *request) error {
	after, token := q.query.Get("start-after"), q.query.Get("continuation-token")
	if q.query.Has("continuation-token") {
		b, err := base64.RawURLEncoding.DecodeString(token)
		if err != nil || len(b) == 0 || len(b) > maxKey+8 || !utf8.Valid(b) {
			return errInvalidArgument.with("The continuation token provided is incorrect")
		}
		after = string(b)
	}
	var who *owner
	if strings.EqualFold(q.query.Get("fetch-owner"), "true") {
		who = &account
	}
	p, err := s.page(q, after, who)
	if err != nil {
		return err
	}
	var out struct {
		XMLName               xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListBucketResult"`
		Name                  string
		Prefix                string `xml:",omitempty"`
		StartAfter            string `xml:",omitempty"`
		ContinuationToken     string `xml:",omitempty"`
		NextContinuationToken string `xml:",omitempty"`
		KeyCount              int
		MaxKeys               int
		Delimiter             string `xml:",omitempty"`
		EncodingType          string `xml:",omitempty"`
		IsTruncated           bool
		Contents              []contents
		CommonPrefixes        []commonPrefix
	}
	out.Name, out.Prefix, out.Delimiter, out.MaxKeys, out.KeyCount = q.bucket, p.encode(p.prefix), p.encode(p.delimiter), p.most, len(p.keys)+len(p.prefixes)
	out.StartAfter, out.ContinuationToken = p.encode(q.query.Get("start-after")), token
	out.EncodingType, out.IsTruncated, out.Contents, out.CommonPrefixes = p.coding, p.more, p.keys, p.prefixes
	if p.more {
		out.NextContinuationToken = base64.RawURLEncoding.EncodeToString([]byte(p.last))
	}
	return s.reply(w, q.Request, http.StatusOK, out)
}

// listVersions lists the one version, null, that each key has.
func (s *Server) listVersions(w http.ResponseWriter, q *request) error {
	p, err := s.page(q, q.query.Get("key-marker"), &account)
	if err != nil {
		return err
	}
	type version struct {
		contents
		VersionID string `xml:"VersionId"`
		IsLatest  bool
	}
	var out struct {
		XMLName         xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListVersionsResult"`
		Name            string
		Prefix          string
		KeyMarker       string
		VersionIDMarker string `xml:"VersionIdMarker"`
		NextKeyMarker   string `xml:",omitempty"`
		NextVersionID   string `xml:"NextVersionIdMarker,omitempty"`
		MaxKeys         int
		Delimiter       string `xml:",omitempty"`
		EncodingType    string `xml:",omitempty"`
		IsTruncated     bool
		Version         []version
		CommonPrefixes  []commonPrefix
	}
	out.Name, out.Prefix, out.KeyMarker, out.MaxKeys, out.Delimiter = q.bucket, p.encode(p.prefix), p.encode(p.after), p.most, p.encode(p.delimiter)
	out.EncodingType, out.IsTruncated, out.CommonPrefixes = p.coding, p.more, p.prefixes
	if p.more {
		out.NextKeyMarker, out.NextVersionID = p.encode(p.last), "null"
	}
	for _, k := range p.keys {
		out.Version = append(out.Version, version{k, "null", true})
	}
	return s.reply(w, q.Request, http.StatusOK, out)
}
