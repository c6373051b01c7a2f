package testnet

import (
	"context"
	"crypto/rand"
	"net"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/p2p"
)

// asking is a question of the ledger protocol.
type asking struct {
	_      struct{} `cbor:",toarray"`
	Number uint64
	Ask    p2p.Ask
	Body   []byte
}

func (a *attacker) idle(ctx context.Context, id protocol.ID, first []byte) {
	a.always(ctx, 1, 100*time.Millisecond, func(ctx context.Context, node peer.AddrInfo) error {
		for range 16 {
			s, err := a.stream(ctx, node, id, first)
			if err != nil {
				return err
			}
			hold(ctx, s)
		}
		return nil
	})
}

func idleLedgerStreams(ctx context.Context, a *attacker) { a.idle(ctx, p2p.LedgerProtocol, []byte{1}) }
func idleFragmentStreams(ctx context.Context, a *attacker) {
	a.idle(ctx, p2p.FragmentProtocol, []byte{6})
}

// unreadAnswers asks for the genesis, and never reads it.
func unreadAnswers(ctx context.Context, a *attacker) {
	a.always(ctx, 2, 50*time.Millisecond, func(ctx context.Context, node peer.AddrInfo) error {
		s, err := a.stream(ctx, node, p2p.LedgerProtocol, nil)
		if err != nil {
			return err
		}
		hold(ctx, s)
		s.SetWriteDeadline(time.Now().Add(2 * time.Second))
		for n := range uint64(300) {
			if _, err := s.Write(frame(1, asking{Number: n, Ask: p2p.AskGenesis})); err != nil {
				return nil // it is read no more: another
			}
		}
		return nil
	})
}

// waitingTransactions hands in large transactions that are none.
func waitingTransactions(ctx context.Context, a *attacker) {
	body := make([]byte, 200<<10)
	rand.Read(body)
	a.always(ctx, 1, 50*time.Millisecond, func(ctx context.Context, node peer.AddrInfo) error {
		s, err := a.stream(ctx, node, p2p.LedgerProtocol, nil)
		if err != nil {
			return err
		}
		hold(ctx, s)
		s.SetWriteDeadline(time.Now().Add(2 * time.Second))
		for n := range uint64(20) {
			if _, err := s.Write(frame(1, asking{Number: n, Ask: p2p.AskSubmit, Body: body})); err != nil {
				return nil
			}
		}
		return nil
	})
}

// manyFragments asks for fragments.
type manyFragments struct {
	_      struct{} `cbor:",toarray"`
	Blob   blob.ID
	Axis   blob.Axis
	Places []blob.Place
	From   uint32
	To     uint32
}

// oneFragmentManyTimes asks for a fragment 60,000 times in one request.
func oneFragmentManyTimes(ctx context.Context, a *attacker) {
	q := frame(6, manyFragments{Places: make([]blob.Place, 60_000), To: 1})
	a.always(ctx, 2, 20*time.Millisecond, func(ctx context.Context, node peer.AddrInfo) error {
		s, err := a.stream(ctx, node, p2p.FragmentProtocol, q)
		if err == nil {
			hold(ctx, s)
		}
		return err
	})
}

// unreadFragments asks for all of a blob that is there, and never reads it.
func unreadFragments(ctx context.Context, a *attacker) {
	q := manyFragments{Blob: a.blob, To: 1}
	for p := range a.genesis.Params.Shards {
		q.Places = append(q.Places, blob.Place(p))
	}
	ask := frame(6, q)
	a.always(ctx, 4, 50*time.Millisecond, func(ctx context.Context, node peer.AddrInfo) error {
		s, err := a.stream(ctx, node, p2p.FragmentProtocol, ask)
		if err == nil {
			hold(ctx, s)
		}
		return err
	})
}

// connectionsThatStay opens connections and asks for nothing.
func connectionsThatStay(ctx context.Context, a *attacker) {
	for ctx.Err() == nil {
		for _, node := range a.nodes {
			dial, cancel := context.WithTimeout(ctx, 5*time.Second)
			a.host.Connect(dial, node)
			cancel()
		}
		wait(ctx, 500*time.Millisecond)
	}
}

// handshakesThatNeverEnd opens TCP connections at both ports of all nodes and says nothing.
func handshakesThatNeverEnd(ctx context.Context, a *attacker) {
	from := &net.TCPAddr{IP: net.IPv4(127, byte(10+a.number/250), byte(a.number%250), 1)}
	for ctx.Err() == nil {
		for _, n := range a.genesis.Nodes {
			for _, at := range []string{n.Comet, tcpOf(n.Addresses[0])} {
				for range 8 {
					d := net.Dialer{LocalAddr: from, Timeout: time.Second}
					if c, err := d.DialContext(ctx, "tcp", at); err == nil {
						context.AfterFunc(ctx, func() { c.Close() })
					}
				}
			}
		}
		wait(ctx, 2*time.Second)
	}
}

// tcpOf is host:port of a multiaddr of TCP.
func tcpOf(addr string) string {
	info, err := peer.AddrInfoFromString(addr)
	if err != nil {
		panic(err)
	}
	m := info.Addrs[0]
	ip, _ := m.ValueForProtocol(4)
	port, _ := m.ValueForProtocol(6)
	return net.JoinHostPort(ip, port)
}

// garbage sends what no protocol knows, in all of them.
func garbage(ctx context.Context, a *attacker) {
	b := make([]byte, 4<<10)
	rand.Read(b)
	b[1] = 0 // a length that is believed
	a.always(ctx, 2, 20*time.Millisecond, func(ctx context.Context, node peer.AddrInfo) error {
		for _, id := range []protocol.ID{p2p.HelloProtocol, p2p.FragmentProtocol, p2p.LedgerProtocol, p2p.ProofProtocol, p2p.DialbackProtocol} {
			if s, err := a.stream(ctx, node, id, b); err == nil {
				hold(ctx, s)
			}
		}
		return nil
	})
}
