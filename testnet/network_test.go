package testnet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/internal/testlevel"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/token"
)

// running is a testnet of real processes and a client of it.
type running struct {
	*Testnet
	t         testing.TB
	c         *client.Connection
	processes map[int]*Process
}

func startNet(ctx context.Context, t testing.TB, o Options) *running {
	t.Helper()
	return startNetOf(ctx, t, o, testProgram())
}

// startNetOf is startNet with another program than the test's.
func startNetOf(ctx context.Context, t testing.TB, o Options, program Command) *running {
	t.Helper()
	testlevel.Middle(t, "starts a network of nodes")
	o.Dir = filepath.Join(t.TempDir(), "net")
	net, err := Create(o, program)
	if err != nil {
		t.Fatal(err)
	}
	r := &running{Testnet: net, t: t, processes: map[int]*Process{}}
	t.Cleanup(func() {
		if r.c != nil {
			r.c.Close()
		}
		if t.Failed() {
			for i := range net.Nodes {
				t.Logf("node %d: %s", i, net.LastLine(i))
			}
		}
		if err := net.Down(context.Background()); err != nil {
			t.Error(err)
		}
	})
	r.start(r.all()...)
	if r.c, err = client.Connect(ctx, net.Network, client.ConnectOptions{Version: "test", Log: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	if err := r.c.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *running) start(list ...int) {
	r.t.Helper()
	for _, i := range list {
		p, err := r.Start(i, false)
		if err != nil {
			r.t.Fatal(err)
		}
		r.processes[i] = p
	}
}

func (r *running) kill(ctx context.Context, list ...int) {
	r.t.Helper()
	for _, i := range list {
		if err := r.Kill(ctx, i); err != nil {
			r.t.Fatal(err)
		}
	}
}

// until waits for what must become true.
func (r *running) until(ctx context.Context, what string, is func() error) {
	r.t.Helper()
	for {
		err := is()
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			r.t.Fatalf("not in time: %s: %v", what, err)
		}
		wait(ctx, 50*time.Millisecond)
	}
}

// caughtUp waits until nodes are where the ledger is and go on with it.
func (r *running) caughtUp(ctx context.Context, list ...int) {
	r.t.Helper()
	at, err := r.c.Remote.Status(ctx)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, i := range list {
		r.until(ctx, fmt.Sprintf("node %d catches up", i), func() error {
			s, err := r.Status(ctx, i)
			if err == nil && (!s.AtTip || s.Height <= at.Height) {
				err = fmt.Errorf("height %d of %d, at tip %v", s.Height, at.Height, s.AtTip)
			}
			if err != nil && !r.Running(i) {
				r.t.Fatalf("node %d ended: %s", i, r.LastLine(i))
			}
			return err
		})
	}
}

func (r *running) pay(ctx context.Context, n int) error {
	_, err := r.c.Send(ctx, r.Wallet, ledger.Transfer{To: token.Address{9}, Amount: token.Amount(n)})
	return err
}

func (r *running) received(ctx context.Context) token.Amount {
	r.t.Helper()
	v, err := r.c.Remote.View(ctx)
	if err != nil {
		r.t.Fatal(err)
	}
	a, err := v.Account(token.Address{9})
	if err != nil {
		r.t.Fatal(err)
	}
	return a.Balance
}

func within(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// Seven processes; some are killed with SIGKILL while transfers flow: two of seven,
// one again and again at random moments, then all at once. A node that comes
// back has the state that all have.
func TestKilledNodesComeBackWithTheSameState(t *testing.T) {
	t.Parallel()
	ctx := within(t, 5*time.Minute)
	o := Default()
	o.Block = 200 * time.Millisecond
	r := startNet(ctx, t, o)

	// Many goroutines spend from one wallet all the time.
	flow, stop := context.WithCancel(ctx)
	var paid atomic.Int64
	var senders sync.WaitGroup
	for range 12 {
		senders.Go(func() {
			for flow.Err() == nil {
				if err := r.pay(ctx, 1); err != nil {
					// A node that was killed may have taken it: then no client can know.
					t.Logf("a transfer: %v", err)
					continue
				}
				paid.Add(1)
			}
		})
	}
	r.kill(ctx, 2, 5)
	before := paid.Load()
	r.until(ctx, "the other five go on", func() error {
		if paid.Load() < before+24 {
			return errors.New("no transfers")
		}
		return nil
	})
	r.start(2, 5)
	r.caughtUp(ctx, 2, 5)
	for round := range 5 {
		r.kill(ctx, 3)
		r.start(3)
		wait(ctx, time.Duration(137*(round+1))*time.Millisecond) // into whatever it does then
	}
	r.caughtUp(ctx, 3)
	stop()
	senders.Wait()
	r.until(ctx, "what was acknowledged is there", func() error {
		if got := r.received(ctx); int64(got) < paid.Load() {
			return fmt.Errorf("%d transfers were acknowledged, %d arrived", paid.Load(), got)
		}
		return nil
	})
	r.kill(ctx, r.all()...)
	r.start(r.all()...)
	r.until(ctx, "a transfer after all were killed", func() error { return r.pay(ctx, 1) })
	r.caughtUp(ctx, r.all()...)
	if inv, err := r.Check(ctx, r.c); err != nil {
		t.Errorf("%+v: %v", inv, err)
	}
}

func TestManySpendFromOneWalletAtOnce(t *testing.T) {
	t.Parallel()
	ctx := within(t, 3*time.Minute)
	o := Default()
	o.Nodes, o.Block = 4, 200*time.Millisecond
	r := startNet(ctx, t, o)
	// A second process with the same wallet knows nothing of the first's nonces.
	other, err := client.Connect(ctx, r.Network, client.ConnectOptions{Version: "test", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	const many = 100 // more than the window of nonces
	var wg sync.WaitGroup
	for i := range many {
		c := r.c
		if i%4 == 0 {
			c = other
		}
		wg.Go(func() {
			if _, err := c.Send(ctx, r.Wallet, ledger.Transfer{To: token.Address{9}, Amount: 1}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	r.until(ctx, "all transfers are read", func() error {
		if got := r.received(ctx); got != many {
			return fmt.Errorf("%d of %d arrived", got, many)
		}
		return nil
	})
	for i := range o.Nodes {
		began := time.Now()
		if err := r.Stop(ctx, i); err != nil {
			t.Fatal(err)
		}
		<-r.processes[i].Exited()
		if err := r.processes[i].err; err != nil {
			t.Errorf("node %d was asked to end: %v: %s", i, err, r.LastLine(i))
		}
		if last := r.LastLine(i); !strings.Contains(last, "node stops") {
			t.Errorf("node %d: its last words are %s", i, last)
		}
		t.Logf("node %d ended %v after it was asked to", i, time.Since(began))
	}
}
