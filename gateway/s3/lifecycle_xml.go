package s3

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/xml"
	"net/http"
	"time"

	"github.com/walrus-network/walrus/canon"
)

type xmlFilter struct {
	Prefix                *string
	Tag                   []xmlTag `xml:",omitempty"`
	ObjectSizeGreaterThan *int64   `xml:",omitempty"`
	ObjectSizeLessThan    *int64   `xml:",omitempty"`
}

type xmlFilterOrAnd struct {
	xmlFilter
	And   *xmlFilter `xml:",omitempty"`
	Other []other    `xml:",any"`
}

type xmlExpiration struct {
	Days                      *int64  `xml:",omitempty"`
	Date                      *string `xml:",omitempty"`
	ExpiredObjectDeleteMarker *bool   `xml:",omitempty"`
	Other                     []other `xml:",any"`
}

type xmlAbort struct{ DaysAfterInitiation int64 }

type xmlRule struct {
	ID                             string
	Status                         string
	Prefix                         *string         `xml:",omitempty"`
	Filter                         *xmlFilterOrAnd `xml:",omitempty"`
	Expiration                     *xmlExpiration  `xml:",omitempty"`
	AbortIncompleteMultipartUpload *xmlAbort       `xml:",omitempty"`
	Other                          []other         `xml:",any"`
}

// other is an element that is not known.
type other struct{ XMLName xml.Name }

// unknown refuses elements that would be ignored.
func unknown(elements []other) error {
	for _, e := range elements {
		switch e.XMLName.Local {
		case "Transition", "NoncurrentVersionTransition", "NoncurrentVersionExpiration":
			return errNotImplemented.with("This gateway ends objects and uploads by a lifecycle; it has no storage classes and no versions, and so no %s.", e.XMLName.Local)
		}
	}
	if len(elements) > 0 {
		return errMalformedXML
	}
	return nil
}

// rule checks a rule of a document.
func (x xmlRule) rule() (r rule, err error) {
	if err := unknown(x.Other); err != nil {
		return r, err
	}
	r = rule{ID: x.ID, Enabled: x.Status == "Enabled", Legacy: x.Prefix != nil}
	if len(r.ID) > maxRuleID {
		return r, errInvalidArgument.with("ID length should not exceed allowed limit of %d", maxRuleID)
	}
	if r.ID == "" {
		b := make([]byte, 16)
		rand.Read(b) // never fails
		r.ID = hex.EncodeToString(b)
	}
	if !r.Enabled && x.Status != "Disabled" || (x.Prefix == nil) == (x.Filter == nil) {
		return r, errMalformedXML
	}
	if x.Prefix != nil {
		r.Prefix = *x.Prefix
	} else if err := r.filter(x.Filter); err != nil {
		return r, err
	}
	if err := r.end(x.Expiration); err != nil {
		return r, err
	}
	if a := x.AbortIncompleteMultipartUpload; a != nil {
		if r.Abort = a.DaysAfterInitiation; r.Abort < 1 || r.Abort > 1<<20 {
			return r, errInvalidArgument.with("'DaysAfterInitiation' for AbortIncompleteMultipartUpload action must be a positive integer")
		}
		if len(r.Tags) > 0 || r.Least > 0 || r.Below > 0 {
			return r, errBadRequest.with("AbortIncompleteMultipartUpload cannot be specified with Tags or sizes.")
		}
	}
	if r.Days == 0 && r.Date == 0 && r.Abort == 0 {
		return r, errBadRequest.with("At least one action needs to be specified in a rule.")
	}
	return r, nil
}

// filter checks which objects a rule is for.
func (r *rule) filter(x *xmlFilterOrAnd) error {
	if err := unknown(x.Other); err != nil {
		return err
	}
	f := x.xmlFilter
	conditions := len(f.Tag)
	for _, there := range []bool{f.Prefix != nil, f.ObjectSizeGreaterThan != nil, f.ObjectSizeLessThan != nil, x.And != nil} {
		if there {
			conditions++
		}
	}
	if conditions > 1 {
		return errMalformedXML // several stand in And
	}
	if x.And != nil {
		f = *x.And
	}
	if f.Prefix != nil {
		r.Prefix = *f.Prefix
	}
	var err error
	if r.Tags, err = tagList(f.Tag, maxTags); err != nil {
		return err
	}
	if n := f.ObjectSizeGreaterThan; n != nil {
		if *n < 0 || *n > maxObject {
			return errInvalidArgument.with("'ObjectSizeGreaterThan' must be 0 or more, and not larger than an object may be")
		}
		r.Least = *n + 1
	}
	if n := f.ObjectSizeLessThan; n != nil {
		if *n < 1 || *n <= r.Least {
			return errInvalidArgument.with("'ObjectSizeLessThan' must be more than 0, and more than 'ObjectSizeGreaterThan'")
		}
		r.Below = *n
	}
	return nil
}

