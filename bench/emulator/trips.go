package emulator

import (
	"slices"
	"time"
)

// Trips is the round trips that an operation of the host takes between two times, whatever
// packet it waits for: half the packets in the longest chain of which each was sent when the
// one before it had arrived, and goes the other way. It begins with a packet of the host's.
//
// What the host waits for came in a packet, and that was sent upon one of the host's, or upon
// none and for another reason: a node had worked, or there was a block. So a chain has all that
// the distance can delay, and neither work nor waits for blocks. A question that is asked in
// vain is in it, and so is one that asks again.
//
// An acknowledgement lets its connection send what did not fit on the line, at once. It is in a
// chain only with packets of its connection, and before one that is sent within ackWait.
func Trips(flights []Flight, from, to time.Time) float64 {
	type event struct {
		at      time.Time
		arrives bool
		flight  int
	}
	var events []event
	for i, f := range flights {
		if !f.Probe && !f.Lost && !f.Sent.Before(from) && !f.Due.After(to) {
			events = append(events, event{f.Sent, false, i}, event{f.Due, true, i})
		}
	}
	slices.SortStableFunc(events, func(a, b event) int {
		switch order := a.at.Compare(b.at); {
		case order != 0 || a.arrives == b.arrives:
			return order
		case a.arrives:
			return -1
		}
		return 1
	})
	var (
		longest     int
		chain       = make([]int, len(flights)) // packets in the longest chain that ends with a packet
		arrived     [ways]int                   // the longest whose last packet has arrived, of each way
		connections = map[connection]*arrivals{}
	)
	for _, e := range events {
		f := flights[e.flight]
		way, back := f.way(), f.reverse().way()
		conn := connections[f.connection()]
		if conn == nil {
			conn = &arrivals{}
			connections[f.connection()] = conn
		}
		if !e.arrives {
			before := conn.any[back]
			if !f.isAck() {
				before = max(arrived[back], conn.acknowledged(back, e.at))
			}
			if f.Out || before > 0 {
				chain[e.flight] = before + 1
			}
			continue
		}
		length := chain[e.flight]
		conn.any[way] = max(conn.any[way], length)
		if f.isAck() {
			conn.ack[way] = ackArrival{e.at, max(length, conn.acknowledged(way, e.at))}
			continue
		}
		arrived[way] = max(arrived[way], length)
		if !f.Out {
			longest = max(longest, length)
		}
	}
	return float64(longest) / 2
}

// ackWait is how long after an acknowledgement a packet may be sent that had waited for it.
const ackWait = 25 * time.Millisecond

// ways are out and in.
const ways = 2

func (f Flight) way() int {
	if f.Out {
		return 0
	}
	return 1
}

// reverse is a packet the other way.
func (f Flight) reverse() Flight {
	f.Out, f.From, f.To = !f.Out, f.To, f.From
	return f
}

// connection is a connection of the host's.
type connection struct {
	peer        int
	protocol    byte
	here, there uint16 // ports
}

func (f Flight) connection() connection {
	if !f.Out {
		f = f.reverse()
	}
	return connection{f.Peer, f.Protocol, f.From, f.To}
}

// arrivals is the longest chains whose last packet has arrived on a connection, of each way.
type arrivals struct {
	any [ways]int
	ack [ways]ackArrival // the last packet is an acknowledgement
}

type ackArrival struct {
	at     time.Time
	length int
}

// acknowledged is the longest chain that ends with an acknowledgement for which what is sent now
// may have waited.
func (a *arrivals) acknowledged(way int, now time.Time) int {
	if last := a.ack[way]; now.Sub(last.at) <= ackWait {
		return last.length
	}
	return 0
}

// OnLine is the time between from and to in which a packet of the host was on its way, in
// round trips. It leaves out where the host, or a node that it had asked, worked or waited
// for something else than the line, acknowledgements, and packets that try out their own
// length. It has packets that nothing waits for, and those of several nodes that come one after
// the other while more than one is waited for: an operation takes at most so many round trips.
func OnLine(flights []Flight, from, to time.Time, rtt time.Duration) float64 {
	flights = slices.SortedFunc(slices.Values(flights), func(a, b Flight) int { return a.Sent.Compare(b.Sent) })
	var sum time.Duration
	seen := from
	for _, f := range flights {
		if f.Probe || f.Lost || f.isAck() {
			continue
		}
		begin, end := f.Sent, f.Due
		if begin.Before(seen) {
			begin = seen
		}
		if end.After(to) {
			end = to
		}
		if end.After(begin) {
			sum += end.Sub(begin)
			seen = end
		}
	}
	return float64(sum) / float64(rtt)
}

// Received is the bytes that a host got between two times, headers of IP, TCP and UDP left
// out; what was sent twice counts twice.
func Received(flights []Flight, from, to time.Time) (sum int64) {
	for _, f := range flights {
		if !f.Out && !f.Lost && !f.Due.Before(from) && !f.Due.After(to) {
			sum += int64(f.Payload)
		}
	}
	return sum
}
