package s3

import (
	"fmt"
	"strings"
	"testing"

	"github.com/walrus-network/walrus/blob"
)

// An object of as many parts as there may be, each with the longest checksum, fits into a
// record, and what changes it into a batch.
func TestTheLargestObjectFits(t *testing.T) {
	w := newWorld(t)
	w.must("PUT", "/photos", nil)
	id := w.begin("/photos/big", "X-Amz-Checksum-Algorithm", "SHA512")
	h := kindOf("SHA512").make()
	sum := checksum{Kind: "SHA512", Value: encode64(h.Sum(nil)), Type: fullObject}
	const etag = "d41d8cd98f00b204e9800998ecf8427e"
	blobOf := func(n int) blob.ID { return blob.ID{byte(n), byte(n >> 8), 1} }
	for first := 1; first <= maxParts; first += 1000 {
		err := w.door.index.change(t.Context(), func(c *change) error {
			for n := first; n < first+1000; n++ {
				c.put(leaseKey(blobOf(n)), lease{Users: 1, Own: true, End: 12, Size: maxBody})
				c.put(partKey(id, n), uploaded{Content: content{Size: maxBody, ETag: etag, Sum: sum, Extents: []extent{{Blob: blobOf(n), Length: maxBody}}}})
				w.double.leases[blobOf(n)] = Lease{10, 12}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	var doc strings.Builder
	for n := 1; n <= maxParts; n++ {
		fmt.Fprintf(&doc, "<Part><PartNumber>%d</PartNumber><ETag>&quot;%s&quot;</ETag><ChecksumSHA512>%s</ChecksumSHA512></Part>", n, etag, sum.Value)
	}
	w.must("POST", "/photos/big?uploadId="+id, []byte("<CompleteMultipartUpload>"+doc.String()+"</CompleteMultipartUpload>"))
	w.must("PUT", "/photos/copy", nil, "X-Amz-Copy-Source", "/photos/big")
	if head := w.must("HEAD", "/photos/copy?partNumber=9999", nil); head.header.Get("Content-Length") != fmt.Sprint(int64(maxBody)) {
		t.Error(head.header)
	}
	if l, _ := w.list("photos"); len(l.Contents) != 2 || l.Contents[0].Size != maxParts*int64(maxBody) {
		t.Errorf("%+v", l)
	}
	w.must("PUT", "/photos/copy", []byte("small"))
	w.must("DELETE", "/photos/big", nil)
	w.leases(1)
}
