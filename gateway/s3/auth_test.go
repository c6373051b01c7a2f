package s3

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// The examples of "Authenticating Requests: Using the Authorization Header", "... Query
// Parameters" and "Signature Calculations ... Transferring Payload in Multiple Chunks" in the
// S3 API reference.
var (
	exampleKey  = Key{"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", []string{"*"}, true, ""}
	exampleTime = time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC)
)

func example(t *testing.T, method, target string, h ...string) *http.Request {
	t.Helper()
	r, err := http.NewRequest(method, "https://examplebucket.s3.amazonaws.com"+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = r.URL.Host
	for i := 0; i < len(h); i += 2 {
		r.Header.Set(h[i], h[i+1])
	}
	return r
}

func TestSignaturesOfTheSpecification(t *testing.T) {
	s := &Server{keys: newRing([]Key{exampleKey}), now: func() time.Time { return exampleTime }}
	const scope = "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
	get := func(headers string, signature string) *http.Request {
		return example(t, "GET", "/test.txt", "Range", "bytes=0-9", headerSha256, emptySha256, "X-Amz-Date", "20130524T000000Z",
			"Authorization", scope+"SignedHeaders="+headers+",Signature="+signature)
	}
	r := get("host;range;x-amz-content-sha256;x-amz-date", "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")
	if c, err := s.authenticate(r, r.URL.Query()); err != nil || c.key == nil || c.key.Access != exampleKey.Access {
		t.Error(c, err)
	}
	r = example(t, "PUT", "/test$file.text", "Date", "Fri, 24 May 2013 00:00:00 GMT", "X-Amz-Date", "20130524T000000Z", "X-Amz-Storage-Class", "REDUCED_REDUNDANCY",
		headerSha256, "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
		"Authorization", scope+"SignedHeaders=date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class,Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd")
	r.ContentLength = int64(len("Welcome to Amazon S3."))
	if _, err := s.authenticate(r, r.URL.Query()); err != nil {
		t.Error(err)
	}
	for _, target := range []string{"?lifecycle", "?max-keys=2&prefix=J"} {
		want := map[string]string{"?lifecycle": "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543", "?max-keys=2&prefix=J": "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"}[target]
		r = example(t, "GET", "/"+target, headerSha256, emptySha256, "X-Amz-Date", "20130524T000000Z",
			"Authorization", scope+"SignedHeaders=host;x-amz-content-sha256;x-amz-date,Signature="+want)
		if _, err := s.authenticate(r, r.URL.Query()); err != nil {
			t.Error(target, err)
		}
	}
	presigned := "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
	r = example(t, "GET", presigned)
	if c, err := s.authenticate(r, r.URL.Query()); err != nil || !c.presigned {
		t.Error(c, err)
	}
	// What was not signed must not pass.
	for what, r := range map[string]*http.Request{
		"another signature":  get("host;range;x-amz-content-sha256;x-amz-date", strings.Repeat("0", 64)),
		"host is not signed": get("range;x-amz-content-sha256;x-amz-date", "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
		"another path":       example(t, "GET", strings.Replace(presigned, "test", "best", 1)),
		"longer expiry":      example(t, "GET", strings.Replace(presigned, "86400", "96400", 1)),
		"another header":     example(t, "GET", presigned, "X-Amz-Meta-A", "b"),
	} {
		if _, err := s.authenticate(r, r.URL.Query()); err == nil {
			t.Error(what, "passes")
		}
	}
	s.now = func() time.Time { return exampleTime.Add(24*time.Hour + time.Second) }
	r = example(t, "GET", presigned)
	if _, err := s.authenticate(r, r.URL.Query()); !errors.Is(err, errExpired) {
		t.Error(err)
	}
	s.now = func() time.Time { return exampleTime.Add(16 * time.Minute) }
	r = get("host;range;x-amz-content-sha256;x-amz-date", "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")
	if _, err := s.authenticate(r, r.URL.Query()); !errors.Is(err, errSkewed) {
		t.Error(err)
	}
}

func TestChunkSignaturesOfTheSpecification(t *testing.T) {
	s := &Server{keys: newRing([]Key{exampleKey}), now: func() time.Time { return exampleTime }}
	r := example(t, "PUT", "/examplebucket/chunkObject.txt", "Content-Encoding", "aws-chunked", "Content-Length", "66824", headerSha256, streamingSigned,
		"X-Amz-Date", "20130524T000000Z", "X-Amz-Decoded-Content-Length", "66560", "X-Amz-Storage-Class", "REDUCED_REDUNDANCY",
		"Authorization", "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class,Signature=4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9")
	r.Host, r.ContentLength = "s3.amazonaws.com", 66824
	c, err := s.authenticate(r, r.URL.Query())
	if err != nil {
		t.Fatal(err)
	}
	body := "10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n" + strings.Repeat("a", 65536) + "\r\n" +
		"400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n" + strings.Repeat("a", 1024) + "\r\n" +
		"0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n\r\n"
	signer := *c.chunks
	got, err := io.ReadAll(newChunkReader(strings.NewReader(body), streamingSigned, &signer))
	if err != nil || string(got) != strings.Repeat("a", 66560) {
		t.Fatal(len(got), err)
	}
	for _, bad := range []string{
		strings.Repeat(body[:strings.Index(body, "400;")], 2) + body[strings.Index(body, "400;"):], // a chunk twice
		body[strings.Index(body, "400;"):], body[:strings.Index(body, "400;")] + body[strings.Index(body, "0;chunk-signature=b6c6"):],
		strings.Replace(body, "aaa\r\n400", "aab\r\n400", 1), strings.Replace(body, "b6c6", "b6c7", 1), strings.Replace(body, "400;", "401;", 1),
		body[:len(body)-4], body[:60000], strings.Replace(body, "400;chunk-signature=", "400;signature=", 1),
	} {
		signer := *c.chunks
		if _, err := io.ReadAll(newChunkReader(strings.NewReader(bad), streamingSigned, &signer)); err == nil {
			t.Error("a body that was changed passes")
		}
	}
}

func chunked(pieces ...string) string {
	var b strings.Builder
	for _, p := range pieces {
		fmt.Fprintf(&b, "%x\r\n%s\r\n", len(p), p)
	}
	return b.String() + "0\r\n"
}

func TestTrailersAreCompared(t *testing.T) {
	w := newWorld(t)
	w.must("PUT", "/photos", nil)
	sum := crc32.ChecksumIEEE([]byte("hello world"))
	right := base64.StdEncoding.EncodeToString([]byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)})
	put := func(body, length string) answer {
		return w.do("PUT", "/photos/one", []byte(body), headerSha256, streamingUnsignedTrailer, "X-Amz-Trailer", "x-amz-checksum-crc32",
			"X-Amz-Decoded-Content-Length", length, "Content-Encoding", "aws-chunked,br")
	}
	if a := put(chunked("hello ", "world")+"x-amz-checksum-crc32:"+right+"\r\n\r\n", "11"); a.status != 200 || a.header.Get("X-Amz-Checksum-Crc32") != right {
		t.Fatal(a)
	}
	get := w.must("GET", "/photos/one", nil, "X-Amz-Checksum-Mode", "ENABLED")
	if get.body != "hello world" || get.header.Get("X-Amz-Checksum-Crc32") != right || get.header.Get("Content-Encoding") != "br" {
		t.Fatal(get)
	}
	for _, c := range []struct{ body, length, code string }{
		{chunked("hello ", "World") + "x-amz-checksum-crc32:" + right + "\r\n\r\n", "11", "BadDigest"},
		{chunked("hello ", "world") + "\r\n", "11", "MalformedTrailerError"},
		{chunked("hello ", "world") + "x-amz-checksum-crc32:" + right + "\r\n\r\n", "12", "IncompleteBody"},
		{chunked("hello ", "world") + "x-amz-checksum-crc32:" + right + "\r\n\r\n", "10", "IncompleteBody"},
		{chunked("hello ", "world") + "x-amz-checksum-crc32:" + right + "\r\n\r\nmore", "11", "IncompleteBody"},
		{chunked("hello ", "world"), "11", "IncompleteBody"},
		{"zz\r\n", "11", "InvalidRequest"},
		{"fffffff\r\n", "11", "InvalidRequest"},
	} {
		if a := put(c.body, c.length); a.code() != c.code {
			t.Errorf("%q of %s: %d %s, want %s", c.body, c.length, a.status, a.code(), c.code)
		}
	}
	w.leases(1)
}

