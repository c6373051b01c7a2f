package testnet

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/internal/testlevel"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/unit"
)

// The attacks of strangers are played by hosts of another implementation than ours, each
// with an address of its own in 127/8, against a network of processes that count loopback
// addresses. The strangers have a process of their own, which runs only when the others
// leave it time: strangers elsewhere burn their own machines, and what is measured is
// what they cost the network. WALRUS_STRANGERS=full plays them from 200 identities for
// 60 s each; without it they are short.

// attacks are what strangers do, by their names.
var attacks = map[string]attack{
	"silent offers":             silentOffers,
	"offers that hang up":       offersThatHangUp,
	"idle ledger streams":       idleLedgerStreams,
	"idle fragment streams":     idleFragmentStreams,
	"unread answers":            unreadAnswers,
	"transactions that wait":    waitingTransactions,
	"one fragment many times":   oneFragmentManyTimes,
	"connections that stay":     connectionsThatStay,
	"handshakes that never end": handshakesThatNeverEnd,
	"unread fragments":          unreadFragments,
	"garbage":                   garbage,
}

// siege is how an attack is played.
type siege struct {
	identities int
	lasts      time.Duration
	slower     float64       // a store and a read may take so many times their quiet time,
	slack      time.Duration // and so much more, since the attackers use this machine too
	blocks     float64       // part of the quiet block rate
}

func siegeOfTests() siege {
	if os.Getenv("WALRUS_STRANGERS") == "full" {
		return siege{identities: 200, lasts: time.Minute, slower: 3, slack: time.Second, blocks: 0.8}
	}
	return siege{identities: 24, lasts: 8 * time.Second, slower: 3, slack: 4 * time.Second, blocks: 0.5}
}

// attacker is one identity.
type attacker struct {
	number  int
	host    host.Host
	genesis ledger.Genesis
	blob    blob.ID // one that is stored
	nodes   []peer.AddrInfo
}

// attack does its worst until ctx ends.
type attack func(ctx context.Context, a *attacker)

func newAttacker(g ledger.Genesis, i int) (*attacker, error) {
	seed := bytes.Repeat([]byte{byte(i), byte(i >> 8), 77, 1}, 8)
	key, err := crypto.UnmarshalEd25519PrivateKey(ed25519.NewKeyFromSeed(seed))
	if err != nil {
		return nil, err
	}
	a := &attacker{number: i, genesis: g}
	for _, n := range g.Nodes {
		info, err := peer.AddrInfoFromString(n.Addresses[0])
		if err != nil {
			return nil, err
		}
		a.nodes = append(a.nodes, *info)
	}
	a.host, err = libp2p.New(libp2p.Identity(key), libp2p.ListenAddrStrings(fmt.Sprintf("/ip4/127.%d.%d.1/tcp/0", 10+i/250, i%250)),
		libp2p.ResourceManager(&network.NullResourceManager{}), libp2p.DisableRelay(), libp2p.DisableMetrics())
	return a, err
}

// frame is bytes as the protocols frame them: a kind, a length, canonical CBOR.
func frame(kind byte, v any) []byte {
	body := canon.Encode(v)
	out := binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(body)))
	return append(out, body...)
}

// hello says hello to a node, so that it answers.
func (a *attacker) hello(ctx context.Context, node peer.AddrInfo, ledger string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := a.host.Connect(ctx, node); err != nil {
		return err
	}
	s, err := a.host.NewStream(ctx, node.ID, p2p.HelloProtocol)
	if err != nil {
		return err
	}
	defer s.Reset()
	s.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := s.Write(frame(1, p2p.Hello{Chain: string(a.genesis.ChainID()), Version: "x", Ledger: ledger})); err != nil {
		return err
	}
	_, err = io.ReadFull(s, make([]byte, 5))
	return err
}

