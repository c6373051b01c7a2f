package client

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/fetch"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/token"
)

// The error of a store with a hundred members names each reason once, and few of them.
func TestTheReasonsOfManyMembersAreFew(t *testing.T) {
	same, own := errors.New("no answer"), "connect to %s: refused"
	u := &upload{d: committee{Directory: &fetch.Directory{Shape: blob.Shape{N: 200, K1: 68, K2: 134}}}}
	for i := range 100 {
		id, err := p2p.PeerOf(token.KeyFromSeed([32]byte{byte(i)}).Ed25519().Public().(ed25519.PublicKey))
		if err != nil {
			t.Fatal(err)
		}
		m := fetch.Member{Peer: id, Shards: 2}
		u.d.Members = append(u.d.Members, m)
		l := &lane{member: i, places: make([]blob.Place, 2), gone: make(chan struct{})}
		switch {
		case i >= 90:
			l.err = fmt.Errorf("reason %d", i)
		case i >= 60:
			l.err = fmt.Errorf(own, m.Peer)
		case i >= 10:
			l.err = same
		}
		if l.err != nil {
			close(l.gone)
		}
		u.lanes = append(u.lanes, l)
	}
	err := u.possible()
	if !errors.Is(err, ErrQuorum) {
		t.Fatalf("got %v", err)
	}
	for _, part := range []string{"20 of 200 shards, 134 are needed", "and 49 more nodes (100 shards): no answer", "and 29 more nodes (60 shards): connect to it: refused", "6 more nodes (12 shards) for other reasons"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is missing: %v", part, err)
		}
	}
	if n := len(err.Error()); n > 1000 {
		t.Errorf("an error of %d bytes", n)
	}
}
