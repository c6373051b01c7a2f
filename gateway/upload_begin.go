package gateway

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/tus/tusd/v2/pkg/handler"

	"github.com/walrus-network/walrus/gateway/access"
	"github.com/walrus-network/walrus/gateway/blobs"
)

// Bounds of the uploads whose bodies are here.
const (
	mostUploads   = 1000
	mostOfKey     = 100             // of one key
	mostOfTokens  = mostUploads / 2 // of all tokens together
	quotaRetry    = time.Minute
	tokenOwner    = access.Token // owns the uploads of tokens: the name of a key begins with a letter or a digit
	mostErrorText = 1000         // bytes
)

// held is an upload that takes room in the spool.
type held struct {
	owner string // as ownerOf
	bytes int64  // reserved
	since time.Time
}

type uploadContext struct{}

// newUpload is what the gateway found out about a request to begin an upload.
type newUpload struct {
	grant *access.Grant
	terms terms
	query string
	auto  bool // stored when it is complete
}

// ownerOf is the name under which an upload is kept: a key's, tokenOwner, or empty where the
// gateway asks for no key.
func ownerOf(g *access.Grant) string {
	if g != nil && !g.IsKey() {
		return tokenOwner
	}
	return g.Name()
}

// begin is asked before an upload is made, when its length is known for certain.
func (u *uploads) begin(e handler.HookEvent) (handler.HTTPResponse, handler.FileInfoChanges, error) {
	name := make([]byte, 16)
	_, _ = rand.Read(name) // it never fails
	id := hex.EncodeToString(name)
	if err := u.admit(e, id); err != nil {
		return handler.HTTPResponse{}, handler.FileInfoChanges{}, u.tusError(e.Context, err)
	}
	expires := time.Now().Add(u.s.o.UploadLife).UTC().Format(http.TimeFormat)
	return handler.HTTPResponse{Header: handler.HTTPHeader{"Upload-Expires": expires}}, handler.FileInfoChanges{ID: id}, nil
}

// admit checks a new upload, reserves its room and keeps its terms and its owner: not in the
// metadata, which the protocol shows.
func (u *uploads) admit(e handler.HookEvent, id string) error {
	begun, ok := e.Context.Value(uploadContext{}).(newUpload)
	if !ok {
		return errors.New("an upload that was not admitted")
	}
	owner := ownerOf(begun.grant)
	if err := u.checkParts(e.Upload, owner); err != nil {
		return err
	}
	size := e.Upload.Size
	if e.Upload.SizeIsDeferred {
		size = -1
	}
	use := access.Use{Bytes: size, Epochs: begun.terms.Epochs, Owner: begun.terms.Owner}
	if err := begun.grant.Allows(use); err != nil {
		return err
	}
	if err := u.reserve(id, owner, e.Upload.Size); err != nil {
		return err
	}
	_, err := u.s.quote(e.Context, e.Upload.Size, begun.terms)
	if err == nil && owner == tokenOwner { // a token is used with its upload
		err = begun.grant.Spend(use)
	}
	if err == nil {
		r := uploadResult{State: receiving, Key: owner}
		if begun.auto {
			r.Terms = begun.query
		}
		err = u.keep(id, r)
	}
	if err != nil {
		u.forget(id)
	}
	return err
}

// checkParts lets a key join its own parts. A token is good for one store: as the bytes of a
// part would be counted by nothing, it has none.
func (u *uploads) checkParts(info handler.FileInfo, owner string) error {
	if owner == tokenOwner && (info.IsPartial || info.IsFinal) {
		return refuse(400, "MALFORMED_REQUEST", "Upload-Concat needs a key: a token is for one upload, sent in one piece or several, without Upload-Concat")
	}
	for _, part := range info.PartialUploads {
		if r, err := u.result(part); err != nil || r.Key != owner || !u.isPartial(part) {
			return refuse(400, "MALFORMED_REQUEST", "Upload-Concat names something that was not begun with Upload-Concat: partial and the same key")
		}
	}
	return nil
}

// reserve counts a new upload, if there is room for it.
func (u *uploads) reserve(id, owner string, size int64) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.held) >= mostUploads {
		return fmt.Errorf("%w: %d uploads are under way", blobs.ErrSpoolFull, len(u.held))
	}
	if owner != "" {
		if err := u.quota(owner, size); err != nil {
			return err
		}
	}
	if err := u.s.o.Spool.Reserve(size); err != nil {
		return err
	}
	u.held[id] = held{owner, size, time.Now()}
	return nil
}

