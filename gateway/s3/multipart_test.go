package s3

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/walrus-network/walrus/kv"
)

// newDB is an index alone.
func newDB(t testing.TB) *index {
	t.Helper()
	db, err := kv.Open(kv.Options{Dir: t.TempDir(), Profile: kv.Small})
	if err != nil {
		t.Fatal(err)
	}
	x := newIndex(db)
	s := &Server{index: x}
	ctx, stop := contextOf(t)
	s.goes.Go(func() { x.run(ctx) })
	t.Cleanup(func() {
		stop()
		s.goes.Wait()
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return x
}

func (w *world) begin(target string, h ...string) string {
	w.Helper()
	var out struct {
		UploadID string `xml:"UploadId"`
	}
	if err := xml.Unmarshal([]byte(w.must("POST", target+"?uploads", nil, h...).body), &out); err != nil {
		w.Fatal(err)
	}
	return out.UploadID
}

func piece(c byte, n int) []byte { return bytes.Repeat([]byte{c}, n) }

func partList(etags ...string) []byte {
	var b strings.Builder
	b.WriteString("<CompleteMultipartUpload>")
	for i, e := range etags {
		fmt.Fprintf(&b, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", i+1, e)
	}
	return []byte(b.String() + "</CompleteMultipartUpload>")
}

func TestAnObjectOfPartsOutlivesARestart(t *testing.T) {
	w := newWorld(t)
	w.must("PUT", "/photos", nil)
	one, two, three := piece('1', minPart), piece('2', minPart+1), piece('3', 100)
	id := w.begin("/photos/big", "Content-Type", "video/mp4", "X-Amz-Meta-A", "b")
	part := func(n int, b []byte) string {
		return w.must("PUT", fmt.Sprintf("/photos/big?partNumber=%d&uploadId=%s", n, id), b).header.Get("ETag")
	}
	e1, e3 := part(1, one), part(3, three)
	part(2, piece('x', minPart))
	w.restart()
	e2 := part(2, two) // instead of the one before
	part(4, piece('4', 10))
	w.leases(4)
	if a := w.must("GET", "/photos?uploads", nil); !strings.Contains(a.body, id) {
		t.Error(a.body)
	}
	if a := w.must("GET", "/photos/big?uploadId="+id+"&max-parts=2", nil); !strings.Contains(a.body, "<IsTruncated>true</IsTruncated>") || !strings.Contains(a.body, "<NextPartNumberMarker>2<") {
		t.Error(a.body)
	}
	w.refused(400, "InvalidPart", "POST", "/photos/big?uploadId="+id, partList(e1, e1))
	w.refused(400, "EntityTooSmall", "POST", "/photos/big?uploadId="+id, []byte(`<CompleteMultipartUpload><Part><PartNumber>3</PartNumber><ETag>`+e3+`</ETag></Part><Part><PartNumber>4</PartNumber><ETag>`+e3+`</ETag></Part></CompleteMultipartUpload>`))
	_, _, stores := w.double.state()
	done := w.must("POST", "/photos/big?uploadId="+id, partList(e1, e2, e3))
	again := w.must("POST", "/photos/big?uploadId="+id, partList(e1, e2, e3)) // whose answer was lost
	if done.body != again.body {
		t.Error(again.body)
	}
	if _, _, now := w.double.state(); now != stores {
		t.Error("completing stored something")
	}
	sum := md5.New()
	for _, b := range [][]byte{one, two, three} {
		m := md5.Sum(b)
		sum.Write(m[:])
	}
	etag := `"` + hex.EncodeToString(sum.Sum(nil)) + `-3"`
	get := w.must("GET", "/photos/big", nil, "X-Amz-Checksum-Mode", "ENABLED")
	whole := string(one) + string(two) + string(three)
	if get.body != whole || get.header.Get("ETag") != etag || get.header.Get("Content-Type") != "video/mp4" || get.header.Get("X-Amz-Meta-A") != "b" {
		t.Fatal(len(get.body), get.header)
	}
	h := kindOf("CRC64NVME").make()
	h.Write([]byte(whole))
	if got := get.header.Get("X-Amz-Checksum-Crc64nvme"); got != encode64(h.Sum(nil)) {
		t.Error(got)
	}
	if got := w.must("GET", "/photos/big", nil, "Range", fmt.Sprintf("bytes=%d-%d", minPart-2, 2*minPart+3)); got.body != "11"+strings.Repeat("2", minPart+1)+"333" {
		t.Error(len(got.body))
	}
	if got := w.must("GET", "/photos/big?partNumber=3", nil); got.body != string(three) || got.header.Get("X-Amz-Mp-Parts-Count") != "3" {
		t.Error(got.header)
	}
	w.leases(3) // the fourth part was not listed
	w.must("DELETE", "/photos/big", nil)
	w.leases(0)
	w.refused(404, "NoSuchUpload", "POST", "/photos/big?uploadId="+id, partList(e1))
}

func TestPartsAreCopiedWithoutBeingStored(t *testing.T) {
	w := newWorld(t)
	w.must("PUT", "/photos", nil)
	w.must("PUT", "/photos/source", append(piece('1', minPart), piece('2', 100)...))
	id := w.begin("/photos/big")
	a := w.must("PUT", "/photos/big?partNumber=1&uploadId="+id, nil, "X-Amz-Copy-Source", "/photos/source", "X-Amz-Copy-Source-Range", fmt.Sprintf("bytes=0-%d", minPart-1))
	b := w.must("PUT", "/photos/big?partNumber=2&uploadId="+id, nil, "X-Amz-Copy-Source", "photos/source", "X-Amz-Copy-Source-Range", fmt.Sprintf("bytes=%d-%d", minPart-1, minPart))
	w.refused(400, "InvalidArgument", "PUT", "/photos/big?partNumber=2&uploadId="+id, nil, "X-Amz-Copy-Source", "photos/source", "X-Amz-Copy-Source-Range", "bytes=0-99999999")
	etag := func(a answer) string {
		var out struct{ ETag string }
		if err := xml.Unmarshal([]byte(a.body), &out); err != nil {
			t.Fatal(err)
		}
		return out.ETag
	}
	w.must("POST", "/photos/big?uploadId="+id, partList(etag(a), etag(b)))
	w.must("DELETE", "/photos/source", nil)
	w.leases(1)
	if got := w.must("GET", "/photos/big", nil, "Range", fmt.Sprintf("bytes=%d-", minPart-1)); got.body != "112" {
		t.Error(got.body)
	}
}

func TestAnAbortedUploadGivesItsPartsBack(t *testing.T) {
	w := newWorld(t)
	w.must("PUT", "/photos", nil)
	id := w.begin("/photos/big")
	w.must("PUT", "/photos/big?partNumber=1&uploadId="+id, []byte("small"))
	w.refused(400, "InvalidArgument", "PUT", "/photos/big?partNumber=10001&uploadId="+id, []byte("small"))
	w.refused(400, "InvalidArgument", "PUT", "/photos/big?partNumber=0&uploadId="+id, []byte("small"))
	w.refused(404, "NoSuchUpload", "PUT", "/photos/other?partNumber=1&uploadId="+id, []byte("small"))
	w.leases(1)
	w.must("DELETE", "/photos/big?uploadId="+id, nil)
	w.leases(0)
	w.refused(404, "NoSuchUpload", "DELETE", "/photos/big?uploadId="+id, nil)
	id = w.begin("/photos/big")
	w.must("PUT", "/photos/big?partNumber=1&uploadId="+id, []byte("small"))
	now := time.Now()
	for _, days := range []int{6, 8} {
		w.door.now = func() time.Time { return now.AddDate(0, 0, days) }
		if err := w.door.AbortUploads(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.leases(map[int]int{6: 1, 8: 0}[days])
	}
	w.door.now = time.Now
	id = w.begin("/photos/big")
	w.must("PUT", "/photos/big?partNumber=1&uploadId="+id, []byte("small"))
	w.must("DELETE", "/photos", nil) // uploads end with their bucket
	w.leases(0)
}

func TestCompositeChecksumsAreThoseOfTheParts(t *testing.T) {
	w := newWorld(t)
	w.must("PUT", "/photos", nil)
	id := w.begin("/photos/big", "X-Amz-Checksum-Algorithm", "SHA256")
	k := kindOf("SHA256")
	h := k.make()
	h.Write([]byte("small"))
	value := encode64(h.Sum(nil))
	w.refused(400, "InvalidRequest", "PUT", "/photos/big?partNumber=1&uploadId="+id, []byte("small"), "X-Amz-Checksum-Crc32", "AAAAAA==")
	a := w.must("PUT", "/photos/big?partNumber=1&uploadId="+id, []byte("small"), "X-Amz-Checksum-Sha256", value)
	w.must("POST", "/photos/big?uploadId="+id, partList(a.header.Get("ETag")))
	outer := k.make()
	outer.Write(h.Sum(nil))
	if got := w.must("HEAD", "/photos/big", nil, "X-Amz-Checksum-Mode", "ENABLED").header; got.Get("X-Amz-Checksum-Sha256") != encode64(outer.Sum(nil))+"-1" || got.Get("X-Amz-Checksum-Type") != composite {
		t.Error(got)
	}
}
