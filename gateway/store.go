package gateway

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/gateway/access"
	"github.com/walrus-network/walrus/gateway/blobs"
	"github.com/walrus-network/walrus/token"
)

// terms are what a store is asked to be.
type terms struct {
	client.StoreOptions
	force bool // said to be stored anew, even if it is there for long enough
}

// storeNames are the names that a store's query may have.
var storeNames = []string{"epochs", "permanent", "deletable", "force", "reuse_resources", "encoding_type", "quilt_version", "send_object_to", "share"}

// parseTerms reads the query of a store. A name that is not known is refused: it would be a
// mistake that costs money.
func (s *Server) parseTerms(raw string) (t terms, err error) {
	q, err := url.ParseQuery(raw)
	if err != nil {
		return t, refuse(400, "MALFORMED_REQUEST", "the query is not percent-encoded: %v", err)
	}
	for name, values := range q {
		if !slices.Contains(storeNames, name) {
			return t, refuse(400, "MALFORMED_REQUEST", "the query has %q, which is not one of %s", clip(name), strings.Join(storeNames, ", "))
		}
		if len(values) > 1 {
			return t, refuse(400, "MALFORMED_REQUEST", "%s is there %d times", name, len(values))
		}
	}
	t.Epochs = s.o.DefaultEpochs
	if q.Has("epochs") {
		n, err := strconv.ParseUint(q.Get("epochs"), 10, 32)
		if err != nil || n == 0 {
			return t, refuse(400, "MALFORMED_REQUEST", "epochs=%s: a number of epochs, 1 or more", clip(q.Get("epochs")))
		}
		t.Epochs = n
	}
	flags := map[string]bool{}
	for _, name := range []string{"permanent", "deletable", "force", "reuse_resources", "share"} {
		if flags[name], err = boolean(q, name); err != nil {
			return t, err
		}
	}
	if flags["permanent"] && flags["deletable"] {
		return t, refuse(400, "INVALID_BLOB_PERSISTENCE", "a blob is permanent or deletable, not both")
	}
	t.Permanent, t.force = flags["permanent"], flags["force"]
	if e := q.Get("encoding_type"); q.Has("encoding_type") && !strings.EqualFold(e, "RS2") {
		return t, refuse(400, "MALFORMED_REQUEST", "encoding_type=%s: this network has RS2 alone", clip(e))
	}
	if v := q.Get("quilt_version"); q.Has("quilt_version") && !slices.Contains([]string{"v1", "V1", "1", "v2", "V2", "2"}, v) {
		return t, refuse(400, "MALFORMED_REQUEST", "quilt_version=%s is not known", clip(v))
	}
	if flags["share"] {
		return t, refuse(400, "INVALID_SEND_OBJECT_TO", "share=true is not possible here: a lease has one owner; name it with send_object_to")
	}
	if q.Has("send_object_to") {
		if t.Owner, err = token.ParseAddress(q.Get("send_object_to")); err != nil {
			return t, refuse(400, "INVALID_SEND_OBJECT_TO", "send_object_to=%s: the owner of a lease is an address of this network, which begins with %s", clip(q.Get("send_object_to")), "wal1")
		}
	}
	return t, nil
}

// admit finds out who pays for a request: nil is the gateway's own word.
func (s *Server) admit(r *http.Request) (*access.Grant, error) {
	if s.o.Writer == nil {
		return nil, refuse(405, "READ_ONLY", "this gateway only reads: another one stores")
	}
	if s.o.Access == nil {
		return nil, s.fromHere(r)
	}
	return s.o.Access.Admit(r)
}

// fromHere lets no page of another site spend from the wallet of a gateway that asks for no
// key: a browser sends what such a page wants to this machine, under whatever name.
func (s *Server) fromHere(r *http.Request) error {
	origin := r.Header.Get("Origin")
	if origin != "" && !slices.Contains(s.o.Origins, origin) {
		if u, err := url.Parse(origin); err != nil || !isLocal(u.Host) {
			return refuse(403, "FOREIGN_ORIGIN", "a page of %s would spend from the gateway's wallet: start the gateway with --allow-origin %s, or with keys", clip(origin), clip(origin))
		}
	}
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via"} {
		if r.Header.Get(name) != "" {
			return refuse(403, "FOREIGN_HOST", "a proxy hands the request on (%s): behind one the gateway pays only with keys", name)
		}
	}
	if !isLocal(r.Host) {
		return refuse(403, "FOREIGN_HOST", "the gateway pays without a key only as localhost, not as %s: start it with keys", clip(r.Host))
	}
	return nil
}

// isLocal says that a host, with or without a port, is this machine.
func isLocal(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}

// keyed admits a request that is not a store: tokens are for stores alone.
func (s *Server) keyed(r *http.Request) (*access.Grant, error) {
	g, err := s.admit(r)
	if err == nil && s.o.Access != nil && !g.IsKey() {
		err = refuse(401, string(access.NoSuch), "this needs a key; a token is for one store")
	}
	return g, err
}

