package registry

import (
	"errors"
	"slices"
	"testing"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

func committee(shards ...int) (keys []token.BLSKey, members []Member, total int) {
	for i, s := range shards {
		k := token.Secret{byte(i + 1)}.BLSKey()
		keys = append(keys, k)
		members = append(members, Member{BLS: k.Public(), Shards: s})
		total += s
	}
	return keys, members, total
}

func TestACertificateNeedsMoreThanTwoThirdsOfTheShardsNotOfTheNodes(t *testing.T) {
	keys, members, total := committee(1, 1, 1, 1, 1, 1, 1, 1, 7) // 15: more than 10 is needed
	const chain = token.ChainID("c-1")
	id := blob.ID{1}
	sign := func(who ...int) Certificate {
		sigs := map[int]token.BLSSignature{}
		for _, i := range who {
			sigs[i] = keys[i].Sign(ConfirmMessage(chain, 5, id))
		}
		c, err := NewCertificate(5, len(members), sigs)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if err := sign(0, 1, 2, 3, 4, 5, 6, 7).Verify(chain, id, members, total, nil); !errors.Is(err, ErrWeight) {
		t.Errorf("8 of 15 shards: %v", err)
	}
	if err := sign(8, 0, 1, 2).Verify(chain, id, members, total, nil); !errors.Is(err, ErrWeight) {
		t.Errorf("10 of 15 shards: %v", err)
	}
	good := sign(8, 0, 1, 2, 3)
	if err := good.Verify(chain, id, members, total, nil); err != nil {
		t.Errorf("11 of 15 shards: %v", err)
	}
	if err := good.Verify("c-2", id, members, total, nil); !errors.Is(err, ErrCertificate) {
		t.Errorf("another chain: %v", err)
	}
	if err := good.Verify(chain, blob.ID{2}, members, total, nil); !errors.Is(err, ErrCertificate) {
		t.Errorf("another blob: %v", err)
	}
	later := good
	later.Epoch = 6
	if err := later.Verify(chain, id, members, total, nil); !errors.Is(err, ErrCertificate) {
		t.Errorf("another epoch: %v", err)
	}
	for now, want := range map[Half]bool{9: false, 10: true, 11: true, 12: true, 13: false, 14: false, 0: false} {
		if err := good.Counts(now); (err == nil) != want {
			t.Errorf("half %d: %v", now, err)
		}
	}
	if _, err := NewCertificate(5, 9, nil); err == nil {
		t.Error("a certificate of nobody")
	}
}

func TestAnEntryIsDueWhenSomethingEnds(t *testing.T) {
	e := Entry{RegisteredEpoch: 4, Leases: []Lease{{Start: 4, End: 9, Price: 10}, {Start: 4, End: 6, Price: 10}}}
	if e.Due() != 11 { // the middle of epoch 5
		t.Errorf("a registration is due at %d", e.Due())
	}
	e.CertifiedHeight = 1
	if e.Due() != 12 || e.End() != 9 || !e.Live(8) || e.Live(9) {
		t.Errorf("due at %d, ends %d", e.Due(), e.End())
	}
	l := e.Leases[0]
	for from, want := range map[unit.Epoch]token.Amount{0: 50, 4: 50, 7: 20, 9: 0, 100: 0} {
		if got := l.Unused(from); got != want {
			t.Errorf("unused from %d: %d, want %d", from, got, want)
		}
	}
	e.Invalid = true
	if e.Live(5) {
		t.Error("an invalid blob is live")
	}
}

func TestAnExtensionAtANewPriceIsALeaseOfItsOwn(t *testing.T) {
	owner, other := token.Address{1}, token.Address{2}
	p := Params{Price: 3}
	price, err := p.PriceOf(100)
	if err != nil {
		t.Fatal(err)
	}
	own := Lease{Owner: owner, Payer: owner, Start: 1, End: 5, Price: price, Permanent: true, Renewal: Renewal{Payer: owner, Left: 9}}
	gift := Lease{Owner: owner, Payer: other, Start: 1, End: 8, Price: price}
	dear := own
	dear.Price++
	for name, c := range map[string]struct {
		leases []Lease
		want   []Lease
	}{
		"the same price":      {[]Lease{own}, []Lease{{Owner: owner, Payer: owner, Start: 1, End: 7, Price: price, Permanent: true, Renewal: own.Renewal}}},
		"another price":       {[]Lease{dear}, []Lease{{Owner: owner, Payer: owner, Start: 1, End: 5, Price: price + 1, Permanent: true}, {Owner: owner, Payer: owner, Start: 5, End: 7, Price: price, Permanent: true, Renewal: own.Renewal}}},
		"another has paid":    {[]Lease{gift}, []Lease{gift, {Owner: owner, Payer: owner, Start: 8, End: 10, Price: price}}},
		"another pays longer": {[]Lease{own, gift}, []Lease{{Owner: owner, Payer: owner, Start: 1, End: 5, Price: price, Permanent: true}, gift, {Owner: owner, Payer: owner, Start: 8, End: 10, Price: price, Permanent: true, Renewal: own.Renewal}}},
	} {
		before := slices.Clone(c.leases)
		longer, added := Entry{Leases: c.leases, Units: 100}.Extended(owner, 2, p)
		if !slices.Equal(longer.Leases, c.want) {
			t.Errorf("%s: %+v, want %+v", name, longer.Leases, c.want)
		}
		if added.End.Since(added.Start) != 2 || added.Price != price || added.Payer != owner {
			t.Errorf("%s: bought %+v", name, added)
		}
		if !slices.Equal(c.leases, before) {
			t.Errorf("%s: the entry itself was changed", name)
		}
	}
}

func TestBytesGoOnlyAfterTheFollowingEpoch(t *testing.T) {
	p := Default()
	for _, c := range []struct {
		why  Reason
		free unit.Epoch
	}{{Expired, 8}, {Lapsed, 9}, {Deleted, 9}, {Invalid, 9}} {
		s := Bury(Entry{Units: 3}, c.why, 7, 70)
		if s.Free != c.free || s.MayGo(c.free-1) || !s.MayGo(c.free) {
			t.Errorf("%s in epoch 7: free from %d, want %d", c.why, s.Free, c.free)
		}
		// A confirmation of the epoch before, the last that can have counted, is kept.
		if s.MayGo(PinnedUntil(6)) {
			t.Errorf("%s in epoch 7: bytes go while a confirmation of epoch 6 pins them", c.why)
		}
		at, ends := s.Due(p)
		if at != Half(2*s.Free) || !ends {
			t.Errorf("%s: due at %d", c.why, at)
		}
		s.Reserved = false
		if at, ends = s.Due(p); ends != (c.why != Invalid) || ends && at != Half(2*s.Free.Plus(p.TombstoneEpochs)) {
			t.Errorf("%s: forgotten at %d, %v", c.why, at, ends)
		}
	}
}

func TestParamsThatDoNotFitAreRefused(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Fatal(err)
	}
	for name, bend := range map[string]func(*Params){
		"no epochs": func(p *Params) { p.MaxEpochs = 0 }, "no room to renew in": func(p *Params) { p.MaxEpochs, p.DefaultEpochs = 1, 1 },
		"a finder's fee above all": func(p *Params) { p.FinderBps = 10001 }, "default above max": func(p *Params) { p.DefaultEpochs = p.MaxEpochs + 1 },
		"no leases": func(p *Params) { p.MaxLeases = 0 }, "fee above all": func(p *Params) { p.RefundFeeBps = 10001 }, "no memory": func(p *Params) { p.TombstoneEpochs = 0 },
		"memory for ever": func(p *Params) { p.TombstoneEpochs = mostEpochs + 1 },
	} {
		p := Default()
		bend(&p)
		if p.Validate() == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
