package ledger

import (
	"fmt"
	"math/rand"
	"testing"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/internal/testlevel"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// keeping makes random transactions about few blobs, so that much meets.
type keeping struct {
	*world
	r     *rand.Rand
	extra map[unit.Epoch]token.Amount // in buckets beside what live leases paid for them
	seen  map[string]int              // what came about
}

const keptBlobs = 100

func (k *keeping) someBlob() (blob.Manifest, blob.ID) {
	m := k.manifest(k.r.Intn(keptBlobs), 1000)
	return m, m.ID()
}

// there is a blob that is registered, certified or not, and one of its owners; most of
// the time, if there is any.
func (k *keeping) there(certified bool) (id blob.ID, owner token.Key) {
	_, id = k.someBlob()
	owner = k.users[1+k.r.Intn(3)]
	var all []blob.ID
	err := k.view().EachBlob(func(id blob.ID, e registry.Entry) error {
		if e.Certified() == certified {
			all = append(all, id)
		}
		return nil
	})
	if err != nil {
		k.t.Fatal(err)
	}
	if len(all) == 0 || k.r.Intn(10) == 0 {
		return id, owner
	}
	id = all[k.r.Intn(len(all))]
	leases := k.entry(id).Leases
	for _, u := range k.users {
		if u.Address() == leases[k.r.Intn(len(leases))].Owner {
			owner = u
		}
	}
	return id, owner
}

func (k *keeping) entries() map[blob.ID]registry.Entry {
	out := map[blob.ID]registry.Entry{}
	err := k.view().EachBlob(func(id blob.ID, e registry.Entry) error { out[id] = e; return nil })
	if err != nil {
		k.t.Fatal(err)
	}
	return out
}

// tx is some transaction. Certificates and proofs are taken for checked: others test that.
func (k *keeping) tx() (raw []byte, body Body, id blob.ID, by token.Key) {
	by = k.users[1+k.r.Intn(3)]
	m, id := k.someBlob()
	allowance := token.Amount(k.r.Intn(2) * k.r.Intn(200_000))
	highest := token.Amount(800 + 100*k.r.Intn(6))
	act := k.r.Intn(10)
	if act >= 2 {
		id, by = k.there(act >= 5 && k.r.Intn(5) > 0)
	}
	switch act {
	case 0, 1:
		body = RegisterBlob{Manifest: m, Epochs: 1 + uint64(k.r.Intn(3)), Owner: by.Address(), Permanent: k.r.Intn(4) == 0, Allowance: allowance, HighestPrice: highest}
	case 2, 3, 4:
		body = Certify{Blob: id, Certificate: registry.Certificate{Epoch: k.head().Epoch}}
		k.l.machine.verified.add(TxHash(Unsigned(body)))
		return Unsigned(body), body, id, by
	case 5:
		body = Extend{Blob: id, Epochs: 1 + uint64(k.r.Intn(2))}
	case 6, 7:
		body = SetRenewal{Blob: id, Allowance: allowance, HighestPrice: highest}
	case 8:
		if k.r.Intn(3) > 0 {
			return nil, nil, id, by
		}
		body = Delete{Blob: id}
	case 9:
		if k.r.Intn(50) > 0 { // an invalid blob never comes back
			return nil, nil, id, by
		}
		body = Invalidate{Blob: id, Proof: []byte{1}}
		k.l.machine.verified.add(TxHash(Unsigned(body)))
		if k.r.Intn(2) == 0 {
			body = Invalidate{Blob: id, Proof: []byte{1}, Finder: by.Address()}
		}
		return Unsigned(body), body, id, by
	}
	return k.sign(by, body), body, id, by
}

// step runs a block with one transaction, and works out what no live lease accounts for.
func (k *keeping) step() {
	k.t.Helper()
	before, m := k.entries(), k.l.machine
	if k.r.Intn(30) == 0 {
		p := m.rules.Params.Registry
		k.setPrice(token.Amount(800 + 100*k.r.Intn(6))) // takes a block
		k.account(p, before, false, nil, blob.ID{}, token.Address{})
		before = k.entries()
	}
	raw, body, id, by := k.tx()
	b := Block{Height: m.Height() + 1, TimeMs: k.g.Time}
	if raw != nil {
		b.Txs = [][]byte{raw}
	}
	r, err := m.Execute(b)
	if err == nil {
		err = m.Commit()
	}
	if err != nil {
		k.t.Fatal(err)
	}
	done := raw != nil && r.Txs[0].Code == 0
	if done {
		k.seen[r.Txs[0].Kind.String()]++
	}
	k.nonces[by.Address()] = k.world.account(by).Nonce // what fails uses its nonce too
	k.account(k.l.machine.rules.Params.Registry, before, done, body, id, by.Address())
	k.check()
}

// account notes what the block left in buckets for which no live lease stands.
func (k *keeping) account(p registry.Params, before map[blob.ID]registry.Entry, done bool, body Body, touched blob.ID, by token.Address) {
	k.t.Helper()
	h, after := k.head(), k.entries()
	for old, was := range before {
		s := was.Settle(h.Half(), p)
		now, there := after[old]
		settled := !there || fmt.Sprint(now) != fmt.Sprint(was)
		if !settled {
			continue
		}
		for _, bought := range s.Bought {
			k.seen["renewed"]++
			for e := bought.Start; e < bought.End; e++ {
				if e < h.Epoch {
					k.seen["renewed for an epoch that is over"]++
					k.extra[h.Epoch] += bought.Price
				} else if bought.Start == h.Epoch {
					k.seen["renewed late"]++
				}
			}
		}
		if !was.Certified() {
			for _, l := range s.Over {
				k.held(l, registry.FreeFrom(registry.Lapsed, was.LapsesAt().Epoch()))
			}
		}
		ended := done && old == touched
		if !there && len(s.Entry.Leases) > 0 && !ended {
			k.t.Fatalf("height %d: %s is gone, and had leases: %+v", h.Height, old, s.Entry.Leases)
		}
		if !ended {
			continue
		}
		switch body.(type) {
		case Certify:
			for _, l := range s.Entry.Leases {
				k.extra[h.Epoch] += l.Write + token.Amount(h.Epoch.Since(l.Start))*l.Price
			}
		case Delete, Invalidate:
			_, deleted := body.(Delete)
			for _, l := range s.Entry.Leases {
				if deleted && (l.Owner != by || l.Permanent) {
					continue
				}
				if !s.Entry.Certified() {
					if deleted {
						k.held(l, h.Epoch+2)
					}
					continue
				}
				for e := max(h.Epoch, l.Start); e < min(l.End, h.Epoch+2); e++ {
					k.extra[e] += l.Price // the bytes have to stay so long
				}
			}
		}
	}
	delete(k.extra, h.Epoch-1)
}

// held notes what a lease that was never certified has paid for the epochs before one,
// in which its room was held.
func (k *keeping) held(l registry.Lease, from unit.Epoch) {
	for e := l.Start; e < min(from, l.End); e++ {
		k.extra[max(e, k.head().Epoch)] += l.Price
	}
}

func (k *keeping) check() {
	k.t.Helper()
	h := k.head()
	escrow, allowances := token.Amount(0), token.Amount(0)
	buckets := map[unit.Epoch]token.Amount{}
	for id, e := range k.entries() {
		last := map[token.Address]unit.Epoch{}
		for _, l := range e.Leases {
			last[l.Owner] = max(last[l.Owner], l.End)
		}
		for _, l := range e.Leases {
			allowances += l.Renewal.Left
			if l.Renews() && l.End != last[l.Owner] || !l.Renews() && l.Renewal != (registry.Renewal{}) {
				k.t.Fatalf("%s: a renewal that is not on its owner's last lease: %+v", id, e.Leases)
			}
			if !e.Certified() {
				escrow += l.Total() + l.Write
				continue
			}
			if l.Write != 0 {
				k.t.Fatalf("%s: written and not earned: %+v", id, l)
			}
			for epoch := max(l.Start, h.Epoch); epoch < l.End; epoch++ {
				buckets[epoch] += l.Price
			}
		}
	}
	a := k.balanced()
	if a.Escrow != escrow || a.Allowances != allowances {
		k.t.Fatalf("height %d: escrow %s, leases say %s; allowances %s, leases say %s", h.Height, a.Escrow, escrow, a.Allowances, allowances)
	}
	sum := token.Amount(0)
	for epoch := h.Epoch; epoch <= h.Epoch.Plus(k.g.Params.Registry.MaxEpochs)+1; epoch++ {
		got, err := k.view().Bucket(epoch)
		if err != nil || got != buckets[epoch]+k.extra[epoch] {
			k.t.Fatalf("height %d, epoch %d: the bucket of %d holds %s, leases paid %s and %s beside: %v", h.Height, h.Epoch, epoch, got, buckets[epoch], k.extra[epoch], err)
		}
		sum += got
	}
	if sum != a.Buckets {
		k.t.Fatalf("height %d: %s in buckets that nothing pays into", h.Height, a.Buckets-sum)
	}
}

func TestEveryFrostOfALeaseIsWhereItBelongs(t *testing.T) {
	testlevel.Middle(t, "takes seconds of processor time")
	seen := map[string]int{}
	for seed := int64(1); seed <= int64(testlevel.Repeat(0, 2, 4)); seed++ {
		p := small()
		p.SweepBlobs = []uint64{1000, 1, 1, 3}[seed-1]
		p.RoundBlocks = []uint64{10, 4, 4, 10}[seed-1]
		p.Registry.MaxEpochs, p.Registry.DefaultEpochs, p.Registry.MaxLeases = 6, 2, 3
		k := &keeping{newWorld(t, p, 4), rand.New(rand.NewSource(seed)), map[unit.Epoch]token.Amount{}, seen}
		t.Logf("seed %d: one to %d blobs a block, epochs of %d blocks", seed, p.SweepBlobs, p.EpochBlocks())
		for range testlevel.Repeat(0, 2500, 5000) {
			k.step()
		}
	}
	t.Log(seen)
	for _, what := range []string{"register-blob", "certify", "extend", "set-renewal", "delete", "invalidate", "renewed", "renewed late", "renewed for an epoch that is over"} {
		if seen[what] < 10 {
			t.Errorf("%s came about %d times: the test is too thin", what, seen[what])
		}
	}
}
