package comet

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cometbft/cometbft/crypto/ed25519"
	"github.com/cometbft/cometbft/evidence"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	"github.com/cometbft/cometbft/types"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/ledger/light"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/unit"
)

func (m *member) id() staking.NodeID { return staking.NodeID(m.secret.Key().Public()) }

func (m *member) address() types.Address {
	return ed25519.PrivKey(m.secret.Key().Ed25519()).PubKey().Address()
}

// node is what the ledger of member i says of a node.
func (c *cluster) node(ctx context.Context, i int, id staking.NodeID) (n ledger.NodeRecord, r ledger.DoubleSignRecord, found bool) {
	c.t.Helper()
	v, err := c.members[i].chain.View(ctx)
	if err != nil {
		c.t.Fatal(err)
	}
	n, there, err := v.Node(id)
	if err != nil || !there {
		c.t.Fatalf("node %s: %v, %v", id, there, err)
	}
	if r, found, err = v.DoubleSign(id); err != nil || found != n.Out {
		c.t.Fatalf("double sign of %s: record %v, out %v, %v", id, found, n.Out, err)
	}
	return n, r, found
}

// foundOut waits until the ledger of member i has expelled a node.
func (c *cluster) foundOut(ctx context.Context, i int, id staking.NodeID) ledger.DoubleSignRecord {
	c.t.Helper()
	for {
		if _, r, found := c.node(ctx, i, id); found {
			return r
		}
		c.reach(ctx, i, c.members[i].chain.machine.Height()+1)
	}
}

// power is what CometBFT's own list of validators of a height gives an address.
func (m *member) power(t *testing.T, height unit.Height, address types.Address) (power, total int64) {
	t.Helper()
	set, err := m.chain.states.LoadValidators(int64(height))
	if err != nil {
		t.Fatal(err)
	}
	if _, v := set.GetByAddress(address); v != nil {
		power = v.VotingPower
	}
	return power, set.TotalVotingPower()
}