// quota leaves room to others than an owner. It needs mu.
func (u *uploads) quota(owner string, size int64) error {
	count, most, left := 0, mostOfKey, u.s.o.Spool.Size()/2
	if size > left {
		return refuse(413, "BLOB_TOO_LARGE", "an upload has at most %d bytes, half of the gateway's spool", left).with("maxBytes", left)
	}
	if owner == tokenOwner {
		most = mostOfTokens
	}
	for _, h := range u.held {
		if h.owner == owner {
			count++
			left -= h.bytes
		}
	}
	if count >= most || size > left {
		return refuse(429, "UPLOAD_QUOTA", "%d uploads of this key or of tokens are not stored yet: at most %d, with half of the gateway's spool; finish some, or DELETE them", count, most).after(quotaRetry)
	}
	return nil
}

// takeOver counts an upload of an earlier process, if its body is here.
func (u *uploads) takeOver(id string) {
	info, err := u.info(id)
	if err != nil || !u.hasBody(id) {
		return
	}
	r, _ := u.result(id) // without it the upload has no owner, and goes at its time
	n := min(max(info.Size, 0), u.s.o.Spool.Size())
	if body, err := os.Stat(u.path(id, "")); err == nil && info.SizeIsDeferred {
		n = body.Size()
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.s.o.Spool.Hold(n)
	u.held[id] = held{r.Key, n, time.Now()}
}

func (u *uploads) forget(id string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.free(id)
}

// free needs mu.
func (u *uploads) free(id string) {
	if h, ok := u.held[id]; ok {
		u.s.o.Spool.Free(h.bytes)
		delete(u.held, id)
	}
}

// forgetUnmade forgets uploads of which the directory had nothing a while after they began.
func (u *uploads) forgetUnmade(there map[string]time.Time, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for id, h := range u.held {
		if _, ok := there[id]; !ok && !u.busy[id] && now.Sub(h.since) > sweepEvery {
			u.free(id)
		}
	}
}

func (u *uploads) count() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.held)
}

func envelopeOf(p *problem) envelopeError {
	info := errorInfo{"ErrorInfo", p.reason, p.domain, p.metadata}
	if info.Domain == "" {
		info.Domain = domainDaemon
	}
	if info.Metadata == nil {
		info.Metadata = map[string]any{}
	}
	return envelopeError{p.status, p.code, p.message, []any{info}}
}

// refused is a problem on its way through the protocol's handler.
type refused struct{ err error }

// tusError is an error as the protocol's handler passes it on.
func (u *uploads) tusError(ctx context.Context, err error) error {
	if r, ok := ctx.Value(refusedKey{}).(*refused); ok {
		r.err = err
	}
	return handler.NewError("ERR_REFUSED", "refused", http.StatusInternalServerError)
}

type refusedKey struct{}

// pass has the protocol's handler answer. What it says of errors within, which names files,
// is for the log alone.
func (u *uploads) pass(w http.ResponseWriter, r *http.Request) error {
	var why refused
	if in, ok := r.Body.(*growing); ok {
		in.why = &why
	}
	d := &discreet{ResponseWriter: w}
	u.tus.ServeHTTP(d, r.WithContext(context.WithValue(r.Context(), refusedKey{}, &why)))
	switch text := string(d.text); {
	case !d.hidden:
		return nil
	case why.err != nil:
		return why.err
	case strings.HasPrefix(text, "ERR_READ_TIMEOUT"), strings.HasPrefix(text, "ERR_CONNECTION_RESET"):
		return refuse(503, "UPLOAD_INTERRUPTED", "no more bytes came: ask with HEAD how many are here, and go on").after(busyRetry)
	default:
		return errors.New("upload: " + strconv.Quote(text))
	}
}

// discreet holds back an answer with the code 500.
type discreet struct {
	http.ResponseWriter
	hidden bool
	text   []byte
}

func (d *discreet) WriteHeader(code int) {
	if d.hidden = code == http.StatusInternalServerError; !d.hidden {
		d.ResponseWriter.WriteHeader(code)
	}
}

func (d *discreet) Write(b []byte) (int, error) {
	if !d.hidden {
		return d.ResponseWriter.Write(b)
	}
	d.text = append(d.text, b[:min(len(b), mostErrorText-len(d.text))]...)
	return len(b), nil
}

// Unwrap gives http.ResponseController what is behind it.
func (d *discreet) Unwrap() http.ResponseWriter { return d.ResponseWriter }
