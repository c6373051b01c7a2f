package s3

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/walrus-network/walrus/blob"
)

// A process that ends after the payment, before the certificate or after it, has paid once
// when the client comes again; the lease is given back when it does not.
func TestAStoreThatWasCutOffIsPaidOnce(t *testing.T) {
	for _, comes := range []bool{true, false} {
		now := time.Now()
		w := newWorld(t, func(o *Options) { o.Grace, o.Now = time.Minute, func() time.Time { return now } })
		w.must("PUT", "/photos", nil)
		reached, cut := make(chan struct{}), make(chan struct{})
		w.double.certify = func(blob.ID) error {
			close(reached)
			<-cut
			return fmt.Errorf("the process ends")
		}
		answered := make(chan int, 1)
		go func() { answered <- w.do("PUT", "/photos/one", []byte("bytes")).status }()
		<-reached
		close(cut)
		if status := <-answered; status < 500 {
			t.Fatal(status)
		}
		w.double.certify = nil
		w.restart()
		w.leases(1) // for a while
		if comes {
			w.must("PUT", "/photos/one", []byte("bytes"))
		}
		now = now.Add(2 * time.Minute)
		want := 0
		if comes {
			want = 1
		}
		w.leases(want)
		if _, _, stores := w.double.state(); stores != 1 {
			t.Errorf("%d leases were paid", stores)
		}
		w.close()
	}
}

// A door closes while a store hangs. The next process goes on as after a kill.
func TestADoorDoesNotWaitForAStoreThatHangs(t *testing.T) {
	w := newWorld(t)
	w.must("PUT", "/photos", nil)
	reached, cut := make(chan struct{}), make(chan struct{})
	w.double.certify = func(blob.ID) error {
		close(reached)
		<-cut
		return fmt.Errorf("too late")
	}
	go func() {
		resp, err := http.DefaultClient.Do(w.request("PUT", "/photos/one", []byte("bytes")))
		if err == nil {
			resp.Body.Close()
		}
	}()
	<-reached
	if err := w.door.Close(); err != nil {
		t.Fatal(err)
	}
	close(cut)
	w.http.Close()
	w.double.certify = nil
	w.start()
	w.leases(0)
}

func TestNothingIsLeftOfAClientThatHangsUp(t *testing.T) {
	w := newWorld(t)
	w.must("PUT", "/photos", nil)
	r := w.request("PUT", "/photos/one", []byte(strings.Repeat("x", 1000)))
	c, err := net.Dial("tcp", r.URL.Host)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "PUT /photos/one HTTP/1.1\r\nHost: %s\r\nContent-Length: 1000\r\n", r.Host)
	for name := range r.Header {
		fmt.Fprintf(c, "%s: %s\r\n", name, r.Header.Get(name))
	}
	fmt.Fprintf(c, "\r\n%s", strings.Repeat("x", 500))
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), r)
	if err == nil { // the answer of a server that saw it in time
		resp.Body.Close()
		if resp.StatusCode < 400 {
			t.Error(resp.Status)
		}
	}
	c.Close()
	w.refused(404, "NoSuchKey", "GET", "/photos/one", nil)
	w.leases(0)
}

// deadlines is a ResponseWriter that notes the deadlines for reading.
type deadlines struct {
	*httptest.ResponseRecorder
	last time.Time
}

func (d *deadlines) SetReadDeadline(t time.Time) error {
	d.last = t
	return nil
}

func TestABodyHasTimeByItsBytes(t *testing.T) {
	d := &deadlines{ResponseRecorder: httptest.NewRecorder()}
	began := time.Now()
	p := &pacedReader{in: io.LimitReader(zeros{}, 10*slowest), control: http.NewResponseController(d), began: began}
	buf := make([]byte, slowest)
	for i := range 10 {
		if n, err := io.ReadFull(p, buf); err != nil || n != slowest {
			t.Fatal(n, err)
		}
		if want := began.Add(bodyPatience + time.Duration(i)*time.Second); !d.last.Equal(want) {
			t.Fatalf("after %d s of bytes the deadline is %s after the beginning", i, d.last.Sub(began))
		}
	}
	if _, err := p.Read(buf); err != io.EOF || !d.last.IsZero() {
		t.Error("a body that has ended leaves a deadline", d.last)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func TestMoreRequestsThanThereArePlacesAreToldToComeAgain(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Requests = 1 })
	w.must("PUT", "/photos", nil)
	reached, cut := make(chan struct{}), make(chan struct{})
	w.double.certify = func(blob.ID) error {
		close(reached)
		<-cut
		return nil
	}
	answered := make(chan int, 1)
	go func() { answered <- w.do("PUT", "/photos/one", []byte("bytes")).status }()
	<-reached
	if a := w.refused(503, "SlowDown", "GET", "/photos", nil); a.header.Get("Retry-After") == "" {
		t.Error(a.header)
	}
	close(cut)
	if status := <-answered; status != 200 {
		t.Error(status)
	}
}
