package challenge

import (
	"errors"
	"testing"

	"github.com/walrus-network/walrus/token"
)

func TestAFalseProofIsShownByOneOpening(t *testing.T) {
	k := newKept(t, 10)
	for i := range 40 {
		k.add(t, 60_000, 4096, int64(i))
	}
	good, q, err := k.round(Default(), 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	check := func(f Falsehood) error {
		back, err := DecodeFalsehood(f.Encode())
		if err != nil {
			t.Fatal(err)
		}
		return back.Check(q, holder.Public())
	}
	if _, ok := q.Falsehood(good); ok {
		t.Fatal("a true proof is false")
	}
	lies := map[string]func(*Proof){
		"a false opening":   func(p *Proof) { p.Openings[1].Symbols[0][0] ^= 1 },
		"another's opening": func(p *Proof) { p.Openings[0] = p.Openings[1] },
		"an answer too few": func(p *Proof) { p.Openings = p.Openings[1:] },
		"another beacon":    func(p *Proof) { p.Beacon[0] ^= 1 },
		"no answers at all": func(p *Proof) { p.Openings = nil },
		"an empty opening":  func(p *Proof) { p.Openings[0] = Opening{} },
	}
	for name, lie := range lies {
		p, err := DecodeProof(good.Encode())
		if err != nil {
			t.Fatal(err)
		}
		lie(&p)
		p.Signature = holder.Sign(ProofMessage(testChain, p))
		f, ok := q.Falsehood(p)
		if p.Beacon != q.Beacon {
			f, ok = Falsehood{Signed: p.Signed(), Signature: p.Signature}, true
		}
		if err := check(f); !ok || err != nil {
			t.Errorf("%s: %v %v", name, ok, err)
		}
		// Nobody can be accused of what he has not signed.
		f.Signature = token.KeyFromSeed([32]byte{8}).Sign(f.Signed.Message(testChain))
		if err := check(f); !errors.Is(err, ErrTrue) {
			t.Errorf("%s, forged: %v", name, err)
		}
	}
	// Evidence against a true proof shows nothing, whatever is changed in it.
	p, _ := DecodeProof(good.Encode())
	p.Openings[1].Symbols[0][0] ^= 1
	f, _ := q.Falsehood(p)
	f.Signed, f.Signature = good.Signed(), good.Signature
	if err := check(f); !errors.Is(err, ErrTrue) {
		t.Errorf("another opening than the signed one: %v", err)
	}
	f.Opening = good.Openings[1]
	if err := check(f); !errors.Is(err, ErrTrue) {
		t.Errorf("a true opening: %v", err)
	}
	f.At = 1 << 40
	if err := check(f); !errors.Is(err, ErrTrue) {
		t.Errorf("an opening beyond the last: %v", err)
	}
	f.Signed.Round.Round++
	if err := check(f); !errors.Is(err, ErrTrue) {
		t.Errorf("another round: %v", err)
	}
	// A false proof shows nothing about another shard than its own.
	f, _ = q.Falsehood(p)
	q.Shard++
	if err := check(f); !errors.Is(err, ErrTrue) {
		t.Errorf("another shard: %v", err)
	}
}

func FuzzFalsehood(f *testing.F) {
	k := newKept(f, 4)
	k.add(f, 50_000, 16384, 1)
	p, q, err := k.round(Default(), 1, 1)
	if err != nil {
		f.Fatal(err)
	}
	p.Openings[0].Roots.Coded[0] ^= 1
	bad, _ := q.Falsehood(p)
	f.Add(bad.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := DecodeFalsehood(b)
		if err != nil {
			return
		}
		x.Signed.Round, x.Signed.Beacon, x.Signed.Shard = q.Round, q.Beacon, q.Shard
		x.Signature = holder.Sign(x.Signed.Message(testChain))
		_ = x.Check(q, holder.Public()) // must not panic
	})
}
