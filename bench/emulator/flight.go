package emulator

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"
)

// Flight is a packet of a watched host on its way. Due is when the router owes it to its
// receiver: what the router itself is late by is no distance.
type Flight struct {
	Sent, Due time.Time
	Out       bool // from the watched host
	Lost      bool
	Peer      int // the other host
	Protocol  byte
	From, To  uint16 // ports of TCP and UDP
	Flags     byte   // of TCP
	Payload   int    // bytes behind the headers of IP and TCP or UDP
	Connects  bool   // of UDP: has the long header that QUIC has while it connects
	Probe     bool   // of UDP: QUIC tries out with it how long a packet may be
}

const (
	protocolTCP = 6
	protocolUDP = 17
)

// String is a line for people.
func (f Flight) String() string {
	protocol := map[byte]string{protocolTCP: "tcp", protocolUDP: "udp"}[f.Protocol]
	arrow := "<-"
	if f.Out {
		arrow = "->"
	}
	more := ""
	if f.Lost {
		more += " lost"
	}
	if f.Probe {
		more += " tries out its length"
	}
	return fmt.Sprintf("%s %s %d %s %d:%d flags %02x, %d bytes%s", f.Sent.Format("05.000"), arrow, f.Peer, protocol, f.From, f.To, f.Flags, f.Payload, more)
}

// destination is where an IPv4 packet goes; false for what is none.
func destination(packet []byte) (netip.Addr, bool) {
	if len(packet) < 20 || packet[0]>>4 != 4 {
		return netip.Addr{}, false
	}
	return netip.AddrFrom4([4]byte(packet[16:20])), true
}

// describe fills in what an IPv4 packet says of itself.
func (f *Flight) describe(packet []byte) {
	f.Protocol = packet[9]
	body := packet[min(int(packet[0]&15)*4, len(packet)):]
	switch {
	case f.Protocol == protocolTCP && len(body) >= 20:
		f.Flags = body[13]
		f.Payload = max(0, len(body)-int(body[12]>>4)*4)
	case f.Protocol == protocolUDP && len(body) >= 8:
		f.Payload = len(body) - 8
		f.Connects = len(body) > 8 && body[8]&longHeader != 0
	default:
		return
	}
	f.From, f.To = binary.BigEndian.Uint16(body), binary.BigEndian.Uint16(body[2:])
}

// Flags of TCP by which a packet without bytes says more than an acknowledgement.
const beginsOrEnds = 0x07 // FIN, SYN, RST

// longestAck is the bytes of UDP that QUIC takes for an acknowledgement alone.
const longestAck = 44

// isAck says that a packet has nothing but an acknowledgement.
func (f Flight) isAck() bool {
	switch f.Protocol {
	case protocolTCP:
		return f.Payload == 0 && f.Flags&beginsOrEnds == 0
	case protocolUDP:
		return f.Payload <= longestAck
	}
	return false
}

// longHeader is the bit of a packet's first byte that tells QUIC's long header.
const longHeader = 0x80

// plainPacket is the bytes of UDP up to which QUIC sends packets before it has tried longer
// ones.
const plainPacket = 1280

// probes tells the packets by which QUIC tries out how long a packet may be: longer than
// plainPacket and than all before it the same way. Data goes in a packet of such a length
// only once one has arrived, so that nothing waits for these (RFC 9000, 14.4). Connections
// that began before the packets that are known have none.
type probes map[direction]int

// direction is one way of a connection over UDP.
type direction struct {
	host, to         int
	fromPort, toPort uint16
}

// isProbe looks at the packets of a host to another in the order in which they were sent.
func (p probes) isProbe(from, to int, f Flight) bool {
	if f.Protocol != protocolUDP {
		return false
	}
	way := direction{from, to, f.From, f.To}
	longest, known := p[way]
	if !known && !f.Connects {
		longest = maxPacket
	}
	p[way] = max(longest, f.Payload)
	return f.Payload > max(longest, plainPacket)
}

// maxPacket is the bytes of UDP that no packet exceeds.
const maxPacket = 1 << 16
