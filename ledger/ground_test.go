package ledger

import (
	"encoding/binary"
	"testing"

	"github.com/walrus-network/walrus/state"
	"github.com/walrus-network/walrus/token"
)

// ground is n addresses whose accounts fall into the bucket of a key.
func ground(g Genesis, target []byte, n int) []token.Address {
	salt := g.Salt()
	bucket := state.BucketOf(salt, g.Params.Buckets, target)
	var out []token.Address
	for i := uint64(0); len(out) < n; i++ {
		var a token.Address
		binary.BigEndian.PutUint64(a[:], i)
		if state.BucketOf(salt, g.Params.Buckets, KeyAccount(a)) == bucket {
			out = append(out, a)
		}
	}
	return out
}

// TestProofsStayShortWhateverAccountsAreGround sends to thousands of accounts that were
// ground into the bucket of the head, which every client reads first.
func TestProofsStayShortWhateverAccountsAreGround(t *testing.T) {
	p := Testnet()
	p.Buckets = 1 << 8
	p.Challenged = false
	p.Staking.MinBond = 10 * token.WAL
	w := newWorld(t, p, 5)
	alice := w.users[1]
	m := w.l.Machine()
	nonce := uint64(0)
	to := ground(w.g, KeyHead(), 4700)
	all := to
	for len(to) > 0 {
		var txs [][]byte
		for range min(400, len(to)) {
			body := Transfer{To: to[0], Amount: 1}
			f := w.g.Params.Fees.Of(len(Sign(alice, w.l.ChainID(), nonce, 0, body)) + 8)
			txs = append(txs, Sign(alice, w.l.ChainID(), nonce, f, body))
			nonce++
			to = to[1:]
		}
		r, err := w.l.Run(Block{Txs: txs})
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range r.Txs {
			if x.Code != 0 {
				t.Fatal(x.Log)
			}
		}
	}
	nobody := ground(w.g, KeyHead(), 4800)[4799]
	for _, x := range []struct {
		key   []byte
		there bool
	}{{KeyHead(), true}, {KeyAccount(all[17]), true}, {KeyAccount(all[4699]), true}, {KeyAccount(nobody), false}, {KeyRules(), true}} {
		proof, err := m.Prove(x.key, m.Height())
		if err != nil {
			t.Fatal(err)
		}
		if _, ok, err := w.g.Verify(proof, m.AppHash(), x.key); err != nil || ok != x.there {
			t.Fatalf("%x: %v %v", x.key, ok, err)
		}
		if n := len(proof.Encode()) - len(proof.Value); n > 4096 {
			t.Errorf("the proof of %x has %d bytes beside the value", x.key, n)
		}
	}
}
