package blob_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"maps"
	"math/rand"
	"slices"
	"testing"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/unit"
)

// record is a record with a set in it, and the same record as it was before sets had a type.
type (
	record struct {
		_     struct{} `cbor:",toarray"`
		Epoch unit.Epoch
		Yes   blob.ShardSet
	}
	plain struct {
		_     struct{} `cbor:",toarray"`
		Epoch unit.Epoch
		Yes   []byte
	}
)

func TestASetHasOneFormEverywhere(t *testing.T) {
	for _, c := range []struct {
		set              blob.ShardSet
		bytes, cbor, str string
	}{
		{nil, "", "820740", ""},
		{blob.ShardSet{}, "", "820740", ""},
		{blob.NewSet[blob.Shard](10), "0000", "8207420000", ""},
		{blob.NewSet[blob.Shard](10, 0, 2, 9), "0502", "8207420502", "0,2,9"},
		{blob.NewSet[blob.Shard](8, 0, 1, 2, 3, 7), "8f", "820741" + "8f", "0-3,7"},
		{blob.NewSet[blob.Shard](17, 16, 8, 7), "800101", "820743800101", "7-8,16"},
	} {
		if got := hex.EncodeToString(c.set); got != c.bytes {
			t.Errorf("%s: bytes %s, want %s", c.set, got, c.bytes)
		}
		if got := c.set.String(); got != c.str {
			t.Errorf("text %q, want %q", got, c.str)
		}
		b := canon.Encode(record{Epoch: 7, Yes: c.set})
		if got := hex.EncodeToString(b); got != c.cbor || !bytes.Equal(b, canon.Encode(plain{Epoch: 7, Yes: c.set})) {
			t.Errorf("%s: CBOR %s, want %s", c.set, got, c.cbor)
		}
		var back record
		if err := canon.Decode(b, &back); err != nil || !bytes.Equal(back.Yes, c.set) {
			t.Errorf("%s came back from CBOR as %s: %v", c.set, back.Yes, err)
		}
		of, err := json.Marshal(c.set)
		was, err2 := json.Marshal([]byte(c.set))
		if err != nil || err2 != nil || !bytes.Equal(of, was) {
			t.Errorf("%s: JSON %s, want %s: %v", c.set, of, was, err)
		}
	}
}

func TestTheZeroSetIsEmpty(t *testing.T) {
	var s blob.ShardSet
	for m := range s.All() {
		t.Errorf("it has %d", m)
	}
	if s.Has(0) || s.Has(65535) || s.Len() != 0 || !s.Fits(0) || s.Fits(1) || len(s.Union(nil)) != 0 {
		t.Errorf("the zero set: %d numbers, fits 1: %v", s.Len(), s.Fits(1))
	}
}

// Every operation does to a set what it does to a map.
func TestASetActsAsAMap(t *testing.T) {
	for seed := range int64(300) {
		r := rand.New(rand.NewSource(seed))
		n := 1 + r.Intn(200)
		s, twin := blob.NewSet[blob.Shard](n), map[blob.Shard]bool{}
		u, twin2 := blob.NewSet[blob.Shard](1+r.Intn(200)), map[blob.Shard]bool{}
		for range r.Intn(3 * n) {
			m := blob.Shard(r.Intn(n))
			if r.Intn(3) == 0 {
				s.Remove(m)
				delete(twin, m)
			} else {
				s.Add(m)
				twin[m] = true
			}
			m = blob.Shard(r.Intn(8 * len(u)))
			u.Add(m)
			twin2[m] = true
		}
		same := func(what string, s blob.ShardSet, twin map[blob.Shard]bool) {
			t.Helper()
			if got, want := slices.Collect(s.All()), slices.Sorted(maps.Keys(twin)); !slices.Equal(got, want) || s.Len() != len(want) {
				t.Fatalf("seed %d: %s: %v (%d), want %v", seed, what, got, s.Len(), want)
			}
			for m := range blob.Shard(1000) {
				if s.Has(m) != twin[m] {
					t.Fatalf("seed %d: %s: has %d: %v", seed, what, m, s.Has(m))
				}
			}
		}
		same("the set", s, twin)
		same("rebuilt", blob.NewSet(n, slices.Collect(s.All())...), twin)
		both := maps.Clone(twin)
		maps.Copy(both, twin2)
		same("union", s.Union(u), both)
		same("union the other way", u.Union(s), both)
		same("the set after the union", s, twin)
		if !s.Fits(n) || s.Fits(n+8) || n > 8 && s.Fits(n-8) {
			t.Fatalf("seed %d: a set of %d numbers does not fit", seed, n)
		}
		if more := blob.NewSet(8*len(s), slices.Collect(s.All())...); n < 8*len(s) {
			if more.Add(blob.Shard(n)); more.Fits(n) {
				t.Fatalf("seed %d: a set with number %d fits %d", seed, n, n)
			}
		}
	}
}

// Bytes from outside: a set fits n numbers exactly if a set of n numbers can have these
// bytes, and whatever they are, no method panics.
func FuzzASetFromOutside(f *testing.F) {
	f.Add([]byte{}, uint16(0))
	f.Add([]byte{}, uint16(1))
	f.Add([]byte{0x8f}, uint16(8))
	f.Add([]byte{0x8f}, uint16(7))           // the last bit is beyond 7
	f.Add([]byte{0x05, 0x02, 0}, uint16(10)) // a byte too many
	f.Add([]byte{0x05}, uint16(10))          // a byte too few
	f.Fuzz(func(t *testing.T, b []byte, n uint16) {
		if len(b) > 8192 {
			b = b[:8192] // 65,536 numbers: as many as a shard's type has
		}
		s := blob.ShardSet(b)
		members, beyond := slices.Collect(s.All()), false
		again := blob.NewSet(8*len(b), members...)
		for _, m := range members {
			beyond = beyond || m >= blob.Shard(n)
			if !s.Has(m) {
				t.Fatalf("%x: %d is in it and is not", b, m)
			}
		}
		if want := len(b) == (int(n)+7)/8 && !beyond; s.Fits(int(n)) != want {
			t.Fatalf("%x fits %d: %v, want %v", b, n, !want, want)
		}
		if !bytes.Equal(again, s) || s.Len() != len(members) || s.String() != again.String() {
			t.Fatalf("%x came back as %x", b, again)
		}
	})
}
