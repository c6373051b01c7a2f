package s3

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/internal/golden"
)

var goldenBody = content{Size: 3, ETag: "900150983cd24fb0d6963f7d28e17f72", Sum: checksum{Kind: "CRC32", Value: "NSRBwg==", Type: fullObject}, Extents: []extent{{Blob: blob.ID{1, 2, 3}, Offset: 70, Length: 3}}}

// shownRecords is what a draft writes, a line for each key and value.
func shownRecords(t *testing.T, x *index, d draft) string {
	t.Helper()
	var b bytes.Buffer
	if err := d.write(x.db, &b); err != nil {
		t.Fatal(err)
	}
	s, err := readSnapshot(&b)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := s.each(func(k, v []byte) error {
		fmt.Fprintf(&text, "%s\n    %s\n", hex.EncodeToString(k), hex.EncodeToString(v))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

// Snapshots lie on the network for years: doc/formats.md shows these bytes.
func TestTheRecordsOfASnapshot(t *testing.T) {
	x := newDB(t)
	err := x.change(t.Context(), func(c *change) error {
		c.put(ownerKey("photos"), owned{Owner: "alice"})
		c.put(bucketKey("photos"), bucket{Created: 1764288000000, Tags: []pair{{Name: "a", Value: "b"}}})
		c.put(lifecycleKey("photos"), lifecycle{Rules: []rule{{ID: "logs", Enabled: true, Prefix: "logs/", Days: 30}}})
		age := int64(60)
		c.put(corsKey("photos"), cors{Rules: []corsRule{{Origins: []string{"https://*.example"}, Methods: []string{"GET"}, MaxAge: &age}}})
		c.put(leaseKey(blob.ID{1, 2, 3}), lease{Users: 2, Own: true, End: 12, Size: 100})
		c.put(objectKey("photos", "a/b.txt"), object{Content: goldenBody, Modified: 1764288001000, Headers: []pair{{Name: "Content-Type", Value: "text/plain"}}, Meta: []pair{{Name: "mtime", Value: "1"}}})
		c.put(partKey("000000000000000000000000000000ff", 7), uploaded{Content: goldenBody, Modified: 1764288002000})
		c.put(uploadKey("photos", "big", "000000000000000000000000000000ff"), upload{Initiated: 1764288003000, Sum: "CRC32", SumType: composite})
		// A restored index gives these back, and knows no snapshot.
		c.put(intentKey(blob.ID{4}), intent{Epoch: 3})
		c.put(returnKey(blob.ID{5}), intent{Epoch: 3})
		c.put(leaseKey(blob.ID{6}), lease{Users: 1})
		c.hush(leaseKey(blob.ID{6}))
		c.put([]byte(keyHead), head{Sequence: 1, Chain: []link{{Blob: blob.ID{6}}}})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	old := []link{{Blob: blob.ID{6}}}
	golden.Check(t, "snapshot.txt", shownRecords(t, x, draft{replaced: old}))
	err = x.change(t.Context(), func(c *change) error {
		x.generation++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	err = x.change(t.Context(), func(c *change) error {
		c.drop(objectKey("photos", "a/b.txt"))
		c.put(bucketKey("music"), bucket{Created: 1764288004000})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	old[0].Generation = 1
	golden.Check(t, "snapshot-link.txt", shownRecords(t, x, draft{chain: old}))
}
