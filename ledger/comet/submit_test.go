package comet

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/walrus-network/walrus/internal/leak"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/ledger/light"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/token"
)

func (c *cluster) transfer(nonce uint64) []byte {
	return ledger.Sign(c.wallet, c.genesis.ChainID(), nonce, token.WAL/10, ledger.Transfer{To: token.Address{9}, Amount: token.WAL})
}

// lasting is the trust of a client of a cluster whose epochs are short: on a busy machine a test
// takes longer than they let a header be trusted.
var lasting = light.RemoteOptions{TrustPeriod: time.Hour}

// remote is a client of some members.
func (c *cluster) remote(seed byte, of ...int) *light.Remote {
	c.t.Helper()
	var bootstrap []string
	for _, i := range of {
		bootstrap = append(bootstrap, c.members[i].host.Addrs()...)
	}
	host, err := p2p.New(p2p.Config{Key: token.KeyFromSeed([32]byte{seed, 88}).Ed25519(), Bootstrap: bootstrap, Log: quiet(),
		Hello: p2p.Hello{Chain: string(c.genesis.ChainID()), Version: "test"}})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { host.Close() })
	return light.NewRemote(host, c.genesis, lasting)
}

func TestOneTransactionSentByManyIsDoneOnceAndAllAreTold(t *testing.T) {
	c := newCluster(t, 4)
	ctx := within(t)
	c.start(0, 1, 2, 3)
	tx := c.transfer(0)
	var wg sync.WaitGroup
	for i := range 8 {
		r := c.remote(byte(i), i%4)
		wg.Go(func() {
			if receipt, err := r.Submit(ctx, tx); err != nil || receipt.Err() != nil {
				t.Errorf("%+v, %v", receipt, err)
			}
		})
	}
	wg.Wait()
	// Later, when it is in a block already, it is no error either.
	r := c.remote(100, 2)
	receipt, err := r.Submit(ctx, tx)
	if err != nil || receipt.Err() != nil {
		t.Errorf("sent again: %+v, %v", receipt, err)
	}
	// Another one with its nonce is refused at once, and says why.
	other := ledger.Sign(c.wallet, c.genesis.ChainID(), 0, token.WAL/10, ledger.Transfer{To: token.Address{9}, Amount: 2})
	if receipt, err := r.Submit(ctx, other); err != nil || !errors.Is(receipt.Err(), ledger.ErrNonce) {
		t.Errorf("%+v, %v", receipt, err)
	}
	// A node that has forgotten all receipts knows from the state that it is done.
	c.stop(2)
	c.start(2)
	c.reach(ctx, 2, receipt.Height+1)
	if receipt, err := c.members[2].chain.Submit(ctx, tx); err != nil || receipt.Err() != nil && !errors.Is(receipt.Err(), ledger.ErrNonce) {
		t.Errorf("%+v, %v", receipt, err)
	}
	c.reach(ctx, 0, receipt.Height+2)
	v := must(c.members[0].chain.View(ctx))
	if a, err := v.Account(token.Address{9}); err != nil || a.Balance != token.WAL {
		t.Errorf("%s arrived, %v", a.Balance, err)
	}
}

// The mempool has met it and the receipt is forgotten: no client waits for ever.
func TestAForgottenReceiptIsAnsweredFromTheState(t *testing.T) {
	c := newCluster(t, 1)
	ctx := within(t)
	c.start(0)
	c.pay(ctx, 0, 0)
	a := c.members[0].chain.app
	a.mu.Lock()
	clear(a.receipts)
	a.order = nil
	a.mu.Unlock()
	receipt, err := c.members[0].chain.Submit(ctx, c.transfer(0))
	if err != nil || !errors.Is(receipt.Err(), ledger.ErrNonce) {
		t.Errorf("%+v, %v", receipt, err)
	}
}

// One of four runs: no block comes. A client that submits hears it in time, one that
// submits too much hears that, and reads are answered, with proofs.
func TestAHaltedLedgerSaysSo(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 4)
	c.waiting = 3
	ctx := within(t)
	c.start(0, 1, 2, 3)
	c.pay(ctx, 0, 0)
	for _, i := range []int{1, 2, 3} {
		c.stop(i)
	}
	r := c.remote(1, 0)
	waiting := c.members[0].chain.node.Mempool()
	for nonce := uint64(0); waiting.Size() < 3; nonce = uint64(waiting.Size()) { // on a busy machine one may not arrive in time
		short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		_, err := r.Submit(short, c.transfer(1+nonce))
		cancel()
		if ctx.Err() != nil {
			t.Fatalf("%d transactions wait", waiting.Size())
		}
		if !errors.Is(err, light.ErrHalted) || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "try again") {
			t.Errorf("got %v", err)
		}
	}
	if _, err := r.Submit(ctx, c.transfer(4)); !p2p.IsRefusal(err, p2p.CodeBusy) || !strings.Contains(err.Error(), "in a moment") {
		t.Errorf("got %v", err)
	}
	c.remoteReads(ctx, 0)
	// Once the others are back, what waited is done, though no client asked again.
	c.start(1, 2, 3)
	for {
		receipt, err := r.Submit(ctx, c.transfer(1))
		if p2p.IsRefusal(err, p2p.CodeBusy) && ctx.Err() == nil {
			c.reach(ctx, 0, c.members[0].chain.machine.Height()+1)
			continue
		}
		if err != nil || receipt.Err() != nil {
			t.Errorf("%+v, %v", receipt, err)
		}
		return
	}
}

func TestNothingRunsOnWhenAChainHasEnded(t *testing.T) {
	before := goleak.IgnoreCurrent()
	c := newCluster(t, 2)
	ctx := within(t)
	c.start(0, 1)
	r := c.pay(ctx, 0, 0)
	c.reach(ctx, 1, r.Height)
	c.stop(0)
	c.stop(1)
	// What CometBFT leaves behind when a node is stopped; the process ends then.
	leak.None(t, before,
		goleak.IgnoreAnyFunction("github.com/cometbft/cometbft/blocksync.(*BlockPool).makeRequestersRoutine"),
		goleak.IgnoreAnyFunction("github.com/cometbft/cometbft/consensus.(*Reactor).queryMaj23Routine"),
		goleak.IgnoreAnyFunction("github.com/cometbft/cometbft/libs/autofile.(*AutoFile).closeFileRoutine"),
		goleak.IgnoreAnyFunction("github.com/cometbft/cometbft/libs/autofile.OpenAutoFile.func1"),
		goleak.IgnoreAnyFunction("github.com/cometbft/cometbft/proxy.(*multiAppConn).killTMOnClientError"))
}
