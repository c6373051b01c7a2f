package client

import (
	"errors"
	"strings"
	"testing"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/fetch"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/token"
)

// confirming is an upload to five members with two of ten shards each, all of which have
// ended, and the members' keys.
func confirming(t *testing.T) (*upload, []token.BLSKey) {
	t.Helper()
	shape, err := blob.NewShape(10)
	if err != nil {
		t.Fatal(err)
	}
	host, err := p2p.New(p2p.Config{Key: token.KeyFromSeed([32]byte{9}).Ed25519(), Hello: p2p.Hello{Chain: "test", Version: "test"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { host.Close() })
	u := &upload{host: host, chain: "test", p: &encodedBlob{Commitment: blob.Commitment{ID: blob.ID{1}}}, known: token.NewBLSKeys()}
	u.d = committee{Directory: &fetch.Directory{Shape: shape}, epoch: 4}
	var keys []token.BLSKey
	for i := range 5 {
		secret := token.Secret{byte(i), 1}
		public := secret.Key().Public()
		id, err := p2p.PeerOf(public[:])
		if err != nil {
			t.Fatal(err)
		}
		u.d.Members = append(u.d.Members, fetch.Member{Peer: id, Shards: 2})
		keys = append(keys, secret.BLSKey())
		u.d.keys = append(u.d.keys, keys[i].Public())
		l := &lane{member: i, places: []blob.Place{blob.Place(2 * i), blob.Place(2*i + 1)}, gone: make(chan struct{})}
		close(l.gone)
		u.lanes = append(u.lanes, l)
	}
	return u, keys
}

// All confirmations are checked together, and one after the other only where a member signed
// wrongly: it is left out and blamed, whichever others there are.
func TestAWrongConfirmationIsLeftOut(t *testing.T) {
	for _, test := range []struct {
		wrong []int
		ok    bool
	}{{nil, true}, {[]int{2}, true}, {[]int{0, 4}, false}, {[]int{0, 1, 2, 3, 4}, false}} {
		u, keys := confirming(t)
		got := confirmed{u: u, sigs: map[int]token.BLSSignature{}}
		for i, k := range keys {
			got.add(u.lanes[i], 4, k.Sign(registry.ConfirmMessage("test", 4, u.p.ID)))
		}
		for n, i := range test.wrong {
			got.sigs[i] = keys[i].Sign([]byte("another"))
			if n%2 == 1 {
				got.sigs[i] = token.BLSSignature{1} // no point of the curve
			}
		}
		c, ok := u.certificate(got.sigs)
		if ok != test.ok {
			t.Fatalf("%v are wrong: %v", test.wrong, ok)
		}
		if _, valid := u.checked(got.sigs); valid != ok || got.weight() != 2*(5-len(test.wrong)) {
			t.Errorf("%v are wrong: %d shards are left", test.wrong, got.weight())
		}
		for _, i := range test.wrong {
			if !u.host.Avoided(u.d.Members[i].Peer) || !u.lanes[i].failed() {
				t.Errorf("member %d is not blamed", i)
			}
		}
		if ok {
			if n := c.Bitmap.Len(); n != 5-len(test.wrong) {
				t.Errorf("%d have signed", n)
			}
			continue
		}
		if err := got.lost(); !errors.Is(err, ErrQuorum) || !strings.Contains(err.Error(), errSignature.Error()) {
			t.Errorf("%v are wrong: %v", test.wrong, err)
		}
	}
}

func TestConfirmationsOfAnotherEpochTellThatItTurned(t *testing.T) {
	u, keys := confirming(t)
	got := confirmed{u: u, sigs: map[int]token.BLSSignature{}}
	for i, k := range keys[:2] {
		if err := got.lost(); err != nil {
			t.Fatal(err)
		}
		got.add(u.lanes[i], 5, k.Sign(nil))
	}
	if err := got.lost(); !errors.Is(err, errTurned) || got.weight() != 0 {
		t.Error(err)
	}
}
