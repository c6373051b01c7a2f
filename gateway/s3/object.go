package s3

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
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
	return s.keepBody(q, b, b.length, func(int64) error { return nil })
}

// keepBody is receive of a body whose length may not be known: -1. sized says whether its
// length is right.
func (s *Server) keepBody(q *request, b *body, declared int64, sized func(int64) error) (content, *placed, error) {
	spooled, err := s.storage.Spool(q.Context(), b, declared)
	if err != nil {
		return content{}, nil, storageFailure(err)
	}
	defer spooled.Close()
	if err := sized(spooled.Size()); err != nil {
		return content{}, nil, err
	}
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
	s.setExpiration(q.Context(), h, q, o)
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

// setExpiration tells when an object ends by its bucket's lifecycle, else when its first lease
// ends, which is renewed before.
func (s *Server) setExpiration(ctx context.Context, h http.Header, q *request, o object) {
	rules, _, err := read[lifecycle](s.index.db, lifecycleKey(q.bucket))
	if err != nil {
		return
	}
	if at, id := rules.ends(q.key, o); !at.IsZero() {
		h.Set("X-Amz-Expiration", `expiry-date="`+at.Format(http.TimeFormat)+`", rule-id="`+escape(id, false)+`"`)
		return
	}
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
