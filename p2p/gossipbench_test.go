package p2p

import (
	"encoding/binary"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// BenchmarkBurst publishes a round's messages at once: 1000 of 200 KiB by four hosts,
// until all have all. The limit is every message copied once to every host that lacks
// it, over streams of the same connections.
func BenchmarkBurst(b *testing.B) {
	const hosts, total, size = 4, 1000, 200 << 10
	const each = total / hosts
	all := gossipers(b, hosts, 3)
	var gossiped, copied time.Duration
	next := 0
	for b.Loop() {
		began := time.Now()
		var working sync.WaitGroup
		for i, g := range all {
			msgs := messages(next+i*each, next+(i+1)*each, size)
			working.Go(func() {
				if err := g.Publish(within(b), testTopic, msgs); err != nil {
					b.Error(err)
				}
			})
		}
		working.Wait()
		next += total
		for _, g := range all {
			until(b, "all messages are there", func() bool { return g.count() >= next-next/hosts })
		}
		gossiped += time.Since(began)
		copied += copyRaw(b, all, each, size)
	}
	b.SetBytes(hosts * (total - each) * size)
	b.ReportMetric(copied.Seconds()/gossiped.Seconds(), "of-limit")
	b.ReportMetric(gossiped.Seconds()/float64(b.N), "s/burst")
}

// copyRaw copies each host's messages to each other host, and nothing else.
func copyRaw(b *testing.B, all []*gossiper, each, size int) time.Duration {
	const raw protocol.ID = "/walrus/raw/1"
	for _, g := range all {
		g.host.libp2p.SetStreamHandler(raw, func(s network.Stream) {
			buf := make([]byte, size)
			for range each {
				if _, err := io.ReadFull(s, buf); err != nil {
					s.Reset()
					return
				}
			}
			s.Write([]byte{1})
			s.Close()
		})
	}
	msgs := messages(0, each, size)
	began := time.Now()
	var working sync.WaitGroup
	for _, from := range all {
		for _, to := range all {
			if from == to {
				continue
			}
			working.Go(func() {
				s, err := from.host.libp2p.NewStream(within(b), to.host.ID(), raw)
				if err != nil {
					b.Error(err)
					return
				}
				defer s.Close()
				for _, m := range msgs {
					if _, err := s.Write(m); err != nil {
						b.Error(err)
						return
					}
				}
				if _, err := io.ReadFull(s, make([]byte, 1)); err != nil {
					b.Error(err)
				}
			})
		}
	}
	working.Wait()
	return time.Since(began)
}

// A message's name is worked out once for each copy that arrives.
func BenchmarkMessageID(b *testing.B) {
	m := message(1, 200<<10)
	b.SetBytes(int64(len(m)))
	for b.Loop() {
		if id := hashMessage(testTopic, m); binary.BigEndian.Uint64(id[:]) == 0 {
			b.Fatal("no hash")
		}
	}
}
