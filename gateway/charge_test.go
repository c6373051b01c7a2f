package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/gateway/access"
	"github.com/walrus-network/walrus/gateway/blobs"
	"github.com/walrus-network/walrus/internal/world"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/token"
)

// fickle is a ledger that fails as a test says.
type fickle struct {
	world.Ledger
	mu     sync.Mutex // guards the fields below
	view   func() error
	submit func(ledger.Kind) error // before a transaction is done
	after  func(ledger.Kind) error // when it was done
}

func (f *fickle) set(view func() error, submit, after func(ledger.Kind) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.view, f.submit, f.after = view, submit, after
}

func (f *fickle) View(ctx context.Context) (ledger.View, error) {
	f.mu.Lock()
	view := f.view
	f.mu.Unlock()
	if view != nil {
		if err := view(); err != nil {
			return ledger.View{}, err
		}
	}
	return f.Ledger.View(ctx)
}

func (f *fickle) Submit(ctx context.Context, raw []byte) (r ledger.TxReceipt, err error) {
	f.mu.Lock()
	submit, after := f.submit, f.after
	f.mu.Unlock()
	tx, _, err := ledger.DecodeTx(raw)
	if err == nil && submit != nil {
		err = submit(tx.Kind)
	}
	if err != nil {
		return r, err
	}
	if r, err = f.Ledger.Submit(ctx, raw); err == nil && after != nil {
		err = after(tx.Kind)
	}
	return r, err
}

// limitedRig is a gateway with one key whose day has limits, on a ledger that may fail.
func limitedRig(t *testing.T, limits string) (*rig, *fickle, *access.Control) {
	t.Helper()
	secret, lines, err := access.NewSecret("app")
	if err != nil {
		t.Fatal(err)
	}
	keys, err := access.ParseKeys([]byte(lines + limits))
	if err != nil {
		t.Fatal(err)
	}
	w := world.New(t, 4, 10)
	l := &fickle{Ledger: w.Ledger}
	c := newControl(t, access.Options{Keys: keys})
	g := &rig{t: t, w: w, c: w.ClientOf(l), dir: t.TempDir(), key: secret}
	g.start(func(o *Options) { o.Access = c })
	return g, l, c
}

