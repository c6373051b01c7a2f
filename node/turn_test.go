package node

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/fetch"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/state"
	"github.com/walrus-network/walrus/token"
)

// turning is a client's ledger on which an epoch ends just before its certificate.
type turning struct {
	local
	turn func()
	done *atomic.Bool
}

func (l turning) Submit(ctx context.Context, tx []byte) (ledger.TxReceipt, error) {
	if t, _, err := ledger.DecodeTx(tx); err == nil && t.Kind == ledger.KindRegisterBlob && l.done.CompareAndSwap(false, true) {
		l.turn()
	}
	return l.local.Submit(ctx, tx)
}

// The epoch turns after the blob was offered and before any node confirmed: all sign
// for another epoch than the client counts in. It offers again, sends and pays nothing twice.
func TestAStoreSurvivesTheTurnOfAnEpoch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startNetwork(t, 4, 4)
		ctx := within(t)
		host := n.stranger(31)
		l := turning{local: n.ledger, done: new(atomic.Bool), turn: func() { n.toEpoch(1) }}
		c := client.New(host, l, n.ledger.ChainID(), quiet())
		t.Cleanup(c.Close)
		data := random(200_000, 6)
		stored, err := c.Store(ctx, n.wallet, data, client.StoreOptions{Epochs: 5})
		if err != nil {
			t.Fatal(err)
		}
		if stored.SentBytes > stored.EncodedBytes {
			t.Errorf("sent %d of %d bytes: something twice", stored.SentBytes, stored.EncodedBytes)
		}
		v, _ := n.ledger.View(ctx)
		if e, ok, err := v.Blob(stored.ID); err != nil || !ok || !e.Certified() || len(e.Leases) != 1 {
			t.Errorf("%+v %v %v", e, ok, err)
		}
		n.read(ctx, c, stored.ID, data)
	})
}

func TestExpiredBytesGoOnlyAtTheTipAndOnlyWhenTheyMay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startNetwork(t, 4, 4)
		ctx := within(t)
		c := n.client()
		keep, end := random(50_000, 1), random(50_000, 2)
		kept := n.store(ctx, c, keep)
		stored, err := c.Store(ctx, n.wallet, end, client.StoreOptions{Epochs: 1})
		if err != nil {
			t.Fatal(err)
		}
		for i := range n.nodes {
			n.healed(ctx, i)
		}
		full := n.nodes[0].store.Counts().Bytes
		n.toEpoch(1) // ended, but the bytes are pinned to the end of the following epoch
		n.collect(ctx)
		if !n.holds(0, stored.ID) {
			t.Fatal("dropped before the tombstone allows it")
		}
		n.ledger.behind.Store(true)
		n.toEpoch(2)
		n.collect(ctx)
		if !n.holds(0, stored.ID) {
			t.Fatal("dropped on the word of a ledger that is behind")
		}
		n.ledger.behind.Store(false)
		n.collect(ctx)
		for i := range n.nodes {
			if n.holds(i, stored.ID) {
				t.Errorf("node %d keeps what has ended", i)
			}
			n.possesses(i, kept.ID)
		}
		if now := n.nodes[0].store.Counts().Bytes; now > full*6/10 {
			t.Errorf("%d of %d bytes are left", now, full)
		}
		n.read(ctx, c, kept.ID, keep)
	})
}

// A node whose ledger was reset knows no blob: unknown is never garbage.
func TestAResetLedgerDeletesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startNetwork(t, 4, 4)
		ctx := within(t)
		stored := n.store(ctx, n.client(), random(50_000, 1))
		n.healed(ctx, 0)
		fresh, err := ledger.NewLocal(n.genesis, state.NewMemory(), func() int64 { return time.Now().UnixMilli() })
		if err != nil {
			t.Fatal(err)
		}
		before := n.nodes[0].store.Counts()
		n.stop(0)
		old := n.ledger
		n.ledger = local{fresh, new(atomic.Bool)}
		n.start(0)
		for range 3 {
			if err := n.nodes[0].node.collectOnce(ctx, time.Now().Add(100*time.Hour)); err != nil {
				t.Fatal(err)
			}
			n.toEpoch(n.epoch() + 2)
		}
		if after := n.nodes[0].store.Counts(); after.Bytes != before.Bytes || after.Fragments != before.Fragments {
			t.Errorf("held %+v, after the reset %+v", before, after)
		}
		n.stop(0)
		n.ledger = old
		n.start(0)
		n.healed(ctx, 0)
		n.possesses(0, stored.ID)
	})
}

func TestADeletedBlobWithAnotherOwnerStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startNetwork(t, 4, 4)
		ctx := within(t)
		c := n.client()
		other := token.KeyFromSeed([32]byte{5, 5})
		if _, err := c.Send(ctx, n.wallet, ledger.Transfer{To: other.Address(), Amount: 1000 * token.WAL}); err != nil {
			t.Fatal(err)
		}
		data := random(50_000, 1)
		stored := n.store(ctx, c, data)
		if _, err := c.Store(ctx, other, data, client.StoreOptions{Epochs: 5}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Send(ctx, n.wallet, ledger.Delete{Blob: stored.ID}); err != nil {
			t.Fatal(err)
		}
		n.toEpoch(3)
		n.collect(ctx)
		n.read(ctx, c, stored.ID, data)
	})
}

