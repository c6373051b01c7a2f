package p2p

import (
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"
)

// QUIC answers where TCP does not, and comes late enough that TCP is connected first from
// the other side of the world: three round trips of 300 ms.
func TestTCPIsConnectedFirst(t *testing.T) {
	const farthest = 300 * time.Millisecond
	tcp, quic := ma.StringCast("/ip4/203.0.113.7/tcp/1"), ma.StringCast("/ip4/203.0.113.7/udp/1/quic-v1")
	for _, d := range tcpFirst([]ma.Multiaddr{quic, tcp}) {
		switch {
		case d.Addr.Equal(tcp) && d.Delay != 0:
			t.Errorf("TCP waits for %s", d.Delay)
		case d.Addr.Equal(quic) && (d.Delay < 3*farthest || d.Delay > dialLimit/4):
			t.Errorf("QUIC waits for %s, %s to %s", d.Delay, 3*farthest, dialLimit/4)
		}
	}
	for _, d := range tcpFirst([]ma.Multiaddr{quic}) {
		if d.Delay > 0 {
			t.Errorf("QUIC alone waits for %s", d.Delay)
		}
	}
}
