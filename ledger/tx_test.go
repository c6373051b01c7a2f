package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/token"
)

func TestANonceIsUsedOnceInAnyOrder(t *testing.T) {
	var a Account
	used := map[uint64]bool{}
	for i, n := range []uint64{0, 2, 1, 64 + 3, 5, 4, 3, 66, 65, 7} {
		if !a.Unused(n) {
			t.Fatalf("%d: nonce %d cannot be used: %+v", i, n, a)
		}
		a.Use(n)
		used[n] = true
		for k := range uint64(200) {
			if a.Unused(k) && (used[k] || k < a.Nonce || k > a.Nonce+NonceWindow) {
				t.Fatalf("%d: nonce %d could be used: %+v", i, k, a)
			}
			if !a.Unused(k) && !used[k] && k >= a.Nonce && k <= a.Nonce+NonceWindow {
				t.Fatalf("%d: nonce %d could not be used: %+v", i, k, a)
			}
		}
	}
	if a.Nonce != 6 {
		t.Fatalf("%+v", a)
	}
}

func TestASignatureIsForOneChainAndOneTransaction(t *testing.T) {
	w := newWorld(t, small(), 4)
	alice, bob := w.users[1], w.users[2]
	body := Transfer{To: bob.Address(), Amount: token.WAL}
	submit := func(raw []byte) error {
		r, err := w.l.Submit(context.Background(), raw)
		if err != nil {
			t.Fatal(err)
		}
		return r.Err()
	}
	w.refusedWith(ErrSignature, submit(Sign(alice, "other-00000000", 0, fee, body)))
	for name, change := range map[string]func(*Tx){
		"nonce": func(tx *Tx) { tx.Nonce = 1 }, "fee": func(tx *Tx) { tx.Fee++ }, "until": func(tx *Tx) { tx.Until = 100 }, "signer": func(tx *Tx) { tx.Signer = bob.Public() },
		"body": func(tx *Tx) { tx.Body = canon.Encode(Transfer{To: bob.Address(), Amount: 2 * token.WAL}) },
		"kind": func(tx *Tx) { tx.Kind = KindDelete; tx.Body = canon.Encode(Delete{}) },
	} {
		tx, _, err := DecodeTx(Sign(alice, w.l.ChainID(), 0, fee, body))
		if err != nil {
			t.Fatal(err)
		}
		change(&tx)
		if err := submit(canon.Encode(tx)); !errors.Is(err, ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
	good := Sign(alice, w.l.ChainID(), 0, fee, body)
	if err := submit(good); err != nil {
		t.Fatal(err)
	}
	w.refusedWith(ErrNonce, submit(good))
	w.refusedWith(ErrFee, submit(Sign(alice, w.l.ChainID(), 1, 1, body)))
	w.refusedWith(ErrFunds, submit(Sign(token.KeyFromSeed([32]byte{9}), w.l.ChainID(), 0, fee, body)))
	w.refusedWith(ErrFunds, submit(Sign(alice, w.l.ChainID(), 1, fee, Transfer{To: bob.Address(), Amount: 1_000_000 * token.WAL})))
	w.refusedWith(ErrMalformed, submit(Sign(alice, w.l.ChainID(), 1, fee, Transfer{To: bob.Address()})))
	w.refusedWith(ErrMalformed, submit([]byte("hello")))
	w.refusedWith(ErrTooLarge, submit(make([]byte, w.g.Params.TxBytes+1)))
	w.refusedWith(ErrMalformed, submit(canon.Encode(Tx{Version: TxVersion, Kind: 99, Body: canon.Encode(Delete{})})))
	w.refusedWith(ErrMalformed, submit(canon.Encode(Tx{Version: 1, Kind: KindDelete, Body: canon.Encode(Delete{})})))
	w.refusedWith(ErrMalformed, submit(canon.Encode(Tx{Version: TxVersion, Kind: KindCertify, Fee: 1, Body: canon.Encode(Certify{})})))
	w.balanced()
}

func TestEveryRefusalHasItsOwnNumber(t *testing.T) {
	seen := map[Code]bool{0: true}
	for _, r := range refusals {
		if seen[r.Code] || r.Text == "" {
			t.Errorf("code %d %q", r.Code, r.Text)
		}
		seen[r.Code] = true
		back := TxReceipt{Code: r.Code, Log: "why"}
		if !errors.Is(back.Err(), r) || CodeOf(back.Err()) != r.Code || !Refused(back.Err()) {
			t.Errorf("code %d does not come back as itself: %v", r.Code, back.Err())
		}
	}
	if err := (TxReceipt{Code: 9999}).Err(); err == nil {
		t.Error("an unknown code is a success")
	}
	if (TxReceipt{}).Err() != nil {
		t.Error("success is an error")
	}
}

func TestASignatureIsVerifiedOnce(t *testing.T) {
	w := newWorld(t, small(), 4)
	raw := Sign(w.users[1], w.l.ChainID(), 0, fee, Transfer{To: w.users[2].Address(), Amount: 1})
	m := w.l.machine
	if m.verified.has(TxHash(raw)) {
		t.Fatal("seen before it came")
	}
	if err := m.Check(raw); err != nil {
		t.Fatal(err)
	}
	if !m.verified.has(TxHash(raw)) {
		t.Fatal("forgotten")
	}
	bad := bytes.Clone(raw)
	bad[len(bad)-1] ^= 1
	if err := m.Check(bad); !errors.Is(err, ErrSignature) || m.verified.has(TxHash(bad)) {
		t.Fatalf("a wrong signature is remembered as right: %v", err)
	}
	s := newVerifyCache()
	for i := range 3 * seenSize {
		s.add(TxHash([]byte{byte(i), byte(i >> 8), byte(i >> 16)}))
	}
	if len(s.now)+len(s.old) > 2*seenSize {
		t.Fatalf("%d hashes are kept", len(s.now)+len(s.old))
	}
}

func FuzzTx(f *testing.F) {
	k := userKey(1)
	for _, b := range []Body{
		Transfer{To: k.Address(), Amount: 1}, RegisterNode{Addresses: []string{"a"}}, UpdateNode{}, Bond{}, Unbond{}, Withdraw{},
		Delegate{}, Undelegate{}, RegisterBlob{}, Extend{}, Delete{}, SetRenewal{}, SetCommission{}, SetNodeKeys{}, Declare{}, Accuse{}, Dispute{Ordinal: 1, Shard: 2}, Answer{}, Vote{Changes: []ParamChange{{Name: "fees.base", Value: 1}}},
	} {
		f.Add(Sign(k, "c", 1, 2, b))
	}
	f.Add(Unsigned(Certify{}))
	f.Add(Unsigned(ShardReady{}))
	f.Add(Unsigned(Answer{Ordinal: 1, Shard: 2, Proof: []byte{3}}))
	w := newWorld(f, small(), 4)
	f.Fuzz(func(t *testing.T, raw []byte) {
		tx, body, err := DecodeTx(raw)
		if err == nil && (!bytes.Equal(canon.Encode(tx), raw) || !bytes.Equal(canon.Encode(body), tx.Body) || body.kind() != tx.Kind) {
			t.Fatal("accepted bytes that are not canonical")
		}
		if err := w.l.machine.Check(raw); err != nil && !Refused(err) {
			t.Fatalf("a stranger's bytes are our failure: %v", err)
		}
	})
}

func FuzzGenesis(f *testing.F) {
	f.Add(newWorld(f, small(), 4).g.Encode())
	f.Fuzz(func(t *testing.T, raw []byte) {
		g, err := DecodeGenesis(raw)
		if err == nil && !bytes.Equal(g.Encode(), raw) {
			t.Fatal("accepted bytes that are not canonical")
		}
	})
}

func FuzzReceipt(f *testing.F) {
	f.Add(EncodeTxReceipt(TxReceipt{Height: 1, Code: 2, Log: "x"}))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if r, err := DecodeTxReceipt(raw); err == nil && !bytes.Equal(EncodeTxReceipt(r), raw) {
			t.Fatal("accepted bytes that are not canonical")
		}
	})
}

