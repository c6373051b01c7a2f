package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/gateway/blobs"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/report"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// Routes beside those that Walrus has.

// ownedBlob is a blob of an owner.
type ownedBlob struct {
	BlobID      string     `json:"blobId"`
	CID         blob.ID    `json:"cid"`
	ObjectID    string     `json:"objectId"`
	Size        int64      `json:"size"`
	State       string     `json:"state"`
	EndEpoch    unit.Epoch `json:"endEpoch"` // of the owner's claim
	EndTime     time.Time  `json:"endTime"`
	Deletable   bool       `json:"deletable"`
	RenewsUntil unit.Epoch `json:"renewsUntilEpoch,omitempty"`
}

type ownedList struct {
	Blobs []ownedBlob `json:"blobs"`
	Next  string      `json:"next,omitempty"` // for after
}

// Bounds of a list.
const (
	usualPage = 100
	mostPage  = 1000
)

func (s *Server) listOwned(w http.ResponseWriter, r *http.Request) error {
	if _, err := s.keyed(r); err != nil {
		return err
	}
	q, err := only(r, "owner", "after", "limit")
	if err != nil {
		return err
	}
	owner := s.o.Writer.Payer()
	if q.Has("owner") {
		if owner, err = token.ParseAddress(q.Get("owner")); err != nil {
			return refuse(400, "MALFORMED_REQUEST", "owner: %v", err)
		}
	}
	limit := int64(usualPage)
	if q.Has("limit") {
		n, ok := digits(q.Get("limit"))
		if !ok || n < 1 || n > mostPage {
			return refuse(400, "MALFORMED_REQUEST", "limit is a number from 1 to %d", mostPage)
		}
		limit = n
	}
	var after blob.ID
	if q.Has("after") {
		if after, err = parseID(q.Get("after")); err != nil {
			return err
		}
	}
	n, err := s.o.Reader.Now(r.Context())
	if err != nil {
		return err
	}
	page, more, err := n.OwnedPage(owner, after, int(limit))
	if err != nil {
		return err
	}
	out := ownedList{Blobs: []ownedBlob{}}
	for _, b := range page {
		end, renewed := b.Lasts(owner)
		one := ownedBlob{BlobID: b.Blob.Base64(), CID: b.Blob, ObjectID: objectID(b.Blob), Size: b.Bytes, State: b.State, EndEpoch: end, EndTime: n.Begins(end).UTC().Truncate(time.Second)}
		if renewed > end {
			one.RenewsUntil = renewed
		}
		for _, l := range b.Leases {
			one.Deletable = one.Deletable || l.Owner == owner && !l.Permanent
		}
		out.Blobs = append(out.Blobs, one)
	}
	if more {
		out.Next = page[len(page)-1].Blob.Base64()
	}
	return noStore(w, out)
}

// only reads a query that may have these names and no others, each once.
func only(r *http.Request, names ...string) (url.Values, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, refuse(400, "MALFORMED_REQUEST", "the query is not percent-encoded: %v", err)
	}
next:
	for name, values := range q {
		for _, known := range names {
			if name == known {
				if len(values) > 1 {
					return nil, refuse(400, "MALFORMED_REQUEST", "%s is there %d times", name, len(values))
				}
				continue next
			}
		}
		return nil, refuse(400, "MALFORMED_REQUEST", "the query has %q, which is not known here", clip(name))
	}
	return q, nil
}

func noStore(w http.ResponseWriter, v any) error {
	w.Header().Set("Cache-Control", "no-store")
	writeJSON(w, http.StatusOK, v)
	return nil
}

