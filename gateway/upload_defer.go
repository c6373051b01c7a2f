package gateway

import (
	"io"
	"net/http"
	"strings"

	"github.com/walrus-network/walrus/gateway/access"
)

// Uploads whose length is said later, as those of streams. Their room in the spool is reserved
// as their bytes come, up to what their key may have and can pay for.

// growStep is the bytes that such an upload reserves at once.
const growStep = 1 << 20

// mayDefer says whether the length of a new upload may be said later.
func (u *uploads) mayDefer(r *http.Request, g *access.Grant) error {
	switch {
	case r.Header.Get("Upload-Defer-Length") != "1" || r.Header.Get("Upload-Length") != "":
		return refuse(400, "MALFORMED_REQUEST", "Upload-Defer-Length is 1, without Upload-Length")
	case ownerOf(g) == tokenOwner:
		return refuse(400, "MALFORMED_REQUEST", "Upload-Defer-Length needs a key: the upload of a token says its length at once")
	case r.Header.Get("Upload-Concat") != "":
		return refuse(400, "MALFORMED_REQUEST", "Upload-Defer-Length does not go with Upload-Concat")
	case r.Header.Get("Content-Type") == "application/offset+octet-stream": // else the protocol takes no bytes
		return refuse(400, "MALFORMED_REQUEST", "an upload with Upload-Defer-Length begins without bytes: send them with PATCH")
	}
	return nil
}

// patch takes more of an upload, or ends it.
func (u *uploads) patch(w http.ResponseWriter, r *http.Request, id string) error {
	info, err := u.info(id)
	if err != nil || !info.SizeIsDeferred || r.Method != http.MethodPatch {
		return u.pass(w, r)
	}
	offset, ok := digits(r.Header.Get("Upload-Offset"))
	if !ok {
		return refuse(400, "MALFORMED_REQUEST", "Upload-Offset is not a number of bytes in digits")
	}
	a, err := u.allowanceOf(r, id)
	if err != nil {
		return err
	}
	if text := r.Header.Get("Upload-Length"); strings.TrimSpace(text) != "" {
		size, ok := digits(text)
		if !ok {
			return refuse(400, "MALFORMED_REQUEST", "Upload-Length is not a number of bytes in digits")
		}
		if err := u.grow(id, size, a); err != nil {
			return err
		}
		return u.pass(w, r)
	}
	if size := r.ContentLength; size > 0 && offset <= u.s.o.Spool.Size() {
		if err := u.grow(id, offset+size, a); err != nil {
			return err
		}
	}
	r.Body = &growing{ReadCloser: r.Body, u: u, id: id, at: offset, allows: a}
	return u.pass(w, r)
}

// allowanceOf is how long an upload of a length that is not known may get: no longer than can
// be paid, as its bytes are stored later.
func (u *uploads) allowanceOf(r *http.Request, id string) (*allowance, error) {
	st, err := u.result(id)
	if err != nil {
		return nil, noUpload()
	}
	g, err := u.grantOf(st.Key)
	if err != nil {
		return nil, err
	}
	t, err := u.s.parseTerms(st.Terms)
	if err != nil {
		return nil, err
	}
	return u.s.allow(r.Context(), g, t, -1)
}

// grow reserves room for an upload that gets longer.
func (u *uploads) grow(id string, to int64, a *allowance) error {
	if to > a.free && to <= a.most {
		return a.refusal
	}
	if err := a.check(to); err != nil {
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	h, ok := u.held[id]
	if !ok {
		return noUpload()
	}
	if to <= h.bytes {
		return nil
	}
	if err := u.s.o.Spool.Fits(to); err != nil {
		return err
	}
	if h.owner != "" {
		left := u.s.o.Spool.Size() / 2
		if to > left {
			return refuse(413, "BLOB_TOO_LARGE", "an upload has at most %d bytes, half of the gateway's spool", left).with("maxBytes", left)
		}
		for _, other := range u.held {
			if other.owner == h.owner {
				left -= other.bytes
			}
		}
		if to-h.bytes > left {
			return refuse(429, "UPLOAD_QUOTA", "the uploads of this key that are not stored yet have half of the gateway's spool: finish some, or DELETE them").after(quotaRetry)
		}
	}
	if err := u.s.o.Spool.Reserve(to - h.bytes); err != nil {
		return err
	}
	h.bytes = to
	u.held[id] = h
	return nil
}

// growing is the body of a request whose bytes make an upload longer.
type growing struct {
	io.ReadCloser
	u      *uploads
	id     string
	at     int64 // in the upload
	allows *allowance
	why    *refused // is told why it ends
}

func (g *growing) Read(b []byte) (int, error) {
	n, err := g.ReadCloser.Read(b)
	g.at += int64(n)
	to := (g.at + growStep - 1) / growStep * growStep
	if most := min(g.allows.free, g.allows.most); to > most {
		to = max(g.at, most)
	}
	if n > 0 {
		if refusal := g.u.grow(g.id, to, g.allows); refusal != nil {
			if refusal = g.u.grow(g.id, g.at, g.allows); refusal != nil { // the step may be too much
				g.why.err = refusal
				return 0, refusal
			}
		}
	}
	return n, err
}
