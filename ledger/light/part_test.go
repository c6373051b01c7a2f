package light

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/state"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// long is a value of n bytes.
func long(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * i >> 3)
	}
	return b
}

// mostValue is the longest value that the state takes.
const mostValue = 1 << 20

func TestAValueOfAnyLengthIsRead(t *testing.T) {
	sizes := []int{0, 1, longValue - 1, longValue, longValue + 1, partBytes, partBytes + 1, 2 * partBytes, p2p.MaxAnswer - 1000, p2p.MaxAnswer, 300_000, mostValue}
	var c []state.Change
	var keys [][]byte
	for i, n := range sizes {
		c = append(c, state.Change{Key: []byte{'z', byte(i)}, Value: long(n)})
		keys = append(keys, c[i].Key)
	}
	l := newLibrary(t, c)
	check := func(v *reader) {
		t.Helper()
		for _, x := range c {
			if got, ok, err := v.Get(x.Key); err != nil || !ok || !bytes.Equal(got, x.Value) {
				t.Errorf("%d bytes: %d %v %v", len(x.Value), len(got), ok, err)
			}
		}
	}
	v, _ := l.reader(t, l.honest)
	check(v)
	v, town := l.reader(t, l.honest)
	if err := v.Prefetch(append(keys, []byte("nowhere"))); err != nil {
		t.Fatal(err)
	}
	check(v)
	if len(town.blamed) > 0 {
		t.Errorf("blamed: %v", town.blamed)
	}
}

// What a reader remembers is bounded; what it forgot it asks for again.
func TestAReaderRemembersABoundedNumberOfBytes(t *testing.T) {
	var c []state.Change
	for i := range 40 {
		c = append(c, state.Change{Key: []byte{'z', byte(i)}, Value: append(long(mostValue-1), byte(i))})
	}
	l := newLibrary(t, c)
	v, _ := l.reader(t, l.honest)
	for range 2 {
		for _, x := range c {
			if got, ok, err := v.Get(x.Key); err != nil || !ok || !bytes.Equal(got, x.Value) {
				t.Fatalf("%v %v", ok, err)
			}
			size := 0
			for _, r := range v.read {
				size += len(r.bytes)
			}
			if size > readBytes {
				t.Fatalf("a reader remembers %d bytes", size)
			}
		}
	}
}

func TestPartsThatDoNotMakeTheValueAreALie(t *testing.T) {
	big := state.Change{Key: []byte("zz"), Value: long(600_000)}
	l := newLibrary(t, []state.Change{big})
	for name, lie := range map[string]func(q partQuestion, a *partAnswer){
		"other bytes":         func(q partQuestion, a *partAnswer) { a.Part[7] ^= 1 },
		"other bytes, last":   func(q partQuestion, a *partAnswer) { a.Part[len(a.Part)-1] ^= 1 },
		"nothing":             func(q partQuestion, a *partAnswer) { *a = partAnswer{} },
		"a byte at a time":    func(q partQuestion, a *partAnswer) { a.Part = a.Part[:1] },
		"no end":              func(q partQuestion, a *partAnswer) { a.Size = 1 << 62 },
		"a growing value":     func(q partQuestion, a *partAnswer) { a.Size += q.From },
		"more than was asked": func(q partQuestion, a *partAnswer) { a.Part = append(a.Part, 0) },
		"an empty part":       func(q partQuestion, a *partAnswer) { a.Part = nil },
		"a shorter value":     func(q partQuestion, a *partAnswer) { a.Size = uint64(len(a.Part)) },
	} {
		liar := func(ask p2p.Ask, body []byte) ([]byte, error) {
			answer, err := l.honest(ask, body)
			if ask != p2p.AskPart || err != nil {
				return answer, err
			}
			var q partQuestion
			var a partAnswer
			if err := errors.Join(decodeQuestion(body, &q), decodeAnswer(answer, &a)); err != nil {
				t.Fatal(err)
			}
			lie(q, &a)
			return canon.Encode(a), nil
		}
		v, town := l.reader(t, liar)
		if got, _, err := v.Get(big.Key); err == nil {
			t.Errorf("%s: taken: %d bytes", name, len(got))
		}
		if town.blamed[town.name(0)] == nil || town.asked > 10 {
			t.Errorf("%s: %d questions, blamed %v", name, town.asked, town.blamed)
		}
		v, town = l.reader(t, liar, l.honest)
		if got, ok, err := v.Get(big.Key); err != nil || !ok || !bytes.Equal(got, big.Value) {
			t.Errorf("%s: with an honest node beside it: %v", name, err)
		}
		if town.blamed[town.name(0)] == nil || town.blamed[town.name(1)] != nil {
			t.Errorf("%s: blamed %v", name, town.blamed)
		}
	}
	// A node that does not give the parts does not lie, and does not end the question.
	for _, code := range []p2p.Code{p2p.CodeBadRequest, p2p.CodeNotHeld, p2p.CodeInternal} {
		shy := func(ask p2p.Ask, body []byte) ([]byte, error) {
			if ask == p2p.AskPart {
				return nil, p2p.Refuse(code, "no")
			}
			return l.honest(ask, body)
		}
		v, town := l.reader(t, shy, l.honest)
		if got, ok, err := v.Get(big.Key); err != nil || !ok || !bytes.Equal(got, big.Value) || len(town.blamed) > 0 {
			t.Errorf("code %d: %v, blamed %v", code, err, town.blamed)
		}
	}
}