// stream opens a stream to a node and writes the first bytes.
func (a *attacker) stream(ctx context.Context, node peer.AddrInfo, id protocol.ID, first []byte) (network.Stream, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	s, err := a.host.NewStream(ctx, node.ID, id)
	if err != nil {
		return nil, err
	}
	s.SetWriteDeadline(time.Now().Add(5 * time.Second))
	if _, err := s.Write(first); err != nil {
		s.Reset()
		return nil, err
	}
	return s, nil
}

// always does one thing to each node again and again, on lanes of their own, until ctx ends.
func (a *attacker) always(ctx context.Context, lanes int, pause time.Duration, do func(ctx context.Context, node peer.AddrInfo) error) {
	var all sync.WaitGroup
	for _, node := range a.nodes {
		for range lanes {
			all.Go(func() {
				for ctx.Err() == nil {
					if err := a.hello(ctx, node, ""); err == nil {
						for ctx.Err() == nil && do(ctx, node) == nil {
							wait(ctx, pause)
						}
					}
					wait(ctx, pause+time.Duration(rand.Int64N(int64(200*time.Millisecond))))
				}
			})
		}
	}
	all.Wait()
}

// besieged is a network under attack and what it did while it was quiet.
type besieged struct {
	*running
	siege
	quiet     time.Duration // a store and a read
	quietRate float64       // blocks a second
	large     blob.ID       // a blob that is stored
	blobs     atomic.Int64
}

