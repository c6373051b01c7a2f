package comet

import (
	"net"
	"sync/atomic"
	"testing"

	"github.com/walrus-network/walrus/token"
)

// A node comes back on another port; the old one is in the ledger's records still,
// a stranger claims another node's address, and one listens and says nothing.
// The others find it, and ending does not wait for the silent ones.
func TestANodeThatMovedIsFoundBesideWrongAddresses(t *testing.T) {
	t.Parallel()
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
	// One dial at a time to a silent address, however often the peers are looked at.
	if n := met.Load(); n > 8*4 {
		t.Errorf("%d calls to one that never answers", n)
	}
}
