package gateway

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/internal/world"
)

// A read of a whole blob fetches its bytes once: the content type is told from the first of them,
// before the status goes out.
func TestTheTypeIsToldFromTheAnswersOwnBytes(t *testing.T) {
	g := newRig(t, nil)
	for _, c := range []struct {
		body         []byte
		path, header string
		misses       int64
		kind         string
	}{
		{append([]byte("\x89PNG\r\n\x1a\n"), random(300_000, 60)...), "", "", 1, "image/png"},
		{append([]byte("\x89PNG\r\n\x1a\n"), random(300_000, 61)...), "", "bytes=0-299999", 1, "image/png"},
		{append([]byte("\x89PNG\r\n\x1a\n"), random(300_000, 62)...), "/byte-range?start=0&length=290000", "", 1, "image/png"},
		{append([]byte("\x89PNG\r\n\x1a\n"), random(300_000, 63)...), "/byte-range?start=1&length=290000", "", 2, "image/png"},
		{append([]byte("\x89PNG\r\n\x1a\n"), random(300_000, 64)...), "", "bytes=10-299999", 2, "image/png"},
		{[]byte("a"), "", "", 1, "text/plain; charset=utf-8"},
	} {
		out, err := g.c.Store(t.Context(), g.w.Wallet, world.Bytes(c.body), client.StoreOptions{Epochs: 1})
		if err != nil {
			t.Fatal(err)
		}
		before := g.s.o.Reader.Stats().Misses
		var header []string
		if c.header != "" {
			header = []string{"Range", c.header}
		}
		a := g.get("/v1/blobs/"+out.ID.Base64()+c.path, header...)
		if a.StatusCode/100 != 2 || a.Header.Get("Content-Type") != c.kind || len(a.body) == 0 {
			t.Errorf("%q %q: %d %v, %d bytes", c.path, c.header, a.StatusCode, a.Header, len(a.body))
		}
		if n := g.s.o.Reader.Stats().Misses - before; n != c.misses {
			t.Errorf("%q %q: %d pieces were fetched, want %d", c.path, c.header, n, c.misses)
		}
	}
}

// However the first bytes come, the type is told once, of all of them, and nothing is lost.
func TestAStreamHoldsBackWhatTellsItsType(t *testing.T) {
	body := random(5_000, 65)
	for _, size := range []int{1, 100, sniffed - 1, sniffed, sniffed + 1, 5_000} {
		r, told := httptest.NewRecorder(), 0
		s := &stream{w: r, c: http.NewResponseController(r), code: 206}
		s.sniffs(sniffed, func(head []byte) {
			told++
			if s.begun || !bytes.Equal(head, body[:sniffed]) {
				t.Errorf("%d at a time: told of %d bytes, begun: %t", size, len(head), s.begun)
			}
			r.Header().Set("Content-Type", "x/y")
		})
		for chunk := range slices.Chunk(body, size) {
			if n, err := s.Write(chunk); n != len(chunk) || err != nil {
				t.Fatal(n, err)
			}
		}
		if told != 1 || r.Code != 206 || r.Result().Header.Get("Content-Type") != "x/y" || !bytes.Equal(r.Body.Bytes(), body) {
			t.Errorf("%d at a time: told %d times; %d, %d bytes", size, told, r.Code, r.Body.Len())
		}
	}
}

