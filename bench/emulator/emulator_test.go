package emulator

import (
	"encoding/binary"
	"io"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pipe is a device in memory.
type pipe struct {
	sent   chan []byte // by the host
	got    chan arrival
	closed chan struct{}
	close  func()
}

type arrival struct {
	bytes []byte
	at    time.Time
}

func newPipe() *pipe {
	p := &pipe{sent: make(chan []byte, 1000), got: make(chan arrival, 1000), closed: make(chan struct{})}
	p.close = sync.OnceFunc(func() { close(p.closed) })
	return p
}

func (p *pipe) Read(b []byte) (int, error) {
	select {
	case s := <-p.sent:
		return copy(b, s), nil
	case <-p.closed:
		return 0, io.EOF
	}
}

func (p *pipe) Write(b []byte) (int, error) {
	p.got <- arrival{append([]byte(nil), b...), time.Now()}
	return len(b), nil
}

func (p *pipe) Close() error { p.close(); return nil }

// udp is a packet of so many bytes in all.
func udp(to, size int, mark byte) []byte {
	b := make([]byte, size)
	b[0], b[9] = 0x45, protocolUDP
	a := IP(to).As4()
	copy(b[16:], a[:])
	binary.BigEndian.PutUint16(b[20:], 7)
	b[size-1] = mark
	return b
}

func startRouter(t *testing.T, o Options) (*router, []*pipe) {
	e := &Emulator{closed: make(chan struct{})}
	e.close = sync.OnceFunc(func() { close(e.closed) })
	var pipes []*pipe
	for range o.Bits {
		p := newPipe()
		pipes, e.hosts = append(pipes, p), append(e.hosts, &place{device: p})
	}
	e.start(o)
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e.router, pipes
}

func TestAPacketTakesHalfARoundTripAndItsTimeOnBothLinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, hosts := startRouter(t, Options{RTT: 150 * time.Millisecond, Bits: []int64{8_000_000, 800_000, 8_000_000}})
		stop := r.watch(0)
		began := time.Now()
		for i := range 3 {
			hosts[0].sent <- udp(1, 1000, byte(i)) // 1 ms on the way out, 10 ms on the way in
		}
		hosts[0].sent <- udp(99, 1000, 0) // nobody's address
		hosts[0].sent <- []byte{0x60}     // no IPv4
		for i := range 3 {
			a := <-hosts[1].got
			if want := 75*time.Millisecond + time.Millisecond + time.Duration(i+1)*10*time.Millisecond; a.at.Sub(began) != want {
				t.Errorf("packet %d took %s, want %s", i, a.at.Sub(began), want)
			}
			if a.bytes[999] != byte(i) {
				t.Errorf("packet %d overtook another", a.bytes[999])
			}
		}
		flights := stop()
		if len(flights) != 3 || flights[0].From != 7 || flights[0].Payload != 1000-28 || !flights[0].Out || flights[0].Peer != 1 {
			t.Fatalf("flights: %v", flights)
		}
		// 106 ms from the first byte to the last arrival.
		if got := OnLine(flights, began, time.Now(), 150*time.Millisecond); got != 106./150 {
			t.Errorf("%g round trips", got)
		}
		if got := Received(flights, began, time.Now()); got != 0 {
			t.Errorf("received %d bytes of what was sent", got)
		}
	})
}

func TestALongQueueDropsPackets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, hosts := startRouter(t, Options{RTT: 150 * time.Millisecond, Bits: []int64{800_000, 800_000}})
		for i := range 100 {
			hosts[0].sent <- udp(1, 1000, byte(i)) // 10 ms each: 150 ms wait at most
		}
		time.Sleep(10 * time.Second) // virtual: all packets that come have come
		if got := len(hosts[1].got); got != 16 {
			t.Errorf("%d of 100 packets came", got)
		}
	})
}

func TestPacketsAreLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, hosts := startRouter(t, Options{RTT: time.Millisecond, Loss: 0.5, Bits: []int64{1e9, 1e9}})
		for range 1000 {
			hosts[0].sent <- udp(1, 100, 0)
		}
		time.Sleep(time.Second) // virtual: all packets that come have come
		if got := len(hosts[1].got); got < 400 || got > 600 {
			t.Errorf("%d of 1000 packets came, half is lost", got)
		}
	})
}

// The time on the line has no work: here a host that is asked works for a second.
func TestTimeOnTheLineLeavesOutWork(t *testing.T) {
	began := time.Unix(1000, 0)
	at := func(ms int) time.Time { return began.Add(time.Duration(ms) * time.Millisecond) }
	flights := []Flight{
		{Sent: at(1175), Due: at(1250), Payload: 5}, // the answer
		{Sent: at(100), Due: at(175), Out: true},    // the question
		{Sent: at(120), Due: at(195), Out: true},    // one more, at the same time
		{Sent: at(300), Due: at(375), Lost: true},   // reaches nobody
		{Sent: at(2000), Due: at(2075), Payload: 9}, // afterwards
		{Sent: at(-50), Due: at(25), Payload: 3},    // half of it before
	}
	flights = append(flights,
		Flight{Sent: at(1260), Due: at(1335), Protocol: protocolTCP, Flags: 0x10},             // an acknowledgement
		Flight{Sent: at(1260), Due: at(1335), Protocol: protocolUDP, Payload: longestAck},     // and one of QUIC
		Flight{Sent: at(1400), Due: at(1405), Protocol: protocolTCP, Flags: 0x12},             // the answer to a SYN
		Flight{Sent: at(1410), Due: at(1415), Protocol: protocolUDP, Payload: longestAck + 1}) // a short question
	if got := OnLine(flights, began, at(1500), 100*time.Millisecond); got != 2.05 {
		t.Errorf("%g round trips, want (95 + 75 + 25 + 5 + 5 ms) / 100 ms", got)
	}
	if got := Received(flights[:6], began, at(1500)); got != 8 {
		t.Errorf("received %d bytes", got)
	}
}

