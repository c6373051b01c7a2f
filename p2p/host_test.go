package p2p

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"go.uber.org/goleak"

	"github.com/walrus-network/walrus/internal/leak"
)

const loopback = "/ip4/127.0.0.1/tcp/0"

func TestMain(m *testing.M) {
	leak.Main(m,
		// Background routines of dependencies that end with the process.
		goleak.IgnoreTopFunction("github.com/golang/glog.(*fileSink).flushDaemon"),
		goleak.IgnoreAnyFunction("github.com/libp2p/go-libp2p/p2p/net/connmgr.(*BasicConnMgr).background"),
		goleak.IgnoreAnyFunction("go.opencensus.io/stats/view.(*worker).start"),
	)
}

func key(i int) ed25519.PrivateKey {
	seed := make([]byte, ed25519.SeedSize)
	seed[0], seed[1] = byte(i), byte(i>>8)
	return ed25519.NewKeyFromSeed(seed)
}

func newHost(t testing.TB, i int, chain string, bootstrap ...string) *Host {
	t.Helper()
	return open(t, Config{Key: key(i), Listen: []string{loopback}, Bootstrap: bootstrap,
		Hello: Hello{Chain: chain, Version: "test", Ledger: fmt.Sprintf("127.0.0.1:%d", i)}})
}

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestOneBootstrapAddressFindsAll(t *testing.T) {
	virtual(t, func(t *testing.T) {
		const hosts = 20
		ctx, cancel := context.WithCancel(within(t))
		first := newHost(t, 0, "net")
		all := []*Host{first}
		for i := 1; i < hosts; i++ {
			all = append(all, newHost(t, i, "net", first.Addrs()[0]))
		}
		done := make(chan error, hosts)
		for _, h := range all {
			go func() { done <- h.Run(ctx) }()
		}
		for i, h := range all {
			for j, other := range all {
				if i == j {
					continue
				}
				// Asking until it is found is what a node does; the test's deadline bounds it.
				for h.Connect(ctx, other.ID(), nil) != nil {
					if ctx.Err() != nil {
						t.Fatalf("host %d does not find host %d", i, j)
					}
					time.Sleep(50 * time.Millisecond) // tables fill as peers talk
				}
			}
		}
		hello, err := all[3].greet(ctx, all[7].ID())
		if err != nil || hello.Ledger != "127.0.0.1:7" {
			t.Errorf("hello of host 7: %+v, %v", hello, err)
		}
		cancel()
		for range all {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
}

// Peers of before lead to the network where all bootstrap addresses are gone.
func TestPeersOfBeforeServeAsBootstrapAddresses(t *testing.T) {
	virtual(t, func(t *testing.T) {
		gone, server := newHost(t, 1, "net"), newHost(t, 2, "net")
		server.ServeLedger(echo{})
		client := newHost(t, 3, "net", gone.Addrs()...)
		if err := gone.Close(); err != nil {
			t.Fatal(err)
		}
		of, err := peer.AddrInfoFromString(server.Addrs()[0])
		if err != nil {
			t.Fatal(err)
		}
		client.Recall([]peer.AddrInfo{*of})
		var all []peer.ID
		for _, b := range client.Bootstrap() {
			all = append(all, b.ID)
		}
		if first := client.Nearest(within(t), all); first != server.ID() {
			t.Errorf("%q of %v is connected first", first, all)
		}
		if got, err := client.AskLedger(within(t), server.ID(), AskGet, []byte("x")); err != nil || len(got) == 0 {
			t.Errorf("%q, %v", got, err)
		}
	})
}

func TestStrangersAreRefusedInWords(t *testing.T) {
	ctx := within(t)
	ours, theirs := newHost(t, 1, "net-a"), newHost(t, 2, "net-b")
	theirs.ServeLedger(echo{})
	err := ours.Connect(ctx, theirs.ID(), theirs.Addrs())
	if !IsRefusal(err, CodeWrongNetwork) || !strings.Contains(err.Error(), `"net-b"`) {
		t.Fatalf("want a refusal that names the network, got %v", err)
	}
	// The same where the hello goes out beside a question. A stranger has few connections at once:
	// the last one must be gone on both sides, or the next is ended without a word.
	for range 20 {
		for len(theirs.libp2p.Network().ConnsToPeer(ours.ID()))+len(ours.libp2p.Network().ConnsToPeer(theirs.ID())) > 0 {
			if ctx.Err() != nil {
				t.Fatal("a stranger's connection stays")
			}
			time.Sleep(time.Millisecond) // real sockets close
		}
		if _, err := ours.AskLedger(ctx, theirs.ID(), AskGet, []byte("x")); !IsRefusal(err, CodeWrongNetwork) {
			t.Fatalf("a stranger asked, and got %v", err)
		}
	}
}

type echo struct{}

func (echo) Answer(_ context.Context, _ peer.ID, ask Ask, body []byte) ([]byte, error) {
	if string(body) == "fail" {
		return nil, Refuse(CodeBusy, "not today")
	}
	return append([]byte{byte(ask)}, body...), nil
}

func TestLedgerQuestionsAreAnswered(t *testing.T) {
	ctx := within(t)
	server, client := newHost(t, 1, "net"), newHost(t, 2, "net")
	server.ServeLedger(echo{})
	if err := client.Connect(ctx, server.ID(), server.Addrs()); err != nil {
		t.Fatal(err)
	}
	got, err := client.AskLedger(ctx, server.ID(), AskGet, []byte("key"))
	if err != nil || string(got) != "\x02key" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := client.AskLedger(ctx, server.ID(), AskGet, []byte("fail")); !IsRefusal(err, CodeBusy) {
		t.Errorf("got %v", err)
	}
}

func TestWithoutChainOnlyTheGenesisIsTold(t *testing.T) {
	ctx := within(t)
	server, client := newHost(t, 1, "net"), newHost(t, 2, "")
	server.ServeLedger(echo{})
	if err := client.Connect(ctx, server.ID(), server.Addrs()); err != nil {
		t.Fatal(err)
	}
	if _, err := client.AskLedger(ctx, server.ID(), AskGenesis, nil); err != nil {
		t.Error(err)
	}
	if _, err := client.AskLedger(ctx, server.ID(), AskSubmit, nil); !IsRefusal(err, CodeWrongNetwork) {
		t.Errorf("got %v", err)
	}
}

func TestAPeerThatSendsWrongBytesIsAvoidedForAWhile(t *testing.T) {
	h := newHost(t, 1, "net")
	now := time.Now()
	h.scores.now = func() time.Time { return now }
	p := peer.ID("liar")
	if h.Avoided(p) {
		t.Fatal("avoided before any fault")
	}
	h.Blame(p, errors.New("wrong byte"))
	if !h.Avoided(p) {
		t.Error("not avoided after a fault")
	}
	now = now.Add(firstAvoid)
	if h.Avoided(p) {
		t.Error("avoided for ever")
	}
	h.Blame(p, errors.New("wrong byte"))
	now = now.Add(firstAvoid)
	if !h.Avoided(p) {
		t.Error("the second time is not longer")
	}
}

func TestBusyPortIsNamed(t *testing.T) {
	h := newHost(t, 1, "net")
	addr := strings.Split(h.Addrs()[0], "/p2p/")[0]
	_, err := New(Config{Key: key(2), Listen: []string{addr}, Log: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), "the port is taken") {
		t.Fatalf("got %v", err)
	}
}
