package s3

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
)

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