// A packet by which QUIC tries out how long packets may be holds up nothing. It is told from
// data only on a connection that was seen to begin.
func TestTimeOnTheLineLeavesOutPacketsThatTryOutTheirLength(t *testing.T) {
	began := time.Unix(1000, 0)
	flight := func(ms int, out bool, from uint16, bytes int, connects bool) Flight {
		at := began.Add(time.Duration(ms) * time.Millisecond)
		return Flight{Sent: at, Due: at.Add(50 * time.Millisecond), Out: out, Protocol: protocolUDP, From: from, Payload: bytes, Connects: connects}
	}
	for name, c := range map[string]struct {
		flights []Flight
		trips   float64
	}{
		"a probe":              {[]Flight{flight(0, true, 1, 1280, true), flight(100, true, 1, 1366, false)}, 0.5},
		"probes one by one":    {[]Flight{flight(0, true, 1, 1280, true), flight(100, true, 1, 1366, false), flight(200, true, 1, 1409, false)}, 0.5},
		"then data":            {[]Flight{flight(0, true, 1, 1280, true), flight(100, true, 1, 1366, false), flight(200, true, 1, 1366, false)}, 1},
		"the other way":        {[]Flight{flight(0, true, 1, 1280, true), flight(100, false, 1, 1280, true), flight(200, false, 1, 1366, false)}, 1},
		"data of a handshake":  {[]Flight{flight(0, true, 1, 1200, true), flight(100, true, 1, 1280, false)}, 1},
		"begun before":         {[]Flight{flight(0, true, 1, 1366, false), flight(100, true, 1, 1409, false)}, 1},
		"another connection":   {[]Flight{flight(0, true, 1, 1280, true), flight(100, true, 2, 1366, false)}, 1},
		"a lost one was tried": {[]Flight{flight(0, true, 1, 1280, true), {Sent: began, Due: began.Add(time.Second), Out: true, Protocol: protocolUDP, From: 1, Payload: 1366, Lost: true}, flight(200, true, 1, 1366, false)}, 1},
	} {
		tried := probes{}
		for i, f := range c.flights {
			from, to := 0, 1
			if !f.Out {
				from, to = to, from
			}
			c.flights[i].Probe = tried.isProbe(from, to, f)
		}
		if got := OnLine(c.flights, began, began.Add(time.Second), 100*time.Millisecond); got != c.trips {
			t.Errorf("%s: %g round trips, want %g", name, got, c.trips)
		}
	}
}

func FuzzDescribe(f *testing.F) {
	f.Add(udp(1, 40, 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, ok := destination(b); ok {
			var got Flight
			got.describe(b)
			if got.Payload < 0 || got.Payload > len(b) {
				t.Errorf("%d bytes of payload in %d", got.Payload, len(b))
			}
		}
	})
}

// Real namespaces, where the machine allows them.
func TestHostsAreInNamespacesOfTheirOwn(t *testing.T) {
	e, err := New(Options{RTT: time.Millisecond, Bits: []int64{1e9, 1e9}})
	if err != nil {
		t.Skipf("no namespaces here: %v", err)
	}
	defer e.Close()
	name := func(host int) (name string) {
		err := e.In(host, func() (err error) {
			name, err = os.Readlink("/proc/thread-self/ns/net")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return name
	}
	mine, err := os.Readlink("/proc/thread-self/ns/net") // the main thread may be a host's
	if err != nil {
		t.Fatal(err)
	}
	if a, b := name(0), name(1); a == b || a == mine || b == mine {
		t.Errorf("namespaces %s and %s, this process is in %s", a, b, mine)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if err := e.In(0, func() error { return nil }); err == nil {
		t.Error("a host that is gone does work")
	}
}

// A connection that began before its host was watched is known when it is.
func TestPacketsThatTryOutTheirLengthAreKnownOnStandingConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, hosts := startRouter(t, Options{RTT: 100 * time.Millisecond, Bits: []int64{1e9, 1e9}})
		send := func(payload int, connects bool) {
			b := udp(1, 28+payload, 0)
			if connects {
				b[28] = longHeader
			}
			hosts[0].sent <- b
			time.Sleep(time.Second) // virtual: it has come
		}
		send(1280, true)
		stop, began := r.watch(0), time.Now()
		send(1366, false)
		send(100, false)
		if got := OnLine(stop(), began, time.Now(), 100*time.Millisecond); got < 0.5 || got > 0.51 {
			t.Errorf("%g round trips", got)
		}
	})
}
