package comet

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cometbft/cometbft/crypto/ed25519"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	"github.com/cometbft/cometbft/types"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/kv"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// BenchmarkTransfers drives four validators in one process, so that one profile
// shows where the time of a transfer goes. What crosses between them is real.
func BenchmarkTransfers(b *testing.B) {
	const perSender, waiting = 50, 4000
	c := newCluster(b, 4)
	c.genesis.Params.BlockMs = 500
	senders := make([]token.Key, (b.N+perSender-1)/perSender+1)
	for i := range senders {
		var seed [32]byte
		binary.BigEndian.PutUint64(seed[:], uint64(i+1000))
		senders[i] = token.KeyFromSeed(seed)
		c.genesis.Accounts = append(c.genesis.Accounts, ledger.GenesisAccount{Address: senders[i].Address(), Amount: 1000 * token.WAL})
	}
	txs := make([][]byte, b.N)
	for i := range txs {
		to := senders[(i+1)%len(senders)].Address()
		txs[i] = ledger.Sign(senders[i%len(senders)], c.genesis.ChainID(), uint64(i/len(senders)), token.WAL/10, ledger.Transfer{To: to, Amount: 1})
	}
	c.start(0, 1, 2, 3)
	ctx := b.Context()
	c.pay(ctx, 0, 0)
	b.ResetTimer()
	began := time.Now()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(waiting, b.N) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < b.N; i = int(next.Add(1)) - 1 {
				r, err := c.members[i%4].chain.Submit(ctx, txs[i])
				if err == nil {
					err = r.Err()
				}
				if err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "tx/s")
}

// BenchmarkBlockInterval runs pairs of networks of four validators in one process: one
// without vote extensions, and one in which every vote has a reveal or an attestation
// and every block carries them. It gives the time between blocks of each, and the ratio.
func BenchmarkBlockInterval(b *testing.B) {
	const first, blocks = 6, 60
	run := func(challenged bool) float64 {
		c := newCluster(b, 4)
		if challenged {
			c.challenged(func(h unit.Height) ledger.Wants {
				return ledger.Wants{Round: challenge.RoundID{Epoch: unit.Epoch(h)}, Reveal: h%2 == 0, Attest: h%2 == 1, Carry: h > 1, Last: h%2 == 0 && h > 1}
			})
		}
		c.start(0, 1, 2, 3)
		c.reach(b.Context(), 0, first+blocks)
		store := c.members[0].chain.node.BlockStore()
		took := store.LoadBlockMeta(first + blocks).Header.Time.Sub(store.LoadBlockMeta(first).Header.Time)
		for i := range c.members {
			c.stop(i)
		}
		return took.Seconds() * 1000 / blocks
	}
	var plain, extended float64
	for range b.N {
		plain += run(false)
		extended += run(true)
	}
	b.ReportMetric(plain/float64(b.N), "plain-ms/block")
	b.ReportMetric(extended/float64(b.N), "extended-ms/block")
	b.ReportMetric(extended/plain, "ratio")
}

// BenchmarkVotes is what transaction 0 of a hundred validators costs its proposer, and
// every validator that judges it.
func BenchmarkVotes(b *testing.B) {
	const validators = 100
	l := lastVotes{chain: "test", height: 7, shards: validators}
	var c abci.ExtendedCommitInfo
	for i := range validators {
		key := token.KeyFromSeed([32]byte{1, byte(i)})
		id := staking.NodeID(key.Public())
		e := challenge.NewAttest(challenge.RoundID{Epoch: 1, Round: 2}, true, blob.Hash{}, blob.NewSet[blob.Shard](validators)).Encode()
		sig, err := ed25519.PrivKey(key.Ed25519()).Sign(types.VoteExtensionSignBytes("test", &cmtproto.Vote{Extension: e, Height: 7}))
		if err != nil {
			b.Fatal(err)
		}
		v := abci.Validator{Address: ed25519.PubKey(id[:]).Address(), Power: 1}
		c.Votes = append(c.Votes, abci.ExtendedVoteInfo{Validator: v, BlockIdFlag: cmtproto.BlockIDFlagCommit, VoteExtension: e, ExtensionSignature: sig})
		l.nodes = append(l.nodes, id)
	}
	l.votes = withoutExtensions(c).Votes
	tx := votes{Extensions: l.gather(c)}.encode()
	b.Run("gather", func(b *testing.B) {
		for range b.N {
			tx = votes{Extensions: l.gather(c)}.encode()
		}
	})
	b.Run("check", func(b *testing.B) {
		for range b.N {
			v, err := decodeVotes(tx, validators)
			if err == nil {
				err = l.check(v.Extensions)
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	})
	b.ReportMetric(float64(len(tx)), "B")
}

// BenchmarkCommit executes and commits blocks of 1,000 transfers between 2,000
// accounts of 10^6, on the database that a node has. Signatures were checked before.
func BenchmarkCommit(b *testing.B) {
	const accounts, perBlock = 1_000_000, 1000
	g := newWorld(b, "bench", 0).genesis
	g.Params.Buckets = 1 << 20
	g.Accounts = g.Accounts[:1]
	keys := make([]token.Key, 2*perBlock)
	for i := range accounts {
		a := token.Address{0xee}
		binary.BigEndian.PutUint64(a[1:], uint64(i))
		if i < len(keys) {
			keys[i] = token.KeyFromSeed([32]byte{0xaa, byte(i), byte(i >> 8)})
			a = keys[i].Address()
		}
		g.Accounts = append(g.Accounts, ledger.GenesisAccount{Address: a, Amount: token.WAL})
	}
	db, err := kv.Open(kv.Options{Dir: b.TempDir(), Profile: kv.Small})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	m, err := ledger.NewMachine(g, stateDisk{db})
	if err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	for n := range b.N {
		b.StopTimer()
		block := ledger.Block{Height: m.Height() + 1, TimeMs: g.Time}
		for i := range perBlock {
			block.Txs = append(block.Txs, ledger.Sign(keys[i], m.ChainID(), uint64(n), token.WAL/1000, ledger.Transfer{To: keys[perBlock+i].Address(), Amount: 1}))
		}
		for _, tx := range block.Txs {
			if err := m.Check(tx); err != nil {
				b.Fatal(err)
			}
		}
		b.StartTimer()
		r, err := m.Execute(block)
		if err == nil {
			err = m.Commit()
		}
		if err != nil || r.Txs[0].Code != 0 {
			b.Fatal(err, r.Txs[0].Log)
		}
	}
}