// end checks when the objects of a rule end.
func (r *rule) end(x *xmlExpiration) error {
	if x == nil {
		return nil
	}
	if err := unknown(x.Other); err != nil {
		return err
	}
	switch {
	case x.ExpiredObjectDeleteMarker != nil:
		return errNotImplemented.with("This gateway has no versions, and so no ExpiredObjectDeleteMarker.")
	case (x.Days == nil) == (x.Date == nil):
		return errMalformedXML
	case x.Days != nil:
		if r.Days = *x.Days; r.Days < 1 || r.Days > 1<<20 {
			return errInvalidArgument.with("'Days' for Expiration action must be a positive integer")
		}
		return nil
	}
	at, err := time.Parse(time.RFC3339, *x.Date)
	if err != nil {
		at, err = time.Parse(time.DateOnly, *x.Date)
	}
	if err != nil {
		return errMalformedXML
	}
	if r.Date = at.Unix(); r.Date <= 0 || r.Date%int64(day/time.Second) != 0 {
		return errInvalidArgument.with("'Date' must be at midnight GMT")
	}
	return nil
}

func (s *Server) putLifecycle(w http.ResponseWriter, q *request) error {
	var doc struct {
		XMLName xml.Name `xml:"LifecycleConfiguration"`
		Rule    []xmlRule
		Other   []other `xml:",any"`
	}
	if err := s.xmlBody(w, q, &doc, false); err != nil {
		return err
	}
	if err := unknown(doc.Other); err != nil {
		return err
	}
	if len(doc.Rule) == 0 || len(doc.Rule) > maxRules {
		return errMalformedXML
	}
	var l lifecycle
	seen := map[string]bool{}
	for _, x := range doc.Rule {
		r, err := x.rule()
		if err != nil {
			return err
		}
		if seen[r.ID] {
			return errInvalidArgument.with("Rule ID must be unique. Found same ID for one or more rules")
		}
		seen[r.ID] = true
		l.Rules = append(l.Rules, r)
	}
	if n := len(canon.Encode(l)); n > maxLifecycle {
		return errBadRequest.with("The rules have %d bytes, at most %d are taken.", n, maxLifecycle)
	}
	err := s.index.change(q.Context(), func(c *change) error {
		c.put(lifecycleKey(q.bucket), l)
		return ensureBucket(c, q.bucket)
	})
	if err == nil {
		w.WriteHeader(http.StatusOK)
	}
	return err
}

func (s *Server) getLifecycle(w http.ResponseWriter, q *request) error {
	l, there, err := read[lifecycle](s.index.db, lifecycleKey(q.bucket))
	if err == nil && !there {
		err = &failure{http.StatusNotFound, "NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist"}
	}
	if err != nil {
		return err
	}
	var out struct {
		XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ LifecycleConfiguration"`
		Rule    []xmlRule
	}
	for _, r := range l.Rules {
		out.Rule = append(out.Rule, r.xml())
	}
	return s.reply(w, q.Request, http.StatusOK, out)
}

// xml is the rule as a client wrote it.
func (r rule) xml() xmlRule {
	x := xmlRule{ID: r.ID, Status: "Disabled"}
	if r.Enabled {
		x.Status = "Enabled"
	}
	if r.Legacy {
		x.Prefix = &r.Prefix
	} else {
		f := xmlFilter{}
		conditions := len(r.Tags)
		if r.Prefix != "" || len(r.Tags) == 0 && r.Least == 0 && r.Below == 0 {
			f.Prefix = &r.Prefix
			conditions++
		}
		for _, t := range r.Tags {
			f.Tag = append(f.Tag, xmlTag{t.Name, t.Value})
		}
		if r.Least > 0 {
			over := r.Least - 1
			f.ObjectSizeGreaterThan = &over
			conditions++
		}
		if r.Below > 0 {
			f.ObjectSizeLessThan = &r.Below
			conditions++
		}
		x.Filter = &xmlFilterOrAnd{xmlFilter: f}
		if conditions > 1 {
			x.Filter = &xmlFilterOrAnd{And: &f}
		}
	}
	switch {
	case r.Days > 0:
		x.Expiration = &xmlExpiration{Days: &r.Days}
	case r.Date > 0:
		at := xmlTime(r.Date * 1000)
		x.Expiration = &xmlExpiration{Date: &at}
	}
	if r.Abort > 0 {
		x.AbortIncompleteMultipartUpload = &xmlAbort{r.Abort}
	}
	return x
}

func (s *Server) deleteLifecycle(w http.ResponseWriter, q *request) error {
	return s.dropSetting(w, q, lifecycleKey(q.bucket))
}
