package gateway

import (
	"net/http"
	"strconv"
	"strings"
)

// span is bytes [start, start+length) of what is read.
type span struct{ start, length int64 }

// parseRange reads a Range header for something of size bytes. ok is false where all of it is
// to be sent: there is no header, it is of another unit, or it names several ranges, which a
// server may answer with the whole.
func parseRange(header string, size int64) (s span, ok bool, err error) {
	unit, spec, found := strings.Cut(header, "=")
	if header == "" || found && !strings.EqualFold(strings.TrimSpace(unit), "bytes") {
		return s, false, nil
	}
	if strings.Contains(spec, ",") {
		return s, false, nil
	}
	bad := refuse(416, "INVALID_BYTE_RANGE", "Range %q is not bytes=FIRST-LAST, bytes=FIRST- or bytes=-COUNT inside the %d bytes", clip(header), size).with("size", size)
	first, last, dash := strings.Cut(strings.TrimSpace(spec), "-")
	if !found || !dash {
		return s, false, bad
	}
	if first == "" {
		n, ok := digits(last)
		if !ok || n == 0 || size == 0 {
			return s, false, bad
		}
		n = min(n, size)
		return span{size - n, n}, true, nil
	}
	from, ok := digits(first)
	if !ok || from >= size {
		return s, false, bad
	}
	if last == "" {
		return span{from, size - from}, true, nil
	}
	to, ok := digits(last)
	if !ok || to < from {
		return s, false, bad
	}
	return span{from, min(to, size-1) - from + 1}, true, nil
}

// digits reads a number without a sign, space or overflow.
func digits(s string) (int64, bool) {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}

// unchanged says that a client has these bytes already: If-None-Match names their tag.
func unchanged(r *http.Request, etag string) bool {
	return matches(r.Header.Values("If-None-Match"), etag, true)
}

// otherThan says that a client wants the bytes only as it knows them, and they are others.
func otherThan(r *http.Request, etag string) bool {
	wanted := r.Header.Values("If-Match")
	return len(wanted) > 0 && !matches(wanted, etag, false)
}

// rangeCounts says whether the Range header holds for these bytes. What never changes has no
// date, so that only a tag can match.
func rangeCounts(r *http.Request, etag string) bool {
	wanted := r.Header.Get("If-Range")
	return wanted == "" || strings.TrimSpace(wanted) == etag || bareTag(wanted) == bareTag(etag)
}

// matches looks for a tag in lists of tags. Tags without quotes, as aggregators of Walrus give
// them out, are taken too.
func matches(lists []string, etag string, weak bool) bool {
	for _, list := range lists {
		for _, one := range strings.Split(list, ",") {
			one = strings.TrimSpace(one)
			if one == "*" {
				return true
			}
			if rest, is := strings.CutPrefix(one, "W/"); is {
				if !weak {
					continue
				}
				one = rest
			}
			if bareTag(one) == bareTag(etag) && one != "" {
				return true
			}
		}
	}
	return false
}

func bareTag(s string) string { return strings.Trim(strings.TrimSpace(s), `"`) }
