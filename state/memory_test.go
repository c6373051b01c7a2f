package state

import (
	"fmt"
	"maps"
	"math/rand"
	"slices"
	"testing"
)

func TestMemoryHoldsWhatItsBatchesLeft(t *testing.T) {
	r := rand.New(rand.NewSource(6))
	m := NewMemory()
	want := map[string]string{}
	for range 400 {
		b := m.Batch()
		for range r.Intn(40) { // the same key more than once, too
			k, v := fmt.Sprint(r.Intn(120)), fmt.Sprint(r.Int())
			if r.Intn(3) == 0 {
				delete(want, k)
				b.Delete([]byte(k))
			} else {
				want[k] = v
				b.Set([]byte(k), []byte(v))
			}
		}
		b.Commit(true)
		var keys []string
		m.Each(nil, func(k, v []byte) error {
			if keys = append(keys, string(k)); string(v) != want[string(k)] {
				t.Fatalf("%s = %s, want %s", k, v, want[string(k)])
			}
			return nil
		})
		if !slices.Equal(keys, slices.Sorted(maps.Keys(want))) {
			t.Fatalf("keys %v, want %v", keys, slices.Sorted(maps.Keys(want)))
		}
	}
}
