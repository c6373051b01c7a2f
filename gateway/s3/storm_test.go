package s3

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/walrus-network/walrus/blob"
)

// Several clients overwrite the same keys while the process ends in the middle, again and
// again: each PUT that was answered with 200 is there, unless one that began later is, and no
// lease is left but those of the objects.
func TestOverwritesWithCrashesBetweenLoseNothing(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Small = 10 })
	w.must("PUT", "/photos", nil)
	const keys, clients, rounds = 2, 3, 12
	type write struct {
		body         string
		begun, ended int // moments; ended 0: it was not answered
	}
	var mu sync.Mutex
	moment := 0
	now := func() int { mu.Lock(); defer mu.Unlock(); moment++; return moment }
	var writes [keys][]*write
	rng := rand.New(rand.NewPCG(3, 4))
	for round := range rounds {
		var group sync.WaitGroup
		door := w.door
		ends := make(chan struct{})
		for client := range clients {
			for key := range keys {
				group.Go(func() {
					for i := 0; ; i++ {
						select {
						case <-ends:
							return
						default:
						}
						x := &write{body: fmt.Sprintf("key %d, round %d, client %d, body %d", key, round, client, i), begun: now()}
						mu.Lock()
						writes[key] = append(writes[key], x)
						mu.Unlock()
						r := w.request("PUT", fmt.Sprint("/photos/", key), []byte(x.body))
						a, err := w.tries(r)
						if err != nil || a.status != 200 {
							return
						}
						at := now()
						mu.Lock()
						x.ended = at
						mu.Unlock()
					}
				})
			}
		}
		time.Sleep(time.Duration(rng.IntN(15)) * time.Millisecond)
		door.stop() // what is under way ends where it stands
		close(ends)
		group.Wait()
		w.restart()
		for key := range keys {
			got := w.do("GET", fmt.Sprint("/photos/", key), nil)
			var found *write
			last := 0 // moment at which the last PUT that was answered began
			for _, x := range writes[key] {
				if x.body == got.body && got.status == 200 {
					found = x
				}
				if x.ended > 0 {
					last = max(last, x.begun)
				}
			}
			if last == 0 && got.status == 404 {
				continue
			}
			if found == nil {
				t.Fatalf("round %d, key %d: %d %q", round, key, got.status, got.body)
			}
			for _, x := range writes[key] {
				if x.ended > 0 && found.ended > 0 && x.begun > found.ended {
					t.Fatalf("round %d, key %d: %q is there, and %q was answered later", round, key, found.body, x.body)
				}
			}
		}
	}
	there := len(strings.Fields(w.keys("photos")))
	w.leases(there)
	if there == 0 {
		t.Error("nothing was written")
	}
}

// A gateway that was off for longer than its leases lasted says which objects are lost, once,
// and tells their readers.
func TestLeasesThatEndedWhileNoGatewayRanAreTold(t *testing.T) {
	var said strings.Builder
	w := newWorld(t, func(o *Options) { o.Log = textLog(&said) })
	w.must("PUT", "/photos", nil)
	w.must("PUT", "/photos/one", []byte("lost"))
	w.must("PUT", "/photos/two", []byte("kept"))
	var lost blob.ID
	for id, b := range w.double.blobs {
		if string(b) == "lost" {
			lost = id
		}
	}
	if err := w.double.Delete(t.Context(), lost); err != nil { // as the ledger does at the end
		t.Fatal(err)
	}
	w.double.epoch += 100
	w.double.mu.Lock()
	for id, l := range w.double.leases {
		w.double.leases[id] = Lease{l.Start, w.double.epoch + 1}
	}
	w.double.mu.Unlock()
	for range 2 {
		w.door.seenAt = time.Time{}
		if err := w.door.Renew(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(said.String(), "OBJECTS ARE LOST"); n != 1 || !strings.Contains(said.String(), "photos/one") || strings.Contains(said.String(), "photos/two") {
		t.Errorf("said %d times: %s", n, said.String())
	}
	a := w.refused(410, "ObjectLost", "GET", "/photos/one", nil)
	if !strings.Contains(a.body, "Upload it again") {
		t.Error(a.body)
	}
	w.must("GET", "/photos/two", nil)
	w.must("PUT", "/photos/three", []byte("lost")) // the same bytes
	if a := w.must("GET", "/photos/one", nil); a.body != "lost" {
		t.Error(a)
	}
	for _, key := range []string{"one", "two", "three"} {
		w.must("DELETE", "/photos/"+key, nil)
	}
	w.leases(0)
}

// Uploads that are never completed are bounded, and room comes back with each that ends.
func TestUploadsOfABucketAreBounded(t *testing.T) {
	w := newWorld(t)
	w.must("PUT", "/photos", nil)
	err := w.door.index.change(t.Context(), func(c *change) error {
		for i := range maxUploads - 1 {
			c.put(uploadKey("photos", "big", fmt.Sprintf("%032x", i)), upload{Initiated: time.Now().UnixMilli()})
			c.uploads["photos"]++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	w.restart() // which counts them
	id := w.begin("/photos/big")
	w.refused(503, "SlowDown", "POST", "/photos/big?uploads", nil)
	w.must("PUT", "/music", nil)
	w.must("POST", "/music/big?uploads", nil)
	part := w.must("PUT", "/photos/big?partNumber=1&uploadId="+id, []byte("a part")).header.Get("ETag")
	w.must("POST", "/photos/big?uploadId="+id, partList(part))
	id = w.begin("/photos/big")
	w.refused(503, "SlowDown", "POST", "/photos/big?uploads", nil)
	w.must("DELETE", "/photos/big?uploadId="+id, nil)
	w.begin("/photos/big")
}

// Long documents are read a few at a time: in memory each takes many times its bytes.
func TestLongDocumentsAreBoundedTogether(t *testing.T) {
	w := newWorld(t)
	w.must("PUT", "/photos", nil)
	long := []byte("<Delete>" + strings.Repeat("<Object><Key>a</Key></Object>", 3000) + "</Delete>")
	w.refused(400, "MalformedXML", "POST", "/photos?delete", long) // more than a thousand
	if !w.door.documents.TryAcquire(allXML) {
		t.Fatal("a document that was read is counted still")
	}
	w.refused(503, "SlowDown", "POST", "/photos?delete", long)
	w.must("POST", "/photos?delete", []byte("<Delete><Object><Key>a</Key></Object></Delete>"))
	w.door.documents.Release(allXML)
	w.refused(400, "MalformedXML", "POST", "/photos?delete", long)
	w.refused(400, "MalformedXML", "POST", "/photos?delete", make([]byte, maxXML+1))
}