// getBlobStatus answers from the ledger alone: a stranger's question must not make every node
// work. `walrus status` asks them.
func (s *Server) getBlobStatus(w http.ResponseWriter, r *http.Request, id blob.ID) error {
	n, err := s.o.Reader.Now(r.Context(), ledger.KeyBlob(id), ledger.KeyLastDraw(id), ledger.KeyCertificate(id), ledger.KeyUsage())
	if err != nil {
		return err
	}
	b, err := n.Blob(id)
	if err != nil {
		return err
	}
	state := n.LedgerState(s.o.Reader.Chain(), true)
	b.Ledger = &state
	if b.State == report.Certified {
		e, _, err := n.View.Blob(id)
		if err != nil {
			return err
		}
		safe, err := n.Safety(e, nil)
		if err != nil {
			return err
		}
		b = n.WithSafety(b, safe)
	}
	return noStore(w, b)
}

func (s *Server) getReceipt(w http.ResponseWriter, r *http.Request, id blob.ID) error {
	if s.o.Receipts == nil {
		return refuse(404, "NO_RECEIPTS", "this gateway takes its node's word and can give no receipts")
	}
	if _, err := s.o.Reader.Find(r.Context(), id); err != nil {
		return err
	}
	receipt, err := s.o.Receipts.Receipt(r.Context(), id)
	if err != nil {
		return err
	}
	b := receipt.Encode()
	h := w.Header()
	h.Set("Content-Type", opaque)
	h.Set("Content-Length", strconv.Itoa(len(b)))
	h.Set("Content-Disposition", fmt.Sprintf(`attachment; filename="%s.receipt"`, id.Base64()))
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(b) // a client that is gone is told nothing
	}
	return nil
}

type deleted struct {
	BlobID string       `json:"blobId"`
	Refund token.Amount `json:"refund"`
	Gone   bool         `json:"gone"` // no other lease keeps it on the network
}

func (s *Server) deleteBlob(w http.ResponseWriter, r *http.Request, id blob.ID) error {
	g, err := s.keyed(r)
	if err != nil {
		return err
	}
	alone, err := s.o.Owners.GiveUp(id, g.Owner())
	if err != nil {
		return err
	}
	if !alone { // the lease stays for the other owners
		return noStore(w, deleted{id.Base64(), 0, false})
	}
	d, err := s.o.Writer.Delete(r.Context(), id, func() bool { return s.o.Owners.Any(id) || s.o.Relied != nil && s.o.Relied(id) })
	if errors.Is(err, blobs.ErrNeeded) {
		return noStore(w, deleted{id.Base64(), 0, false})
	}
	if err != nil {
		if errors.Is(err, client.ErrUnknownBlob) {
			return err
		}
		if own := s.o.Owners.Add(id, g.Owner()); own != nil {
			s.o.Log.Warn("which key stored a blob is not noted: it cannot delete it", "blob", id, "key", g.Name(), "err", own)
		}
		return err
	}
	return noStore(w, deleted{id.Base64(), d.Refund, d.Others == 0})
}

type price struct {
	Size       int64        `json:"size"`
	Epochs     uint64       `json:"epochs"`
	StoredKiB  unit.KiB     `json:"storedKiB"` // over all shards: what is paid for
	Price      token.Amount `json:"price"`     // for the epochs
	Write      token.Amount `json:"writePrice"`
	MostFee    token.Amount `json:"mostFee"`
	Total      token.Amount `json:"total"`
	EpochTime  float64      `json:"epochSeconds"`
	EndEpoch   unit.Epoch   `json:"endEpoch"`
	EndTime    time.Time    `json:"endTime"`
	MaxEpochs  uint64       `json:"maxEpochs"`
	Affordable bool         `json:"affordable"` // by the gateway, now
}

