package s3

import (
	"encoding/xml"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A presigned URL is good for its request, and for no other.
func TestAPresignedURLIsGoodForItsRequestAlone(t *testing.T) {
	w := newWorld(t)
	w.must("PUT", "/photos", nil)
	w.must("PUT", "/photos/one", []byte("one"))
	w.must("PUT", "/photos/two", []byte("two"))
	for what, c := range map[string]struct {
		change func(*http.Request)
		code   string
	}{
		"as it was":          {func(*http.Request) {}, ""},
		"another key":        {func(r *http.Request) { r.URL.Path = "/photos/two" }, "SignatureDoesNotMatch"},
		"another method":     {func(r *http.Request) { r.Method = "DELETE" }, "SignatureDoesNotMatch"},
		"another host":       {func(r *http.Request) { r.Host = "photos.localhost" }, "SignatureDoesNotMatch"},
		"a subresource":      {func(r *http.Request) { r.URL.RawQuery += "&tagging" }, "SignatureDoesNotMatch"},
		"an answer's header": {func(r *http.Request) { r.URL.RawQuery += "&response-content-type=text/html" }, "SignatureDoesNotMatch"},
		"a longer life": {func(r *http.Request) {
			r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "Expires=60", "Expires=600", 1)
		}, "SignatureDoesNotMatch"},
		"a life twice":        {func(r *http.Request) { r.URL.RawQuery = "X-Amz-Expires=600&" + r.URL.RawQuery }, "SignatureDoesNotMatch"},
		"a header of S3":      {func(r *http.Request) { r.Header.Set("X-Amz-Copy-Source", "/photos/two") }, "AccessDenied"},
		"two ways of signing": {func(r *http.Request) { r.Header.Set("Authorization", "AWS4-HMAC-SHA256 x") }, "InvalidArgument"},
		"without its names": {func(r *http.Request) {
			r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "SignedHeaders=host", "SignedHeaders=", 1)
		}, "AuthorizationQueryParametersError"},
		"names that are less": {func(r *http.Request) {
			r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "SignedHeaders=host", "SignedHeaders=date", 1)
		}, "AccessDenied"},
		"a token":              {func(r *http.Request) { r.Header.Set("X-Amz-Security-Token", "x") }, "InvalidToken"},
		"a query that is none": {func(r *http.Request) { r.URL.RawQuery += "&%zz" }, "InvalidURI"},
	} {
		r, err := http.NewRequest("GET", w.http.URL+"/photos/one", nil)
		if err != nil {
			t.Fatal(err)
		}
		presign(r, full, time.Now(), time.Minute)
		c.change(r)
		a := w.send(r)
		if a.code() != c.code || c.code == "" && a.body != "one" {
			t.Errorf("%s: %d %s %s, want %s", what, a.status, a.code(), a.body, c.code)
		}
		if c.code == "AccessDenied" && what == "a header of S3" && !strings.Contains(a.body, "<HeadersNotSigned>x-amz-copy-source</HeadersNotSigned>") {
			t.Error(a.body)
		}
	}
}

// Keys are the bytes that the path has when it was decoded once.
func TestKeysAreDecodedOnce(t *testing.T) {
	w := newWorld(t)
	w.must("PUT", "/photos", nil)
	keys := map[string]string{
		"a%2Fb": "a/b", "a%252Fb": "a%2Fb", "a//b": "a//b", "..": "..", "a/../b": "a/../b", "%2e%2e/c": "../c", "a+b": "a+b", "a%2Bc": "a+c", "a%20b": "a b",
		"a;b": "a;b", "%3Facl": "?acl", "ü": "ü", "%C3%BC2": "ü2", "/": "/",
	}
	for path, key := range keys {
		w.must("PUT", "/photos/"+path, []byte(key))
	}
	_, names := w.list("photos")
	if len(names) != len(keys) {
		t.Errorf("%q", names)
	}
	for path, key := range keys {
		if a := w.must("GET", "/photos/"+path, nil); a.body != key {
			t.Errorf("%s: %q, want %q", path, a.body, key)
		}
		found := false
		for _, name := range names {
			found = found || name == key
		}
		if !found {
			t.Errorf("%q is not listed: %q", key, names)
		}
	}
	for _, path := range []string{"a%00b", "%ff"} {
		w.refused(400, "InvalidURI", "PUT", "/photos/"+path, []byte("x"))
	}
}

// The clock of a signature may be a quarter of an hour off, either way.
func TestASignatureIsGoodAroundItsTime(t *testing.T) {
	w := newWorld(t)
	w.must("PUT", "/photos", nil)
	for _, c := range []struct {
		off  time.Duration
		code string
	}{{-14 * time.Minute, ""}, {14 * time.Minute, ""}, {-16 * time.Minute, "RequestTimeTooSkewed"}, {16 * time.Minute, "RequestTimeTooSkewed"}} {
		w.at = func() time.Time { return time.Now().Add(c.off) }
		a := w.do("GET", "/photos", nil)
		if a.code() != c.code || c.code != "" && !strings.Contains(a.body, "<ServerTime>") {
			t.Errorf("%s off: %s", c.off, a.body)
		}
	}
}

func FuzzLifecycle(f *testing.F) {
	f.Add([]byte("<Rule><ID>a</ID><Status>Enabled</Status><Filter><And><Prefix>b</Prefix><Tag><Key>k</Key><Value>v</Value></Tag></And></Filter><Expiration><Days>1</Days></Expiration></Rule>"), int64(1764288000000))
	f.Add([]byte("<Rule><Status>Disabled</Status><Prefix/><Expiration><Date>2027-01-01</Date></Expiration></Rule>"), int64(-1))
	f.Fuzz(func(t *testing.T, b []byte, modified int64) {
		var x struct{ Rule []xmlRule }
		if xml.Unmarshal(append(append([]byte("<L>"), b...), "</L>"...), &x) != nil {
			return
		}
		for _, one := range x.Rule {
			r, err := one.rule()
			if err != nil {
				continue
			}
			again, err := r.xml().rule()
			if err != nil || again.ID != r.ID || again.Days != r.Days || again.Date != r.Date || again.Prefix != r.Prefix || again.Least != r.Least || again.Below != r.Below || len(again.Tags) != len(r.Tags) || again.Abort != r.Abort {
				t.Errorf("%+v is shown as %+v: %v", r, again, err)
			}
			l := lifecycle{Rules: []rule{r}}
			if at, _ := l.ends("key", object{Modified: modified}); !at.IsZero() && r.Days > 0 && at.Before(time.UnixMilli(modified)) {
				t.Errorf("an object of %d ends at %s", modified, at)
			}
		}
	})
}