// What was listed as ended and is stored again before its turn comes stays: the
// confirmation was signed meanwhile.
func TestABlobStoredAgainDuringALookForGarbageStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startNetwork(t, 4, 4)
		ctx := within(t)
		c := n.client()
		data := random(50_000, 1)
		stored, err := c.Store(ctx, n.wallet, data, client.StoreOptions{Epochs: 1})
		if err != nil {
			t.Fatal(err)
		}
		n.toEpoch(3)
		_, list, err := n.nodes[0].node.deletions(ctx)
		if err != nil || len(list) != 1 {
			t.Fatal(list, err)
		}
		n.store(ctx, c, data)
		for _, x := range list {
			if err := n.nodes[0].node.drop(ctx, x); err != nil {
				t.Fatal(err)
			}
		}
		n.possesses(0, stored.ID)
	})
}

// An interrupted store leaves nothing half-promised, and the next one sends the rest.
func TestAnInterruptedStoreGoesOnWhereItStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startNetwork(t, 4, 4)
		c := n.client()
		data := random(3_000_000, 8)
		ctx, cancel := context.WithCancel(within(t))
		// Half of it is on its way and some of that is durable: the rest is never handed out.
		half := func(_, handed int64) {
			if handed < int64(len(data))/2 || ctx.Err() != nil {
				return
			}
			if !comesAbout(ctx, func() bool { return n.nodes[1].store.Counts().Fragments >= 6 }) {
				t.Error("nothing was kept of half a blob")
			}
			cancel()
		}
		first, err := c.Store(ctx, n.wallet, data, client.StoreOptions{Epochs: 5, Progress: half})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		second := n.store(within(t), n.client(), data)
		if second.SentBytes >= second.EncodedBytes {
			t.Errorf("sent %d of %d bytes again (%d before)", second.SentBytes, second.EncodedBytes, first.SentBytes)
		}
		v, _ := n.ledger.View(context.Background())
		if e, _, err := v.Blob(second.ID); err != nil || len(e.Leases) != 1 {
			t.Errorf("paid %d times, %v", len(e.Leases), err)
		}
		n.read(within(t), n.client(), second.ID, data)
	})
}

func TestAnInputThatCannotBeReadIsNotPaidFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startNetwork(t, 4, 4)
		ctx := within(t)
		broken := errors.New("disk on fire")
		_, err := n.client().Store(ctx, n.wallet, unreadable{random(200_000, 1), broken}, client.StoreOptions{})
		if !errors.Is(err, broken) {
			t.Errorf("got %v", err)
		}
		v, _ := n.ledger.View(ctx)
		if a, _ := v.Account(n.wallet.Address()); a.Nonce != 0 {
			t.Error("paid")
		}
	})
}

type unreadable struct {
	memory
	err error
}

func (u unreadable) Open(int64) (io.ReadCloser, error) {
	return io.NopCloser(iotest.ErrReader(u.err)), nil
}

// Stores in parallel on one wallet all succeed and each pays once.
func TestParallelStoresOnOneWallet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startNetwork(t, 4, 4)
		ctx := within(t)
		const stores = 6
		errs := make(chan error, stores)
		ids := make(chan blob.ID, stores)
		for i := range stores {
			c := n.client()
			go func() {
				s, err := c.Store(ctx, n.wallet, random(30_000, int64(i+100)), client.StoreOptions{Epochs: 2})
				ids <- s.ID
				errs <- err
			}()
		}
		for range stores {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		v, _ := n.ledger.View(ctx)
		for range stores {
			if e, ok, err := v.Blob(<-ids); err != nil || !ok || !e.Certified() || len(e.Leases) != 1 {
				t.Errorf("%v %v %v", ok, err, e.Leases)
			}
		}
	})
}

// A writer that fails, and one that is cancelled: what was written is a true prefix.
func TestWhatWasWrittenBeforeAnErrorIsATruePrefix(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startNetwork(t, 4, 4)
		ctx := within(t)
		c := n.client()
		data := random(1_000_000, 3)
		stored := n.store(ctx, c, data)
		full := errors.New("the disk is full")
		for _, most := range []int{0, 1, 98_304, 500_000} {
			w := &bounded{most: most, err: full}
			if err := c.ReadBlob(ctx, stored.ID, w); !errors.Is(err, full) {
				t.Errorf("got %v", err)
			}
			if string(w.got) != string(data[:len(w.got)]) {
				t.Error("what was written is no prefix")
			}
		}
		for i := range 3 {
			n.stop(i) // now it cannot be read
		}
		w := &bounded{most: 1 << 30}
		if err := n.client().ReadBlob(ctx, stored.ID, w); !errors.Is(err, fetch.ErrUnavailable) {
			t.Errorf("got %v", err)
		}
		if string(w.got) != string(data[:len(w.got)]) {
			t.Error("what was written is no prefix")
		}
	})
}

type bounded struct {
	most int
	got  []byte
	err  error
}

func (b *bounded) Write(p []byte) (int, error) {
	if len(b.got)+len(p) > b.most {
		return 0, b.err
	}
	b.got = append(b.got, p...)
	return len(p), nil
}
