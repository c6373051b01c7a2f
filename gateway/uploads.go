package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tus/tusd/v2/pkg/filestore"
	"github.com/tus/tusd/v2/pkg/handler"
	"github.com/tus/tusd/v2/pkg/memorylocker"

	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/gateway/access"
	"github.com/walrus-network/walrus/gateway/blobs"
)

// uploads are bodies that come in several requests, by the protocol tus, and the stores that
// follow. A finished upload is stored by a job, whose state lies in a file beside the body's:
// a client asks for it as often as it likes, and a process that was killed goes on with it.
type uploads struct {
	s   *Server
	dir string
	tus http.Handler

	ctx  context.Context // ends with the server
	jobs sync.WaitGroup

	mu   sync.Mutex      // guards the fields below
	held map[string]held // of the uploads whose bodies are here
	busy map[string]bool // whose state is changing
}

const (
	uploadsPath = "/v1/uploads/"
	resultName  = ".result"
	infoName    = ".info"
	sweepEvery  = time.Minute
)

// The states of an upload.
const (
	receiving = "receiving"
	received  = "received" // and to be stored when a client says so
	storing   = "storing"
	certified = "certified"
	failed    = "failed"
)

// uploadResult is what came of an upload.
type uploadResult struct {
	State  string         `json:"state"`
	Result *storeResult   `json:"result,omitempty"`
	Error  *envelopeError `json:"error,omitempty"`

	// Clients are not told these.
	Terms string `json:"terms,omitempty"` // the query of the store; empty: a client says it when the body is here
	Key   string `json:"key,omitempty"`   // the key's name that pays, or tokenOwner
}

var uploadID = regexp.MustCompile(`^[0-9a-f]{32}$`)

func (s *Server) newUploads(ctx context.Context) (*uploads, error) {
	dir, err := filepath.Abs(s.o.UploadDir)
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return nil, fmt.Errorf("uploads: %w", err)
	}
	u := &uploads{s: s, dir: dir, ctx: ctx, held: map[string]held{}, busy: map[string]bool{}}
	store := filestore.New(dir)
	store.DirModePerm, store.FileModePerm = 0o700, 0o600
	composer := handler.NewStoreComposer()
	composer.UseCore(store)
	composer.UseTerminater(store)
	composer.UseConcater(store)
	composer.UseLengthDeferrer(store)
	memorylocker.New().UseIn(composer)
	tus, err := handler.NewHandler(handler.Config{
		StoreComposer: composer, MaxSize: s.o.MaxBody, BasePath: s.o.BasePath + uploadsPath, DisableDownload: true,
		Cors: &handler.CorsConfig{Disable: true}, RespectForwardedHeaders: true, NotifyCompleteUploads: true, NotifyTerminatedUploads: true,
		PreUploadCreateCallback: u.begin, NetworkTimeout: max(s.o.StallLimit, time.Second), Logger: quietly(),
	})
	if err != nil {
		return nil, fmt.Errorf("uploads: %w", err)
	}
	u.tus = http.StripPrefix(uploadsPath, tus)
	if err := u.load(); err != nil {
		return nil, err
	}
	u.jobs.Go(func() { u.follow(tus) })
	return u, nil
}

// load takes over what an earlier process left, and goes on with its stores.
func (u *uploads) load() error {
	entries, err := os.ReadDir(u.dir)
	if err != nil {
		return fmt.Errorf("uploads: %w", err)
	}
	for _, e := range entries {
		id, isInfo := strings.CutSuffix(e.Name(), infoName)
		if !isInfo || !uploadID.MatchString(id) {
			continue
		}
		u.takeOver(id)
		u.resume(id)
	}
	return nil
}

// resume goes on with an upload that is being stored, or starts the store of one that is
// complete and has its terms: the process may have ended between the two.
func (u *uploads) resume(id string) {
	r, err := u.result(id)
	if err == nil && (r.State == storing || r.State == received && r.Terms != "" && !u.isPartial(id)) {
		u.start(id, nil)
	}
}