func TestAPartOfAForgottenHeightIsNotHeld(t *testing.T) {
	l := newLibrary(t, []state.Change{{Key: []byte("zz"), Value: long(300_000)}})
	for _, h := range []unit.Height{4, 1 << 63, 1<<64 - 1} {
		if _, err := l.honest(p2p.AskPart, canon.Encode(partQuestion{Height: h, Key: []byte("zz")})); !p2p.IsRefusal(err, p2p.CodeNotHeld) {
			t.Errorf("height %d: %v", h, err)
		}
	}
	for _, from := range []uint64{300_000, 1 << 63, 1<<64 - 1} {
		raw, err := l.honest(p2p.AskPart, canon.Encode(partQuestion{Height: 2, Key: []byte("zz"), From: from}))
		var a partAnswer
		if err == nil {
			err = decodeAnswer(raw, &a)
		}
		if err != nil || a.Size != 300_000 || len(a.Part) > 0 {
			t.Errorf("from %d: %d of %d bytes: %v", from, len(a.Part), a.Size, err)
		}
	}
}

// The longest records that a network of 1,000 nodes can have: the state takes each of
// them, and what a receipt is made of fits into one answer.
func TestTheLongestRecordsFit(t *testing.T) {
	const nodes = 1000
	max := ^uint64(0)
	var members []ledger.Member
	var certifiers ledger.Certifiers
	for range nodes {
		members = append(members, ledger.Member{Shards: nodes, Power: nodes})
		certifiers.Members = append(certifiers.Members, ledger.Certifier{Shards: nodes})
	}
	reveals, votes := make([]ledger.RoundReveal, nodes), make([]ledger.RoundVote, nodes)
	for i := range nodes {
		reveals[i].Node, votes[i].Node = nodes, nodes
		votes[i].Yes = blob.NewSet[blob.Shard](nodes)
	}
	round := ledger.RoundState{Drawings: make([]ledger.DrawnStripe, 64), Reveals: reveals, Votes: votes, Passed: blob.NewSet[blob.Shard](nodes), Ready: blob.NewSet[blob.Shard](nodes)}
	entry := func(leases int) registry.Entry {
		e := registry.Entry{Units: unit.KiB(max), RegisteredEpoch: unit.Epoch(max), RegisteredHeight: unit.Height(max), CertifiedEpoch: unit.Epoch(max), CertifiedHeight: unit.Height(max), Slot: max}
		for range leases {
			e.Leases = append(e.Leases, registry.Lease{Start: unit.Epoch(max), End: unit.Epoch(max), Price: token.Amount(max), Write: token.Amount(max),
				Renewal: registry.Renewal{Left: token.Amount(max), Highest: token.Amount(max)}})
		}
		return e
	}
	sizes := map[string]int{
		"committee":  len(canon.Encode(members)) + 2*3*nodes, // holders and keepers
		"certifiers": len(canon.Encode(certifiers)), "round": len(canon.Encode(round)),
		"blob of 128 leases": len(canon.Encode(entry(128))), "blob of 4096 leases": len(canon.Encode(entry(4096))), "rules": len(canon.Encode(ledger.Default())),
	}
	for name, n := range sizes {
		t.Logf("%s: %d bytes", name, n)
		if n > mostValue*9/10 {
			t.Errorf("%s: %d bytes: the state takes %d", name, n, mostValue)
		}
	}
	c := []state.Change{{Key: []byte("z head"), Value: long(100)}, {Key: []byte("z entry"), Value: long(min(sizes["blob of 4096 leases"], longValue))},
		{Key: []byte("z certificate"), Value: long(400)}, {Key: []byte("z certifiers"), Value: long(sizes["certifiers"])}}
	l := newLibrary(t, c)
	var q getQuestion
	for _, x := range c {
		q.Keys = append(q.Keys, x.Key)
	}
	raw, err := l.honest(p2p.AskGet, canon.Encode(q))
	var a getAnswer
	if err == nil {
		err = decodeAnswer(raw, &a)
	}
	if err != nil || len(a.Proofs) != len(c) {
		t.Errorf("%d of %d proofs of a receipt in one answer: %v", len(a.Proofs), len(c), err)
	}
}