func (s *Server) putBlob(w http.ResponseWriter, r *http.Request) error {
	g, err := s.admit(r)
	if err != nil {
		return err
	}
	t, err := s.parseTerms(r.URL.RawQuery)
	if err != nil {
		return err
	}
	a, err := s.allow(r.Context(), g, t, r.ContentLength)
	if err != nil {
		return err
	}
	defer a.end()
	body, err := s.take(w, r, r.Body, a)
	if err != nil {
		return err
	}
	defer body.Close()
	out, err := s.store(r.Context(), g, g.Owner(), body, t)
	if err != nil {
		return err
	}
	a.kept = true
	writeJSON(w, http.StatusOK, s.storeResult(r.Context(), out, t))
	return nil
}

// take reads a body into the spool. A client that sends nothing for a while is left.
func (s *Server) take(w http.ResponseWriter, r *http.Request, from io.Reader, a *allowance) (*blobs.Body, error) {
	in := &patient{r: from, c: http.NewResponseController(w), limit: s.o.StallLimit, allows: a}
	body, err := s.o.Spool.Take(r.Context(), in, a.declared)
	if err == nil {
		in.end()
	}
	if err == nil && a.declared >= 0 && body.Size() != a.declared {
		body.Close()
		err = io.ErrUnexpectedEOF
	}
	if err == nil || errors.Is(err, blobs.ErrSpoolFull) || errors.Is(err, blobs.ErrTooLarge) {
		return body, err
	}
	var p *problem
	switch {
	case errors.As(err, &p):
		return nil, err
	case in.refusal != nil:
		return nil, in.refusal
	case in.err != nil || errors.Is(err, io.ErrUnexpectedEOF):
		return nil, refuse(400, "MALFORMED_REQUEST", "the body ended before all of it was here")
	}
	return nil, err // of the disk
}

// patient gives each read its time.
type patient struct {
	r      io.Reader
	c      *http.ResponseController
	limit  time.Duration
	allows *allowance

	read    int64
	refusal error // of what is beyond the allowance
	err     error // of the client, but io.EOF
}

// end is called where a body was read to its end. The server goes on reading, to see whether
// the client hangs up: a deadline that is left would look like that while the body is stored.
func (p *patient) end() { _ = p.c.SetReadDeadline(time.Time{}) } // where it cannot, none was set

func (p *patient) Read(b []byte) (int, error) {
	if p.limit > 0 {
		_ = p.c.SetReadDeadline(time.Now().Add(p.limit)) // where it cannot, the server's own holds
	}
	n, err := p.r.Read(b)
	p.read += int64(n)
	if p.refusal = p.allows.check(p.read); p.refusal != nil {
		return 0, p.refusal
	}
	if err != nil && err != io.EOF {
		p.err = err
	}
	return n, err
}

// quote refuses a store that cannot succeed.
func (s *Server) quote(ctx context.Context, size int64, t terms) (blobs.Quote, error) {
	q, err := s.o.Writer.Quote(ctx, size, t.StoreOptions)
	if s.o.MaxBody > 0 && size > s.o.MaxBody {
		return q, blobs.ErrTooLarge
	}
	return q, err
}

// store stores a body for a grant, whose key is charged for what is paid: for bytes that are
// there already nothing is, even where it may not pay. A token is used by it in any case. That
// owner needs the lease is noted before it is paid: another user of the wallet may be about to
// give a lease on equal bytes back.
func (s *Server) store(ctx context.Context, g *access.Grant, owner string, src client.Source, t terms) (client.StoreResult, error) {
	c := &charge{s: s, g: g, use: access.Use{Bytes: src.Size(), Epochs: t.Epochs, Owner: t.Owner}}
	err := g.Allows(c.use)
	if err == nil {
		_, err = s.quote(ctx, src.Size(), t)
	}
	if c.refusal = err; err != nil && !isOfMoney(err) {
		return client.StoreResult{}, err
	}
	if c.refusal == nil && !g.IsKey() {
		if err := g.Spend(c.use); err != nil {
			return client.StoreResult{}, err
		}
	}
	o := t.StoreOptions
	o.Paying = c.agree
	if t.Owner == (token.Address{}) || t.Owner == s.o.Writer.Payer() {
		o.Identified = func(id blob.ID) error { return s.o.Owners.Add(id, owner) }
	}
	out, err := s.o.Writer.Store(ctx, src, o)
	paid := c.settle(out.Price+out.Write+out.Allowance, err)
	if err != nil {
		return out, err
	}
	if c.refusal != nil && !g.IsKey() {
		if err := g.Spend(c.use); err != nil {
			return client.StoreResult{}, err
		}
	}
	s.metrics.stored(out.Size, paid)
	return out, nil
}