func TestABodyThatIsNotWhatTheRequestSaysIsRefused(t *testing.T) {
	w := newWorld(t)
	w.must("PUT", "/photos", nil)
	w.refused(400, "XAmzContentSHA256Mismatch", "PUT", "/photos/one", []byte("x"), headerSha256, emptySha256)
	w.refused(400, "BadDigest", "PUT", "/photos/one", []byte("x"), "Content-Md5", "1B2M2Y8AsgTpgAmY7PhCfg==")
	w.refused(400, "InvalidDigest", "PUT", "/photos/one", []byte("x"), "Content-Md5", "1B2M2Y8")
	w.refused(400, "BadDigest", "PUT", "/photos/one", []byte("x"), "X-Amz-Checksum-Crc32", "AAAAAA==")
	w.refused(400, "BadDigest", "PUT", "/photos/one", []byte("x"), "X-Amz-Checksum-Crc64nvme", "AAAAAAAAAAA=")
	w.refused(400, "InvalidRequest", "PUT", "/photos/one", []byte("x"), "X-Amz-Checksum-Sha1", "AAAA")
	w.refused(400, "InvalidRequest", "PUT", "/photos/one", []byte("x"), "X-Amz-Checksum-Crc9", "AAAA")
	w.must("PUT", "/photos/one", []byte("123456789"), "X-Amz-Checksum-Crc64nvme", "rosUhgp5mIg=") // the check value of CRC-64/NVME

	r := w.request("PUT", "/photos/two", []byte("short"))
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader("short")), 9
	if resp, err := http.DefaultClient.Do(r); err == nil {
		resp.Body.Close()
		t.Error("a body that is shorter than it was said to be", resp.Status)
	}
	w.refused(404, "NoSuchKey", "GET", "/photos/two", nil)
	w.leases(1)
}