// A node's secret runs twice, each with its own directories, as when an operator
// starts a spare machine while the first still runs. Each life signs honestly by its
// own record. Every peer takes one connection of a name, so each life has its own
// peers; whenever the two propose, they sign two blocks.
func TestTwoNodesWithOneKeyAreFoundOutAndTheChainGoesOn(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 5)
	c.genesis.Params.RoundBlocks, c.genesis.Params.RoundsPerEpoch = 15, 2 // the stake is slashed at block 31
	c.genesis.Params.Staking.CommissionNotice = 22
	c.genesis.Params.Staking.UnbondingEpochs = 20 // and a header trusted for some minutes
	ctx := within(t)
	twin := *c.members[4]
	twin.dir, twin.addr = t.TempDir(), freeAddr(t)
	twin.listen = "/ip4/127.0.0.1/tcp/0"
	c.members = append(c.members, &twin)
	const first, second = 4, 5
	sees := func(list ...int) func() []Peer {
		return func() (out []Peer) {
			for _, i := range list {
				out = append(out, Peer{Key: c.members[i].secret.Key().Public(), Addr: c.members[i].addr})
			}
			return out
		}
	}
	c.members[0].peers, c.members[1].peers = sees(1, 2, 3, first), sees(0, 2, 3, first)
	c.members[2].peers, c.members[3].peers = sees(0, 1, 3, second), sees(0, 1, 2, second)
	c.members[first].peers, c.members[second].peers = sees(0, 1), sees(2, 3)

	c.start(0, 1, 2, 3, first)
	c.pay(ctx, 0, 0)
	c.start(second)
	id, address := twin.id(), twin.address()
	record := c.foundOut(ctx, 0, id)
	shards, total := c.members[0].power(t, record.Height, address)
	if shards == 0 || int64(record.Power) != shards || record.Found <= record.Height {
		t.Errorf("%+v, its power at the fault was %d", record, shards)
	}
	// A change acts on the block after the next.
	acts := record.Found + 2
	c.reach(ctx, 0, acts)
	if power, _ := c.members[0].power(t, acts-1, address); power != shards {
		t.Errorf("power %d in block %d, before the change acts", power, acts-1)
	}
	if power, rest := c.members[0].power(t, acts, address); power != 0 || rest != total-shards {
		t.Errorf("power %d of %d in block %d, before it %d of %d", power, rest, acts, shards, total)
	}
	end := max(record.Found+20, 31)
	c.pay(ctx, 1, 1)
	for i := range c.members { // the two lives follow as well
		c.reach(ctx, i, end)
	}
	var want types.Header
	for i := range c.members {
		h := c.members[i].chain.node.BlockStore().LoadBlockMeta(int64(end)).Header
		if i == 0 {
			want = h
		}
		if !bytes.Equal(h.AppHash, want.AppHash) || !bytes.Equal(h.ValidatorsHash, want.ValidatorsHash) {
			t.Errorf("node %d: app hash %X and validators %X, node 0 %X and %X", i, h.AppHash, h.ValidatorsHash, want.AppHash, want.ValidatorsHash)
		}
	}
	for h := acts; h < end; h++ {
		for _, s := range c.members[0].chain.node.BlockStore().LoadBlockCommit(int64(h)).Signatures {
			if bytes.Equal(s.ValidatorAddress, address) {
				t.Fatalf("it signs block %d", h)
			}
		}
	}
	c.remoteReads(ctx, 0)
	view, err := c.members[0].chain.View(ctx)
	if err != nil {
		t.Fatal(err)
	}
	slashed, settled, err := view.Statement(record.Epoch, id)
	if err != nil || !settled || slashed.Verdict.Rung != 9 || !slashed.Verdict.Out || slashed.DoubleSlash == 0 || slashed.Cut.Total() == 0 {
		t.Errorf("the stake was not slashed: %+v %v", slashed, err)
	}
	record.TakenBps = slashed.DoubleSlash
	// A restart replays it alike.
	c.stop(0)
	c.start(0)
	c.reach(ctx, 0, end+1)
	if again := c.foundOut(ctx, 0, id); again != record {
		t.Errorf("after a restart %+v, before %+v", again, record)
	}
	t.Logf("signed twice in block %d, found out in block %d", record.Height, record.Found)
}

// twoVotes is evidence that member i signed two blocks at a height.
func (c *cluster) twoVotes(i int, height unit.Height) types.Evidence {
	c.t.Helper()
	chain, m := c.members[0].chain, c.members[i]
	validators, err := chain.states.LoadValidators(int64(height))
	if err != nil {
		c.t.Fatal(err)
	}
	index, v := validators.GetByAddress(m.address())
	vote := func(hash byte) *types.Vote {
		id := types.BlockID{Hash: append(make([]byte, 31), hash), PartSetHeader: types.PartSetHeader{Total: 1, Hash: make([]byte, 32)}}
		w := &types.Vote{Type: cmtproto.PrecommitType, Height: int64(height), BlockID: id, ValidatorAddress: v.Address, ValidatorIndex: index, Timestamp: time.Now()}
		w.Signature, _ = ed25519.PrivKey(m.secret.Key().Ed25519()).Sign(types.VoteSignBytes(string(c.genesis.ChainID()), w.ToProto()))
		return w
	}
	block := chain.node.BlockStore().LoadBlockMeta(int64(height))
	e, err := types.NewDuplicateVoteEvidence(vote(1), vote(2), block.Header.Time, validators)
	if err != nil {
		c.t.Fatal(err)
	}
	return e
}

