package gateway

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"path"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/cors"
	"golang.org/x/sync/singleflight"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/gateway/access"
	"github.com/walrus-network/walrus/gateway/blobs"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/ledger/light"
	"github.com/walrus-network/walrus/report"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// Receipts gives receipts of blobs.
type Receipts interface {
	Receipt(ctx context.Context, id blob.ID) (light.BlobReceipt, error)
}

// Options are what a Server is made of, and its limits.
type Options struct {
	Reader   *blobs.Reader
	Writer   *blobs.Writer   // nil: nothing is stored
	Spool    *blobs.Spool    // with a Writer
	Access   *access.Control // nil: the gateway pays for all that reach it
	Owners   *access.Owners  // of what was stored; with a Writer
	Receipts Receipts        // nil: there are none
	// Origins are the sites beside those of this machine whose pages may have the gateway pay
	// where no key is asked for.
	Origins []string
	// Faucet, if not nil, gives an address a few WAL of a testnet.
	Faucet func(ctx context.Context, to token.Address) (token.Amount, error)
	Faults func(error) // is told of a handler that panics; nil: the log alone is

	BasePath      string // before all routes: empty, or like /walrus
	DefaultEpochs uint64 // of a PUT that names none
	MaxBody       int64  // bytes of a body; 0: as many as there is room for
	MaxRead       int64  // bytes of a blob that is given out; 0: any
	Blocked       func(blob.ID) bool
	// Relied says that another door needs the gateway's lease on a blob. The lease is that
	// door's to give back then. Nil: none does.
	Relied     func(blob.ID) bool
	Headers    []string      // tags of quilts that become headers of their files
	Reads      int           // at once
	StallLimit time.Duration // for a client that takes or sends nothing
	UploadDir  string        // of resumable uploads; empty: there are none
	UploadLife time.Duration // of one that no client goes on with
	RepeatDir  string        // of requests with an Idempotency-Key; empty: it is refused
	Funds      uint64        // days for which the wallet must last at today's spending, to be ready
	Log        *slog.Logger  // nil: silent
}

// Defaults are the limits of a gateway.
func Defaults() Options {
	return Options{DefaultEpochs: 1, Reads: 1024, StallLimit: 30 * time.Second, UploadLife: 24 * time.Hour,
		Headers: []string{"content-disposition", "content-encoding", "content-language", "link"}}
}

// Server is the handler of a gateway.
type Server struct {
	o       Options
	handler http.Handler
	types   *typeCache
	indexes *indexCache
	reads   chan struct{}
	metrics *metrics
	unpaid  *unpaid
	repeats *repeats // nil: none are remembered
	uploads *uploads // nil: there are none

	asking singleflight.Group
	mu     sync.Mutex // guards tip
	tip    report.Now
	stop   context.CancelFunc

	streams  atomic.Int64  // of events, that are open
	draining chan struct{} // closed: streams of events end
	drain    func()

	running sync.WaitGroup
}

