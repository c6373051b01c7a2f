package comet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	"github.com/cometbft/cometbft/types"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/ledger/light"
	"github.com/walrus-network/walrus/ledger/snapshot"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// guest is a host that asks the first members.
func (c *cluster) guest(of ...int) *p2p.Host {
	c.t.Helper()
	var boot []string
	for _, i := range of {
		boot = append(boot, c.members[i].host.Addrs()...)
	}
	host, err := p2p.New(p2p.Config{Key: token.KeyFromSeed([32]byte{89}).Ed25519(), Bootstrap: boot, Log: quiet(),
		Hello: p2p.Hello{Chain: string(c.genesis.ChainID()), Version: "test"}})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { host.Close() })
	return host
}

func (c *cluster) joinOptions(dir string, host light.Asker) JoinOptions {
	return JoinOptions{Dir: dir, Genesis: c.genesis, Host: host, Least: 5, Log: quiet(), Trust: lasting}
}

// cutAfter lets a number of questions about the state through, and then ends all.
type cutAfter struct {
	*p2p.Host
	left atomic.Int64
	cut  func()
}

func (c *cutAfter) AskLedger(ctx context.Context, p peer.ID, ask p2p.Ask, body []byte) ([]byte, error) {
	if ask == p2p.AskState {
		if c.left.Add(-1) < 0 {
			c.cut()
			return nil, context.Canceled
		}
	}
	return c.Host.AskLedger(ctx, p, ask, body)
}

// crowd is a host to which many liars are connected: each offers a snapshot of another height
// that no block has, and is silent then.
type crowd struct {
	*p2p.Host
	liars map[peer.ID]unit.Height
	asked atomic.Int64 // questions to honest nodes about what the liars claim
}

func newCrowd(host *p2p.Host, n int) *crowd {
	c := &crowd{Host: host, liars: map[peer.ID]unit.Height{}}
	for i := range n {
		c.liars[peer.ID(fmt.Sprint("liar-", i))] = 1e9 + unit.Height(i)
	}
	return c
}

func (c *crowd) Peers() map[peer.ID]p2p.Hello {
	out := c.Host.Peers()
	for p := range c.liars {
		out[p] = p2p.Hello{Ledger: "127.0.0.1:1"}
	}
	return out
}

