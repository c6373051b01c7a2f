package s3

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"log/slog"
	"net/http"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"filippo.io/age"
	"golang.org/x/sync/semaphore"

	"github.com/walrus-network/walrus/kv"
)

const (
	headerRequestID = "X-Amz-Request-Id"
	headerSha256    = "X-Amz-Content-Sha256"
	region          = "us-east-1" // which clients take when they are told none
)

// Options say what a door keeps where, and for whom.
type Options struct {
	Dir     string   // of the index
	Keys    []Key    // at least one
	Public  []string // that are read without a signature
	Domains []string // a host BUCKET.DOMAIN names a bucket

	Epochs  uint64 // for which objects are stored, from the present one on; leases are renewed
	Renewed uint64 // epochs for which each lease is left an allowance: it is renewed while no gateway runs

	Sealer   age.Recipient // of snapshots of the index; nil: none are made
	Snapshot time.Duration // between snapshots, while the index changes

	Small      int64         // bytes up to which bodies share a quilt
	Gather     time.Duration // for which a small body waits for others
	Sweep      time.Duration // between looks for leases to be given back
	Grace      time.Duration // for which a client may come again after a store that did not end, before its lease is given back
	Unfinished time.Duration // after which an upload that is neither complete nor aborted is aborted
	StoreLimit time.Duration // for a store, the certificate included
	Requests   int           // that are served at once
	MaxBuckets int

	Log *slog.Logger     // nil: silent
	Now func() time.Time // nil: time.Now
}

// Default are the options of a gateway, without keys.
func Default(dir string) Options {
	return Options{
		Dir: dir, Domains: []string{"localhost"}, Epochs: 2, Snapshot: 5 * time.Minute,
		Small: 1 << 20, Gather: 300 * time.Millisecond, Sweep: 3 * time.Second, Grace: 10 * time.Minute, Unfinished: 7 * 24 * time.Hour, StoreLimit: 30 * time.Minute,
		Requests: 256, MaxBuckets: 1000,
	}
}

// Server is the S3 door.
type Server struct {
	o         Options
	storage   Storage
	keys      *ring
	log       *slog.Logger
	now       func() time.Time
	index     *index
	holds     *holds
	group     *group
	places    chan struct{}       // a request holds one
	documents *semaphore.Weighted // bytes of long documents that are read

	snapping sync.Mutex         // held while a snapshot is made
	expired  map[string]expired // by bucket; of the goroutine that ends objects

	ctx  context.Context
	stop context.CancelFunc
	goes sync.WaitGroup

	mu     sync.Mutex
	seen   Clock     // guarded by mu
	seenAt time.Time // guarded by mu
	asking bool      // guarded by mu; the clock is being read anew
}

// New opens the index and begins to look after its leases. Close ends that. What a process
// that was killed has left is given back or goes on.
func New(storage Storage, o Options) (*Server, error) {
	if len(o.Keys) == 0 {
		return nil, errors.New("an S3 door needs at least one access key")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	db, err := kv.Open(kv.Options{Dir: filepath.Join(o.Dir, "index"), Profile: kv.Small, Logger: o.Log})
	if err != nil {
		return nil, err
	}
	s := &Server{o: o, storage: storage, keys: newRing(o.Keys), log: o.Log, now: o.Now, index: newIndex(db), holds: newHolds(), places: make(chan struct{}, o.Requests), documents: semaphore.NewWeighted(allXML)}
	s.group = &group{s: s}
	s.ctx, s.stop = context.WithCancel(context.Background())
	h, err := readHead(db)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	s.index.generation = h.Generation
	if err := s.index.countUploads(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	s.goes.Go(func() { s.index.run(s.ctx) })
	if err := s.resume(s.ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	const calm = 10 // a failure is tried again after as many times the usual wait
	s.goes.Go(func() { sweep(s.ctx, o.Sweep, calm*o.Sweep, s.GiveBack) })
	s.goes.Go(func() { sweep(s.ctx, 20*o.Sweep, 20*o.Sweep, s.tend) })
	if o.Sealer != nil {
		s.goes.Go(func() { s.snapshots(s.ctx) })
	}
	return s, nil
}

// Close ends what runs and closes the index. Requests must have ended.
func (s *Server) Close() error {
	s.stop()
	s.goes.Wait()
	return s.index.db.Close()
}

// ServeHTTP answers a request of the S3 API.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var id [8]byte
	rand.Read(id[:]) // never fails
	h := w.Header()
	h.Set(headerRequestID, hex.EncodeToString(id[:]))
	h.Set("Server", "walrus")
	h.Set("X-Content-Type-Options", "nosniff")
	select {
	case s.places <- struct{}{}:
		defer func() { <-s.places }()
	default:
		s.fail(w, r, errBusy)
		return
	}
	if err := s.serve(w, r); err != nil {
		s.fail(w, r, err)
	}
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) error {
	q, err := parse(r, s.o.Domains)
	if err != nil {
		return err
	}
	if r.Method == http.MethodOptions {
		return s.preflight(w, q)
	}
	if err := s.tellCORS(w.Header(), q); err != nil {
		return err
	}
	if q.caller, err = s.authenticate(r, q.query); err != nil {
		return err
	}
	op, err := q.operation()
	if err != nil {
		return err
	}
	if !op.form {
		if err := s.allow(q, op); err != nil {
			return err
		}
	}
	if q.bucket != "" && op.needsBucket {
		if _, ok, err := read[bucket](s.index.db, bucketKey(q.bucket)); err != nil {
			return err
		} else if !ok {
			return errNoBucket
		}
	}
	if err := noEncryption(r.Header); err != nil {
		return err
	}
	if !s.owns(q, "X-Amz-Expected-Bucket-Owner") {
		return errAccessDenied.with("Access Denied.")
	}
	return op.do(s, w, q)
}

// reply writes an XML document.
func (s *Server) reply(w http.ResponseWriter, r *http.Request, status int, v any) error {
	b, err := xml.Marshal(v)
	if err != nil {
		return err
	}
	b = append([]byte(xml.Header), b...)
	h := w.Header()
	h.Set("Content-Type", "application/xml")
	h.Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return nil
	}
	_, _ = w.Write(b) // a client that has gone misses nothing
	return nil
}