func TestOnlyOneTransactionWaitsForANonce(t *testing.T) {
	w := newWorld(t, small(), 4)
	m, alice := w.l.machine, w.users[1]
	sign := func(nonce uint64, n token.Amount) []byte {
		return Sign(alice, w.l.ChainID(), nonce, fee, Transfer{To: w.users[2].Address(), Amount: n})
	}
	for range 2 { // a mempool may ask twice
		if err := m.Check(sign(0, 1)); err != nil {
			t.Fatal(err)
		}
	}
	w.refusedWith(ErrNonce, m.Check(sign(0, 2)))
	if err := m.Check(sign(1, 2)); err != nil {
		t.Fatal(err)
	}
	// What is refused takes no place.
	w.refusedWith(ErrFunds, m.Check(sign(2, 1<<60)))
	if err := m.Check(sign(2, 1)); err != nil {
		t.Fatal(err)
	}
	// Another node let the other one in: the block has the word, and frees the place.
	tooMuch := sign(1, 1<<60)
	if _, err := m.Execute(Block{Height: 1, TimeMs: w.g.Time, Txs: [][]byte{sign(0, 2), tooMuch}}); err != nil {
		t.Fatal(err)
	}
	if err := m.Commit(); err != nil {
		t.Fatal(err)
	}
	w.refusedWith(ErrNonce, m.Check(sign(0, 1)))
	w.refusedWith(ErrNonce, m.Check(sign(1, 3))) // what fails in a block uses its nonce
	if _, there := m.waiting.get(place{signer: alice.Public(), nonce: 1}, m.Height()); there {
		t.Fatal("the place of what a block held is not free")
	}
	// What no block takes is given up.
	w.refusedWith(ErrNonce, m.Check(sign(2, 4)))
	w.advance(waitingBlocks)
	if err := m.Check(sign(2, 4)); err != nil {
		t.Fatal(err)
	}
	x, err := m.exec()
	if err != nil {
		t.Fatal(err)
	}
	for n := range uint64(3 * waitingSize) {
		if err := m.waiting.admit(admission{tx: Tx{Kind: KindAccuse}, plan: plan{subject: fmt.Sprint(n)}}, x); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(m.waiting.now) + len(m.waiting.old); n > 2*waitingSize {
		t.Fatalf("%d places are remembered", n)
	}
}
