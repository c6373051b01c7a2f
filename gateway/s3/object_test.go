package s3

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/walrus-network/walrus/blob"
)

func TestAnObjectComesBackWithAllThatItHad(t *testing.T) {
	w := newWorld(t)
	w.must("PUT", "/photos", nil)
	body := bytes.Repeat([]byte("0123456789"), 300_000)
	sum := md5.Sum(body)
	put := w.must("PUT", "/photos/a/b%20c.txt", body, "Content-Type", "text/plain", "X-Amz-Meta-Mtime", "12.5", "Cache-Control", "no-cache",
		"Content-Md5", base64.StdEncoding.EncodeToString(sum[:]))
	etag := `"` + hex.EncodeToString(sum[:]) + `"`
	if put.header.Get("ETag") != etag {
		t.Fatal(put.header)
	}
	if got := put.header.Get("X-Amz-Expiration"); got != `expiry-date="Sat, 28 Nov 2026 12:00:00 GMT", rule-id="lease"` {
		t.Fatal(got)
	}
	get := w.must("GET", "/photos/a%2Fb%20c.txt?response-content-type=text%2Fhtml", nil)
	h := get.header
	if get.body != string(body) || h.Get("ETag") != etag || h.Get("X-Amz-Meta-Mtime") != "12.5" || h.Get("Cache-Control") != "no-cache" || h.Get("Content-Type") != "text/html" {
		t.Fatal(len(get.body), h)
	}
	head := w.must("HEAD", "/photos/a/b%20c.txt", nil, "X-Amz-Checksum-Mode", "ENABLED")
	if head.header.Get("Content-Length") != "3000000" || head.header.Get("Content-Type") != "text/plain" || head.header.Get("X-Amz-Checksum-Crc64nvme") == "" {
		t.Fatal(head.header)
	}
	for header, want := range map[string]string{"bytes=5-8": "5678", "bytes=2999998-": "89", "bytes=-3": "789", "bytes=2999999-9999999": "9"} {
		if part := w.must("GET", "/photos/a/b%20c.txt", nil, "Range", header); part.status != 206 || part.body != want {
			t.Errorf("%s: %d %q", header, part.status, part.body)
		}
	}
	w.refused(416, "InvalidRange", "GET", "/photos/a/b%20c.txt", nil, "Range", "bytes=3000000-")
	if a := w.do("GET", "/photos/a/b%20c.txt", nil, "If-None-Match", etag); a.status != 304 {
		t.Error(a.status)
	}
	w.refused(412, "PreconditionFailed", "GET", "/photos/a/b%20c.txt", nil, "If-Match", `"x"`)
	w.must("DELETE", "/photos/a/b%20c.txt", nil)
	w.must("DELETE", "/photos/a/b%20c.txt", nil)
	w.refused(404, "NoSuchKey", "GET", "/photos/a/b%20c.txt", nil)
	w.leases(0)
}

func TestABlobIsGivenBackWhenItsLastKeyHasGone(t *testing.T) {
	w := newWorld(t)
	w.must("PUT", "/photos", nil)
	w.must("PUT", "/photos/one", []byte("the same"))
	w.must("PUT", "/photos/two", []byte("the same"))
	w.must("PUT", "/photos/three", nil, "X-Amz-Copy-Source", "/photos/one")
	w.leases(1)
	w.must("PUT", "/photos/one", []byte("another"))
	w.leases(2)
	w.must("DELETE", "/photos/two", nil)
	w.leases(2)
	if got := w.must("GET", "/photos/three", nil); got.body != "the same" {
		t.Fatal(got.body)
	}
	w.must("POST", "/photos?delete", []byte(`<Delete><Object><Key>three</Key></Object><Object><Key>one</Key></Object></Delete>`))
	w.leases(0)
	if _, _, stores := w.double.state(); stores != 2 {
		t.Errorf("%d leases were paid, want 2", stores)
	}
	w.must("DELETE", "/photos", nil)
}

