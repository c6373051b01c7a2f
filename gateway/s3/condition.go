package s3

import (
	"net/http"
	"strings"
	"time"
)

// conditions are the headers under which a request is carried out. Prefix stands before
// their names: those of a copy's source begin with X-Amz-Copy-Source-.
type conditions struct {
	match, noneMatch        string
	modified, unmodified    time.Time
	hasModified, unmodifies bool
}

func conditionsOf(h http.Header, prefix string) conditions {
	c := conditions{match: h.Get(prefix + "If-Match"), noneMatch: h.Get(prefix + "If-None-Match")}
	var err error
	c.modified, err = http.ParseTime(h.Get(prefix + "If-Modified-Since"))
	c.hasModified = err == nil
	c.unmodified, err = http.ParseTime(h.Get(prefix + "If-Unmodified-Since"))
	c.unmodifies = err == nil
	return c
}

// matches says whether a list of entity tags has one.
func matches(list, etag string) bool {
	for _, one := range strings.Split(list, ",") {
		one = strings.Trim(strings.TrimPrefix(strings.TrimSpace(one), "W/"), `"`)
		if one == "*" || one == etag {
			return true
		}
	}
	return false
}

// check says whether an object that is there may be read, in the order of RFC 9110, 13.2.2.
func (c conditions) check(o object) error {
	// Times in headers have whole seconds.
	at := time.UnixMilli(o.Modified).Truncate(time.Second)
	switch {
	case c.match != "":
		if !matches(c.match, o.Content.ETag) {
			return errPrecondition
		}
	case c.unmodifies && at.After(c.unmodified):
		return errPrecondition
	}
	switch {
	case c.noneMatch != "":
		if matches(c.noneMatch, o.Content.ETag) {
			return errNotModified
		}
	case c.hasModified && !at.After(c.modified):
		return errNotModified
	}
	return nil
}

// writable says whether a key may be written whose object is old.
func (c conditions) writable(old object, there bool) error {
	if c.noneMatch != "" {
		if c.noneMatch != "*" || c.match != "" {
			return errNotImplemented.with("A header you provided implies functionality that is not implemented.")
		}
		if there {
			return errPrecondition
		}
	}
	if c.match != "" {
		if !there {
			return errNoKey
		}
		if !matches(c.match, old.Content.ETag) {
			return errPrecondition
		}
	}
	return nil
}
