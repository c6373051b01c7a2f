package report

import (
	"testing"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/state"
	"github.com/walrus-network/walrus/token"
)

// farReader is a ledger far away: it counts the exchanges that a reader waits for. What it has
// read it keeps.
type farReader struct {
	state.Lister
	read      map[string]bool
	listed    bool // the next walk's first page has come
	beside    func([][]byte) [][]byte
	exchanges int
}

func (r *farReader) Get(key []byte) ([]byte, bool, error) {
	r.Prefetch([][]byte{key})
	return r.Lister.Get(key)
}

func (r *farReader) Prefetch(keys [][]byte) error {
	lacks := false
	for _, k := range keys {
		lacks = lacks || !r.read[string(k)]
		r.read[string(k)] = true
	}
	if lacks {
		r.exchanges++
	}
	return nil
}

// PrefetchCommittee reads as much as a node gives along.
func (r *farReader) PrefetchCommittee(keys [][]byte) error {
	if err := r.Prefetch(keys); err != nil {
		return err
	}
	v := ledger.View{R: r.Lister}
	head, err := v.Head()
	if err != nil {
		return err
	}
	of, err := v.Committee(head.Epoch)
	r.read[string(ledger.KeyCommittee(head.Epoch))] = true
	for _, n := range of.Nodes {
		r.read[string(ledger.KeyNode(n.ID))] = true
	}
	return err
}

func (r *farReader) PrefetchList(_ []byte, keys [][]byte) error {
	r.listed = true
	return r.PrefetchCommittee(keys)
}

func (r *farReader) PrefetchBeside(keys func([][]byte) [][]byte) { r.beside = keys }

func (r *farReader) Each(prefix []byte, fn func(k, v []byte) error) error {
	if !r.listed {
		r.exchanges++
	}
	var keys [][]byte
	err := r.Lister.Each(prefix, func(k, _ []byte) error { keys = append(keys, append([]byte{}, k...)); return nil })
	if err != nil {
		return err
	}
	r.exchanges++
	if r.listed && r.beside != nil {
		for _, k := range r.beside(keys) { // in the same time
			r.read[string(k)] = true
		}
	}
	r.listed, r.beside = false, nil
	return r.Lister.Each(prefix, fn)
}

// far looks at the ledger from far away, at prefix if it is not empty, and gives the exchanges
// that the look took.
func (w *world) far(prefix []byte, keys ...[]byte) (Now, *farReader) {
	w.Helper()
	r := &farReader{Lister: w.View().R.(state.Lister), read: map[string]bool{}}
	look := func(v ledger.View) (Now, error) { return Look(v, genesisTime, keys...) }
	if len(prefix) > 0 {
		look = func(v ledger.View) (Now, error) { return LookAndList(v, genesisTime, prefix, keys...) }
	}
	return must(look(ledger.View{R: r}))(w), r
}

// Far from the ledger each figure costs one exchange after the first look.
func TestFiguresTakeOneExchangeAfterTheLook(t *testing.T) {
	w := newWorld(t, 4, 1000*token.WAL)
	m := w.Manifest(100_000)
	w.Do(w.holder, token.WAL, ledger.RegisterBlob{Manifest: m, Epochs: 8, Owner: w.holder.Address()})
	w.Certify(m.ID(), token.Secret{8, 0}, token.Secret{8, 1}, token.Secret{8, 2}, token.Secret{8, 3})
	w.Epoch()
	w.Epoch()
	count := func(name string, r *farReader, err error) {
		t.Helper()
		if err != nil || r.exchanges != 2 {
			t.Errorf("%s: %d exchanges, want 2: %v", name, r.exchanges, err)
		}
	}
	n, r := w.far(ledger.PrefixNodes())
	nodes, err := n.Nodes(8)
	if count("nodes", r, err); len(nodes) != 4 || nodes[0].Past == (ShardRounds{}) {
		t.Errorf("%+v", nodes)
	}
	n, r = w.far(ledger.PrefixOwned(w.holder.Address()))
	blobs, err := n.OwnedBlobs(w.holder.Address())
	if count("blobs", r, err); len(blobs) != 1 || blobs[0].State != Certified {
		t.Errorf("%+v", blobs)
	}
	id := m.ID()
	n, r = w.far(nil, ledger.KeyBlob(id), ledger.KeyLastDraw(id), ledger.KeyCertificate(id), ledger.KeyUsage())
	e, _, err := n.View.Blob(id)
	if err != nil {
		t.Fatal(err)
	}
	safety, err := n.Safety(e, nil)
	if count("safety", r, err); safety.Counted == 0 {
		t.Errorf("%+v", safety)
	}
	n, r = w.far(nil, ledger.KeyUsage())
	_, err = n.Overview()
	count("overview", r, err)
}
