package gateway

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/walrus-network/walrus/ledger"
)

// extend asks for a longer lease, with an Idempotency-Key if it is not empty.
func (g *rig) extend(id, body, key string) answer {
	g.t.Helper()
	r := g.request("POST", "/v1/blobs/"+id+"/extend", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	return g.do(r)
}

// A client that had no answer asks again, and pays nothing twice: whatever became of its first
// request, and though the gateway was started anew.
func TestAnExtensionThatIsAskedForAgain(t *testing.T) {
	g, l, c := limitedRig(t, "")
	id := g.stored(random(1000, 1)) // until epoch 3
	ends := func(a answer, end uint64) extended {
		t.Helper()
		var e extended
		a.json(t, &e)
		if a.StatusCode != 200 || uint64(e.EndEpoch) != end {
			t.Errorf("%d %s, want epoch %d", a.StatusCode, a.body, end)
		}
		return e
	}
	first := ends(g.extend(id, `{"epochs": 2}`, "a"), 5)
	spent := used(t, c)
	for range 2 {
		if again := ends(g.extend(id, `{"epochs": 2}`, `"a"`), 5); again != first || first.Cost == 0 {
			t.Errorf("%+v and then %+v", first, again)
		}
		g.s.Close()
		g.start(func(o *Options) { o.Access = c })
	}
	if now := used(t, c); now != spent {
		t.Errorf("%+v was spent for a repeat", now)
	}
	g.want(g.extend(id, `{"epochs": 3}`, "a"), 422, "IDEMPOTENCY_KEY_REUSED")
	ends(g.extend(id, `{"epochs": 2}`, "b"), 7)

	// It was paid, and neither the client nor the gateway saw that.
	broken := errors.New("the ledger is away")
	l.set(nil, nil, func(k ledger.Kind) error {
		if k == ledger.KindExtend {
			return broken
		}
		return nil
	})
	if a := g.extend(id, `{"epochs": 1}`, "c"); a.StatusCode < 500 {
		t.Errorf("%d", a.StatusCode)
	}
	l.set(nil, nil, nil)
	g.s.Close()
	g.start(func(o *Options) { o.Access = c })
	if e := ends(g.extend(id, `{"epochs": 1}`, "c"), 8); e.Cost == 0 {
		t.Error("what it cost was forgotten")
	}

	// It was surely not: then it is a new one.
	l.set(nil, func(k ledger.Kind) error {
		if k == ledger.KindExtend {
			return ledger.ErrFunds
		}
		return nil
	}, nil)
	g.want(g.extend(id, `{"epochs": 1}`, "d"), 503, "INSUFFICIENT_FUNDS")
	l.set(nil, nil, nil)
	ends(g.extend(id, `{"epochs": 1}`, ""), 9)
	ends(g.extend(id, `{"epochs": 1}`, "d"), 10)

	// An end that is named is reached once.
	ends(g.extend(id, `{"untilEpoch": 12}`, ""), 12)
	spent = used(t, c)
	if e := ends(g.extend(id, `{"untilEpoch": 12}`, ""), 12); e.Cost != 0 || used(t, c) != spent {
		t.Errorf("%+v", e)
	}
	ends(g.extend(id, `{"untilEpoch": 5}`, "e"), 12)
	for _, body := range []string{`{}`, `{"epochs": 0}`, `{"epochs": 1, "untilEpoch": 20}`, `{"untilEpoch": 18446744073709551615}`} {
		g.want(g.extend(id, body, ""), 400, "INVALID_EPOCHS")
	}
	g.want(g.extend(id, `{"untilEpoch": 4000000000}`, ""), 400, "INVALID_EPOCHS")
	for _, key := range []string{`""`, strings.Repeat("x", 256), "\xff"} {
		g.want(g.extend(id, `{"epochs": 1}`, key), 400, "MALFORMED_REQUEST")
	}
}

// Requests are remembered up to a number of each key and for a day, and one at a time is
// answered; a file that is no record is none.
func TestRepeatsAreBounded(t *testing.T) {
	g := newRig(t, nil)
	p := g.s.repeats
	begin := func(key, owner string) (*repeat, error) {
		r := g.request("POST", "/", nil)
		r.Header.Set("Idempotency-Key", key)
		return p.begin(r, owner, "x")
	}
	one, err := begin("a", "app")
	if err != nil {
		t.Fatal(err)
	}
	var refusal *problem
	if _, err := begin("a", "app"); !errors.As(err, &refusal) || refusal.code != 409 {
		t.Errorf("the same twice at once: %v", err)
	}
	if other, err := begin("a", "other"); err != nil || other.name == one.name {
		t.Errorf("another key's: %v", err)
	}
	if err := one.pays(5, 7); err != nil {
		t.Fatal(err)
	}
	one.end()
	for i := range repeatsOfKey {
		p.kept[strings.Repeat("z", i+1)] = repeatOf{"app", time.Now()}
	}
	if _, err := begin("b", "app"); !errors.As(err, &refusal) || refusal.code != 429 {
		t.Errorf("one too many: %v", err)
	}
	if again, err := begin("a", "app"); err != nil || again.until() != 5 {
		t.Errorf("one that is known: %v", err)
	}
	if err := os.WriteFile(g.dir+"/requests/"+strings.Repeat("0", 32), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	fresh, err := newRepeats(g.dir+"/requests", g.s.o.Log.Warn)
	if err != nil || len(fresh.kept) != 1 {
		t.Fatalf("%v, %d are known after a restart", err, len(fresh.kept))
	}
	fresh.sweep(time.Now().Add(repeatLife + time.Minute))
	if files, _ := os.ReadDir(g.dir + "/requests"); len(fresh.kept) != 0 || len(files) != 0 {
		t.Errorf("%d stay, %d files", len(fresh.kept), len(files))
	}
}