func besiege(ctx context.Context, t *testing.T) *besieged {
	t.Helper()
	o := Default()
	o.Nodes, o.Block = 4, 500*time.Millisecond
	program := testProgram()
	program.Env = append(program.Env, countLoopback+"=1")
	b := &besieged{running: startNetOf(ctx, t, o, program), siege: siegeOfTests()}
	if _, err := b.storeAndRead(ctx); err != nil { // the first one finds nothing connected
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "large")
	if err := os.WriteFile(path, bytes.Repeat([]byte("walrus"), 2<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	source, err := client.NewFileSource(path)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := b.c.Store(ctx, b.Wallet, source, client.StoreOptions{Epochs: 4})
	if err != nil {
		t.Fatal(err)
	}
	b.large = stored.ID
	b.rest(ctx, t)
	return b
}

// rest measures what the network does while it is quiet. The figures are those of the
// machine as it is now, with all that runs beside.
func (b *besieged) rest(ctx context.Context, t *testing.T) {
	t.Helper()
	b.quiet = 0
	for range 3 {
		took, err := b.storeAndRead(ctx)
		if err != nil {
			t.Fatal(err)
		}
		b.quiet = max(b.quiet, took)
	}
	b.quietRate = b.rate(ctx, 5*time.Second)
}

// storeAndRead is an honest store and read by a client that has just come.
func (b *besieged) storeAndRead(ctx context.Context) (time.Duration, error) {
	data := make([]byte, 100_000)
	for i := range data {
		data[i] = byte(rand.Int())
	}
	path := filepath.Join(b.t.TempDir(), fmt.Sprint(b.blobs.Add(1)))
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return 0, err
	}
	source, err := client.NewFileSource(path)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	stored, err := b.c.Store(ctx, b.Wallet, source, client.StoreOptions{Epochs: 1})
	if err != nil {
		return 0, fmt.Errorf("after %s: %w", time.Since(began), err)
	}
	var got bytes.Buffer
	if err := b.c.ReadBlob(ctx, stored.ID, &got); err != nil {
		return 0, fmt.Errorf("after %s: %w", time.Since(began), err)
	}
	if !bytes.Equal(got.Bytes(), data) {
		return 0, fmt.Errorf("other bytes")
	}
	return time.Since(began), nil
}

// rate is the blocks a second for a while.
func (b *besieged) rate(ctx context.Context, span time.Duration) float64 {
	height := func() (h unit.Height) {
		for i := range b.Nodes {
			if s, err := b.Status(ctx, i); err == nil {
				h = max(h, s.Height)
			}
		}
		return h
	}
	from, began := height(), time.Now()
	wait(ctx, span)
	return float64(height().Since(from)) / time.Since(began).Seconds()
}

// staged is the most bytes that a node keeps for unpaid uploads.
func (b *besieged) staged(ctx context.Context) (most int64) {
	for i := range b.Nodes {
		if s, err := b.Status(ctx, i); err == nil {
			most = max(most, int64(s.Possession.StagedBytes))
		}
	}
	return most
}

// stands plays an attack from all identities at all nodes at once, and checks what must
// stay true meanwhile and after it.
func (b *besieged) stands(ctx context.Context, t *testing.T, what string) {
	t.Helper()
	worst, rate := b.play(ctx, t, what)
	if !b.held(worst, rate) {
		// The machine may be busier than when it was measured: both are measured again.
		b.rest(ctx, t)
		worst, rate = b.play(ctx, t, what)
	}
	if !b.held(worst, rate) {
		t.Errorf("a store and read took %s, quiet %s; %.2f blocks a second, quiet %.2f", worst, b.quiet, rate, b.quietRate)
	}
	calm, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	b.until(calm, "what the attackers left in the corner is gone", func() error {
		if n := b.staged(ctx); n > 0 {
			return fmt.Errorf("%d bytes are staged", n)
		}
		return nil
	})
}

// held says whether a store and a read, and the rate of blocks, stayed within the limits.
func (b *besieged) held(worst time.Duration, rate float64) bool {
	return worst <= time.Duration(b.slower*float64(b.quiet))+b.slack && rate >= b.blocks*b.quietRate
}

// play plays an attack: the longest honest store and read, and blocks a second. What must
// never happen, however busy the machine, fails at once.
func (b *besieged) play(ctx context.Context, t *testing.T, what string) (worst time.Duration, rate float64) {
	t.Helper()
	lift := b.strangers(t, what)
	began := time.Now()
	wait(ctx, b.lasts/4) // until it has unfolded
	rates := make(chan float64, 1)
	go func() { rates <- b.rate(ctx, b.lasts/2) }()
	for n := 0; n < 2 || time.Since(began) < b.lasts; n++ {
		within, cancel := context.WithTimeout(ctx, time.Minute)
		took, err := b.storeAndRead(within)
		cancel()
		if err != nil {
			t.Errorf("an honest store and read: %v", err)
			break
		}
		worst = max(worst, took)
	}
	rate = <-rates
	staged := b.staged(ctx)
	var memory uint64
	for i := range b.Nodes {
		s, err := b.Status(ctx, i)
		if err != nil {
			t.Errorf("node %d does not answer: %v", i, err)
			continue
		}
		memory = max(memory, s.Memory.Used)
		if int64(s.Memory.Used) > s.Memory.Limit {
			t.Errorf("node %d takes %d MiB, above its limit of %d MiB", i, s.Memory.Used>>20, s.Memory.Limit>>20)
		}
		if s.Possession.StagedCapacity > 0 && s.Possession.StagedBytes > s.Possession.StagedCapacity {
			t.Errorf("node %d keeps %d bytes that nobody paid for, above its limit of %d", i, s.Possession.StagedBytes, s.Possession.StagedCapacity)
		}
	}
	lift()
	t.Logf("%d identities: a store and read took %.1f s at most, quiet %.1f s; %.2f blocks/s, quiet %.2f; memory %d MiB; staged %d KiB",
		b.identities, worst.Seconds(), b.quiet.Seconds(), rate, b.quietRate, memory>>20, staged>>10)
	return worst, rate
}

// Strangers cannot fill what members and clients need, whatever they fill it with.
func TestStrangersStopNoMember(t *testing.T) {
	testlevel.Whole(t, "besieges a network for minutes")
	ctx := within(t, time.Hour)
	b := besiege(ctx, t)
	for _, what := range slices.Sorted(maps.Keys(attacks)) {
		t.Run(what, func(t *testing.T) { b.stands(ctx, t, what) })
	}
	if inv, err := b.Check(ctx, b.c); err != nil {
		t.Errorf("%+v: %v", inv, err)
	}
}
