package ledger

import (
	"testing"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/unit"
)

// A certificate can be checked from the state alone as long as its blob is kept, also
// when the committee that gave it is forgotten.
func TestACertificateCanBeCheckedAsLongAsItsBlobIsKept(t *testing.T) {
	w := newWorld(t, small(), 4)
	store := func(i int, epochs uint64) blob.ID {
		m := w.manifest(i, 1000)
		w.do(w.users[1], RegisterBlob{Manifest: m, Epochs: epochs, Owner: w.users[1].Address()})
		w.certify(m.ID())
		return m.ID()
	}
	certifiers := func() (epochs []unit.Epoch) {
		for e := range w.head().Epoch + 1 {
			if _, known, err := w.view().Certifiers(e); ok(w, known, err) {
				epochs = append(epochs, e)
			}
		}
		return epochs
	}
	short, long := store(1, 1), store(2, 9)
	w.toEpoch(1)
	later := store(3, 2)
	w.toEpoch(4)
	if _, err := w.view().Committee(0); err == nil {
		t.Fatal("the first committee is still there: the test shows nothing")
	}
	for id, kept := range map[blob.ID]bool{short: false, long: true, later: false} {
		if c, there, err := w.view().Certificate(id); ok(w, there, err) != kept {
			t.Errorf("%s: certificate %+v", id, c)
		}
	}
	if e := certifiers(); len(e) != 1 || e[0] != 0 {
		t.Fatalf("certifiers of epochs %v", e)
	}
	c, _, err := w.view().Certificate(long)
	by, _, err2 := w.view().Certifiers(c.Epoch)
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	if err := c.Verify(w.l.ChainID(), long, by.Registry(), w.g.Params.Shards, nil); err != nil {
		t.Error(err)
	}
	if err := c.Verify(w.l.ChainID(), short, by.Registry(), w.g.Params.Shards, nil); err == nil {
		t.Error("it certifies another blob")
	}
	w.do(w.users[1], Delete{Blob: long})
	if e := certifiers(); len(e) != 0 {
		t.Errorf("the last blob has ended, certifiers of %v are kept", e)
	}
}

// Certified again after it was deleted: the new certificate counts.
func TestABlobThatIsStoredAgainHasItsNewCertificate(t *testing.T) {
	w := newWorld(t, small(), 4)
	m := w.manifest(1, 1000)
	var last registry.Certificate
	for epoch := range unit.Epoch(2) {
		w.toEpoch(epoch)
		w.do(w.users[1], RegisterBlob{Manifest: m, Epochs: 5, Owner: w.users[1].Address()})
		if _, there, err := w.view().Certificate(m.ID()); ok(w, there, err) {
			t.Fatal("certified before it is")
		}
		w.certify(m.ID())
		c, there, err := w.view().Certificate(m.ID())
		if ok(w, there, err); !there || c.Epoch != epoch {
			t.Fatalf("epoch %d: %v %+v", epoch, there, c)
		}
		last = c
		if epoch == 0 {
			w.do(w.users[1], Delete{Blob: m.ID()})
		}
	}
	if by, known, err := w.view().Certifiers(last.Epoch); err != nil || !known || len(by.Members) != 4 {
		t.Fatalf("%+v %v", by, err)
	}
}
