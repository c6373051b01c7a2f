package challenge

import (
	"errors"
	"testing"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/token"
)

func TestAnExtensionIsShortAndReadsBack(t *testing.T) {
	secret := token.Secret{3}
	last := RoundID{Epoch: 1 << 63, Round: 1 << 63}
	for _, shards := range []int{4, 28, 1000} {
		yes := blob.NewSet[blob.Shard](shards)
		for s := range shards {
			yes.Add(blob.Shard(s))
		}
		for _, e := range []Extension{{}, NewReveal(testChain, secret.BLSKey(), last), NewAttest(last, true, blob.Leaf(nil), yes)} {
			b := e.Encode()
			if len(b) > MaxExtensionBytes {
				t.Errorf("%d bytes", len(b))
			}
			back, err := DecodeExtension(b, shards)
			if err != nil || string(back.Encode()) != string(b) {
				t.Errorf("%d shards: %v", shards, err)
			}
		}
		wide := append(yes, 1)
		for _, bad := range [][]byte{{0}, NewAttest(last, true, blob.Hash{}, wide).Encode(), NewAttest(last, true, blob.Hash{}, nil).Encode(), make([]byte, MaxExtensionBytes+1)} {
			if _, err := DecodeExtension(bad, shards); !errors.Is(err, ErrExtension) {
				t.Errorf("%d shards, %d bytes: %v", shards, len(bad), err)
			}
		}
		if shards%8 != 0 {
			beyond := append([]byte{}, yes...)
			beyond[len(beyond)-1] |= 0x80
			if _, err := DecodeExtension(NewAttest(last, true, blob.Hash{}, beyond).Encode(), shards); !errors.Is(err, ErrExtension) {
				t.Errorf("a bit beyond shard %d: %v", shards, err)
			}
		}
	}
}

func TestOnlyWhatWasPromisedIsTakenLate(t *testing.T) {
	var sent []Sent
	for i := range 7 {
		sent = append(sent, Sent{Shard: blob.Shard(i * 3), Proof: blob.Leaf([]byte{byte(i)})})
	}
	promise := Promise(sent)
	for i, s := range sent {
		path := showSent(sent, i)
		if err := Promised(promise, s, i, len(sent), path); err != nil {
			t.Fatal(err)
		}
		s.Proof[0] ^= 1
		if err := Promised(promise, s, i, len(sent), path); err == nil {
			t.Fatal("another proof was taken")
		}
	}
	if Promise(nil) != (blob.Hash{}) {
		t.Fatal("a promise of nothing")
	}
}

func FuzzExtension(f *testing.F) {
	f.Add([]byte{}, 28)
	f.Add(NewReveal(testChain, token.Secret{3}.BLSKey(), RoundID{}).Encode(), 28)
	f.Add(NewAttest(RoundID{Epoch: 1, Round: 2}, true, blob.Hash{}, make([]byte, 4)).Encode(), 28)
	f.Fuzz(func(t *testing.T, b []byte, shards int) {
		if shards < 1 || shards > 1000 {
			return
		}
		if e, err := DecodeExtension(b, shards); err == nil && string(e.Encode()) != string(b) {
			t.Fatal("two encodings of one extension")
		}
	})
}
