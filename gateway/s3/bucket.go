package s3

import (
	"encoding/xml"
	"errors"
	"net/http"
	"strings"
	"time"
)

const namespace = "http://s3.amazonaws.com/doc/2006-03-01/"

// xmlTime is how S3 writes times in XML.
func xmlTime(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z") }

// owner is the account of the API. A gateway has one: its wallet pays.
type owner struct {
	ID          string
	DisplayName string
}

var account = owner{"walrus", "walrus"}

type bucketInfo struct {
	Name         string
	CreationDate string
}

func (s *Server) listBuckets(w http.ResponseWriter, q *request) error {
	var out struct {
		XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListAllMyBucketsResult"`
		Owner   owner
		Buckets struct {
			Bucket []bucketInfo
		}
		ContinuationToken string `xml:",omitempty"`
		Prefix            string `xml:",omitempty"`
	}
	const page = 10000
	most, err := q.count("max-buckets", page+1)
	if !q.query.Has("max-buckets") {
		most = page
	}
	if err != nil || most == 0 || most > page {
		return errInvalidArgument.with("Argument max-buckets must be an integer between 1 and 10000.")
	}
	out.Owner, out.Prefix = account, q.query.Get("prefix")
	after := q.query.Get("continuation-token")
	err = s.index.db.Each([]byte(prefixBucket), func(key, value []byte) error {
		var b bucket
		if err := decode(value, &b); err != nil {
			return err
		}
		name := string(key[1:])
		if !strings.HasPrefix(name, out.Prefix) || name <= after {
			return nil
		}
		if mine, err := s.may(q.caller.key, name, false); err != nil || !mine {
			return err
		}
		if len(out.Buckets.Bucket) == most {
			out.ContinuationToken = out.Buckets.Bucket[most-1].Name
			return errStop
		}
		out.Buckets.Bucket = append(out.Buckets.Bucket, bucketInfo{name, xmlTime(b.Created)})
		return nil
	})
	if err != nil && !errors.Is(err, errStop) {
		return err
	}
	return s.reply(w, q.Request, http.StatusOK, out)
}

// errStop ends a walk over the index.
var errStop = errors.New("enough")

func (s *Server) createBucket(w http.ResponseWriter, q *request) error {
	if err := aclOK(q.Header); err != nil {
		return err
	}
	if strings.EqualFold(q.Header.Get("X-Amz-Bucket-Object-Lock-Enabled"), "true") {
		return errNotImplemented.with("This gateway has no object lock.")
	}
	switch ownership := q.Header.Get("X-Amz-Object-Ownership"); ownership {
	case "", "BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter":
	default:
		return errInvalidArgument.with("Invalid x-amz-object-ownership header: %s", ownership)
	}
	var wanted struct {
		XMLName            xml.Name `xml:"CreateBucketConfiguration"`
		LocationConstraint string   // any: there is one place
		Tags               struct{ Tag []xmlTag }
	}
	if err := s.xmlBody(w, q, &wanted, true); err != nil {
		return err
	}
	tags, err := tagList(wanted.Tags.Tag, maxBucketTags)
	if err != nil {
		return err
	}
	err = s.index.change(q.Context(), func(c *change) error {
		_, there, err := c.Get(bucketKey(q.bucket))
		if err != nil {
			return err
		}
		if there { // perhaps since the caller was admitted
			if o, _, err := read[owned](c, ownerKey(q.bucket)); err != nil {
				return err
			} else if k := q.caller.key; !k.names(q.bucket) && o.Owner != k.Owner {
				return errBucketExists
			}
			return errBucketOwned
		}
		buckets := 0
		if err := s.index.db.EachKey([]byte(prefixBucket), func([]byte) error { buckets++; return nil }); err != nil {
			return err
		}
		if buckets >= s.o.MaxBuckets {
			return errTooManyBuckets
		}
		if owner := q.caller.key.Owner; owner != "" {
			if err := mayOwnMore(s.index.db, owner); err != nil {
				return err
			}
		}
		c.put(bucketKey(q.bucket), bucket{Created: s.now().UnixMilli(), Tags: tags})
		if owner := q.caller.key.Owner; owner != "" {
			c.put(ownerKey(q.bucket), owned{Owner: owner})
		}
		return nil
	})
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/"+q.bucket)
	w.Header().Set("X-Amz-Bucket-Arn", "arn:aws:s3:::"+q.bucket)
	w.WriteHeader(http.StatusOK)
	return nil
}

func (s *Server) headBucket(w http.ResponseWriter, q *request) error {
	w.Header().Set("X-Amz-Bucket-Region", region)
	w.WriteHeader(http.StatusOK)
	return nil
}

// deleteBucket deletes an empty bucket. Uploads that are neither complete nor aborted end
// with it.
func (s *Server) deleteBucket(w http.ResponseWriter, q *request) error {
	for {
		uploads, err := s.uploadsIn(q.bucket)
		if err != nil {
			return err
		}
		err = s.index.change(q.Context(), func(c *change) error { return dropBucket(c, q.bucket) })
		if !errors.Is(err, errUploads) {
			if err == nil {
				w.WriteHeader(http.StatusNoContent)
			}
			return err
		}
		for _, k := range uploads {
			_, key, id, _ := splitUpload(k)
			if err := s.dropUpload(q.Context(), q.bucket, key, id); err != nil && !errors.Is(err, errNoUpload) {
				return err
			}
		}
	}
}

// errUploads says that a bucket has uploads.
var errUploads = errors.New("the bucket has uploads")

// dropBucket drops a bucket without objects and uploads.
func dropBucket(c *change, name string) error {
	for _, prefix := range [][]byte{objectsOf(name), uploadsOf(name)} {
		found, err := c.any(prefix)
		if err != nil {
			return err
		}
		if found && prefix[0] == prefixObject[0] {
			return errBucketNotEmpty
		}
		if found {
			return errUploads
		}
	}
	if _, there, err := c.Get(bucketKey(name)); err != nil || !there {
		return errors.Join(err, errNoBucket)
	}
	for _, k := range [][]byte{bucketKey(name), ownerKey(name), lifecycleKey(name), corsKey(name)} {
		if _, there, err := c.Get(k); err != nil {
			return err
		} else if there {
			c.drop(k)
		}
	}
	return nil
}

// uploadsIn is the keys of a bucket's uploads, a thousand at most, if the bucket is otherwise
// empty.
func (s *Server) uploadsIn(name string) (keys [][]byte, err error) {
	err = s.index.db.EachKey(objectsOf(name), func([]byte) error { return errBucketNotEmpty })
	if err != nil {
		return nil, err
	}
	err = s.index.db.EachKey(uploadsOf(name), func(k []byte) error {
		if keys = append(keys, append([]byte(nil), k...)); len(keys) == 1000 {
			return errStop
		}
		return nil
	})
	if errors.Is(err, errStop) {
		err = nil
	}
	return keys, err
}

func (s *Server) getLocation(w http.ResponseWriter, q *request) error {
	// Empty stands for us-east-1.
	return s.reply(w, q.Request, http.StatusOK, struct {
		XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ LocationConstraint"`
	}{})
}

func (s *Server) getVersioning(w http.ResponseWriter, q *request) error {
	return s.reply(w, q.Request, http.StatusOK, struct {
		XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ VersioningConfiguration"`
	}{})
}

func (s *Server) getRequestPayment(w http.ResponseWriter, q *request) error {
	return s.reply(w, q.Request, http.StatusOK, struct {
		XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ RequestPaymentConfiguration"`
		Payer   string
	}{Payer: "BucketOwner"})
}

// absent answers that a bucket has no such configuration.
func absent(code, message string) operation {
	return reads(func(*Server, http.ResponseWriter, *request) error {
		return &failure{http.StatusNotFound, code, message}
	})
}

// empty answers with a configuration that says nothing.
func empty(name string) operation {
	return reads(func(s *Server, w http.ResponseWriter, q *request) error {
		return s.reply(w, q.Request, http.StatusOK, struct{ XMLName xml.Name }{xml.Name{Space: namespace, Local: name}})
	})
}

// Bounds of documents in bodies. In memory a document takes ten times its bytes and more.
const (
	maxXML   = 4 << 20  // bytes: the list of 10,000 parts with checksums has about 2.5 MB
	shortXML = 64 << 10 // bytes of one that is not counted
	allXML   = 16 << 20 // bytes of those that are read at once
)

// xmlBody reads a document from the body.
func (s *Server) xmlBody(w http.ResponseWriter, q *request, into any, optional bool) error {
	if optional && q.ContentLength == 0 {
		return nil
	}
	b, err := s.newBody(w, q.Request, q.caller, nil)
	if err != nil {
		return err
	}
	if b.length > maxXML {
		return errMalformedXML.with("The body has %d bytes, at most %d are taken.", b.length, maxXML)
	}
	if b.length > shortXML {
		if !s.documents.TryAcquire(b.length) {
			return errTooManyXML
		}
		defer s.documents.Release(b.length)
	}
	text, err := b.all(maxXML)
	if err != nil {
		return err
	}
	if optional && len(text) == 0 {
		return nil
	}
	if err := xml.Unmarshal(text, into); err != nil {
		return errMalformedXML
	}
	return nil
}

// ensureBucket is part of a change that makes something in a bucket.
func ensureBucket(c *change, name string) error {
	_, there, err := c.Get(bucketKey(name))
	if err == nil && !there {
		err = errNoBucket
	}
	return err
}
