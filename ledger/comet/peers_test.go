package comet

import (
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/token"
)

// A node comes back on another port; the old one is in the ledger's records still,
// a stranger claims the address of somebody else, and one listens and says nothing.
// The others find it, and ending does not wait for those who are silent.
func TestANodeThatMovedIsFoundBesideWrongAddresses(t *testing.T) {
	c := newCluster(t, 4)
	ctx := within(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	var met atomic.Int64
	go func() {
		for {
			conn, err := silent.Accept()
			if err != nil {
				return
			}
			met.Add(1)
			defer conn.Close()
		}
	}()
	stranger := token.KeyFromSeed([32]byte{200}).Public()
	old := c.members[3].addr
	c.others = []Peer{
		{Key: stranger, Addr: c.members[0].addr},
		{Key: token.KeyFromSeed([32]byte{201}).Public(), Addr: silent.Addr().String()},
		{Key: token.KeyFromSeed([32]byte{202}).Public(), Addr: "no address"},
		{Key: token.KeyFromSeed([32]byte{203}).Public(), Addr: "127.0.0.1:1"},
		{Key: c.members[3].secret.Key().Public(), Addr: old},
	}
	c.start(0, 1, 2, 3)
	c.pay(ctx, 0, 0)
	c.stop(3)
	c.pay(ctx, 0, 1)
	c.setAddr(3, freeAddr(t))
	c.start(3)
	r := c.pay(ctx, 3, 2)
	c.reach(ctx, 0, r.Height)
	if met.Load() == 0 {
		t.Fatal("nobody called the silent one: the test shows nothing")
	}
	// One dial at a time to whoever is silent, however often the peers are looked at.
	if n := met.Load(); n > 8*4 {
		t.Errorf("%d calls to one that never answers", n)
	}
}

func TestTheTrustPeriodIsNeverZeroAndNeverOverflows(t *testing.T) {
	for _, c := range []struct {
		name                           string
		blockMs, round, rounds, unbond uint64
		want                           time.Duration
	}{
		{"an epoch of one round", 500, 20, 1, 1, 4 * time.Second},
		{"the shortest epoch", 1, 8, 1, 1, 4 * 800 * time.Microsecond},
		{"many rounds", 500, 120, 10, 1, 9 * time.Minute * 4 / 5},
		{"a real network", 3000, 1200, 336, 2, (2*14*24*time.Hour - time.Hour) * 4 / 5},
		{"as long as can be", 1 << 32, 1, 1 << 32, 100, maxTrust},
	} {
		p := ledger.Testnet()
		p.Challenged = false // epochs of any length
		p.BlockMs, p.RoundBlocks, p.RoundsPerEpoch, p.Staking.UnbondingEpochs = c.blockMs, c.round, c.rounds, c.unbond
		p.Staking.CommissionNotice = c.unbond + 2
		if err := p.Validate(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if got := TrustPeriod(p); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		g := newWorld(t, "test", 0).genesis
		g.Params = p
		if _, err := (ledgerGenesis{g}).doc(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