func (u *uploads) wait() { u.jobs.Wait() }

// follow starts the stores of finished uploads, and sweeps, until the server ends.
func (u *uploads) follow(tus *handler.Handler) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case e := <-tus.CompleteUploads:
			u.resume(e.Upload.ID)
		case e := <-tus.TerminatedUploads:
			u.remove(e.Upload.ID)
		case <-tick.C:
			u.sweep(time.Now())
		case <-u.ctx.Done():
			return
		}
	}
}

func (u *uploads) path(id, suffix string) string { return filepath.Join(u.dir, id+suffix) }

// info is what was said of an upload when it began.
func (u *uploads) info(id string) (info handler.FileInfo, err error) {
	b, err := os.ReadFile(u.path(id, infoName))
	if err == nil {
		err = json.Unmarshal(b, &info)
	}
	return info, err
}

// isPartial says that an upload is a part of another, which alone is stored.
func (u *uploads) isPartial(id string) bool {
	info, err := u.info(id)
	return err != nil || info.IsPartial
}

func (u *uploads) hasBody(id string) bool {
	_, err := os.Stat(u.path(id, ""))
	return err == nil
}

// result is the state of an upload. Where no store has begun it follows from the body.
func (u *uploads) result(id string) (r uploadResult, err error) {
	b, err := os.ReadFile(u.path(id, resultName))
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	if err != nil || r.State != receiving {
		return r, err
	}
	info, err := u.info(id)
	if err != nil {
		return r, err
	}
	body, err := os.Stat(u.path(id, ""))
	if err != nil {
		return r, err
	}
	if !info.SizeIsDeferred && body.Size() == info.Size {
		r.State = received
	}
	return r, nil
}

func (u *uploads) keep(id string, r uploadResult) error {
	b, err := json.Marshal(r)
	if err == nil {
		err = client.WriteWhole(u.path(id, resultName), b, 0o600)
	}
	return err
}

// remove removes an upload, with what came of it.
func (u *uploads) remove(id string) {
	for _, suffix := range []string{"", infoName, resultName} {
		if err := os.Remove(u.path(id, suffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			u.s.o.Log.Warn("an old upload stays", "upload", id, "err", err)
			return
		}
	}
	u.forget(id)
}

// sweep removes uploads on which nothing has happened for their life, and what is left of
// those that were given up or never made. It starts stores that nothing else has started.
func (u *uploads) sweep(now time.Time) {
	entries, err := os.ReadDir(u.dir)
	if err != nil {
		u.s.o.Log.Warn("uploads cannot be looked at", "err", err)
		return
	}
	newest := map[string]time.Time{}
	for _, e := range entries {
		id, _, _ := strings.Cut(e.Name(), ".")
		if info, err := e.Info(); err == nil && uploadID.MatchString(id) && info.ModTime().After(newest[id]) {
			newest[id] = info.ModTime()
		}
	}
	for id, at := range newest {
		u.mu.Lock() // no store begins and ends while the files are looked at
		r, err := u.result(id)
		u.mu.Unlock()
		idle := now.Sub(at)
		switch {
		case idle > u.s.o.UploadLife && (err != nil || r.State != storing), errors.Is(err, fs.ErrNotExist) && idle > sweepEvery:
			u.remove(id)
		case err == nil:
			u.resume(id)
		}
	}
	u.forgetUnmade(newest, now)
}

func (s *Server) uploadRoutes(w http.ResponseWriter, r *http.Request) error {
	if s.uploads == nil {
		return refuse(404, "NO_UPLOADS", "this gateway takes no resumable uploads")
	}
	// Only the method that is looked at here counts.
	r.Header.Del("X-HTTP-Method-Override")
	if r.URL.Path+"/" == uploadsPath {
		r.URL.Path = uploadsPath
	}
	id, what, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, uploadsPath), "/")
	switch {
	case id == "" && what == "":
		return s.uploads.root(w, r)
	case !uploadID.MatchString(id):
		return refuse(404, "NO_SUCH_UPLOAD", "there is no upload of that name")
	case what == "" && (r.Method == http.MethodPatch || r.Method == http.MethodDelete):
		// The body is being stored, or was: it stays as it is.
		if st, err := s.uploads.result(id); err == nil && st.State != receiving && st.State != received && st.State != failed {
			return refuse(409, "UPLOAD_STORED", "the upload is %s", st.State)
		}
		return s.uploads.patch(w, r, id)
	case what == "":
		return s.uploads.pass(w, r)
	case what == "result" && r.Method == http.MethodGet:
		return s.uploads.getResult(w, id)
	case what == "store" && r.Method == http.MethodPost:
		return s.uploads.postStore(w, r, id)
	}
	return s.noRoute(w, r)
}

