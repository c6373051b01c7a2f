package gateway

import (
	"strings"
	"testing"
)

func FuzzParseRange(f *testing.F) {
	for _, s := range []string{"bytes=0-1", "bytes=-5", "bytes=5-", "bytes=1-2,3-4", "bytes", ""} {
		f.Add(s, int64(10))
	}
	f.Fuzz(func(t *testing.T, header string, size int64) {
		if size < 0 {
			return
		}
		s, ok, err := parseRange(header, size)
		if ok && (err != nil || s.start < 0 || s.length <= 0 || s.length > size-s.start) {
			t.Errorf("%q of %d: %+v %v", header, size, s, err)
		}
	})
}

func FuzzParseTags(f *testing.F) {
	f.Add([]byte(`[{"identifier":"a","tags":{"b":"c","d":[1, 2]}}]`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		tags, err := parseTags(raw)
		if err != nil && tags != nil {
			t.Error("an error with tags")
		}
	})
}

func FuzzParseTerms(f *testing.F) {
	f.Add("epochs=5&permanent=true")
	s := &Server{o: Defaults()}
	f.Fuzz(func(t *testing.T, query string) {
		got, err := s.parseTerms(query)
		if err == nil && got.Epochs == 0 {
			t.Errorf("%q pays for nothing", query)
		}
	})
}

func FuzzPathIDs(f *testing.F) {
	f.Add("bafy")
	f.Add("0x" + strings.Repeat("1", 64))
	f.Add(strings.Repeat("A", 43))
	f.Fuzz(func(t *testing.T, s string) {
		if id, err := pathID(s); err == nil {
			for _, form := range []string{id.Base64(), id.String(), objectID(id)} {
				if again, err := parseID(form); err != nil || again != id {
					t.Errorf("%q: %s: %v", s, form, err)
				}
			}
		}
	})
}

func FuzzMatches(f *testing.F) {
	f.Add(`W/"a", "b"`, `"b"`)
	f.Fuzz(func(t *testing.T, list, etag string) { matches([]string{list}, etag, true) })
}