func TestKeysMayDoWhatTheirLinesSay(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Public = []string{"public"} })
	w.must("PUT", "/photos", nil)
	w.must("PUT", "/public", nil)
	w.must("PUT", "/photos/one", []byte("1"))
	w.must("PUT", "/public/one", []byte("1"))
	w.key = viewer
	w.must("GET", "/photos/one", nil)
	w.refused(403, "AccessDenied", "GET", "/public/one", nil)
	w.refused(403, "AccessDenied", "PUT", "/photos/one", []byte("2"))
	w.refused(403, "AccessDenied", "DELETE", "/photos/one", nil)
	w.refused(403, "AccessDenied", "POST", "/photos?delete", []byte("<Delete/>"))
	if list := w.must("GET", "/", nil); !strings.Contains(list.body, "photos") || strings.Contains(list.body, "public") {
		t.Error(list.body)
	}
	w.key = Key{Access: "NOBODY", Secret: "0123456789abcdef"}
	w.refused(403, "InvalidAccessKeyId", "GET", "/photos/one", nil)
	w.key = Key{Access: full.Access, Secret: "0123456789abcdef"}
	w.refused(403, "SignatureDoesNotMatch", "GET", "/photos/one", nil)

	plain := func(method, target string) answer {
		r, err := http.NewRequest(method, w.http.URL+target, nil)
		if err != nil {
			t.Fatal(err)
		}
		return w.send(r)
	}
	for target, want := range map[string]int{"/public/one": 200, "/public": 200, "/photos/one": 403, "/photos": 403, "/": 403, "/public?acl": 403, "/public/one?response-content-type=text/html": 400} {
		if a := plain("GET", target); a.status != want {
			t.Errorf("%s: %d, want %d", target, a.status, want)
		}
	}
	for _, method := range []string{"PUT", "DELETE", "POST"} {
		if a := plain(method, "/public/one"); a.status < 400 {
			t.Errorf("%s without a signature: %d", method, a.status)
		}
	}
	if a := plain("PUT", "/another"); a.status != 403 {
		t.Error(a)
	}
}