// root begins an upload, or says what the protocol's handler can do.
func (u *uploads) root(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodPost {
		return u.pass(w, r)
	}
	final, isFinal := strings.CutPrefix(r.Header.Get("Upload-Concat"), "final;")
	if isFinal {
		for _, part := range strings.Fields(final) {
			if at := strings.LastIndex(part, uploadsPath); at < 0 || !uploadID.MatchString(part[at+len(uploadsPath):]) {
				return refuse(400, "MALFORMED_REQUEST", "Upload-Concat names something that is no upload of this gateway")
			}
		}
	}
	g, err := u.s.admit(r)
	if err != nil {
		return err
	}
	begun := newUpload{grant: g, query: r.URL.RawQuery}
	if begun.query == "" {
		begun.query = metadataTerms(r.Header.Get("Upload-Metadata"))
	}
	begun.auto = begun.query != ""
	if begun.terms, err = u.s.parseTerms(begun.query); err != nil {
		return err
	}
	// The protocol's handler takes other forms of numbers, which are not for this gateway.
	if r.Header.Get("Upload-Defer-Length") != "" {
		if err := u.mayDefer(r, g); err != nil {
			return err
		}
	} else if size, ok := digits(r.Header.Get("Upload-Length")); !isFinal && !ok {
		return refuse(400, "MALFORMED_REQUEST", "Upload-Length is not a number of bytes in digits, and Upload-Defer-Length: 1 does not say that it comes later")
	} else if !isFinal && size > u.s.o.Spool.Size() {
		return fmt.Errorf("%w: an upload of %d bytes, at most %d", blobs.ErrTooLarge, size, u.s.o.Spool.Size())
	}
	return u.pass(w, r.WithContext(context.WithValue(r.Context(), uploadContext{}, begun)))
}

// metadataTerms makes a query of the metadata of an upload: epochs, permanent, send_object_to.
func metadataTerms(header string) string {
	var out []string
	for name, value := range handler.ParseMetadataHeader(header) {
		if slices.Contains(storeNames, name) && !strings.ContainsAny(value, "&#%+ ") {
			out = append(out, name+"="+value)
		}
	}
	slices.Sort(out)
	return strings.Join(out, "&")
}

// getResult tells the state of an upload to a client that knows its name, which cannot be guessed.
func (u *uploads) getResult(w http.ResponseWriter, id string) error {
	r, err := u.result(id)
	if err != nil {
		return noUpload()
	}
	r.Terms, r.Key = "", ""
	return noStore(w, r)
}

func noUpload() error {
	return refuse(404, "NO_SUCH_UPLOAD", "there is no upload of that name: it has expired, or never was")
}

