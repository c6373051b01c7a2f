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

// found is a key with its value, or a common prefix.
type found struct {
	name   string
	value  []byte
	common bool
}

// list walks over the keys of a bucket of the index that follow space. more says that
// others follow.
func (l listing) list(db *kv.DB, space []byte) (out []found, more bool, err error) {
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
					f := found{name: name, common: common}
					if !common {
						f.value = bytes.Clone(value)
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

func entries(list []found, encode func(string) string, who *owner) (keys []contents, prefixes []commonPrefix, err error) {
	for _, f := range list {
		if f.common {
			prefixes = append(prefixes, commonPrefix{encode(f.name)})
			continue
		}
		var o object
		if err := decode(f.value, &o); err != nil {
			return nil, nil, err
		}
		keys = append(keys, contents{
			Key: encode(f.name), LastModified: xmlTime(o.Modified), ETag: quote + o.Content.ETag + quote, Size: o.Content.Size,
			ChecksumAlgorithm: o.Content.Sum.Kind, ChecksumType: o.Content.Sum.Type, StorageClass: "STANDARD", Owner: who,
		})
	}
	return keys, prefixes, nil
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
	l, err := listingOf(q)
	if err != nil {
		return err
	}
	if l.most, err = q.count("max-keys", maxList); err != nil {
		return err
	}
	l.after = q.query.Get("marker")
	list, more, err := l.list(s.index.db, objectsOf(q.bucket))
	if err != nil {
		return err
	}
	encode := coder(q)
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
	out.Name, out.Prefix, out.Marker, out.MaxKeys, out.Delimiter = q.bucket, encode(l.prefix), encode(l.after), l.most, encode(l.delimiter)
	out.EncodingType, out.IsTruncated = q.query.Get("encoding-type"), more
	if more {
		out.NextMarker = encode(list[len(list)-1].name)
	}
	if out.Contents, out.CommonPrefixes, err = entries(list, encode, &account); err != nil {
		return err
	}
	return s.reply(w, q.Request, http.StatusOK, out)
}

func (s *Server) listObjects2(w http.ResponseWriter, q *request) error {
	l, err := listingOf(q)
	if err != nil {
		return err
	}
	if l.most, err = q.count("max-keys", maxList); err != nil {
		return err
	}
	l.after = q.query.Get("start-after")
	token := q.query.Get("continuation-token")
	if q.query.Has("continuation-token") {
		b, err := base64.RawURLEncoding.DecodeString(token)
		if err != nil || len(b) == 0 || len(b) > maxKey+8 || !utf8.Valid(b) {
			return errInvalidArgument.with("The continuation token provided is incorrect")
		}
		l.after = string(b)
	}
	list, more, err := l.list(s.index.db, objectsOf(q.bucket))
	if err != nil {
		return err
	}
	encode := coder(q)
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
	out.Name, out.Prefix, out.Delimiter, out.MaxKeys, out.KeyCount = q.bucket, encode(l.prefix), encode(l.delimiter), l.most, len(list)
	out.StartAfter, out.ContinuationToken = encode(q.query.Get("start-after")), token
	out.EncodingType, out.IsTruncated = q.query.Get("encoding-type"), more
	if more {
		out.NextContinuationToken = base64.RawURLEncoding.EncodeToString([]byte(list[len(list)-1].name))
	}
	var who *owner
	if strings.EqualFold(q.query.Get("fetch-owner"), "true") {
		who = &account
	}
	if out.Contents, out.CommonPrefixes, err = entries(list, encode, who); err != nil {
		return err
	}
	return s.reply(w, q.Request, http.StatusOK, out)
}

// listVersions lists the one version, null, that each key has.
func (s *Server) listVersions(w http.ResponseWriter, q *request) error {
	l, err := listingOf(q)
	if err != nil {
		return err
	}
	if l.most, err = q.count("max-keys", maxList); err != nil {
		return err
	}
	l.after = q.query.Get("key-marker")
	list, more, err := l.list(s.index.db, objectsOf(q.bucket))
	if err != nil {
		return err
	}
	encode := coder(q)
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
	out.Name, out.Prefix, out.KeyMarker, out.MaxKeys, out.Delimiter = q.bucket, encode(l.prefix), encode(l.after), l.most, encode(l.delimiter)
	out.EncodingType, out.IsTruncated = q.query.Get("encoding-type"), more
	if more {
		out.NextKeyMarker, out.NextVersionID = encode(list[len(list)-1].name), "null"
	}
	keys, prefixes, err := entries(list, encode, &account)
	if err != nil {
		return err
	}
	for _, k := range keys {
		out.Version = append(out.Version, version{k, "null", true})
	}
	out.CommonPrefixes = prefixes
	return s.reply(w, q.Request, http.StatusOK, out)
}
