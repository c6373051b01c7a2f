package gateway

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/internal/world"
	"github.com/walrus-network/walrus/ledger"
)

// A page of another origin may send every request, with its key, and read what it needs.
func TestPagesOfOtherOrigins(t *testing.T) {
	g := newRig(t, nil)
	for _, path := range []string{"/v1/blobs", "/v1/blobs/x", "/v1/quilts", "/v1/uploads/", "/v1/nothing"} {
		r := g.request("OPTIONS", path, nil)
		r.Header.Set("Origin", "https://app.example")
		r.Header.Set("Access-Control-Request-Method", "PUT")
		r.Header.Set("Access-Control-Request-Headers", "authorization,content-type")
		a := g.do(r)
		if a.StatusCode != 204 || a.Header.Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(strings.ToLower(a.Header.Get("Access-Control-Allow-Headers")), "authorization") {
			t.Errorf("%s: %d %v", path, a.StatusCode, a.Header)
		}
	}
	a := g.get("/status", "Origin", "https://app.example")
	if !strings.Contains(strings.ToLower(a.Header.Get("Access-Control-Expose-Headers")), "etag") {
		t.Errorf("%v", a.Header)
	}
}

// Behind a prefix all routes are there, and what they name lies behind it too.
func TestABasePath(t *testing.T) {
	g := newRig(t, func(o *Options) { o.BasePath = "/walrus/" })
	body := random(1000, 1)
	var r storeResult
	g.put("/v1/blobs", body).json(t, &r)
	if r.Created == nil || !strings.HasPrefix(r.Walrus.Receipt, "/walrus/v1/blobs/") {
		t.Fatalf("%+v", r)
	}
	if a := g.get("/v1/blobs/" + r.Created.Object.BlobID); !bytes.Equal(a.body, body) {
		t.Errorf("%d", a.StatusCode)
	}
	resp, err := http.Get(strings.TrimSuffix(g.url, "/walrus") + "/v1/blobs/x")
	if err != nil || resp.StatusCode != 404 {
		t.Errorf("%v %v", resp, err)
	}
	resp.Body.Close()
}

// A form that is cut off between two parts, or right after a boundary, is no quilt of those
// that came.
func TestAFormThatIsCutOff(t *testing.T) {
	g := newRig(t, nil)
	whole := "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none\r\n--B\r\nContent-Disposition: form-data; name=\"b\"\r\n\r\ntwo\r\n--B--\r\n"
	for _, at := range []int{len(whole), len(whole) - 2, strings.LastIndex(whole, "--B--"), strings.LastIndex(whole, "--B--") + 3, strings.Index(whole, "--B\r\nContent-Disposition: form-data; name=\"b") + 5, 40} {
		r := g.request("PUT", "/v1/quilts", strings.NewReader(whole[:at]))
		r.Header.Set("Content-Type", "multipart/form-data; boundary=B")
		a := g.do(r)
		if good := at >= len(whole)-2; good != (a.StatusCode == 200) || !good && a.reason() != "MALFORMED_REQUEST" {
			t.Errorf("%q: %d %s", whole[:at], a.StatusCode, a.body)
		}
	}
}

