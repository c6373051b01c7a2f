package node

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/internal/testlevel"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/ledger/light"
)

// blockLedger is a client's ledger a round trip away that makes a block of all transactions
// that wait, every so often. A receipt comes with its proof, and so after the next block.
type blockLedger struct {
	distantLedger
	every time.Duration

	mu      sync.Mutex // guards the fields below
	waiting []waitingTx
	shown   ledger.View // state before the last block: that after it takes the next header
	last    ledger.View // state after the last block
	looks   int         // at the ledger
	most    int         // transactions of a block
}

type waitingTx struct {
	raw  []byte
	done chan shownTx // of one
}

// shownTx is a receipt, and the state after its block.
type shownTx struct {
	ledger.TxReceipt
	after ledger.View
}

func newBlockLedger(n *network, every time.Duration) *blockLedger {
	return &blockLedger{distantLedger: distantLedger{local: n.ledger}, every: every, shown: n.view(), last: n.view()}
}

func (l *blockLedger) run(ctx context.Context, t *testing.T) {
	tick := time.NewTicker(l.every)
	defer tick.Stop()
	var told []func()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		l.mu.Lock()
		txs := l.waiting
		l.waiting = nil
		l.most = max(l.most, len(txs))
		l.mu.Unlock()
		var b ledger.Block
		for _, tx := range txs {
			b.Txs = append(b.Txs, tx.raw)
		}
		r, err := l.Local.Run(b)
		if err != nil {
			t.Error(err)
			return
		}
		l.mu.Lock()
		l.shown = l.last
		l.mu.Unlock()
		for _, tell := range told {
			tell()
		}
		told = nil
		height := l.Local.Height()
		after, err := l.local.View(ctx)
		if err != nil {
			return // the test has ended
		}
		l.mu.Lock()
		l.last = after
		l.mu.Unlock()
		for i, tx := range txs {
			told = append(told, func() {
				tx.done <- shownTx{ledger.TxReceipt{Height: height, Code: r.Txs[i].Code, Log: r.Txs[i].Log}, after}
			})
		}
	}
}

// figures is how often the ledger was looked at, and the transactions of its largest block.
func (l *blockLedger) figures() (looks, most int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.looks, l.most
}

func (l *blockLedger) View(ctx context.Context) (ledger.View, error) {
	l.mu.Lock()
	l.looks++
	l.mu.Unlock()
	time.Sleep(farRoundTrip)
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.shown, ctx.Err()
}

func (l *blockLedger) Submit(ctx context.Context, tx []byte) (ledger.TxReceipt, error) {
	r, _, err := l.SubmitAnd(ctx, tx)
	return r, err
}

func (l *blockLedger) SubmitAnd(ctx context.Context, raw []byte, _ ...[]byte) (ledger.TxReceipt, ledger.View, error) {
	time.Sleep(farRoundTrip / 2)
	if err := l.Machine().Check(raw); err != nil {
		time.Sleep(farRoundTrip / 2)
		return ledger.TxReceipt{Height: l.Local.Height(), Code: ledger.CodeOf(err), Log: err.Error()}, ledger.View{}, nil
	}
	tx := waitingTx{raw, make(chan shownTx, 1)}
	l.mu.Lock()
	l.waiting = append(l.waiting, tx)
	l.mu.Unlock()
	select {
	case r := <-tx.done:
		time.Sleep(farRoundTrip / 2)
		return r.TxReceipt, r.after, nil
	case <-ctx.Done():
		return ledger.TxReceipt{}, ledger.View{}, ctx.Err()
	}
}

// Many small files are stored side by side: a block takes as many registrations of one wallet
// as it may have nonces, and the certificates follow within a block or two.
func TestManyFilesTakeFewBlocks(t *testing.T) {
	testlevel.Middle(t, "stores 200 files in a network of seven nodes")
	const files, most, every = 200, 10, 3 * time.Second
	synctest.Test(t, func(t *testing.T) {
		n := far(t, 14, 0, 0, 0)
		n.startOthers()
		n.start(wiped)
		synctest.Wait() // they serve
		l := newBlockLedger(n, every)
		c := n.clientOf(l)
		shape, err := n.genesis.Params.Shape()
		if err != nil {
			t.Fatal(err)
		}
		c.Shape = shape
		ctx, stop := context.WithCancel(t.Context())
		var blocks sync.WaitGroup
		blocks.Go(func() { l.run(ctx, t) })
		defer blocks.Wait()
		defer stop()

		began := time.Now()
		var stores sync.WaitGroup
		for i := range files {
			stores.Go(func() {
				if _, err := c.Store(ctx, n.wallet, random(10_000, int64(i)), client.StoreOptions{Epochs: 5}); err != nil {
					t.Errorf("file %d: %v", i, err)
				}
			})
		}
		stores.Wait()
		took := float64(time.Since(began)) / float64(every)
		looks, largest := l.figures()
		t.Logf("%d files in %.1f blocks, at most %d transactions in one, %d looks at the ledger", files, took, largest, looks)
		if took > most {
			t.Errorf("%d files took %.1f blocks, at most %d are due", files, took, most)
		}
		if looks > files*3/2 { // a node lets a stranger ask 50 times a second
			t.Errorf("the ledger was looked at %d times", looks)
		}
		for i := range 3 {
			n.read(within(t), c, mustID(t, shape, random(10_000, int64(i*60))), random(10_000, int64(i*60)))
		}
	})
}

// Stores that wait for their turn pay ahead only where members take uploads.
func TestNoneOfManyFilesIsPaidForWhereMembersTakeNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := far(t, 14, 0, 0, 0) // and none runs
		l := newBlockLedger(n, time.Second)
		c := n.clientOf(l)
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { l.run(ctx, t) })
		defer running.Wait()
		defer stop()
		var stores sync.WaitGroup
		for i := range 20 {
			stores.Go(func() {
				if _, err := c.Store(within(t), n.wallet, random(10_000, int64(i)), client.StoreOptions{Epochs: 5}); !errors.Is(err, client.ErrQuorum) {
					t.Errorf("file %d: %v", i, err)
				}
			})
		}
		stores.Wait()
		if _, most := l.figures(); most > 0 {
			t.Errorf("%d transactions were sent", most)
		}
	})
}

func mustID(t *testing.T, shape blob.Shape, data memory) blob.ID {
	t.Helper()
	c, err := client.Identify(t.Context(), shape, data, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c.ID
}

// laggingLedger answers its first looks as nodes do that are a block behind what this machine
// has verified.
type laggingLedger struct {
	local
	behind *atomic.Int32 // looks
}

func (l laggingLedger) View(ctx context.Context) (ledger.View, error) {
	if l.behind.Add(-1) >= 0 {
		return ledger.View{}, light.ErrBehind
	}
	return l.local.View(ctx)
}

// Among many stores some look at the ledger where a node has not yet the block that another
// store has just seen.
func TestAStoreWaitsForNodesThatAreBehind(t *testing.T) {
	for behind, ok := range map[int32]bool{2: true, 100: false} {
		synctest.Test(t, func(t *testing.T) {
			n := far(t, 14, 0, 0, 0)
			n.startOthers()
			n.start(wiped)
			synctest.Wait() // they serve
			l := laggingLedger{n.ledger, new(atomic.Int32)}
			l.behind.Store(behind)
			_, err := n.clientOf(l).Store(within(t), n.wallet, random(1000, 1), client.StoreOptions{Epochs: 5})
			if ok != (err == nil) || !ok && !errors.Is(err, light.ErrBehind) {
				t.Errorf("%d looks are behind: %v", behind, err)
			}
		})
	}
}
