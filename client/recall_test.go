package client

import (
	"bytes"
	"fmt"
	"os"
	"testing"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/fetch"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/token"
)

// knownCommittee is a client of a chain of seven shards whose ledger has shown two members.
func knownCommittee(t testing.TB) *Client {
	t.Helper()
	shape, err := blob.NewShape(7)
	if err != nil {
		t.Fatal(err)
	}
	c := New(nil, nil, "known-1", nil)
	c.Shape = shape
	d := committee{Directory: &fetch.Directory{Shape: shape}, epoch: 9}
	for i := range 2 {
		secret := token.Secret{byte(i), 3}
		key := secret.Key().Public()
		id, err := p2p.PeerOf(key[:])
		if err != nil {
			t.Fatal(err)
		}
		d.Members = append(d.Members, fetch.Member{Peer: id, Addrs: []string{fmt.Sprintf("/ip4/192.0.2.%d/tcp/9/p2p/%s", i, id)}})
		d.keys = append(d.keys, secret.BLSKey().Public())
	}
	for s := range shape.N {
		d.Holder, d.From = append(d.Holder, s%2), append(d.From, -1)
		d.Members[s%2].Shards++
	}
	d.From[0] = 1
	c.seated.set(d)
	return c
}

func TestACommitteeIsKnownAgain(t *testing.T) {
	before := knownCommittee(t)
	want, _ := before.seated.get()
	c := New(nil, nil, "known-1", nil)
	c.Shape = before.Shape
	if c.Known() != nil {
		t.Error("a client knows a committee that it was shown none")
	}
	if err := c.Recall(before.Known()); err != nil {
		t.Fatal(err)
	}
	got, ok := c.seated.get()
	if !ok || !got.sameSeats(want) || got.Members[0].Shards != 4 || got.Members[1].Shards != 3 {
		t.Errorf("recalled %+v, want %+v", got, want)
	}
	if c.Known() != nil {
		t.Error("what was recalled is kept again before the ledger has shown it")
	}
	c.seated.set(want)
	c.seated.recall(committee{})
	if now, _ := c.seated.get(); !now.sameSeats(want) || !bytes.Equal(c.Known(), before.Known()) {
		t.Error("what the ledger shows gives way to what is recalled")
	}
}

func TestAKeptCommitteeThatDoesNotFitIsRefused(t *testing.T) {
	c := knownCommittee(t)
	for name, bend := range map[string]func(*keptCommittee){
		"another version":     func(k *keptCommittee) { k.Version++ },
		"another chain":       func(k *keptCommittee) { k.Chain = "known-2" },
		"fewer shards":        func(k *keptCommittee) { k.Holder = k.Holder[1:] },
		"more shards":         func(k *keptCommittee) { k.From = append(k.From, 0) },
		"no members":          func(k *keptCommittee) { k.Members = nil },
		"a holder of nowhere": func(k *keptCommittee) { k.Holder[3] = 2 },
		"a giver of nowhere":  func(k *keptCommittee) { k.From[3] = 3 },
		"no key":              func(k *keptCommittee) { k.Members[1].Key = k.Members[1].Key[:31] },
		"many addresses":      func(k *keptCommittee) { k.Members[1].Addresses = make([]string, maxKeptAddrs+1) },
		"a long address":      func(k *keptCommittee) { k.Members[1].Addresses[0] = string(make([]byte, maxKeptAddr+1)) },
	} {
		var k keptCommittee
		if err := canon.Decode(c.Known(), &k); err != nil {
			t.Fatal(err)
		}
		bend(&k)
		if err := c.Recall(canon.Encode(k)); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if err := c.Recall(make([]byte, maxKeptCommittee+1)); err == nil {
		t.Error("a file of any length is read")
	}
}

// A committee lies beside the header, for this user alone; a file that others may write is left.
func TestACommitteeIsKeptForOneUser(t *testing.T) {
	d := TrustDir(t.TempDir())
	for _, suffix := range []string{trustSuffix, committeeSuffix} {
		for i := range trustFiles + 3 {
			if err := d.keep(fmt.Sprintf("b-%d", i), suffix, []byte(suffix)); err != nil {
				t.Fatal(err)
			}
		}
	}
	list, err := os.ReadDir(string(d))
	if err != nil || len(list) != 2*trustFiles {
		t.Errorf("%d files, at most %d of each kind: %v", len(list), trustFiles, err)
	}
	name := fmt.Sprintf("b-%d", trustFiles+2)
	path := d.file(name, committeeSuffix)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if err := os.Chmod(path, 0o606); err != nil {
		t.Fatal(err)
	}
	if _, err := d.load(name, committeeSuffix, maxKeptCommittee); err == nil {
		t.Error("a file that others may write is read")
	}
}

func FuzzKeptCommittee(f *testing.F) {
	c := knownCommittee(f)
	f.Add(c.Known())
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := decodeCommittee(b, "known-1", c.Shape)
		if err != nil {
			return
		}
		n := 0
		for _, places := range d.Places(blob.ID{}) {
			n += len(places)
		}
		if n != c.Shape.N {
			t.Errorf("%d places of %d", n, c.Shape.N)
		}
	})
}