// A client that announces a body and sends none gets its answer, and keeps no place.
func TestABodyThatNeverComes(t *testing.T) {
	g := newRig(t, func(o *Options) { o.StallLimit = 300 * time.Millisecond })
	id := g.stored(random(1000, 1))
	for _, head := range []string{"GET /v1/blobs/" + id, "HEAD /v1/blobs/" + id, "GET /status", "PUT /v1/blobs?epoch=5", "POST /v1/blobs/" + id + "/extend", "DELETE /v1/blobs/" + strings.Repeat("A", 43)} {
		c, err := net.Dial("tcp", strings.TrimPrefix(g.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(c, "%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n", head)
		c.SetReadDeadline(time.Now().Add(waitLimit))
		if b, err := io.ReadAll(c); err != nil {
			t.Errorf("%s: the connection stays open: %v after %q", head, err, b)
		}
		c.Close()
	}
	if n := len(g.s.reads); n != 0 {
		t.Errorf("%d reads are under way", n)
	}
}

// A body that ends too early, and a client that hangs up, pay nothing and leave nothing.
func TestABodyThatBreaksOff(t *testing.T) {
	g := newRig(t, nil)
	ctx, hangUp := context.WithCancel(t.Context())
	in, out := io.Pipe()
	r, err := http.NewRequestWithContext(ctx, "PUT", g.url+"/v1/blobs", in)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		resp, err := http.DefaultClient.Do(r)
		if err == nil {
			resp.Body.Close()
		}
		done <- err
	}()
	out.Write(random(2<<20, 1))
	hangUp()
	out.CloseWithError(context.Canceled) // else the client may wait for what it would send next
	if <-done == nil {
		t.Error("it was answered")
	}
	g.usedBecomes(0) // once the server sees that the client is gone
	g.want(g.put("/v1/blobs", random(33<<20, 1)), 413, "BLOB_TOO_LARGE")
	if a := g.get("/v1/blobs"); string(a.body) != "{\"blobs\":[]}\n" {
		t.Errorf("%s", a.body)
	}
}

// slowLedger tells of each transaction before it is submitted.
type slowLedger struct {
	world.Ledger
	submits func()
}

func (l slowLedger) Submit(ctx context.Context, tx []byte) (ledger.TxReceipt, error) {
	l.submits()
	return l.Ledger.Submit(ctx, tx)
}

func (l slowLedger) View(ctx context.Context) (ledger.View, error) {
	if err := ctx.Err(); err != nil {
		return ledger.View{}, err
	}
	return l.Ledger.View(ctx)
}

// timed is a connection that tells its deadlines.
type timed struct {
	net.Conn
	mu          sync.Mutex
	read, write time.Time // zero: none
	set         int       // deadlines that were no zero
}

func (c *timed) SetReadDeadline(t time.Time) error {
	c.note(&c.read, t)
	return c.Conn.SetReadDeadline(t)
}

func (c *timed) SetWriteDeadline(t time.Time) error {
	c.note(&c.write, t)
	return c.Conn.SetWriteDeadline(t)
}

func (c *timed) note(at *time.Time, t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	*at = t
	if !t.IsZero() {
		c.set++
	}
}

// timing is a listener of timed connections.
type timing struct {
	net.Listener
	mu  sync.Mutex
	all []*timed
}

func (l *timing) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, &timed{Conn: c})
	return l.all[len(l.all)-1], nil
}

// deadlines is how many deadlines stand now, and how many were set.
func (l *timing) deadlines() (stand, set int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.all {
		c.mu.Lock()
		for _, at := range []time.Time{c.read, c.write} {
			if !at.IsZero() {
				stand++
			}
		}
		set += c.set
		c.mu.Unlock()
	}
	return stand, set
}