func TestAGenesisOfManyAccountsIsFetched(t *testing.T) {
	g := newWorld(t, "test", 0).genesis
	for i := range 20_000 {
		var a token.Address
		copy(a[:], long(i%7+1))
		a[18], a[19] = byte(i>>8), byte(i)
		g.Accounts = append(g.Accounts, ledger.GenesisAccount{Address: a, Amount: 1})
	}
	r := Responder{Genesis: g}
	if len(g.Encode()) <= p2p.MaxAnswer {
		t.Fatal("the genesis fits into one answer: this shows nothing")
	}
	raw, err := join(t.Context(), ledger.MaxGenesis, func(_ context.Context, at uint64) ([]byte, error) {
		b, err := r.Answer(p2p.AskGenesis, canon.Encode(partQuestion{From: at}))
		if len(b) > p2p.MaxAnswer {
			t.Errorf("an answer of %d bytes", len(b))
		}
		return b, err
	})
	if err != nil || !bytes.Equal(raw, g.Encode()) {
		t.Fatalf("%d bytes of %d: %v", len(raw), len(g.Encode()), err)
	}
}

// A receipt holds all values, also one that a node sends in parts.
func TestAReceiptIsMadeOfValuesThatCameInParts(t *testing.T) {
	v := newVault(t)
	node, asked := Responder{Machine: v.local.Machine()}, 0
	parts := func(ask p2p.Ask, body []byte) ([]byte, error) {
		if ask == p2p.AskPart {
			asked++
			return node.part(body)
		}
		answer, err := v.honest(ask, body)
		if ask != p2p.AskGet || err != nil {
			return answer, err
		}
		var a getAnswer
		if err := decodeAnswer(answer, &a); err != nil {
			return nil, err
		}
		for i := range a.Proofs {
			p, err := state.DecodeProof(a.Proofs[i])
			if err != nil {
				return nil, err
			}
			p.Value = nil
			a.Proofs[i] = p.Encode()
		}
		return canon.Encode(a), nil
	}
	r, err := NewRemote(&town{nodes: []oracle{parts}}, v.genesis, RemoteOptions{}).Receipt(t.Context(), v.id)
	if err != nil || asked < proofsTaken {
		t.Fatalf("%d parts: %v", asked, err)
	}
	if want := v.receipt(t); !bytes.Equal(r.Encode(), want.Encode()) {
		t.Error("another receipt than that of values that came with their proofs")
	}
}