func TestPresignedURLs(t *testing.T) {
	w := newWorld(t)
	w.must("PUT", "/photos", nil)
	r, err := http.NewRequest("PUT", w.http.URL+"/photos/one?x-id=PutObject", strings.NewReader("presigned"))
	if err != nil {
		t.Fatal(err)
	}
	presign(r, full, time.Now(), time.Minute)
	if a := w.send(r); a.status != 200 {
		t.Fatal(a)
	}
	get := func(at time.Time, expires time.Duration) answer {
		r, err := http.NewRequest("GET", w.http.URL+"/photos/one", nil)
		if err != nil {
			t.Fatal(err)
		}
		presign(r, full, at, expires)
		return w.send(r)
	}
	if a := get(time.Now(), time.Minute); a.body != "presigned" {
		t.Error(a)
	}
	if a := get(time.Now().Add(-time.Hour), time.Minute); a.status != 403 {
		t.Error(a)
	}
	if a := get(time.Now().Add(time.Hour), time.Minute); a.status != 403 {
		t.Error(a)
	}
	if a := get(time.Now(), 8*24*time.Hour); a.code() != "AuthorizationQueryParametersError" {
		t.Error(a)
	}
}

func TestCRCsOfTwoStringsMakeThatOfBoth(t *testing.T) {
	a, b := bytes.Repeat([]byte("walrus"), 1000), bytes.Repeat([]byte("ice"), 12345)
	for _, k := range kinds {
		if k.crc == 0 {
			continue
		}
		sum := func(p []byte) uint64 {
			h := k.make()
			h.Write(p)
			return number(h.Sum(nil))
		}
		if got, want := k.combine(sum(a), sum(b), int64(len(b))), sum(append(append([]byte{}, a...), b...)); got != want {
			t.Errorf("%s: %x, want %x", k.name, got, want)
		}
	}
}

func FuzzChunks(f *testing.F) {
	f.Add([]byte(chunked("hello")+"x-amz-checksum-crc32:AAAAAA==\r\n\r\n"), true)
	f.Add([]byte(chunked("hello")+"\r\n"), false)
	f.Add([]byte("5;chunk-signature=00\r\nhello\r\n0;chunk-signature=00\r\n\r\n"), false)
	f.Fuzz(func(t *testing.T, b []byte, trailing bool) {
		payload := streamingSigned
		if trailing {
			payload = streamingUnsignedTrailer
		}
		got, err := io.ReadAll(newChunkReader(bytes.NewReader(b), payload, &chunkSigner{key: []byte("k")}))
		if len(got) > len(b) {
			t.Error("more than was sent")
		}
		if err == nil && !trailing {
			t.Error("a chunk passes without a signature")
		}
	})
}

func FuzzAuthorization(f *testing.F) {
	f.Add("AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=host;range,Signature=00", "a=b&X-Amz-Date=c")
	f.Add("", "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=aa")
	s := &Server{keys: newRing([]Key{exampleKey}), now: func() time.Time { return exampleTime }}
	f.Fuzz(func(t *testing.T, header, query string) {
		r := &http.Request{Method: "GET", URL: &url.URL{Path: "/x", RawQuery: query}, Header: http.Header{"X-Amz-Date": {"20130524T000000Z"}, headerSha256: {emptySha256}}}
		if header != "" {
			r.Header.Set("Authorization", header)
		}
		if c, err := s.authenticate(r, r.URL.Query()); err == nil && c.key != nil {
			t.Errorf("%q %q passes", header, query)
		}
	})
}

func FuzzRange(f *testing.F) {
	f.Add("bytes=0-9", int64(10))
	f.Add("bytes=-3", int64(0))
	f.Fuzz(func(t *testing.T, text string, size int64) {
		if size < 0 {
			return
		}
		offset, length, ok, err := parseRange(text, size)
		if ok && (err != nil || offset < 0 || length < 1 || offset > size-length) {
			t.Errorf("%q of %d: %d+%d", text, size, offset, length)
		}
	})
}

func FuzzKeys(f *testing.F) {
	f.Add([]byte(`{"keys":[{"access_key":"A","secret_key":"0123456789abcdef","buckets":["*"],"write":true}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		keys, err := ParseKeys(b)
		if err == nil && len(keys) == 0 {
			t.Error("no keys pass")
		}
	})
}
