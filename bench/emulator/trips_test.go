package emulator

import (
	"slices"
	"testing"
	"time"
)

// Round trips are the longest chain of packets that may have waited for each other. Hosts are
// 100 ms from each other and back.
func TestTripsAreTheLongestChain(t *testing.T) {
	began := time.Unix(1000, 0)
	at := func(ms int) time.Time { return began.Add(time.Duration(ms) * time.Millisecond) }
	flight := func(ms, peer, bytes int, out bool) Flight {
		f := Flight{Sent: at(ms), Due: at(ms + 50), Peer: peer, Protocol: protocolUDP, From: 1, To: 2, Payload: bytes, Out: true}
		if !out {
			f = f.reverse()
		}
		return f
	}
	out := func(ms, peer int) Flight { return flight(ms, peer, 500, true) }
	in := func(ms, peer int) Flight { return flight(ms, peer, 500, false) }
	ackOut := func(ms, peer int) Flight { return flight(ms, peer, longestAck, true) }
	ackIn := func(ms, peer int) Flight { return flight(ms, peer, longestAck, false) }
	lost := func(f Flight) Flight { f.Lost = true; return f }
	probe := func(f Flight) Flight { f.Probe = true; return f }
	for name, c := range map[string]struct {
		flights []Flight
		trips   float64
	}{
		"nothing":                                {nil, 0},
		"a question that no one answers":         {[]Flight{out(0, 1)}, 0},
		"an answer":                              {[]Flight{out(0, 1), in(50, 1)}, 1},
		"what comes unasked":                     {[]Flight{in(0, 1)}, 0},
		"the same, and a question upon it":       {[]Flight{in(0, 1), out(50, 1), in(100, 1)}, 1},
		"work of the host that is asked":         {[]Flight{out(0, 1), in(300, 1)}, 1},
		"work of the host that asks":             {[]Flight{out(0, 1), in(50, 1), out(400, 1), in(450, 1)}, 2},
		"two questions at once":                  {[]Flight{out(0, 1), out(1, 2), in(50, 1), in(51, 2)}, 1},
		"the second before the first's answer":   {[]Flight{out(0, 1), out(99, 2), in(50, 1), in(149, 2)}, 1},
		"the second upon the first's answer":     {[]Flight{out(0, 1), out(100, 2), in(50, 1), in(150, 2)}, 2},
		"answers one after the other":            {[]Flight{out(0, 1), out(0, 2), in(50, 1), in(130, 2)}, 1},
		"and a question upon the last":           {[]Flight{out(0, 1), out(0, 2), in(50, 1), in(130, 2), out(180, 1), in(230, 1)}, 2},
		"two answers of one host, a block apart": {[]Flight{out(0, 1), in(300, 1), ackOut(350, 1), in(800, 1)}, 1},
		"asked in vain, and again":               {[]Flight{out(0, 1), in(50, 1), out(100, 1), in(150, 1), out(200, 1), in(250, 1)}, 3},
		"more than fits on the line":             {[]Flight{out(0, 1), in(50, 1), ackOut(100, 1), in(150, 1)}, 2},
		"more than fits, of another host":        {[]Flight{out(0, 1), out(0, 2), in(50, 1), ackOut(100, 1), in(150, 2)}, 1},
		"long after an acknowledgement":          {[]Flight{out(0, 1), in(50, 1), ackOut(100, 1), in(150+26, 1)}, 1},
		"a question that does not fit":           {[]Flight{out(0, 1), ackIn(50, 1), out(100, 1), in(150, 1)}, 2},
		"a question that is lost":                {[]Flight{lost(out(0, 1)), out(200, 1), in(250, 1)}, 1},
		"a packet that tries out its length":     {[]Flight{out(0, 1), in(50, 1), probe(out(100, 1)), in(150, 1)}, 1},
		"what was sent before":                   {[]Flight{out(-20, 1), in(30, 1)}, 0},
		"what comes afterwards":                  {[]Flight{out(0, 1), in(50, 1), out(900, 1), in(951, 1)}, 1},
		// What a store does: an offer while the ledger is looked at, a registration, confirmations
		// of members that see its block one after the other, a certificate, the registration's
		// proof a block later, the certificate's.
		"a store": {[]Flight{out(0, 1), out(0, 2), out(0, 3), in(50, 1), in(55, 2), in(60, 3), out(110, 1), in(500, 2), in(520, 3), in(580, 1),
			out(630, 1), in(740, 1), ackOut(790, 1), in(890, 1)}, 3},
	} {
		c.flights = slices.Clone(c.flights)
		slices.Reverse(c.flights) // the order does not matter
		if got := Trips(c.flights, began, at(1000)); got != c.trips {
			t.Errorf("%s: %g round trips, want %g", name, got, c.trips)
		}
	}
}
