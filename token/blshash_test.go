package token

import (
	"bytes"
	"fmt"
	"sync"
	"testing"

	bls "github.com/consensys/gnark-crypto/ecc/bls12-381"
)

// A message is hashed to the curve once, though a node signs it and checks a certificate
// over it, and a client checks a signature of each node.
func TestAMessageIsHashedOnce(t *testing.T) {
	message := []byte("a blob is kept")
	var keys []BLSKey
	for i := range byte(7) {
		keys = append(keys, Secret{i, 1}.BLSKey())
	}
	before := hashes.hashed.Load()
	var public []BLSPublicKey
	var sigs []BLSSignature
	for _, k := range keys {
		public, sigs = append(public, k.Public()), append(sigs, k.Sign(message))
		if err := k.Public().Verify(message, sigs[len(sigs)-1]); err != nil {
			t.Fatal(err)
		}
	}
	sum, err := AggregateBLS(sigs)
	if err != nil {
		t.Fatal(err)
	}
	if err := VerifyAggregate(public, message, sum); err != nil {
		t.Fatal(err)
	}
	if n := hashes.hashed.Load() - before; n != 1 {
		t.Errorf("one message was hashed %d times", n)
	}
	// The proof of possession is over another point.
	if err := public[0].VerifyPossession(message, sigs[0]); err == nil {
		t.Error("an ordinary signature passes for a proof of possession")
	}
	if err := public[0].Verify([]byte("a blob is lost"), sigs[0]); err == nil {
		t.Error("a signature passes for one over another message")
	}
}

// What is kept is what the library says, whatever was asked before, and bounded.
func TestHashedMessagesAreRightAndBounded(t *testing.T) {
	c := newBLSHashes()
	messages := [][]byte{nil, {0}, []byte("x"), bytes.Repeat([]byte{7}, blsHashedBytes), bytes.Repeat([]byte{7}, blsHashedBytes+1)}
	for round := range 2 {
		for _, m := range messages {
			for _, suite := range []string{blsSignatureSuite, blsPossessionSuite} {
				want, err := bls.HashToG2(m, []byte(suite))
				if err != nil {
					t.Fatal(err)
				}
				if got, err := c.point(m, suite); err != nil || !got.Equal(&want) {
					t.Fatalf("round %d, message of %d bytes: %v", round, len(m), err)
				}
			}
		}
	}
	if kept := 2 * (len(messages) - 1); len(c.kept.now) != kept || c.hashed.Load() != int64(kept+4) {
		t.Errorf("%d points are kept and %d messages were hashed, want %d and %d", len(c.kept.now), c.hashed.Load(), kept, kept+4)
	}
	// As if the generations were full: the last ones are known, the others are hashed again.
	for i := len(c.kept.now); i < blsHashesKept; i++ {
		c.kept.now[blsHashed{"", fmt.Sprint(i)}] = bls.G2Affine{}
	}
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			if _, err := c.point(fmt.Append(nil, "new", i), blsSignatureSuite); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(c.kept.now) != 4 || len(c.kept.old) != blsHashesKept {
		t.Errorf("generations of %d and %d points, want 4 and %d", len(c.kept.now), len(c.kept.old), blsHashesKept)
	}
}
