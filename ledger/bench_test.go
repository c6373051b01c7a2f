package ledger

import (
	"testing"

	"github.com/walrus-network/walrus/state"
	"github.com/walrus-network/walrus/token"
)

// BenchmarkBlock executes and commits blocks of 1,000 transfers whose signatures
// the mempool has checked; check is that checking.
func BenchmarkBlock(b *testing.B) {
	g := newWorld(b, small(), 4).g
	g.Params.Buckets = 1 << 16
	const perBlock = 1000
	var keys []token.Key
	for i := range perBlock {
		k := token.KeyFromSeed([32]byte{3, byte(i), byte(i >> 8)})
		keys = append(keys, k)
		g.Accounts = append(g.Accounts, GenesisAccount{Address: k.Address(), Amount: token.WAL * 1000})
	}
	m, err := NewMachine(g, state.NewMemory())
	if err != nil {
		b.Fatal(err)
	}
	chain := m.ChainID()
	nonce := uint64(0)
	block := func() Block {
		out := Block{Height: m.Height() + 1, TimeMs: g.Time}
		for i, k := range keys {
			out.Txs = append(out.Txs, Sign(k, chain, nonce, fee, Transfer{To: keys[(i+7)%perBlock].Address(), Amount: 1}))
		}
		nonce++
		return out
	}
	check := func(blk Block) {
		for _, tx := range blk.Txs {
			if err := m.Check(tx); err != nil {
				b.Fatal(err)
			}
		}
	}
	run := func(blk Block) {
		r, err := m.Execute(blk)
		if err == nil {
			err = m.Commit()
		}
		if err != nil {
			b.Fatal(err)
		}
		for _, t := range r.Txs {
			if t.Code != 0 {
				b.Fatal(t.Log)
			}
		}
	}
	b.Run("check", func(b *testing.B) {
		for range b.N {
			b.StopTimer()
			blk := block()
			b.StartTimer()
			check(blk)
			b.StopTimer()
			run(blk)
			b.StartTimer()
		}
	})
	b.Run("execute", func(b *testing.B) {
		for range b.N {
			b.StopTimer()
			blk := block()
			check(blk)
			b.StartTimer()
			run(blk)
		}
	})
}

// BenchmarkRenewals executes and commits a block in which as many leases renew
// themselves as a block of a real network works off.
func BenchmarkRenewals(b *testing.B) {
	p := small()
	p.SweepBlobs, p.Buckets, p.RoundBlocks, p.BlockBytes = Default().SweepBlobs, 1<<16, 200, 16<<20
	w := newWorld(b, p, 4)
	alice := w.users[1]
	var register, certify [][]byte
	for i := range int(p.SweepBlobs) {
		k := w.users[1+i%3]
		m := w.manifest(i, 1000)
		register = append(register, w.sign(k, RegisterBlob{Manifest: m, Epochs: 1, Owner: alice.Address(), Allowance: 100 * token.WAL, HighestPrice: 1 << 40}))
		w.nonces[k.Address()]++
		body := Certify{Blob: m.ID()}
		w.l.machine.verified.add(TxHash(Unsigned(body)))
		certify = append(certify, Unsigned(body))
	}
	w.block(register)
	w.block(certify)
	for b.Loop() {
		b.StopTimer()
		e := w.head().Epoch
		for w.head().Height < w.head().Middle()-1 {
			w.advance(1)
		}
		b.StartTimer()
		w.advance(1)
		b.StopTimer()
		if r := w.entry(w.manifest(0, 1000).ID()); r.End() != e+2 {
			b.Fatalf("not renewed: %+v", r.Leases)
		}
		w.toEpoch(e + 1)
		b.StartTimer()
	}
}