func (c *crowd) AskLedger(ctx context.Context, p peer.ID, ask p2p.Ask, body []byte) ([]byte, error) {
	height, lies := c.liars[p]
	var q struct {
		_      struct{} `cbor:",toarray"`
		Height unit.Height
	}
	switch {
	case !lies:
		if ask == p2p.AskLight && canon.Decode(body, &q) == nil && q.Height >= 1e9 {
			c.asked.Add(1)
		}
		return c.Host.AskLedger(ctx, p, ask, body)
	case ask == p2p.AskSnapshot:
		return canon.Encode(snapshot.Offer{Height: height, Ready: true, Base: 1}), nil
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

// Nodes that claim heights that no block has hold up a join no longer than one of them: none
// but the node that claims a height is asked to prove it.
func TestManyLiarsDoNotHoldUpAJoin(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 4)
	ctx := within(t)
	c.start(0, 1, 2)
	c.reach(ctx, 0, 15)
	crowd := newCrowd(c.guest(0, 1), 200)
	if joined, err := Join(ctx, c.joinOptions(filepath.Join(t.TempDir(), "ledger"), crowd)); err != nil || !joined {
		t.Fatalf("joined %v, %v", joined, err)
	}
	if n := crowd.asked.Load(); n > 0 {
		t.Errorf("honest nodes were asked %d times for heights that liars claim", n)
	}
}

// What many nodes offer comes first, but not where it is old: true old heights are cheap to
// offer.
func TestOldSnapshotsComeLast(t *testing.T) {
	at := func(height int64, offers int) proven {
		return proven{headers: []*types.LightBlock{{SignedHeader: &types.SignedHeader{Header: &types.Header{Height: height}}}}, offers: offers}
	}
	var got []int64
	for _, of := range inOrder([]proven{at(10, 27), at(99_980, 1), at(99_990, 3), at(100_000, 2), at(500, 1)}) {
		got = append(got, of.headers[0].Height)
	}
	if want := []int64{99_990, 100_000, 99_980, 500, 10}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// A node whose ledger is gone comes back by a snapshot, not by the blocks. It keeps its
// record of what it signed, is at the tip, and signs again.
func TestANodeComesBackByASnapshot(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 4)
	c.genesis.Params.Challenged = true // votes carry extensions
	ctx := within(t)
	c.start(0, 1, 2, 3)
	c.pay(ctx, 0, 0)
	c.reach(ctx, 0, 25)
	c.stop(3)
	m := c.members[3]
	dir := filepath.Join(m.dir, "ledger")
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	host := c.guest(0, 1, 2)

	// Cut off in the middle, by the context and by what a kill leaves.
	cutting, cut := context.WithCancel(ctx)
	once := &cutAfter{Host: host, cut: cut}
	once.left.Store(1)
	if joined, err := Join(cutting, c.joinOptions(dir, once)); joined || err == nil {
		t.Fatalf("joined %v, %v", joined, err)
	}
	if _, err := os.Stat(filepath.Join(dir, dbDir)); err == nil {
		t.Fatal("half a snapshot is in the ledger's place")
	}
	joined, err := Join(ctx, c.joinOptions(dir, host))
	if err != nil || !joined {
		t.Fatalf("joined %v, %v", joined, err)
	}
	if joined, err := Join(ctx, c.joinOptions(dir, host)); joined || err != nil {
		t.Fatalf("a ledger that is there was fetched again: %v, %v", joined, err)
	}
	c.start(3)
	base := m.chain.machine.Height()
	if base < 10 {
		t.Fatalf("the ledger begins at %d", base)
	}
	c.reach(ctx, 3, c.members[0].chain.machine.Height()+3)
	if first := m.chain.node.BlockStore().Base(); first <= int64(base) {
		t.Errorf("the first block is %d, the snapshot is of %d", first, base)
	}
	// Two others away: no block without this one's votes.
	c.stop(2)
	r := c.pay(ctx, 0, 1)
	c.reach(ctx, 3, r.Height)
	v, err := m.chain.View(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if a, err := v.Account(token.Address{9}); err != nil || a.Balance != 2*token.WAL {
		t.Errorf("balance %s, %v", a.Balance, err)
	}
	// It is stopped and started again, and gives snapshots itself.
	c.start(2)
	c.stop(3)
	c.start(3)
	c.reach(ctx, 3, r.Height+5)
	again := filepath.Join(t.TempDir(), "ledger")
	if joined, err := Join(ctx, c.joinOptions(again, c.guest(3))); err != nil || !joined {
		t.Fatalf("joined %v, %v", joined, err)
	}
}

// misled is a host that is connected to one member alone, which lies about the turns.
type misled struct {
	*p2p.Host
	liar peer.ID
	lied atomic.Bool
}

func (m *misled) AskLedger(ctx context.Context, p peer.ID, ask p2p.Ask, body []byte) ([]byte, error) {
	out, err := m.Host.AskLedger(ctx, p, ask, body)
	var a struct {
		_          struct{} `cbor:",toarray"`
		Committees [][]byte
	}
	if err != nil || p != m.liar || ask != p2p.AskState || canon.Decode(out, &a) != nil || len(a.Committees) != 2 {
		return out, err
	}
	var proposes [2]string
	var sets [2]*types.ValidatorSet
	for i, raw := range a.Committees {
		var pb cmtproto.ValidatorSet
		if pb.Unmarshal(raw) != nil {
			return out, nil
		}
		sets[i] = must(types.ValidatorSetFromProto(&pb))
		proposes[i] = string(sets[i].GetProposer().Address)
	}
	for i, set := range sets {
		for _, v := range set.Validators {
			if a := string(v.Address); a != proposes[0] && a != proposes[1] {
				v.ProposerPriority-- // the same proposers now, others later
			}
		}
		a.Committees[i] = must(must(set.ToProto()).Marshal())
	}
	m.lied.Store(true)
	return canon.Encode(a), nil
}

// The member that a node joins through may lie about whose turn it is to propose. The node
// asks the others too, where the state says that they are.
func TestAMemberAloneDoesNotTellTheTurns(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 4)
	ctx := within(t)
	c.start(0, 1, 2, 3)
	c.reach(ctx, 0, 25)
	host := &misled{Host: c.guest(0), liar: c.members[0].host.ID()}
	dir := filepath.Join(t.TempDir(), "ledger")
	if joined, err := Join(ctx, c.joinOptions(dir, host)); err != nil || !joined {
		t.Fatalf("joined %v, %v", joined, err)
	}
	if !host.lied.Load() {
		t.Fatal("the member has not lied")
	}
	chain, err := Open(Options{Dir: dir, KeyDir: t.TempDir(), Genesis: c.genesis, Key: token.KeyFromSeed([32]byte{77}), BLS: token.Secret{77}.BLSKey(), Listen: freeAddr(t), Peers: func() []Peer { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	defer chain.db.Close()
	height := int64(chain.machine.Height()) + 1
	got, want := must(chain.states.LoadValidators(height)), must(c.members[1].chain.states.LoadValidators(height))
	if got.String() != want.String() {
		t.Errorf("the turns are %v, want %v", got, want)
	}
}

// A block may hold evidence of a fault from before the snapshot with which a node has begun.
// The node takes the block as all others do: evidence that is held back until nodes have
// joined must not end their agreement.
func TestEvidenceFromBeforeASnapshotIsChecked(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 4)
	ctx := within(t)
	c.start(0, 1, 2, 3)
	c.reach(ctx, 0, 25)
	c.stop(3)
	m := c.members[3]
	dir := filepath.Join(m.dir, "ledger")
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	host := c.guest(0, 1, 2)
	if joined, err := Join(ctx, c.joinOptions(dir, host)); err != nil || !joined {
		t.Fatalf("joined %v, %v", joined, err)
	}
	m.asker = host
	c.start(3)
	base := m.chain.machine.Height()
	c.reach(ctx, 3, base+3)
	if err := c.members[0].chain.node.EvidencePool().AddEvidence(c.twoVotes(2, 7)); err != nil {
		t.Fatal(err)
	}
	r := c.foundOut(ctx, 0, c.members[2].id())
	if r.Height != 7 || base <= 7 {
		t.Fatalf("found %+v, the snapshot is of %d", r, base)
	}
	c.reach(ctx, 3, r.Found+3)
	if err := m.chain.reason(); err != nil {
		t.Error(err)
	}
}

// A process that was killed after a snapshot was whole puts it in its place later, wherever
// it was killed; before the first block it opens again and again.
func TestAKilledJoinIsFinished(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 4)
	ctx := within(t)
	c.start(0, 1, 2)
	c.reach(ctx, 0, 15)
	dir := filepath.Join(t.TempDir(), "ledger")
	host := c.guest(0, 1)
	if joined, err := Join(ctx, c.joinOptions(dir, host)); err != nil || !joined {
		t.Fatalf("joined %v, %v", joined, err)
	}
	at := func() unit.Height {
		t.Helper()
		o := Options{Dir: dir, KeyDir: t.TempDir(), Genesis: c.genesis, Key: token.KeyFromSeed([32]byte{77}), BLS: token.Secret{77}.BLSKey(), Listen: freeAddr(t), Peers: func() []Peer { return nil }}
		chain, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		defer chain.db.Close()
		return chain.machine.Height()
	}
	want := at()
	if got := at(); got != want || want < 8 {
		t.Fatalf("opened at %d, and again at %d", want, got)
	}
	swap := func(prepare func(joining string)) {
		t.Helper()
		joining := filepath.Join(dir, joinDir)
		if err := os.MkdirAll(joining, 0o700); err != nil {
			t.Fatal(err)
		}
		prepare(joining)
		if joined, err := Join(ctx, c.joinOptions(dir, host)); err != nil || joined {
			t.Fatalf("joined %v, %v", joined, err)
		}
		if got := at(); got != want {
			t.Fatalf("height %d, want %d", got, want)
		}
		if _, err := os.Stat(joining); err == nil {
			t.Error("what is in its place is still kept twice")
		}
	}
	db := filepath.Join(dir, dbDir)
	must0 := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	swap(func(joining string) { // before the old one was removed
		must0(os.CopyFS(filepath.Join(joining, dbDir), os.DirFS(db)))
		must0(writeSynced(filepath.Join(joining, wholeDoc)))
	})
	swap(func(joining string) { // after that
		must0(os.Rename(db, filepath.Join(joining, dbDir)))
		must0(writeSynced(filepath.Join(joining, wholeDoc)))
	})
	swap(func(joining string) { // after the new one was put there
		must0(writeSynced(filepath.Join(joining, wholeDoc)))
	})
}

// A fetch that came to nothing leaves up to a ledger's size on the disk: not for ever, where
// the node has gone on by blocks.
func TestWhatAFetchHasLeftIsRemoved(t *testing.T) {
	for name, x := range map[string]struct {
		age  time.Duration
		want bool
	}{"of now": {0, true}, "old": {staleJoin + time.Hour, false}} {
		dir := t.TempDir()
		left := filepath.Join(dir, joinDir, dbDir)
		for _, d := range []string{filepath.Join(dir, dbDir), left} {
			if err := os.MkdirAll(d, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		at := time.Now().Add(-x.age)
		if err := os.Chtimes(left, at, at); err != nil {
			t.Fatal(err)
		}
		if joined, err := Join(t.Context(), JoinOptions{Dir: dir}); joined || err != nil {
			t.Fatal(joined, err)
		}
		if _, err := os.Stat(left); (err == nil) != x.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A snapshot that leads back to nothing trusted is not taken, whatever the nodes say.
func TestASnapshotIsProvenByWhatIsTrusted(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 4)
	ctx := within(t)
	c.start(0, 1, 2, 3)
	c.reach(ctx, 0, 15)
	host := c.guest(0, 1)
	for name, o := range map[string]struct {
		trust light.RemoteOptions
		want  error
	}{
		"another checkpoint": {light.RemoteOptions{Checkpoint: &light.Checkpoint{Height: 3, Hash: [32]byte{1}}}, light.ErrUntrusted},
		"an old genesis":     {light.RemoteOptions{TrustPeriod: time.Millisecond}, light.ErrExpired},
	} {
		options := c.joinOptions(filepath.Join(t.TempDir(), "ledger"), host)
		options.Trust = o.trust
		short, cancel := context.WithTimeout(ctx, 8*time.Second)
		joined, err := Join(short, options)
		cancel()
		if joined || !errors.Is(err, o.want) && !errors.Is(err, context.DeadlineExceeded) || err == nil {
			t.Errorf("%s: joined %v, %v", name, joined, err)
		}
		if _, err := os.Stat(filepath.Join(options.Dir, dbDir)); err == nil {
			t.Errorf("%s: a ledger is there", name)
		}
	}
}
