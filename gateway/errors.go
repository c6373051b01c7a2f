package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/fetch"
	"github.com/walrus-network/walrus/gateway/access"
	"github.com/walrus-network/walrus/gateway/blobs"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/quilt"
	"github.com/walrus-network/walrus/registry"
)

// problem is an answer that is an error.
type problem struct {
	code     int            // of HTTP
	status   string         // of the envelope
	reason   string         // for programs
	message  string         // for people
	metadata map[string]any // beside the reason
	domain   string         // of the reason; empty: the daemon's
	retry    time.Duration  // 0: not said
}

func (p *problem) Error() string { return p.message }

// The domains of reasons, as applications know them.
const (
	domainDaemon = "daemon.walrus.space"
	domainAuth   = "auth.publisher.walrus.space"
	domainGlobal = "global"
)

// statuses are the envelope's names of HTTP's codes.
var statuses = map[int]string{
	400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 405: "INVALID_ARGUMENT", 409: "FAILED_PRECONDITION",
	412: "FAILED_PRECONDITION", 413: "SIZE_EXCEEDED", 416: "RANGE_NOT_SATISFIABLE", 422: "INVALID_ARGUMENT", 429: "RESOURCE_EXHAUSTED",
	451: "UNAVAILABLE_FOR_LEGAL_REASONS", 500: "INTERNAL", 501: "UNIMPLEMENTED", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED", 507: "RESOURCE_EXHAUSTED",
}

func refuse(code int, reason, format string, args ...any) *problem {
	return &problem{code: code, status: statuses[code], reason: reason, message: fmt.Sprintf(format, args...)}
}

func (p *problem) with(name string, value any) *problem {
	if p.metadata == nil {
		p.metadata = map[string]any{}
	}
	p.metadata[name] = value
	return p
}

func (p *problem) after(d time.Duration) *problem { p.retry = d; return p }

// Bounds of what Retry-After says.
const (
	leastRetry = time.Second
	mostRetry  = 10 * time.Minute
)

// busyRetry is when it is worth to ask a busy gateway again.
const busyRetry = 2 * time.Second

// TooMany is the error of something that may be asked for again after a while.
func TooMany(after time.Duration, format string, args ...any) error {
	return refuse(429, "TOO_MANY_REQUESTS", format, args...).after(after)
}

// problemOf is what an error of the rooms below means to a client.
func (s *Server) problemOf(ctx context.Context, err error) *problem {
	var p *problem
	var frozen *blobs.FrozenError
	var over *access.OverError
	var denied *access.DeniedError
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &frozen):
		return refuse(503, "BLOB_UNAVAILABLE", "%v", err).with("cause", "challenge").with("height", frozen.Until).after(s.untilHeight(ctx, frozen.Until))
	case errors.Is(err, client.ErrUnknownBlob):
		return refuse(404, "BLOB_NOT_FOUND", "the requested blob ID does not exist on Walrus, ensure that it was entered correctly")
	case errors.Is(err, client.ErrUncertified):
		return refuse(503, "BLOB_UNAVAILABLE", "%v", client.ErrUncertified).after(10 * time.Second)
	case errors.Is(err, client.ErrEnded):
		return refuse(404, endedReason(err), "%v", err)
	case errors.Is(err, client.ErrInvalid):
		return refuse(404, "BLOB_INVALID", "%v", client.ErrInvalid)
	case errors.Is(err, quilt.ErrNotQuilt):
		return refuse(404, "QUILT_PATCH_NOT_FOUND", "the blob is not a quilt of version %d", quilt.Version)
	case errors.Is(err, fetch.ErrRange):
		return refuse(416, "INVALID_BYTE_RANGE", "%v", err)
	case errors.Is(err, fetch.ErrUnavailable):
		return refuse(503, "BLOB_UNAVAILABLE", "%v", fetch.ErrUnavailable).after(busyRetry)
	case errors.Is(err, blobs.ErrBusy):
		return refuse(429, "TOO_MANY_REQUESTS", "%v", err).after(busyRetry)
	case errors.Is(err, blobs.ErrSpoolFull):
		return refuse(503, "SPOOL_FULL", "%v", err).after(10 * time.Second)
	case errors.Is(err, blobs.ErrTooLarge):
		return refuse(413, "BLOB_TOO_LARGE", "%v", err).with("maxBytes", s.o.MaxBody)
	case errors.As(err, &over):
		return refuse(429, "BUDGET_EXCEEDED", "%v", err).after(over.Until)
	case errors.As(err, &denied):
		return deniedProblem(denied)
	case errors.Is(err, ledger.ErrFunds):
		return refuse(503, "INSUFFICIENT_FUNDS", "the gateway's wallet cannot pay for this; tell its operator: %v", err)
	case errors.Is(err, ledger.ErrCapacity):
		return refuse(507, "NETWORK_FULL", "%v", err)
	case errors.Is(err, ledger.ErrEpochs):
		return refuse(400, "INVALID_EPOCHS", "%v", err)
	case errors.Is(err, client.ErrTerms):
		return refuse(409, "LEASE_TERMS", "%v", err)
	case errors.Is(err, ledger.ErrNotOwner):
		return refuse(409, "NOT_OWNER", "the gateway has no lease on this blob")
	case errors.Is(err, ledger.ErrPermanent):
		return refuse(409, "BLOB_PERMANENT", "%v", err)
	case errors.Is(err, client.ErrQuorum):
		return refuse(503, "INSUFFICIENT_CONFIRMATIONS", "%v", client.ErrQuorum).after(10 * time.Second)
	case errors.Is(err, context.DeadlineExceeded):
		return refuse(504, "INSUFFICIENT_CONFIRMATIONS", "it took too long; what was paid for is not lost: ask for the same again").after(10 * time.Second)
	}
	return &problem{code: 500, status: statuses[500], reason: "INTERNAL_ERROR", domain: domainGlobal, message: "an internal error has occurred, please report it"}
}

