package gateway

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/walrus-network/walrus/gateway/access"
)

// listener reads a stream of events.
type listener struct {
	t     *testing.T
	lines *bufio.Scanner
	close func()
}

// sentEvent is one of a stream.
type sentEvent struct{ id, name, data string }

func (g *rig) listen(last string) *listener {
	g.t.Helper()
	ctx, cancel := context.WithCancel(g.t.Context())
	r := g.request("GET", "/v1/events", nil).WithContext(ctx)
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		g.t.Fatal(err)
	}
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" {
		g.t.Fatalf("%s %v", resp.Status, resp.Header)
	}
	l := &listener{g.t, bufio.NewScanner(resp.Body), func() { cancel(); resp.Body.Close() }}
	g.t.Cleanup(l.close)
	return l
}

// next is the next event; one without a name where the stream has ended.
func (l *listener) next() (e sentEvent) {
	l.t.Helper()
	for l.lines.Scan() {
		name, value, _ := strings.Cut(l.lines.Text(), ": ")
		switch name {
		case "id":
			e.id = value
		case "event":
			e.name = value
		case "data":
			e.data = value
		case "":
			if e.name != "" {
				return e
			}
		}
	}
	return sentEvent{}
}

func (l *listener) blob(what string) (e sentEvent, b blobEvent) {
	l.t.Helper()
	for e = l.next(); e.name == "epoch"; e = l.next() {
	}
	if e.name != "blob" {
		l.t.Fatalf("%+v, and %s is due", e, what)
	}
	if err := json.Unmarshal([]byte(e.data), &b); err != nil {
		l.t.Fatal(err)
	}
	if b.Event != what {
		l.t.Fatalf("%s, and %s is due", e.data, what)
	}
	return e, b
}

func TestEventsTellWhatChanges(t *testing.T) {
	g := newRig(t, nil)
	l := g.listen("")
	var epoch epochEvent
	if e := l.next(); e.name != "epoch" || json.Unmarshal([]byte(e.data), &epoch) != nil || epoch.Time.IsZero() {
		t.Fatalf("the present epoch is told first: %+v", e)
	}
	var stored struct{ NewlyCreated *json.RawMessage }
	g.do(g.request("PUT", "/v1/blobs?epochs=2", strings.NewReader("an event"))).json(t, &stored)
	if stored.NewlyCreated == nil {
		t.Fatal("it was not stored")
	}
	first, b := l.blob("certified")
	if b.Size != 8 || b.EndEpoch < 2 || b.Cost == 0 || b.Refund != nil || b.Time.IsZero() {
		t.Errorf("%s", first.data)
	}
	if a := g.do(g.request("GET", "/v1/blobs/"+b.BlobID, nil)); string(a.body) != "an event" {
		t.Errorf("the event's blob is %q", a.body)
	}
	g.do(g.request("PUT", "/v1/blobs", strings.NewReader("an event"))) // pays nothing, so it is no event
	r := g.request("POST", "/v1/blobs/"+b.BlobID+"/extend", strings.NewReader(`{"epochs": 3}`))
	r.Header.Set("Content-Type", "application/json")
	if a := g.do(r); a.StatusCode != 200 {
		t.Fatalf("%s", a.body)
	}
	_, longer := l.blob("extended")
	if longer.EndEpoch != b.EndEpoch+3 || longer.BlobID != b.BlobID || longer.Cost == 0 {
		t.Errorf("%+v", longer)
	}
	if a := g.do(g.request("DELETE", "/v1/blobs/"+b.BlobID, nil)); a.StatusCode != 200 {
		t.Fatalf("%s", a.body)
	}
	_, gone := l.blob("deleted")
	if gone.Refund == nil || *gone.Refund == 0 || gone.EndEpoch != 0 {
		t.Errorf("%+v", gone)
	}
	l.close()

	again := g.listen(first.id)
	again.blob("extended")
	again.blob("deleted")
	other := g.listen("5") // of a process that was before
	if e := other.next(); e.name != "missed" {
		t.Errorf("changes before this process: %+v", e)
	}
	other.blob("certified")

	ended := make(chan sentEvent)
	go func() {
		e := again.next()
		for e.name == "epoch" {
			e = again.next()
		}
		ended <- e
	}()
	g.s.Drain()
	if e := <-ended; e.name != "" {
		t.Errorf("%+v after the gateway was asked to end", e)
	}
}

func TestStreamsOfEventsAreBounded(t *testing.T) {
	g := newRig(t, nil)
	var all []*listener
	for range mostStreams {
		all = append(all, g.listen(""))
	}
	if a := g.do(g.request("GET", "/v1/events", nil)); a.StatusCode != 429 || a.Header.Get("Retry-After") == "" {
		t.Errorf("one too many: %d %s", a.StatusCode, a.body)
	}
	if a := g.do(g.request("HEAD", "/v1/events", nil)); a.StatusCode != 200 {
		t.Errorf("HEAD: %d", a.StatusCode)
	}
	for _, l := range all {
		l.close()
	}
	g.becomes("no stream is left when its clients are gone", func() bool { return g.s.streams.Load() == 0 })
	r := g.request("GET", "/v1/events", nil)
	r.Header.Set("Last-Event-ID", "none")
	if a := g.do(r); a.StatusCode != 400 || !strings.Contains(string(a.body), "Last-Event-ID") {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	if a := g.do(g.request("GET", "/v1/events?since=3", nil)); a.StatusCode != 400 {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	g.start(func(o *Options) { o.Access = newControl(t, access.Options{}) })
	if a := g.do(g.request("GET", "/v1/events", nil)); a.StatusCode != 401 {
		t.Errorf("without a key: %d %s", a.StatusCode, a.body)
	}
	g.start(func(o *Options) { o.Writer = nil })
	if a := g.do(g.request("GET", "/v1/events", nil)); a.StatusCode != 405 {
		t.Errorf("of a gateway that only reads: %d %s", a.StatusCode, a.body)
	}
}
