package s3

import (
	"strings"
	"time"
)

// Bounds of a bucket's lifecycle.
const (
	maxRules     = 1000
	maxRuleID    = 255
	maxLifecycle = 256 << 10 // bytes of the record
)

const day = 24 * time.Hour

// lifecycle is the rules of a bucket by which objects and uploads end.
type lifecycle struct {
	_     struct{} `cbor:",toarray"`
	Rules []rule
}

// rule is one of a lifecycle.
type rule struct {
	_       struct{} `cbor:",toarray"`
	ID      string
	Enabled bool
	Legacy  bool   // its prefix is no part of a filter
	Prefix  string // of the keys that it is for
	Tags    []pair // that an object has
	Least   int64  // bytes of an object
	Below   int64  // bytes which an object does not have; 0: any number
	Days    int64  // after which an object ends; 0: see Date
	Date    int64  // unix s, from which objects end; 0: they do not
	Abort   int64  // days after which an upload is aborted; 0: it is not
}

// matches says whether a rule is for an object.
func (r rule) matches(key string, size int64, tags []pair) bool {
	if !r.Enabled || !strings.HasPrefix(key, r.Prefix) || size < r.Least || r.Below > 0 && size >= r.Below {
		return false
	}
	has := map[pair]bool{}
	for _, t := range tags {
		has[t] = true
	}
	for _, t := range r.Tags {
		if !has[t] {
			return false
		}
	}
	return true
}

// afterDays is the midnight that follows a number of days after a time in ms.
func afterDays(from, days int64) time.Time {
	at := time.UnixMilli(from).UTC().Add(time.Duration(days) * day)
	midnight := at.Truncate(day)
	if midnight.Before(at) {
		midnight = midnight.Add(day)
	}
	return midnight
}

// ends says when an object ends, and by which rule. The zero time: by none.
func (l lifecycle) ends(key string, o object) (at time.Time, id string) {
	for _, r := range l.Rules {
		var end time.Time
		switch {
		case r.Days > 0:
			end = afterDays(o.Modified, r.Days)
		case r.Date > 0:
			end = time.Unix(r.Date, 0).UTC()
		default:
			continue
		}
		if (at.IsZero() || end.Before(at)) && r.matches(key, o.Content.Size, o.Tags) {
			at, id = end, r.ID
		}
	}
	return at, id
}

// aborts is ends for an upload.
func (l lifecycle) aborts(key string, initiated int64) (at time.Time, id string) {
	for _, r := range l.Rules {
		if end := afterDays(initiated, r.Abort); r.Abort > 0 && r.Enabled && strings.HasPrefix(key, r.Prefix) && (at.IsZero() || end.Before(at)) {
			at, id = end, r.ID
		}
	}
	return at, id
}