// A client may stand still for a while only while it sends or takes bytes: not while its body
// is stored, however long that takes, nor between two answers on one connection.
func TestTimeThatIsNotTheClients(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &timing{Listener: inner}
	w := world.New(t, 4, 10)
	stored := 0
	g := &rig{t: t, w: w, dir: t.TempDir(), c: w.ClientOf(slowLedger{w.Ledger, func() {
		stored++
		if stand, set := l.deadlines(); stand > 0 || set == 0 {
			t.Errorf("%d of %d deadlines stand while a body is stored", stand, set)
		}
	}})}
	g.start(nil)
	server := &httptest.Server{Listener: l, Config: &http.Server{Handler: g.s}}
	server.Start()
	defer server.Close()
	g.url = server.URL
	const step = 8 << 20 // after so much the body is asked once more, whether there is more
	id := g.stored(random(step, 1))
	if stored == 0 {
		t.Fatal("nothing was submitted")
	}
	c, err := net.Dial("tcp", strings.TrimPrefix(g.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	in := bufio.NewReader(c)
	for i, method := range []string{"GET", "HEAD", "GET"} {
		fmt.Fprintf(c, "%s /v1/blobs/%s HTTP/1.1\r\nHost: localhost\r\n\r\n", method, id)
		resp, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			t.Fatalf("answer %d on the connection: %v", i, err)
		}
		if b, err := io.ReadAll(resp.Body); err != nil || len(b) != step && method == "GET" {
			t.Fatalf("answer %d: %d bytes, %v", i, len(b), err)
		}
		g.becomes("no deadline stands between two answers", func() bool { stand, _ := l.deadlines(); return stand == 0 })
	}
}

// A gateway that only reads says so to what would cost.
func TestAReadOnlyGateway(t *testing.T) {
	g := newRig(t, nil)
	id := g.stored(random(1000, 1))
	g.start(func(o *Options) { o.Writer, o.Spool, o.UploadDir = nil, nil, "" })
	if a := g.get("/v1/blobs/" + id); a.StatusCode != 200 {
		t.Errorf("%d", a.StatusCode)
	}
	g.want(g.put("/v1/blobs", random(1000, 2)), 405, "READ_ONLY")
	g.want(g.get("/v1/blobs"), 405, "READ_ONLY")
	g.want(g.do(g.request("DELETE", "/v1/blobs/"+id, nil)), 405, "READ_ONLY")
	g.want(g.do(g.request("POST", "/v1/uploads/", nil)), 404, "NO_UPLOADS")
	if a := g.get("/readyz"); a.StatusCode != 200 {
		t.Errorf("%s", a.body)
	}
}

// Without keys no page of another site spends from the wallet, under whatever name it reaches
// this machine; pages of this machine and those that were named may, and all may read.
func TestPagesOfOtherSitesDoNotSpend(t *testing.T) {
	g := newRig(t, func(o *Options) { o.Origins = []string{"https://mine.example"} })
	id := g.stored(random(1000, 1))
	for _, c := range []struct {
		origin, host string
		code         int
		reason       string
	}{
		{"https://app.example", "", 403, "FOREIGN_ORIGIN"}, {"null", "", 403, "FOREIGN_ORIGIN"}, {"", "rebound.example:31415", 403, "FOREIGN_HOST"}, {"proxy", "", 403, "FOREIGN_HOST"}, {"http://localhost.example", "", 403, "FOREIGN_ORIGIN"},
		{"http://localhost:5173", "", 200, ""}, {"http://127.0.0.1:8080", "", 200, ""}, {"http://[::1]:8080", "", 200, ""}, {"https://mine.example", "", 200, ""}, {"", "localhost:31415", 200, ""},
	} {
		for _, method := range []string{"PUT", "GET", "DELETE"} {
			path, body := "/v1/blobs", []byte("x")
			if method == "DELETE" {
				path = "/v1/blobs/" + strings.Repeat("A", 43)
			}
			r := g.request(method, path, bytes.NewReader(body))
			r.Header.Set("Origin", c.origin)
			switch c.origin {
			case "":
				r.Header.Del("Origin")
			case "proxy":
				r.Header.Del("Origin")
				r.Header.Set("X-Forwarded-For", "203.0.113.7")
			}
			if c.host != "" {
				r.Host = c.host
			}
			a := g.do(r)
			if c.code == 403 || method != "DELETE" {
				g.want(a, c.code, c.reason)
			}
		}
		r := g.request("GET", "/v1/blobs/"+id, nil)
		r.Header.Set("Origin", c.origin)
		if a := g.do(r); a.StatusCode != 200 || a.Header.Get("Access-Control-Allow-Origin") != "*" && c.origin != "" {
			t.Errorf("%s cannot read: %d %v", c.origin, a.StatusCode, a.Header)
		}
	}
}

// The lease on a blob that another door needs stays when it is given up over HTTP.
func TestADeleteThatAnotherDoorNeeds(t *testing.T) {
	relied := true
	g := newRig(t, func(o *Options) { o.Relied = func(blob.ID) bool { return relied } })
	id := g.stored(random(1000, 1))
	for _, want := range []bool{false, true} {
		relied = !want
		a := g.do(g.request("DELETE", "/v1/blobs/"+id, nil))
		g.want(a, 200, "")
		var d deleted
		a.json(t, &d)
		if d.Gone != want || (d.Refund > 0) != want {
			t.Errorf("relied on %t: %+v", relied, d)
		}
	}
}