func (s *Server) getPrice(w http.ResponseWriter, r *http.Request) error {
	q, err := only(r, "size", "epochs")
	if err != nil {
		return err
	}
	size, ok := digits(q.Get("size"))
	if !ok {
		return refuse(400, "MALFORMED_REQUEST", "size is needed: a number of bytes")
	}
	epochs := s.o.DefaultEpochs
	if q.Has("epochs") {
		if epochs, err = strconv.ParseUint(q.Get("epochs"), 10, 32); err != nil || epochs == 0 {
			return refuse(400, "MALFORMED_REQUEST", "epochs is a number, 1 or more")
		}
	}
	if s.o.Writer == nil {
		return refuse(405, "READ_ONLY", "this gateway only reads: another one stores")
	}
	quote, err := s.o.Writer.Quote(r.Context(), size, client.StoreOptions{Epochs: epochs})
	poor := errors.Is(err, ledger.ErrFunds)
	if err != nil && !poor {
		return err
	}
	n, err := s.now(r.Context())
	if err != nil {
		return err
	}
	return noStore(w, price{size, epochs, quote.StoredAs, quote.Lease, quote.Write, quote.Fee, quote.Total,
		float64(n.Params.EpochBlocks()*n.Params.BlockMs) / 1000, quote.Until, n.Begins(quote.Until).UTC().Truncate(time.Second), n.Params.Registry.MaxEpochs, !poor})
}

func (s *Server) postFaucet(w http.ResponseWriter, r *http.Request) error {
	if s.o.Faucet == nil {
		return refuse(404, "NO_FAUCET", "only testnets have a faucet")
	}
	var body struct {
		Address string `json:"address"`
	}
	if err := s.readJSON(w, r, &body); err != nil {
		return err
	}
	to, err := token.ParseAddress(body.Address)
	if err != nil {
		return refuse(400, "MALFORMED_REQUEST", `the body is {"address": "wal1…"}: %v`, err)
	}
	given, err := s.o.Faucet(r.Context(), to)
	if err != nil {
		return err
	}
	return noStore(w, map[string]any{"address": to, "amount": given})
}

func (s *Server) getStatus(w http.ResponseWriter, r *http.Request) error {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write([]byte("OK"))
	return nil
}

// readiness says whether a gateway can do what it is there for.
type readiness struct {
	Ready    bool          `json:"ready"`
	Why      []string      `json:"why"` // it is not
	Height   unit.Height   `json:"height"`
	Age      float64       `json:"ageSeconds"` // of the newest block
	Balance  *token.Amount `json:"balance,omitempty"`
	Days     *float64      `json:"fundsForDays,omitempty"` // at the spending of the last day; missing: nothing was spent
	Spool    *int64        `json:"spoolBytes,omitempty"`
	Uploads  *int          `json:"uploads,omitempty"`
	CacheNow int64         `json:"cacheBytes"`
}

func (s *Server) getReady(w http.ResponseWriter, r *http.Request) error {
	out := s.readiness(r.Context())
	w.Header().Set("Cache-Control", "no-store")
	code := http.StatusOK
	if !out.Ready {
		code = http.StatusServiceUnavailable
	}
	writeJSON(w, code, out)
	return nil
}

func (s *Server) readiness(ctx context.Context) readiness {
	out := readiness{Why: []string{}, CacheNow: s.o.Reader.Stats().CacheBytes}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	n, err := s.now(ctx)
	if err != nil {
		out.Why = append(out.Why, fmt.Sprintf("the ledger does not answer: %v", err))
		return out
	}
	out.Height, out.Age = n.Head.Height, time.Since(n.Time()).Seconds()
	if n.Still() {
		out.Why = append(out.Why, fmt.Sprintf("the ledger stands still since block %d", n.Head.Height))
	}
	if s.o.Writer != nil {
		account, err := n.View.Account(s.o.Writer.Payer())
		if err != nil {
			out.Why = append(out.Why, fmt.Sprintf("the wallet cannot be read: %v", err))
			return out
		}
		used := s.o.Spool.Used()
		out.Balance, out.Spool = &account.Balance, &used
		if s.uploads != nil {
			count := s.uploads.count()
			out.Uploads = &count
		}
		if days, ok := s.metrics.fundsLast(account.Balance); ok {
			out.Days = &days
			if days < float64(s.o.Funds) {
				out.Why = append(out.Why, fmt.Sprintf("the wallet lasts %.1f days at the spending of the last day, and %d are wanted", days, s.o.Funds))
			}
		}
		if account.Balance == 0 {
			out.Why = append(out.Why, "the wallet is empty")
		}
	}
	out.Ready = len(out.Why) == 0
	return out
}