// New makes a Server. Close ends it.
func New(o Options) (*Server, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Writer != nil && o.Owners == nil {
		return nil, errors.New("a gateway that stores notes who stored a blob: Owners is nil")
	}
	if o.BasePath != "" {
		o.BasePath = path.Clean("/" + o.BasePath)
		if o.BasePath == "/" {
			o.BasePath = ""
		}
	}
	s := &Server{o: o, types: newTypeCache(), indexes: newIndexCache(), reads: make(chan struct{}, o.Reads)}
	s.draining = make(chan struct{})
	s.drain = sync.OnceFunc(func() { close(s.draining) })
	s.metrics = newMetrics(s)
	if o.Spool != nil {
		s.unpaid = newUnpaid(o.Spool.Size())
	}
	if o.Writer != nil && o.RepeatDir != "" {
		var err error
		if s.repeats, err = newRepeats(o.RepeatDir, o.Log.Warn); err != nil {
			return nil, err
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	if o.Writer != nil && o.UploadDir != "" {
		var err error
		if s.uploads, err = s.newUploads(ctx); err != nil {
			stop()
			return nil, err
		}
	}
	if o.Access != nil {
		s.running.Go(func() { s.sweepAccess(ctx) })
	}
	s.handler = s.guard(s.routes())
	return s, nil
}

// sweepAccess forgets what of keys and tokens is over, now and then.
func (s *Server) sweepAccess(ctx context.Context) {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		if err := s.o.Access.Sweep(); err != nil {
			s.o.Log.Warn("old tokens stay", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Close ends what goes on beside requests.
func (s *Server) Close() error {
	s.drain()
	s.stop()
	s.running.Wait()
	if s.uploads != nil {
		s.uploads.wait()
	}
	return nil
}

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// handle is a handler that fails with an error.
type handle func(w http.ResponseWriter, r *http.Request) error

// route is a path with the name under which it is counted and its handlers by method; "" is any
// method. A handler of GET answers HEAD too.
type route struct {
	path, name string
	methods    map[string]handle
}

func (s *Server) routes() http.Handler {
	get := func(h handle) map[string]handle { return map[string]handle{"GET": h} }
	put := func(h handle) map[string]handle { return map[string]handle{"PUT": h} }
	any := func(h handle) map[string]handle { return map[string]handle{"": h} }
	mux := http.NewServeMux()
	for _, r := range []route{
		{"/v1/blobs", "blobs", map[string]handle{"PUT": s.putBlob, "GET": s.listOwned}},
		{"/v1/store", "blobs", put(s.putBlob)}, // as it was called before
		{"/v1/quilts", "quilts", put(s.putQuilt)},
		{"/v1/quilts/{quilt}/patches", "patches", get(s.listQuilt)},
		{"/v1alpha/blobs/concat", "concat", map[string]handle{"GET": s.getConcat, "POST": s.postConcat}},
		{"/v1alpha/blobs/{id}/stream", "stream", get(s.getStream)},
		{"/v1/price", "price", get(s.getPrice)},
		{"/v1/events", "events", get(s.getEvents)},
		{"/v1/uploads", "uploads", any(s.uploadRoutes)},
		{"/v1/uploads/{rest...}", "uploads", any(s.uploadRoutes)},
		{"/v1/faucet", "faucet", map[string]handle{"POST": s.postFaucet}},
		{"/v1/api", "api", get(s.getAPI)},
		{"/v1/api.json", "api", get(s.getAPI)},
		{"/v1/api.yaml", "api", get(s.getAPI)},
		{"/status", "status", get(s.getStatus)},
		{"/healthz", "health", get(s.getStatus)},
		{"/readyz", "ready", get(s.getReady)},
		{"/metrics", "metrics", get(s.getMetrics)},
		{"/v1/blob-upload-relay", "none", any(s.noRelay)},
		{"/v1/tip-config", "none", any(s.noRelay)},
		{"/", "none", any(s.noRoute)},
	} {
		mux.Handle(r.path, s.serve(r))
	}
	below := s.serve(route{blobsPath, "blob", any(s.blobRoutes)})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The mux would send a client elsewhere whose identifier holds ".." or "//".
		if strings.Contains(r.URL.Path, "//") && !strings.HasPrefix(r.URL.EscapedPath(), blobsPath) {
			s.fail(w, r, s.noRoute(w, r))
			return
		}
		if strings.HasPrefix(r.URL.EscapedPath(), blobsPath) {
			below.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// run runs the handler of a request's method.
func (route route) run(w http.ResponseWriter, r *http.Request) error {
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	h := route.methods[method]
	if h == nil {
		h = route.methods[""]
	}
	if h == nil {
		return noMethod(w, r, strings.Join(slices.Sorted(maps.Keys(route.methods)), ", "))
	}
	return h(w, r)
}

const blobsPath = "/v1/blobs/"

// blobRoutes splits what follows /v1/blobs/. Patterns of the mux cannot: several match
// by-object-id/byte-range, and an identifier of a quilt may hold slashes, encoded or not.
func (s *Server) blobRoutes(w http.ResponseWriter, r *http.Request) error {
	first, rest, more := strings.Cut(strings.TrimPrefix(r.URL.EscapedPath(), blobsPath), "/")
	read := r.Method == http.MethodGet || r.Method == http.MethodHead
	only := func(h handle) error {
		if !read {
			return noMethod(w, r, "GET, HEAD")
		}
		return h(w, r)
	}
	switch first {
	case "by-object-id":
		return only(func(w http.ResponseWriter, r *http.Request) error { return s.getObject(w, r, rest) })
	case "by-quilt-patch-id":
		return only(func(w http.ResponseWriter, r *http.Request) error { return s.getPatch(w, r, rest) })
	case "by-quilt-id":
		return only(func(w http.ResponseWriter, r *http.Request) error { return s.getQuiltFile(w, r, rest) })
	}
	id, err := pathID(first)
	if err != nil {
		return err
	}
	switch {
	case !more && read:
		return s.getBlob(w, r, id)
	case !more && r.Method == http.MethodDelete:
		return s.deleteBlob(w, r, id)
	case !more:
		return noMethod(w, r, "GET, HEAD, DELETE")
	case rest == "byte-range":
		return only(func(w http.ResponseWriter, r *http.Request) error { return s.getByteRange(w, r, id) })
	case rest == "status":
		return only(func(w http.ResponseWriter, r *http.Request) error { return s.getBlobStatus(w, r, id) })
	case rest == "receipt":
		return only(func(w http.ResponseWriter, r *http.Request) error { return s.getReceipt(w, r, id) })
	case rest == "extend" && r.Method == http.MethodPost:
		return s.postExtend(w, r, id)
	case rest == "extend":
		return noMethod(w, r, "POST")
	}
	return s.noRoute(w, r)
}

func noMethod(w http.ResponseWriter, r *http.Request, allowed string) error {
	w.Header().Set("Allow", allowed)
	return refuse(405, "METHOD_NOT_ALLOWED", "%s is not possible here: %s", r.Method, allowed)
}

func (s *Server) noRoute(http.ResponseWriter, *http.Request) error {
	return refuse(404, "NO_SUCH_ROUTE", "there is nothing at this path; /v1/api lists what there is")
}

func (s *Server) noRelay(http.ResponseWriter, *http.Request) error {
	return refuse(404, "NO_UPLOAD_RELAY", "this network has no upload relay: its codes and its ledger are not those that a relay's clients encode for; PUT /v1/blobs stores a body")
}

func unescape(s string) (string, error) {
	text, err := url.PathUnescape(s)
	if err != nil {
		return "", refuse(400, "MALFORMED_REQUEST", "the path is not percent-encoded: %v", err)
	}
	return text, nil
}

// serve makes a handler of a route: it counts, and answers with errors.
func (s *Server) serve(route route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		rec := &recorder{ResponseWriter: w}
		defer func() { s.metrics.count(route.name, r.Method, rec, time.Since(began)) }()
		if err := route.run(rec, r); err != nil {
			if rec.begun() {
				panic(http.ErrAbortHandler) // a short answer must not look whole
			}
			if r.Context().Err() != nil {
				panic(http.ErrAbortHandler) // the client is gone
			}
			s.fail(rec, r, err)
		}
	})
}

// recorder notes what was answered.
type recorder struct {
	http.ResponseWriter
	code  int
	bytes int64
}

func (r *recorder) WriteHeader(code int) {
	if r.code == 0 && code >= 200 {
		r.code = code
	}
	r.ResponseWriter.WriteHeader(code)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.code == 0 {
		r.code = 200
	}
	n, err := r.ResponseWriter.Write(b)
	r.bytes += int64(n)
	return n, err
}

// Unwrap gives http.ResponseController what is behind it.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (r *recorder) begun() bool { return r.code != 0 }

// Requests that CORS lets a page of any origin send, and what it may read of the answer.
var (
	corsMethods = []string{"GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS"}
	corsExposed = []string{"ETag", "Content-Length", "Content-Range", "Accept-Ranges", "Retry-After", "X-Quilt-Patch-Identifier", "X-Walrus-Cid", "X-Walrus-Streaming", "X-Request-Id",
		"Location", "Upload-Offset", "Upload-Length", "Upload-Expires", "Upload-Metadata", "Upload-Defer-Length", "Upload-Concat", "Tus-Resumable", "Tus-Version", "Tus-Extension", "Tus-Max-Size"}
)

type traceKey struct{}

func traceOf(r *http.Request) string {
	id, _ := r.Context().Value(traceKey{}).(string)
	return id
}

// guard is around all routes: CORS, the base path, a name for each request, and headers that
// keep bytes of users from being run.
func (s *Server) guard(next http.Handler) http.Handler {
	strip := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if p := recover(); p != nil {
				if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
					panic(p)
				}
				s.o.Log.Error("a handler panicked", "path", r.URL.Path, "panic", p, "stack", string(debug.Stack()))
				if s.o.Faults != nil {
					s.o.Faults(fmt.Errorf("handler of %s: %v", r.URL.Path, p))
				}
				panic(http.ErrAbortHandler)
			}
		}()
		id := make([]byte, 8)
		_, _ = rand.Read(id) // it never fails
		name := hex.EncodeToString(id)
		w.Header().Set("X-Request-Id", name)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		r = r.WithContext(context.WithValue(r.Context(), traceKey{}, name))
		s.bound(w, r)
		p := r.URL.EscapedPath()
		if s.o.BasePath != "" {
			if p != s.o.BasePath && !strings.HasPrefix(p, s.o.BasePath+"/") {
				s.fail(w, r, refuse(404, "NO_SUCH_ROUTE", "the gateway is at %s/", s.o.BasePath))
				return
			}
			http.StripPrefix(s.o.BasePath, next).ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
	return cors.New(cors.Options{AllowedOrigins: []string{"*"}, AllowedMethods: corsMethods, AllowedHeaders: []string{"*"}, ExposedHeaders: corsExposed, MaxAge: 86400,
		OptionsSuccessStatus: http.StatusNoContent}).Handler(strip)
}

// bound bounds how long a body may be waited for: before an answer the server reads what is
// left of one, whether a handler wants it or not.
func (s *Server) bound(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength == 0 || r.ProtoMajor != 1 {
		return
	}
	if s.o.StallLimit > 0 {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(s.o.StallLimit)) // where it cannot, the server's own holds
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		w.Header().Set("Connection", "close") // then it reads nothing of it
	}
}

// tipFor is how long the head and the rules are used that were read last.
const tipFor = 3 * time.Second

// tipLimit is how long the ledger may take to answer.
const tipLimit = 20 * time.Second

// now is the ledger as it was moments ago.
func (s *Server) now(ctx context.Context) (report.Now, error) {
	if n := s.last(); time.Since(n.At) < tipFor {
		return n, nil
	}
	answer := s.asking.DoChan("", func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tipLimit) // for all that wait
		defer cancel()
		keys := [][]byte{ledger.KeyUsage()}
		if s.o.Writer != nil {
			keys = append(keys, ledger.KeyAccount(s.o.Writer.Payer()))
		}
		n, err := s.o.Reader.Now(ctx, keys...)
		if err == nil {
			s.mu.Lock()
			s.tip = n
			s.mu.Unlock()
		}
		return n, err
	})
	select {
	case r := <-answer:
		return r.Val.(report.Now), r.Err
	case <-ctx.Done():
		return report.Now{}, ctx.Err()
	}
}

// last is what the ledger said last.
func (s *Server) last() report.Now {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tip
}

// untilHeight is how long it is until a height, about.
func (s *Server) untilHeight(ctx context.Context, height unit.Height) time.Duration {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	n, err := s.now(ctx)
	if err != nil || height <= n.Head.Height {
		return busyRetry
	}
	blocks := min(uint64(height-n.Head.Height), uint64(mostRetry/time.Millisecond))
	return time.Duration(blocks*n.Params.BlockMs) * time.Millisecond
}
