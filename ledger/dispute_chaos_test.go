package ledger

import (
	"math/rand"
	"testing"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/internal/testlevel"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// Disputes of all kinds, at all times, answered rightly, wrongly, late or not at all:
// after each block the money is there, the counts are right, and nothing is open when an
// epoch turns; a replay of the blocks comes to the same.
func TestRandomDisputesKeepTheInvariants(t *testing.T) {
	for seed := range int64(testlevel.Repeat(1, 3, 3)) {
		p := asked()
		p.Challenge.MaxOpenDispute = 2
		a := newArenaOf(t, p, 5)
		r := rand.New(rand.NewSource(seed))
		var k archive
		a.fill(&k, 20_000, seed)
		done, states := map[Kind]int{}, map[DisputeState]bool{}
		// The last rounds that are over, by ordinal.
		var rounds []RoundState
		for range 3 * p.EpochBlocks() {
			if now, ok, _ := a.view().Round(); ok && now.Over && (len(rounds) == 0 || rounds[len(rounds)-1].Ordinal != now.Ordinal) {
				rounds = append(rounds, now)
				a.unseen = map[blob.Shard]bool{blob.Shard(r.Intn(p.Shards)): r.Intn(2) == 0}
			}
			var txs [][]byte
			used := map[token.Address]uint64{}
			for range r.Intn(3) {
				if len(rounds) > 0 {
					txs = append(txs, a.randomDispute(r, &k, rounds[max(0, len(rounds)-1-r.Intn(3))], used))
				}
			}
			was := a.head()
			for _, x := range a.step(txs...).Txs {
				if x.Code == 0 {
					done[x.Kind]++
				}
			}
			a.disputesHold(was, states)
		}
		if done[KindDispute] < 30 || done[KindAnswer] < 5 || len(states) != 3 {
			t.Errorf("seed %d: %v, %v: the story is too thin", seed, done, states)
		}
		votes := 0
		for _, s := range a.secrets {
			for epoch := range unit.Epoch(3) {
				o, _, err := a.view().Statement(epoch, a.idOf(s))
				votes += int(ok(a.world, o, err).FalseVotes)
			}
		}
		if votes == 0 {
			t.Errorf("seed %d: nobody paid for a false vote", seed)
		}
		replay(t, a.g, a.blocks, a.hashes)
	}
}

func (a *arena) randomDispute(r *rand.Rand, k *archive, round RoundState, used map[token.Address]uint64) []byte {
	a.t.Helper()
	shard := blob.Shard(r.Intn(a.g.Params.Shards))
	if r.Intn(3) > 0 {
		who := a.users[1+r.Intn(3)]
		n := a.account(who).Nonce + used[who.Address()]
		used[who.Address()]++
		return Sign(who, a.l.ChainID(), n, fee, Dispute{Ordinal: round.Ordinal, Shard: shard})
	}
	// Of those that are open, most of the time.
	err := a.view().EachDispute(func(ordinal unit.Ordinal, s blob.Shard, d DisputeRecord) error {
		if past, kept, err := a.view().RoundOf(ordinal); err == nil && kept && r.Intn(2) == 0 {
			round, shard = past, s
		}
		return nil
	})
	c, err2 := a.view().Committee(round.Round.Epoch)
	if err != nil || err2 != nil || r.Intn(4) == 0 {
		return Unsigned(Answer{Ordinal: round.Ordinal, Shard: shard, Proof: a.lie(r.Intn(5), shard, round).Encode()})
	}
	b := Answer{Ordinal: round.Ordinal, Shard: shard, Proof: a.proof(k, round, shard).Encode()}
	if r.Intn(2) == 0 {
		b.To = c.Holder[shard].PublicKey().Address()
	}
	return Unsigned(b)
}

func (a *arena) disputesHold(was Head, states map[DisputeState]bool) {
	a.t.Helper()
	audit, h := a.balanced(), a.head()
	open, bonds := map[token.Address]uint64{}, token.Amount(0)
	all := uint64(0)
	err := a.view().EachDispute(func(_ unit.Ordinal, _ blob.Shard, d DisputeRecord) error {
		states[d.State] = true
		bonds += d.Bond
		if d.State != DisputeOpen {
			if d.Bond != 0 || d.Closed == 0 {
				a.t.Fatalf("decided, and not: %+v", d)
			}
			return nil
		}
		open[d.Opener]++
		all++
		if d.Bond == 0 || h.Height > d.AnswerBy+challenge.Tail || h.Epoch != was.Epoch {
			a.t.Fatalf("open in block %d, which follows epoch %d: %+v", h.Height, was.Epoch, d)
		}
		return nil
	})
	if err != nil || bonds != audit.Disputes {
		a.t.Fatalf("bonds of %s, counted %s: %v", bonds, audit.Disputes, err)
	}
	if n, err := a.view().OpenDisputes(); err != nil || n != all {
		a.t.Fatalf("%d open, counted %d: %v", n, all, err)
	}
	for _, u := range a.users {
		if n, err := a.view().openDisputesOf(u.Address()); err != nil || n != open[u.Address()] || n > a.g.Params.Challenge.MaxOpenDispute {
			a.t.Fatalf("%d open of one, counted %d: %v", n, open[u.Address()], err)
		}
	}
	tally := a.tally()
	for i, c := range tally.Nodes {
		if c.Passed > c.Assigned || c.Proven > c.Judged {
			a.t.Fatalf("node %d: %+v", i, c)
		}
	}
}