// Reads of all forms give the same bytes, with headers that caches and browsers need.
func TestReads(t *testing.T) {
	g := newRig(t, nil)
	body := random(1_000_000, 3)
	id := g.stored(body)
	parsed, _ := blob.ParseID(id)
	for _, path := range []string{"/v1/blobs/" + id, "/v1/blobs/" + parsed.String(), "/v1/blobs/" + objectID(parsed), "/v1/blobs/by-object-id/" + objectID(parsed), "/v1alpha/blobs/" + id + "/stream", "/v1/blobs/" + id + "?cb=17"} {
		a := g.get(path)
		h := a.Header
		if a.StatusCode != 200 || !bytes.Equal(a.body, body) || h.Get("ETag") != `"`+id+`"` || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Accept-Ranges") != "bytes" ||
			!strings.Contains(h.Get("Content-Security-Policy"), "sandbox") || h.Get("Content-Length") != "1000000" || !strings.HasPrefix(h.Get("Cache-Control"), "public, max-age=86400") || h.Get("Content-Type") != opaque {
			t.Errorf("%s: %d %v", path, a.StatusCode, h)
		}
		head := g.do(g.request("HEAD", path, nil))
		if head.StatusCode != 200 || len(head.body) > 0 || head.Header.Get("Content-Length") != "1000000" || head.Header.Get("ETag") != h.Get("ETag") {
			t.Errorf("HEAD %s: %d %v", path, head.StatusCode, head.Header)
		}
	}
	for header, want := range map[string][2]int{"bytes=0-0": {0, 1}, "bytes=5-": {5, 999_995}, "bytes=-7": {999_993, 7}, "bytes=0-": {0, 1_000_000}, "bytes=999999-2000000": {999_999, 1}, "Bytes=10-19": {10, 10}, "bytes=-2000000": {0, 1_000_000}} {
		a := g.get("/v1/blobs/"+id, "Range", header)
		if a.StatusCode != 206 || !bytes.Equal(a.body, body[want[0]:want[0]+want[1]]) || a.Header.Get("Content-Range") != fmt.Sprintf("bytes %d-%d/1000000", want[0], want[0]+want[1]-1) {
			t.Errorf("%s: %d %v, %d bytes", header, a.StatusCode, a.Header.Get("Content-Range"), len(a.body))
		}
	}
	for _, header := range []string{"bytes=0-1,5-6", "lines=1-2"} {
		if a := g.get("/v1/blobs/"+id, "Range", header); a.StatusCode != 200 || len(a.body) != len(body) {
			t.Errorf("%s: %d", header, a.StatusCode)
		}
	}
	for _, header := range []string{"bytes=5-4", "bytes=1000000-", "bytes=x", "bytes=--1", "bytes=-0", "bytes", "bytes=+1-2", "bytes=1- 2", "bytes=99999999999999999999-"} {
		a := g.get("/v1/blobs/"+id, "Range", header)
		g.want(a, 416, "INVALID_BYTE_RANGE")
		if a.Header.Get("Content-Range") != "bytes */1000000" || a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("ETag") != "" {
			t.Errorf("%s: %v", header, a.Header)
		}
	}
	etag := `"` + id + `"`
	for _, c := range []struct {
		name, value string
		code        int
	}{{"If-None-Match", etag, 304}, {"If-None-Match", id, 304}, {"If-None-Match", `W/"x", W/` + etag, 304}, {"If-None-Match", "*", 304}, {"If-None-Match", `"x"`, 200},
		{"If-Match", etag, 200}, {"If-Match", `"x"`, 412}, {"If-Match", "W/" + etag, 412}} {
		if a := g.get("/v1/blobs/"+id, c.name, c.value); a.StatusCode != c.code {
			t.Errorf("%s: %s: %d, want %d", c.name, c.value, a.StatusCode, c.code)
		}
	}
	for value, code := range map[string]int{etag: 206, `"x"`: 200, "Sat, 28 Nov 2026 15:00:00 GMT": 200} {
		if a := g.get("/v1/blobs/"+id, "If-Range", value, "Range", "bytes=0-9"); a.StatusCode != code {
			t.Errorf("If-Range: %s: %d, want %d", value, a.StatusCode, code)
		}
	}
	a := g.get("/v1/blobs/" + id + "/byte-range?start=10&length=20")
	if a.StatusCode != 200 || !bytes.Equal(a.body, body[10:30]) || a.Header.Get("ETag") != `"`+id+`-10-20"` {
		t.Errorf("%d %v", a.StatusCode, a.Header)
	}
	for _, q := range []string{"", "start=1", "start=1&length=0", "start=-1&length=5", "start=1000000&length=1", "start=0&length=1000001", "start=9223372036854775807&length=9223372036854775807", "start=1&start=2&length=3"} {
		g.want(g.get("/v1/blobs/"+id+"/byte-range?"+q), 400, "INVALID_BYTE_RANGE")
	}
	joined := append(append([]byte(nil), body...), body...)
	if a := g.get("/v1alpha/blobs/concat?ids=" + id + "," + objectID(parsed)); a.StatusCode != 200 || !bytes.Equal(a.body, joined) {
		t.Errorf("concat: %d, %d bytes", a.StatusCode, len(a.body))
	}
	post := g.request("POST", "/v1alpha/blobs/concat", strings.NewReader(`{"ids":["`+id+`","`+id+`"]}`))
	post.Header.Set("Content-Type", "application/json")
	if a := g.do(post); a.StatusCode != 200 || !bytes.Equal(a.body, joined) {
		t.Errorf("concat by POST: %d, %d bytes", a.StatusCode, len(a.body))
	}
	g.want(g.get("/v1alpha/blobs/concat"), 400, "MALFORMED_REQUEST")
	g.want(g.get("/v1alpha/blobs/concat?ids=x"), 400, "INVALID_ID_FORMAT")
	g.want(g.get("/v1/blobs/"+strings.Repeat("A", 43)), 404, "BLOB_NOT_FOUND")
	g.want(g.get("/v1/blobs/short"), 400, "INVALID_ID_FORMAT")
	g.want(g.get("/v1/blobs/%2e%2e%2f%2e%2e"), 400, "INVALID_ID_FORMAT")
	g.want(g.get("/v1/blobs/"+id+"?strict_consistency_check=true&skip_consistency_check=true"), 400, "INVALID_CONSISTENCY_CHECK")
	g.want(g.get("/v1/blobs/"+id+"/nothing"), 404, "NO_SUCH_ROUTE")
	g.want(g.do(g.request("POST", "/v1/blobs/"+id, nil)), 405, "METHOD_NOT_ALLOWED")
	g.want(g.get("/v1/blob-upload-relay"), 404, "NO_UPLOAD_RELAY")
}