// endedReason tells a blob that was deleted from one whose time was over.
func endedReason(err error) string {
	var e *client.EndedError
	if errors.As(err, &e) && e.Reason == registry.Deleted {
		return "BLOB_DELETED"
	}
	return "BLOB_EXPIRED"
}

func deniedProblem(d *access.DeniedError) *problem {
	code, domain := 401, domainDaemon
	switch d.Reason {
	case access.NotOwner:
		code = 403
	case access.Replayed:
		code = 429
	case access.NoSuch, access.BadSignature:
	default:
		domain = domainAuth
		if d.Reason != access.Expired {
			code = 400
		}
	}
	p := refuse(code, string(d.Reason), "%v", d)
	p.domain = domain
	if code == 400 {
		p.status = statuses[409]
	}
	return p
}

// envelope is an error as Google's AIP-193 writes it.
type envelope struct {
	Error envelopeError `json:"error"`
}

type envelopeError struct {
	Status  string `json:"status"`
	Code    int    `json:"code"`
	Message string `json:"message"`
	Details []any  `json:"details"`
}

type errorInfo struct {
	Type     string         `json:"@type"`
	Reason   string         `json:"reason"`
	Domain   string         `json:"domain"`
	Metadata map[string]any `json:"metadata"`
}

type debugInfo struct {
	Type         string   `json:"@type"`
	StackEntries []string `json:"stackEntries"`
	Detail       string   `json:"detail"`
}

// fail answers with an error. What the request was for is never cached with it.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := s.problemOf(r.Context(), err)
	if p.code >= 500 {
		s.o.Log.Warn("a request failed", "method", r.Method, "path", r.URL.Path, "code", p.code, "reason", p.reason, "err", err, "trace", traceOf(r))
	}
	info := errorInfo{"ErrorInfo", p.reason, p.domain, p.metadata}
	if info.Domain == "" {
		info.Domain = domainDaemon
	}
	if info.Metadata == nil {
		info.Metadata = map[string]any{}
	}
	body := envelope{envelopeError{p.status, p.code, p.message, []any{info}}}
	if p.code == 500 {
		body.Error.Details = append(body.Error.Details, debugInfo{"DebugInfo", []string{}, "TraceID: " + traceOf(r)})
	}
	h := w.Header()
	for _, name := range []string{"Etag", "Accept-Ranges", "Content-Disposition", "Content-Encoding", "Content-Language"} {
		h.Del(name)
	}
	if p.code != 416 { // there it says how long the bytes are
		h.Del("Content-Range")
	}
	h.Set("Cache-Control", "no-store")
	if r.ContentLength != 0 && r.ProtoMajor == 1 {
		h.Set("Connection", "close") // else the server would wait for the rest of the body first
	}
	if p.code == 401 {
		h.Set("WWW-Authenticate", "Bearer")
	}
	if p.retry > 0 {
		h.Set("Retry-After", strconv.Itoa(int((min(max(p.retry, leastRetry), mostRetry)+time.Second-1)/time.Second)))
	}
	writeJSON(w, p.code, body)
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // of our own types
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(b)+1))
	w.WriteHeader(code)
	_, _ = w.Write(append(b, '\n')) // a client that is gone is told nothing
}
