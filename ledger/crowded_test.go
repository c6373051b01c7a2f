package ledger

import (
	"math"
	"testing"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/internal/testlevel"
	"github.com/walrus-network/walrus/token"
)

// executedIn is how long a machine takes for a block of these transactions, and how long
// it would take for as many of them as a block holds: the best of some tries, since what
// runs beside on the machine only adds.
func executedIn(w *world, txs [][]byte) (each, full time.Duration) {
	w.t.Helper()
	bytes, work := 0, uint64(0)
	for _, tx := range txs {
		bytes += len(tx) + 4
		work += w.g.Params.Work(tx)
	}
	fit := min(len(txs)*int(w.g.Params.BlockBytes)/bytes, len(txs)*int(w.g.Params.BlockWork)/int(work))
	var r Result
	took := time.Duration(math.MaxInt64)
	for range 3 {
		w.l.machine.verified = newVerifyCache()
		began := time.Now()
		var err error
		if r, err = w.l.machine.Execute(Block{Height: w.l.machine.Height() + 1, TimeMs: w.head().TimeMs, Txs: txs}); err != nil {
			w.t.Fatal(err)
		}
		took = min(took, time.Since(began))
	}
	done := 0
	for _, t := range r.Txs {
		if t.Code == 0 {
			done++
		}
	}
	each = took / time.Duration(len(txs))
	full = each * time.Duration(fit)
	w.t.Logf("%d transactions, %d done (first refusal: %s): %s each, %d fit into a block: %s", len(txs), done, r.Txs[len(txs)-1].Log, each, fit, full)
	return each, full
}

// tooHeavy says whether a block takes longer than checking 50,000 ed25519 signatures, in
// one go on the machine as it is now: 2.5 s on the machine of doc/performance.md.
func tooHeavy(full time.Duration) bool { return full > 50_000*max(signature(), 50*time.Microsecond) }

// A blob on which many have a lease is no way to make a block heavier than it weighs.
func TestABlockAboutBlobsWithManyLeasesTakesNoLongerThanItWeighs(t *testing.T) {
	testlevel.Middle(t, "compares speeds, and takes seconds of processor time")
	p := Testnet()
	p.Challenged = false
	w := newWorldOf(t, p, 4, func(g *Genesis) {
		for i := range g.Nodes {
			g.Nodes[i].Bond = 1000 * token.WAL
		}
		for i := range 200 {
			k := token.KeyFromSeed([32]byte{7, byte(i)})
			g.Accounts = append(g.Accounts, GenesisAccount{Address: k.Address(), Amount: 1000 * token.WAL})
		}
	})
	victim := w.users[1]
	var ids []blob.ID
	step := func(txs [][]byte) {
		for len(txs) > 0 {
			n := min(len(txs), 2000)
			r, err := w.l.machine.Execute(Block{Height: w.l.machine.Height() + 1, TimeMs: w.head().TimeMs, Txs: txs[:n]})
			if err != nil {
				t.Fatal(err)
			}
			for _, one := range r.Txs {
				if one.Code != 0 {
					t.Fatal(one.Log)
				}
			}
			if err := w.l.machine.Commit(); err != nil {
				t.Fatal(err)
			}
			txs = txs[n:]
		}
	}
	const blobs = 12
	var txs [][]byte
	for b := range blobs {
		m := w.manifest(b, 1000)
		ids = append(ids, m.ID())
		for i := range int(p.Registry.MaxLeases) - 1 {
			k := token.KeyFromSeed([32]byte{7, byte(i)})
			txs = append(txs, Sign(k, w.l.ChainID(), uint64(b), fee, RegisterBlob{Manifest: m, Epochs: p.Registry.MaxEpochs, Owner: victim.Address()}))
		}
	}
	step(txs)
	for _, id := range ids {
		w.certify(id)
	}
	t.Run("extend", func(t *testing.T) {
		var txs [][]byte
		for i := range 60 {
			txs = append(txs, Sign(w.users[2], w.l.ChainID(), w.account(w.users[2]).Nonce+uint64(i), fee, Extend{Blob: ids[0], Epochs: 1}))
		}
		if _, full := executedIn(w, txs); tooHeavy(full) {
			t.Errorf("a block of extensions that fail takes %s", full)
		}
		txs = nil
		for i := range 60 {
			k := token.KeyFromSeed([32]byte{7, byte(i)})
			txs = append(txs, Sign(k, w.l.ChainID(), w.account(k).Nonce, fee, SetRenewal{Blob: ids[0], Allowance: 1_000_000 + token.Amount(i), HighestPrice: 1 << 30}))
		}
		if _, full := executedIn(w, txs); tooHeavy(full) {
			t.Errorf("a block of renewals takes %s", full)
		}
	})
	t.Run("register and delete", func(t *testing.T) {
		var txs [][]byte
		k := w.users[2]
		for i := range 30 {
			n := w.account(k).Nonce + uint64(2*i)
			txs = append(txs, Sign(k, w.l.ChainID(), n, fee, RegisterBlob{Manifest: w.manifest(0, 1000), Epochs: p.Registry.MaxEpochs, Owner: k.Address()}),
				Sign(k, w.l.ChainID(), n+1, fee, Delete{Blob: ids[0]}))
		}
		if _, full := executedIn(w, txs); tooHeavy(full) {
			t.Errorf("a block of leases that are bought and given up takes %s", full)
		}
	})
	t.Run("delete", func(t *testing.T) {
		var txs [][]byte
		for i, id := range ids {
			txs = append(txs, Sign(victim, w.l.ChainID(), w.account(victim).Nonce+uint64(i), fee, Delete{Blob: id}))
		}
		if _, full := executedIn(w, txs); tooHeavy(full) {
			t.Errorf("a block of deletions takes %s", full)
		}
	})
}