// A client that takes the whole of a blob and gets an error after the first byte sees its
// connection break off, never a short answer that looks whole; without a length, too.
func TestALateErrorBreaksTheConnection(t *testing.T) {
	g := newRig(t, nil)
	s := httptest.NewServer(g.s.serve(route{"/", "x", map[string]handle{"": func(w http.ResponseWriter, r *http.Request) error {
		out := &stream{w: w, c: http.NewResponseController(w), code: 200}
		out.Write(make([]byte, 100_000))
		return io.ErrUnexpectedEOF
	}}}))
	defer s.Close()
	resp, err := http.Get(s.URL)
	if err == nil {
		_, err = io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	if err == nil {
		t.Error("a short answer looks whole")
	}
}

// Bytes of users are given types that no browser runs, the same for each range.
func TestBytesOfUsersDoNotRun(t *testing.T) {
	g := newRig(t, nil)
	for body, want := range map[string]string{
		"<!doctype html><script>alert(1)</script>": opaque, "<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>": "text/plain; charset=utf-8", "<?xml version='1.0'?><svg/>": opaque,
		"\x89PNG\r\n\x1a\n1234": "image/png", "GIF89a1": "image/gif", "plain words": "text/plain; charset=utf-8", "%PDF-1.4": "application/pdf", "\x1f\x8b\x08": opaque, "": "text/plain; charset=utf-8",
	} {
		id := g.stored([]byte(body))
		for _, header := range []string{"", "bytes=3-"} {
			if a := g.get("/v1/blobs/"+id, "Range", header); a.Header.Get("Content-Type") != want && a.StatusCode < 400 || !strings.Contains(a.Header.Get("Content-Security-Policy"), "sandbox") && a.StatusCode < 400 {
				t.Errorf("%q %s: %s", body, header, a.Header.Get("Content-Type"))
			}
		}
	}
}
