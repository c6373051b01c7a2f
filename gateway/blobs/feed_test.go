package blobs

import (
	"testing"
	"time"

	"github.com/walrus-network/walrus/blob"
)

func TestAFeedTellsWhatItForgot(t *testing.T) {
	began := time.Unix(1000, 0)
	f := newFeed(began)
	start := f.Newest()
	changes, missed, more := f.Since(start)
	if len(changes) != 0 || missed {
		t.Fatalf("nothing has changed: %v %t", changes, missed)
	}
	const all = 3 * mostChanges
	for i := range all {
		f.add(Change{What: Certified, Size: int64(i), Blob: blob.ID{byte(i)}})
		if i == 0 {
			select {
			case <-more:
			default:
				t.Fatal("a change does not wake those that wait")
			}
		}
		// From wherever a client goes on, it gets what comes after, in order, or hears of the gap.
		for _, known := range []int{-1, 0, i / 2, i - mostChanges, i - 1, i} {
			if known < -1 || known > i {
				continue
			}
			changes, missed, more := f.Since(start + uint64(known+1))
			first := max(known+1, i+1-mostChanges)
			if missed != (first > known+1) || len(changes) != i+1-first {
				t.Fatalf("after %d of %d: %d changes, missed %t", known, i, len(changes), missed)
			}
			for j, c := range changes {
				if c.Size != int64(first+j) || c.ID != start+uint64(first+j+1) {
					t.Fatalf("after %d of %d: change %d is %+v", known, i, j, c)
				}
			}
			select {
			case <-more:
				t.Fatal("nothing new is there, and those that wait are woken")
			default:
			}
		}
	}
	if newest := f.Newest(); newest != start+all {
		t.Errorf("newest %d", newest)
	}
	// IDs of another process: one that ran before, and none.
	if changes, missed, _ := f.Since(3); !missed || len(changes) != mostChanges {
		t.Errorf("an older process's: %d changes, missed %t", len(changes), missed)
	}
	if changes, missed, _ := f.Since(1<<64 - 1); !missed || len(changes) != 0 {
		t.Errorf("no process's: %d changes, missed %t", len(changes), missed)
	}
	if later := newFeed(began.Add(time.Second)); later.Newest() <= f.Newest() {
		t.Error("the IDs of a later process are not larger")
	}
}