// Evidence of four nodes only: none can be spared, so that it costs no power.
// Evidence that is too old is refused; what is just young enough is not.
func TestEvidenceCountsWhileStakeIsThere(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 4)
	c.genesis.Params.RoundBlocks, c.genesis.Params.RoundsPerEpoch = 4, 4
	age := c.genesis.Params.EvidenceBlocks()
	if age != 12 {
		t.Fatal(age)
	}
	ctx := within(t)
	c.start(0, 1, 2, 3)
	c.reach(ctx, 0, unit.Height(age)+4)
	pool := c.members[0].chain.node.EvidencePool()
	now := c.members[0].chain.machine.Height()
	// Blocks here take longer than they could: only the count of blocks is over.
	old := c.twoVotes(3, 1)
	c.reach(ctx, 0, now+1)
	if err := pool.AddEvidence(old); err == nil || !strings.Contains(err.Error(), "too old") {
		t.Errorf("evidence of block 1 in block %d, %d may pass: %v", now, age, err)
	}
	at := c.members[0].chain.machine.Height().Minus(age / 2)
	if err := pool.AddEvidence(c.twoVotes(3, at)); err != nil {
		t.Fatal(err)
	}
	r := c.foundOut(ctx, 0, c.members[3].id())
	if r.Height != at || r.Power == 0 {
		t.Errorf("%+v", r)
	}
	c.reach(ctx, 0, r.Found+3)
	if power, _ := c.members[0].power(t, r.Found+3, c.members[3].address()); power != int64(r.Power) {
		t.Errorf("power %d of %d: one of four cannot be spared", power, r.Power)
	}
}

// At whatever pace blocks come, evidence is taken while it is at most EvidenceBlocks
// old, and no longer.
func TestEvidenceIsTooOldByBlocksAtEveryPace(t *testing.T) {
	for _, p := range []ledger.Params{ledger.Testnet(), ledger.Default()} {
		g := ledger.Genesis{Name: "test", Time: 1, Params: p}
		params := genesisDoc(g, nil).ConsensusParams.Evidence
		nominal := time.Duration(p.BlockMs) * time.Millisecond
		for _, between := range []time.Duration{light.BlockPause(p), nominal, 3 * nominal} {
			for _, c := range []struct {
				age  uint64
				late bool
			}{{1, false}, {p.EvidenceBlocks(), false}, {p.EvidenceBlocks() + 1, true}, {2 * p.EvidenceBlocks(), true}} {
				then := time.UnixMilli(1_800_000_000_000)
				now := then.Add(time.Duration(c.age) * between)
				if got := evidence.IsEvidenceExpired(int64(10+c.age), now, 10, then, params); got != c.late {
					t.Errorf("a block every %s, %d blocks old of %d: too old %v", between, c.age, p.EvidenceBlocks(), got)
				}
			}
		}
	}
}

// Two votes and a block shown to a light client count; other words of CometBFT, and
// addresses of no validator, do not.
func TestOnlyProofOfADoubleSignCounts(t *testing.T) {
	c := newCluster(t, 4)
	m := c.members[2]
	chain, err := Open(Options{Dir: filepath.Join(m.dir, "ledger"), KeyDir: m.dir, Genesis: c.genesis, Key: m.secret.Key(), Listen: m.addr, Peers: c.peers, Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	defer chain.db.Close()
	of := func(i int, kind abci.MisbehaviorType, power int64) abci.Misbehavior {
		return abci.Misbehavior{Type: kind, Height: int64(i + 7), Validator: abci.Validator{Address: c.members[i].address(), Power: power}}
	}
	stranger := of(0, abci.MisbehaviorType_DUPLICATE_VOTE, 4)
	stranger.Validator.Address = bytes.Repeat([]byte{1}, 20)
	got, err := chain.app.doubleSigns([]abci.Misbehavior{
		of(0, abci.MisbehaviorType_DUPLICATE_VOTE, 5), of(1, abci.MisbehaviorType_UNKNOWN, 6), stranger, of(2, abci.MisbehaviorType_LIGHT_CLIENT_ATTACK, 7)})
	want := []ledger.DoubleSign{{Node: c.members[0].id(), Height: 7, Power: 5}, {Node: c.members[2].id(), Height: 9, Power: 7}}
	if err != nil || len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("%+v %v, want %+v", got, err, want)
	}
}