// used is what the key has used today.
func used(t *testing.T, c *access.Control) access.Use {
	t.Helper()
	g, err := c.Named("app")
	if err != nil {
		t.Fatal(err)
	}
	u, err := g.Used()
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// A key's day holds what was paid or may have been, and nothing else, however a request ends.
func TestADayHoldsWhatWasPaid(t *testing.T) {
	g, l, c := limitedRig(t, "wal_per_day = \"100WAL\"\nbytes_per_day = 1000000000\n")
	extend := func(id, body string) answer { return g.extend(id, body, "") }
	id := g.stored(random(1000, 1))
	spent := used(t, c)
	if spent.Cost == 0 || spent.Bytes != 1000 {
		t.Fatalf("%+v", spent)
	}
	same := func(what string) {
		t.Helper()
		if now := used(t, c); now != spent {
			t.Errorf("%s: the day holds %+v, and %+v was paid", what, now, spent)
		}
	}
	more := func(what string) {
		t.Helper()
		now := used(t, c)
		if now.Cost <= spent.Cost {
			t.Errorf("%s: the day holds %s as before", what, now.Cost)
		}
		spent = now
	}
	broken := errors.New("the ledger is away")
	away := func() error { return broken }

	g.want(g.put("/v1/blobs?epochs=3", random(1000, 1)), 200, "")
	same("bytes that are there")
	g.want(extend(id, `{"epochs": 1}`), 200, "")
	more("an extension")
	g.want(extend(id, `{"untilEpoch": 3}`), 200, "")
	same("a lease that lasts so long")
	g.want(extend(id, `{"epochs": 100000}`), 400, "INVALID_EPOCHS")
	same("too many epochs")

	l.set(away, nil, nil)
	if a := extend(id, `{"epochs": 1}`); a.StatusCode < 500 {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	same("an extension while the ledger cannot be read")
	if a := g.get("/v1/blobs/" + id); a.StatusCode != 200 { // and is known for a moment
		t.Fatalf("%d", a.StatusCode)
	}
	views := 0
	l.set(func() error { // the lease can be read; the account that signs cannot
		if views++; views > 1 {
			return broken
		}
		return nil
	}, nil, nil)
	if a := extend(id, `{"epochs": 1}`); a.StatusCode < 500 || views < 2 {
		t.Errorf("%d %s after %d looks", a.StatusCode, a.body, views)
	}
	same("an extension that could not be signed")

	fail := func(of ledger.Kind, err error) func(ledger.Kind) error {
		return func(k ledger.Kind) error {
			if k == of {
				return err
			}
			return nil
		}
	}
	l.set(nil, fail(ledger.KindExtend, ledger.ErrFunds), nil)
	g.want(extend(id, `{"epochs": 1}`), 503, "INSUFFICIENT_FUNDS")
	same("an extension that the ledger refused")
	l.set(nil, fail(ledger.KindRegisterBlob, ledger.ErrCapacity), nil)
	g.want(g.put("/v1/blobs", random(1000, 2)), 507, "NETWORK_FULL")
	same("a store that the ledger refused")
	l.set(nil, fail(ledger.KindCertify, ledger.ErrMalformed), nil)
	if a := g.put("/v1/blobs", random(1000, 3)); a.StatusCode < 400 {
		t.Errorf("%d", a.StatusCode)
	}
	more("a store that was paid, and whose certificate was refused")
	l.set(nil, nil, fail(ledger.KindExtend, broken))
	if a := extend(id, `{"epochs": 1}`); a.StatusCode < 500 {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	more("an extension of which it is not known what became")
	l.set(nil, nil, nil)
	g.s.o.Writer = blobs.NewWriter(g.c, token.KeyFromSeed([32]byte{77}), blobs.DefaultWriter())
	g.want(g.put("/v1/blobs", random(1000, 5)), 503, "INSUFFICIENT_FUNDS")
	same("a wallet that is empty")
}

// Bytes that are stored for long enough cost nothing: they are told to be there also to a key
// whose day is used up, and by a wallet that is empty. Bodies that cannot be paid are few and
// small, and each that was taken in vain makes its key wait.
func TestWhatIsStoredNeedsNoMoney(t *testing.T) {
	g, _, c := limitedRig(t, "bytes_per_day = 20000000\n")
	there, large := random(9000, 1), random(9<<20, 2)
	id := g.stored(there)
	g.stored(large)
	already := func(what string, a answer) {
		t.Helper()
		var r storeResult
		a.json(t, &r)
		if a.StatusCode != 200 || r.Already == nil {
			t.Errorf("%s: %d %s", what, a.StatusCode, a.body)
		}
	}
	chunked := func(b []byte) *http.Request {
		return g.request("PUT", "/v1/blobs?epochs=3", io.MultiReader(bytes.NewReader(b)))
	}
	grant, err := c.Named("app")
	if err == nil {
		err = grant.Spend(access.Use{Bytes: 20_000_000 - used(t, c).Bytes - 100})
	}
	if err != nil {
		t.Fatal(err)
	}
	spent := used(t, c)
	already("a body of known length", g.put("/v1/blobs?epochs=3", there))
	already("one of unknown length", g.do(chunked(there)))
	g.want(g.put("/v1/blobs?epochs=3", large), 429, "BUDGET_EXCEEDED") // more than an eighth of the spool
	g.want(g.do(chunked(large)), 429, "BUDGET_EXCEEDED")
	g.want(g.put("/v1/blobs?epochs=3", random(99, 3)), 200, "") // which it can pay
	g.want(g.put("/v1/blobs?epochs=4", there), 429, "BUDGET_EXCEEDED")
	if len(g.s.unpaid.again) != 1 {
		t.Error("a body that was not there in vain")
	}
	g.want(g.put("/v1/blobs?epochs=3", there), 429, "BUDGET_EXCEEDED") // it waits
	g.s.unpaid.again["app"] = time.Now()
	already("after its time", g.put("/v1/blobs?epochs=3", there))
	if len(g.s.unpaid.again)+len(g.s.unpaid.busy) != 0 {
		t.Errorf("%v %v", g.s.unpaid.again, g.s.unpaid.busy)
	}
	leave := g.s.unpaid.enter("app", time.Now())
	g.want(g.put("/v1/blobs?epochs=3", there), 429, "BUDGET_EXCEEDED") // another of its bodies is being read
	leave(true)
	for _, name := range []string{"x", "y"} {
		defer g.s.unpaid.enter(name, time.Now())(true)
	}
	g.want(g.put("/v1/blobs?epochs=3", there), 429, "BUDGET_EXCEEDED") // others have all places
	if now := used(t, c); now.Bytes != spent.Bytes+99 {
		t.Errorf("%+v after %+v", now, spent)
	}
	if a := g.get("/v1/blobs/" + id); !bytes.Equal(a.body, there) || g.s.o.Spool.Used() != 0 {
		t.Errorf("%d, %d bytes in the spool", a.StatusCode, g.s.o.Spool.Used())
	}
}

// The least of a key's day that no store can be paid with bounds bodies of unknown length too.
func TestABodyOfUnknownLengthIsNoLongerThanCanBePaid(t *testing.T) {
	g, _, c := limitedRig(t, "wal_per_day = \"1WAL\"\n")
	q, err := g.s.o.Writer.Quote(t.Context(), 12<<20, client.StoreOptions{Epochs: 1})
	if err != nil {
		t.Fatal(err)
	}
	grant, err := c.Named("app")
	if err == nil {
		err = grant.Spend(access.Use{Cost: token.WAL - q.Total})
	}
	if err != nil {
		t.Fatal(err)
	}
	most, err := g.s.allow(t.Context(), grant, terms{StoreOptions: client.StoreOptions{Epochs: 1}}, -1)
	if err != nil || most.free != 12<<20 {
		t.Fatalf("%+v %v", most, err)
	}
	g.want(g.do(g.request("PUT", "/v1/blobs", io.MultiReader(bytes.NewReader(random(14<<20, 1))))), 429, "BUDGET_EXCEEDED")
	g.want(g.put("/v1/blobs", random(14<<20, 1)), 429, "BUDGET_EXCEEDED")
	if n := len(g.s.unpaid.again) + len(g.s.unpaid.busy); n != 0 {
		t.Error("a body that is too long took a place")
	}
}

// A store whose client hung up goes on; one that asks for the same again while it does waits
// for it, and nothing is paid twice.
func TestTheSameStoreTwiceAtOnce(t *testing.T) {
	g, l, c := limitedRig(t, "wal_per_day = \"100WAL\"\n")
	body := random(2000, 1)
	g.stored(body)
	var once sync.Once
	began, goOn := make(chan struct{}), make(chan struct{})
	l.set(nil, func(k ledger.Kind) error {
		if k == ledger.KindExtend {
			once.Do(func() { close(began); <-goOn })
		}
		return nil
	}, nil)
	before := used(t, c).Cost
	answers := make(chan answer, 2)
	go func() { answers <- g.put("/v1/blobs?epochs=7", body) }()
	<-began
	go func() { answers <- g.put("/v1/blobs?epochs=7", body) }()
	time.Sleep(100 * time.Millisecond) // for the second to look at the lease, if it does not wait
	close(goOn)
	for range 2 {
		a := <-answers
		var r storeResult
		a.json(t, &r)
		if a.StatusCode != 200 || r.Created != nil && r.Created.Object.Storage.EndEpoch != 7 || r.Already != nil && r.Already.EndEpoch != 7 {
			t.Errorf("%d %s", a.StatusCode, a.body)
		}
	}
	longer := used(t, c).Cost - before
	g.want(g.put("/v1/blobs?epochs=11", body), 200, "")
	if again := used(t, c).Cost - before - longer; again > longer+longer/2 {
		t.Errorf("four epochs cost %s, and then %s", longer, again)
	}
}
