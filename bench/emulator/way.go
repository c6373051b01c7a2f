package emulator

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// way is one direction of a conversation. How many bytes are on their way at most follows
// the links, as congestion control does without losses: a window that grows by all that
// arrives, and from the first time that a link's queue is half full, by a segment in a
// round trip while it is not, and shrinks by an eighth while it is.
type way struct {
	c        *conversation
	out      bool // from the one that dialed
	src, dst *net.TCPConn

	mu      sync.Mutex // guards the fields below
	window  int        // bytes
	flying  int        // bytes that the receiver has not acknowledged
	backed  bool       // a queue was half full once
	arrived [][]byte   // and not handed to the receiver yet; nil: the end
	took    []time.Duration
	room    chan struct{} // an acknowledgement came
	more    chan struct{} // something arrived
}

func (c *conversation) way(out bool) *way {
	w := &way{c: c, out: out, src: c.here, dst: c.there, window: firstWindow, room: make(chan struct{}, 1), more: make(chan struct{}, 1)}
	if !out {
		w.src, w.dst = w.dst, w.src
	}
	return w
}

// run carries bytes until the source has ended and all are there.
func (w *way) run() {
	var receiving sync.WaitGroup
	receiving.Go(w.receive)
	defer receiving.Wait()
	buf := make([]byte, runTCP)
	for {
		n, ok := w.await()
		if !ok {
			return
		}
		n, err := w.src.Read(buf[:min(n, len(buf))])
		if n > 0 {
			w.mu.Lock()
			w.flying += n
			w.mu.Unlock()
			b := append([]byte(nil), buf[:n]...)
			w.c.send(w.out, b, 0, func(took time.Duration) { w.arrive(b, took) })
		}
		if errors.Is(err, io.EOF) {
			w.c.send(w.out, nil, finishes, func(took time.Duration) { w.arrive(nil, took) })
			return
		}
		if err != nil {
			w.c.end()
			return
		}
	}
}

// await waits until there is room in the window.
func (w *way) await() (bytes int, ok bool) {
	for {
		w.mu.Lock()
		bytes = w.window - w.flying
		w.mu.Unlock()
		if bytes > 0 {
			return bytes, true
		}
		select {
		case <-w.room:
		case <-w.c.over:
			return 0, false
		case <-w.c.relay.gone:
			return 0, false
		}
	}
}

// arrive is told what is there, and how long it took.
func (w *way) arrive(b []byte, took time.Duration) {
	w.mu.Lock()
	w.arrived, w.took = append(w.arrived, b), append(w.took, took)
	w.mu.Unlock()
	wake(w.more)
}

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// receive hands on what has arrived. It is acknowledged once the receiver has taken it.
func (w *way) receive() {
	for {
		w.mu.Lock()
		arrived, took := w.arrived, w.took
		w.arrived, w.took = nil, nil
		w.mu.Unlock()
		for i, b := range arrived {
			if b == nil {
				w.dst.CloseWrite()
				return
			}
			if _, err := w.dst.Write(b); err != nil {
				w.c.end()
				return
			}
			time.AfterFunc(w.c.relay.o.RTT/2, func() { w.acknowledge(len(b), took[i]) })
		}
		if len(arrived) > 0 {
			continue
		}
		select {
		case <-w.more:
		case <-w.c.over:
			return
		case <-w.c.relay.gone:
			return
		}
	}
}

// acknowledge makes room for what has arrived, and moves the window.
func (w *way) acknowledge(bytes int, took time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	o := w.c.relay.o
	w.flying -= bytes
	switch full := took > o.RTT/2+o.queue()/2; {
	case full:
		w.backed = true
		w.window -= bytes / 8
	case w.backed:
		w.window += max(1, segment*bytes/w.window)
	default:
		w.window += bytes
	}
	w.window = min(max(w.window, firstWindow), mostWindow)
	wake(w.room)
}