// postStore begins the store of a finished upload. Asked again it says what became of it, and
// begins anew only what has failed.
func (u *uploads) postStore(w http.ResponseWriter, r *http.Request, id string) error {
	st, err := u.result(id)
	if err != nil {
		return noUpload()
	}
	// A token was used with its upload, and is not good for a second request.
	byToken := u.s.o.Access != nil && st.Key == tokenOwner
	g, err := u.s.admit(r)
	if err != nil && !byToken {
		return err
	}
	if u.s.o.Access != nil && !byToken && ownerOf(g) != st.Key {
		return refuse(403, "NOT_OWNER", "the upload is another key's")
	}
	if u.isPartial(id) {
		return refuse(409, "UPLOAD_PARTIAL", "the upload is a part: join the parts with Upload-Concat, and store what comes of it")
	}
	query := r.URL.RawQuery
	if query == "" || byToken {
		query = st.Terms // those that were checked against the token
	}
	if _, err := u.s.parseTerms(query); err != nil {
		return err
	}
	switch st.State {
	case receiving:
		return refuse(409, "UPLOAD_INCOMPLETE", "the upload is not complete")
	case received, failed:
		st = u.start(id, &query)
	}
	st.Terms, st.Key = "", ""
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Location", u.s.o.BasePath+uploadsPath+id+"/result")
	writeJSON(w, http.StatusAccepted, st)
	return nil
}

// start begins the job of an upload, once. query, if not nil, is its terms.
func (u *uploads) start(id string, query *string) uploadResult {
	u.mu.Lock()
	defer u.mu.Unlock()
	st, err := u.result(id)
	if err != nil || u.busy[id] || st.State == receiving || st.State == certified || u.ctx.Err() != nil {
		return st
	}
	if query != nil {
		st.Terms = *query
	}
	st.State, st.Error = storing, nil
	if err := u.keep(id, st); err != nil {
		u.s.o.Log.Warn("the state of an upload cannot be written", "upload", id, "err", err)
		st.State = failed
		return st
	}
	u.busy[id] = true
	u.jobs.Go(func() {
		u.store(id, st)
	})
	return st
}

// jobTries bounds how often a job tries again that found the gateway or the network busy.
const jobTries = 5

// store stores a finished upload and keeps what came of it.
func (u *uploads) store(id string, st uploadResult) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	out, err := u.storeOnce(ctx, id, st)
	for try := 1; try < jobTries && (errors.Is(err, blobs.ErrBusy) || errors.Is(err, client.ErrQuorum)) && u.ctx.Err() == nil; try++ {
		select {
		case <-u.ctx.Done():
		case <-time.After(time.Duration(try) * busyRetry): // others have their turn
		}
		out, err = u.storeOnce(ctx, id, st)
	}
	if err != nil && u.ctx.Err() != nil {
		return // the next process goes on
	}
	st.State, st.Result = certified, out
	if err != nil {
		u.s.o.Log.Warn("an upload could not be stored", "upload", id, "err", err)
		st.State = failed
		e := envelopeOf(u.s.problemOf(ctx, err))
		st.Error = &e
	}
	u.mu.Lock() // a client that reads of a failure may begin anew at once
	defer u.mu.Unlock()
	delete(u.busy, id)
	if err := u.keep(id, st); err != nil {
		u.s.o.Log.Warn("what came of an upload cannot be written", "upload", id, "err", err)
		return
	}
	if st.State == certified {
		_ = os.Remove(u.path(id, "")) // else it goes with the rest
		u.free(id)
	}
}

func (u *uploads) storeOnce(ctx context.Context, id string, st uploadResult) (*storeResult, error) {
	t, err := u.s.parseTerms(st.Terms)
	if err != nil {
		return nil, err
	}
	g, err := u.grantOf(st.Key)
	if err != nil {
		return nil, err
	}
	src, err := client.NewFileSource(u.path(id, ""))
	if err != nil {
		return nil, err
	}
	owner := st.Key
	if owner == "" {
		owner = access.Local
	}
	out, err := u.s.store(ctx, g, owner, src, t)
	if err != nil {
		return nil, err
	}
	r := u.s.storeResult(ctx, out, t)
	return &r, nil
}

// grantOf is the permission of the key that began an upload: it may be gone by now.
func (u *uploads) grantOf(name string) (*access.Grant, error) {
	if u.s.o.Access == nil || name == tokenOwner { // a token was spent when the upload began
		return nil, nil
	}
	return u.s.o.Access.Named(name)
}
