package s3

import (
	"encoding/xml"
	"net/url"
	"slices"
	"strings"
	"testing"
)

type listed struct {
	Contents []struct {
		Key  string
		ETag string
		Size int64
	}
	CommonPrefixes        []struct{ Prefix string }
	IsTruncated           bool
	NextContinuationToken string
	NextMarker            string
	KeyCount              int
}

func (w *world) list(bucket string, pairs ...string) (l listed, names []string) {
	w.Helper()
	a := w.must("GET", "/"+bucket+"?"+query(pairs...), nil)
	if err := xml.Unmarshal([]byte(a.body), &l); err != nil {
		w.Fatal(err)
	}
	for _, c := range l.Contents {
		names = append(names, c.Key)
	}
	for _, p := range l.CommonPrefixes {
		names = append(names, p.Prefix)
	}
	return l, names
}

func TestListsAreWholeHoweverTheyAreCut(t *testing.T) {
	w := newWorld(t)
	w.must("PUT", "/photos", nil)
	keys := []string{"a", "a b", "b/1", "b/2", "b/c/3", "b0", "c/1", "z&<", "€/1"}
	for _, k := range keys {
		w.must("PUT", "/photos/"+escape(k, true), []byte("x"))
	}
	if _, names := w.list("photos"); !slices.Equal(names, keys) {
		t.Error(names)
	}
	if _, names := w.list("photos", "encoding-type", "url"); names[1] != "a%20b" || names[7] != "z%26%3C" {
		t.Error(names)
	}
	want := []string{"a", "a b", "b/", "b0", "c/", "z&<", "€/"}
	for _, most := range []string{"1", "2", "3", "100"} {
		var names []string
		token := ""
		for {
			pairs := []string{"list-type", "2", "delimiter", "/", "max-keys", most}
			if token != "" {
				pairs = append(pairs, "continuation-token", token)
			}
			l, some := w.list("photos", pairs...)
			if l.KeyCount != len(some) {
				t.Error(l.KeyCount, some)
			}
			names = append(names, some...)
			if !l.IsTruncated {
				break
			}
			token = l.NextContinuationToken
		}
		slices.Sort(names)
		if !slices.Equal(names, want) {
			t.Errorf("%s at once: %q", most, names)
		}
		names = nil
		marker := ""
		for {
			l, some := w.list("photos", "delimiter", "/", "max-keys", most, "marker", marker)
			names = append(names, some...)
			if !l.IsTruncated {
				break
			}
			marker = l.NextMarker
		}
		slices.Sort(names)
		if !slices.Equal(names, want) {
			t.Errorf("version 1, %s at once: %q", most, names)
		}
	}
	if _, names := w.list("photos", "list-type", "2", "prefix", "b/", "delimiter", "/"); !slices.Equal(names, []string{"b/1", "b/2", "b/c/"}) {
		t.Error(names)
	}
	if _, names := w.list("photos", "list-type", "2", "start-after", "b/2"); names[0] != "b/c/3" {
		t.Error(names)
	}
	if l, names := w.list("photos", "max-keys", "0"); len(names) != 0 || l.IsTruncated {
		t.Error(names)
	}
	w.refused(400, "InvalidArgument", "GET", "/photos?max-keys=-1", nil)
	w.refused(400, "InvalidArgument", "GET", "/photos?list-type=2&continuation-token=%21", nil)
	w.refused(400, "InvalidArgument", "GET", "/photos?prefix=%00", nil)
	if a := w.must("GET", "/photos?versions", nil); strings.Count(a.body, "<VersionId>null</VersionId>") != len(keys) {
		t.Error(a.body)
	}
}

func TestBucketsTellWhatClientsAskThem(t *testing.T) {
	w := newWorld(t)
	w.refused(404, "NoSuchBucket", "GET", "/photos", nil)
	w.must("PUT", "/photos", []byte(`<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>`))
	w.refused(409, "BucketAlreadyOwnedByYou", "PUT", "/photos", nil)
	for _, c := range []struct{ query, want string }{
		{"location", "<LocationConstraint"}, {"versioning", "<VersioningConfiguration"}, {"acl", "FULL_CONTROL"}, {"requestPayment", "BucketOwner"},
	} {
		if a := w.must("GET", "/photos?"+c.query, nil); !strings.Contains(a.body, c.want) || strings.Contains(a.body, "Status") {
			t.Error(a.body)
		}
	}
	w.refused(404, "NoSuchBucketPolicy", "GET", "/photos?policy", nil)
	w.refused(404, "NoSuchTagSet", "GET", "/photos?tagging", nil)
	w.must("PUT", "/photos/x", []byte("x"), "X-Amz-Tagging", "a=b&c=d")
	if a := w.must("GET", "/photos/x?tagging", nil); !strings.Contains(a.body, "<Key>a</Key><Value>b</Value>") {
		t.Error(a.body)
	}
	w.must("DELETE", "/photos/x?tagging", nil)
	w.must("GET", "/photos/x", nil)
	if a := w.do("HEAD", "/photos", nil); a.status != 200 {
		t.Error(a)
	}
}

func FuzzList(f *testing.F) {
	f.Add("a", "/", "b")
	w := newDB(f)
	for _, k := range []string{"a/b", "a/c", "b", "c/d/e"} {
		if err := w.change(f.Context(), func(c *change) error { c.put(objectKey("photos", k), object{}); return nil }); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, prefix, delimiter, after string) {
		q := &request{query: url.Values{"prefix": {prefix}, "delimiter": {delimiter}, "marker": {after}}}
		l, err := listingOf(q)
		if err != nil {
			return
		}
		l.after, l.most = after, 1
		n := 0
		for last := ""; ; n++ {
			out, more, err := walk(l, w.db, objectsOf("photos"), contentsOf)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range out {
				if f.name <= last || !strings.HasPrefix(f.name, prefix) || n > 4 {
					t.Fatalf("%q after %q", f.name, last)
				}
				last, l.after = f.name, f.name
			}
			if !more {
				return
			}
		}
	})
}