// The same bytes are stored again while their lease waits to be given back.
func TestWhatIsStoredAgainIsNotGivenBack(t *testing.T) {
	w := newWorld(t)
	w.must("PUT", "/photos", nil)
	w.must("PUT", "/photos/one", []byte("the same"))
	w.must("DELETE", "/photos/one", nil)
	w.must("PUT", "/photos/two", []byte("the same"))
	w.leases(1)
	if got := w.must("GET", "/photos/two", nil); got.body != "the same" {
		t.Fatal(got.body)
	}
	w.must("DELETE", "/photos/two", nil)
	w.leases(0)
}

// A snapshot may hold both that a lease is due and that a key points to it: the key counts.
func TestWhatAKeyPointsToIsNotGivenBack(t *testing.T) {
	w := newWorld(t)
	w.must("PUT", "/photos", nil)
	w.must("PUT", "/photos/one", []byte("the same"))
	err := w.door.index.change(t.Context(), func(c *change) error {
		for id := range w.double.leases {
			c.put(returnKey(id), intent{})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	w.leases(1)
	w.must("DELETE", "/photos/one", nil)
	w.leases(0)
}

// A lease that the wallet had before is not the door's to give back.
func TestALeaseOfAnotherDoorStays(t *testing.T) {
	w := newWorld(t)
	body, err := w.double.Spool(t.Context(), strings.NewReader("theirs"), 6)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.double.Store(t.Context(), body, Order{Epochs: 5, Identified: func(blob.ID) error { return nil }}); err != nil {
		t.Fatal(err)
	}
	body.Close()
	w.must("PUT", "/photos", nil)
	w.must("PUT", "/photos/one", []byte("theirs"))
	w.must("DELETE", "/photos/one", nil)
	w.leases(1)
}

func TestSmallBodiesShareALease(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Gather, o.Requests = 1<<40, 2*groupFiles })
	w.must("PUT", "/photos", nil)
	const many = groupFiles // the last one does not wait
	var group sync.WaitGroup
	for i := range many {
		group.Go(func() {
			if a := w.do("PUT", fmt.Sprintf("/photos/%d", i), []byte(fmt.Sprint("body ", i))); a.status != 200 {
				t.Error(a)
			}
		})
	}
	group.Wait()
	w.leases(1)
	for _, i := range []int{0, 17, many - 1} {
		if got := w.must("GET", fmt.Sprintf("/photos/%d", i), nil); got.body != fmt.Sprint("body ", i) {
			t.Fatal(got.body)
		}
	}
	for i := range many - 1 {
		w.must("DELETE", fmt.Sprintf("/photos/%d", i), nil)
	}
	w.leases(1)
	w.must("DELETE", fmt.Sprintf("/photos/%d", many-1), nil)
	w.leases(0)
}

// A store that fails is not answered with success, leaves no key, and its lease is given back.
func TestNothingIsKeptOfAStoreThatFails(t *testing.T) {
	w := newWorld(t)
	w.must("PUT", "/photos", nil)
	w.double.certify = func(blob.ID) error { return errors.New("no certificate") }
	w.refused(500, "InternalError", "PUT", "/photos/one", []byte("lost"))
	w.double.certify = func(blob.ID) error { return fmt.Errorf("pay: %w", ErrFunds) }
	w.refused(503, "ServiceUnavailable", "PUT", "/photos/one", []byte("poor"))
	w.double.certify = nil
	w.refused(404, "NoSuchKey", "GET", "/photos/one", nil)
	w.leases(0)
}

// A process that ends between payment and index gives back what no client was told of.
func TestWhatAKilledProcessPaidIsGivenBack(t *testing.T) {
	w := newWorld(t)
	w.must("PUT", "/photos", nil)
	id := blob.ID{7}
	if err := w.door.index.change(t.Context(), func(c *change) error { c.put(intentKey(id), intent{Epoch: 10}); return nil }); err != nil {
		t.Fatal(err)
	}
	w.double.leases[id] = Lease{10, 12}
	foreign := blob.ID{8}
	if err := w.door.index.change(t.Context(), func(c *change) error { c.put(intentKey(foreign), intent{Epoch: 10}); return nil }); err != nil {
		t.Fatal(err)
	}
	w.double.leases[foreign] = Lease{9, 12} // from before the store began
	w.restart()
	w.leases(1)
	if _, there := w.double.leases[foreign]; !there {
		t.Error("a lease from before was given back")
	}
}

func TestReadsThatFailAreNoSuccess(t *testing.T) {
	w := newWorld(t)
	w.must("PUT", "/photos", nil)
	w.must("PUT", "/photos/one", bytes.Repeat([]byte("x"), 2<<20))
	w.double.broken = func(blob.ID, int64) error { return errors.New("no nodes") }
	if a := w.refused(503, "ServiceUnavailable", "GET", "/photos/one", nil); a.header.Get("Retry-After") == "" {
		t.Error(a.header)
	}
	w.double.broken = func(_ blob.ID, offset int64) error {
		if offset > 0 {
			return errors.New("no nodes")
		}
		return nil
	}
	resp, err := http.DefaultClient.Do(w.request("GET", "/photos/one", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := new(bytes.Buffer).ReadFrom(resp.Body); err == nil {
		t.Error("a body that broke off looks whole")
	}
}

func TestConditionsOfWritesHold(t *testing.T) {
	w := newWorld(t)
	w.must("PUT", "/photos", nil)
	w.must("PUT", "/photos/one", []byte("1"), "If-None-Match", "*")
	w.refused(412, "PreconditionFailed", "PUT", "/photos/one", []byte("2"), "If-None-Match", "*")
	w.refused(412, "PreconditionFailed", "PUT", "/photos/one", []byte("2"), "If-Match", `"x"`)
	sum := md5.Sum([]byte("1"))
	w.must("PUT", "/photos/one", []byte("2"), "If-Match", `"`+hex.EncodeToString(sum[:])+`"`)
	w.refused(404, "NoSuchKey", "PUT", "/photos/two", []byte("2"), "If-Match", `"x"`)

	var made sync.Map
	var group sync.WaitGroup
	for i := range 8 { // of those that come at once, one
		group.Go(func() {
			made.Store(i, w.do("PUT", "/photos/three", []byte(fmt.Sprint(i)), "If-None-Match", "*").status)
		})
	}
	group.Wait()
	ok := 0
	made.Range(func(_, status any) bool {
		if status == 200 {
			ok++
		}
		return true
	})
	if ok != 1 {
		t.Errorf("%d of 8 made the object", ok)
	}
}

func TestKeysAreNamesAndNoPaths(t *testing.T) {
	w := newWorld(t)
	w.must("PUT", "/photos", nil)
	for _, path := range []string{"/photos/../x", "/photos//x", "/photos/%2e%2e/x", "/photos/x/", "/photos/%E2%82%AC+&=?x"[:20]} {
		w.must("PUT", path, []byte(path))
		if got := w.must("GET", path, nil); got.body != path {
			t.Errorf("%s: %q", path, got.body)
		}
	}
	w.refused(400, "InvalidURI", "PUT", "/photos/a%00b", nil)
	w.refused(400, "InvalidURI", "PUT", "/photos/a%ffb", nil)
	w.must("PUT", "/photos/"+strings.Repeat("k", 1024), []byte("long"))
	w.refused(400, "KeyTooLongError", "PUT", "/photos/"+strings.Repeat("k", 1025), nil)
	w.refused(400, "InvalidBucketName", "PUT", "/No_Bucket", nil)
	w.refused(404, "NoSuchBucket", "PUT", "/nothing/x", nil)
	w.refused(409, "BucketNotEmpty", "DELETE", "/photos", nil)
	w.refused(501, "NotImplemented", "PUT", "/photos?policy", []byte("{}"))
	w.refused(400, "InvalidArgument", "PUT", "/photos/x/?partNumber=1", []byte("part"))
	w.refused(501, "NotImplemented", "PUT", "/photos/x", nil, "X-Amz-Server-Side-Encryption", "AES256")
}

func TestABucketInTheHostIsTheSame(t *testing.T) {
	w := newWorld(t)
	w.must("PUT", "/photos", nil)
	w.must("PUT", "/photos/a/one", []byte("1"))
	r, err := http.NewRequest("GET", w.http.URL+"/a/one", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "photos.localhost:9000"
	r.Header.Set(headerSha256, emptySha256)
	sign(r, full, w.door.now(), emptySha256)
	if a := w.send(r); a.body != "1" {
		t.Fatal(a)
	}
}
