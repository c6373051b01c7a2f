package gateway

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// Bounds of the requests whose Idempotency-Key is remembered.
const (
	mostRepeats    = 10_000
	repeatsOfKey   = mostRepeats / 10 // of one key of the gateway
	repeatLife     = 24 * time.Hour
	mostIdempotent = 255 // bytes of an Idempotency-Key
	mostRepeatFile = 4096
)

// repeats remembers requests that carried an Idempotency-Key (the header of the IETF's draft),
// in a file each, so that a client that has no answer asks again and nothing is paid twice,
// also across a restart. All methods may be called at the same time; those of nil refuse the
// header.
type repeats struct {
	dir string
	log func(msg string, args ...any)

	mu   sync.Mutex // guards the fields below
	kept map[string]repeatOf
	busy map[string]bool
}

// repeatOf is what is known of a remembered request without its file.
type repeatOf struct {
	owner string // the name of the gateway's key; empty where none is asked for
	at    time.Time
}

// repeatRecord is a remembered request's file.
type repeatRecord struct {
	Owner   string          `json:"owner"`
	Request string          `json:"request"`          // what was asked for: a key is good for that alone
	Until   unit.Epoch      `json:"until,omitempty"`  // the target; 0: nothing was sent
	Cost    token.Amount    `json:"cost,omitempty"`   // of the way there
	Answer  json.RawMessage `json:"answer,omitempty"` // none: it is not known what came of it
}

func newRepeats(dir string, log func(string, ...any)) (*repeats, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("idempotency keys: %w", err)
	}
	p := &repeats{dir: dir, log: log, kept: map[string]repeatOf{}, busy: map[string]bool{}}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("idempotency keys: %w", err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return nil, fmt.Errorf("idempotency keys: %w", err)
		}
		r, err := p.read(e.Name())
		if err != nil || !uploadID.MatchString(e.Name()) {
			_ = os.Remove(p.path(e.Name())) // what was not written to its end was not begun
			continue
		}
		p.kept[e.Name()] = repeatOf{r.Owner, info.ModTime()}
	}
	return p, nil
}

func (p *repeats) path(name string) string { return filepath.Join(p.dir, name) }

func (p *repeats) read(name string) (r repeatRecord, err error) {
	b, err := os.ReadFile(p.path(name))
	if err == nil && len(b) > mostRepeatFile {
		err = errors.New("the file is too long")
	}
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	return r, err
}

// repeat is a request with an Idempotency-Key while it is answered. The methods of nil, of a
// request without one, do nothing.
type repeat struct {
	p    *repeats
	name string
	repeatRecord
}

// begin looks whether a request is a repeat. owner's keys are its own.
func (p *repeats) begin(r *http.Request, owner, request string) (*repeat, error) {
	values := r.Header.Values("Idempotency-Key")
	if len(values) == 0 {
		return nil, nil
	}
	key, ok := idempotencyKey(values)
	if !ok {
		return nil, refuse(400, "MALFORMED_REQUEST", "Idempotency-Key is one value of 1 to %d characters of ASCII", mostIdempotent)
	}
	if p == nil {
		return nil, refuse(400, "MALFORMED_REQUEST", "this gateway remembers no Idempotency-Key")
	}
	sum := sha256.Sum256([]byte(owner + "\x00" + key))
	name := hex.EncodeToString(sum[:16])
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.busy[name] {
		return nil, refuse(409, "IDEMPOTENCY_KEY_IN_USE", "a request with this Idempotency-Key is under way: ask again when it has had its time").after(busyRetry)
	}
	p.sweep(time.Now())
	once := &repeat{p: p, name: name, repeatRecord: repeatRecord{Owner: owner, Request: request}}
	if _, there := p.kept[name]; there {
		var err error
		if once.repeatRecord, err = p.read(name); err != nil {
			return nil, fmt.Errorf("idempotency key: %w", err)
		}
		if once.Request != request {
			return nil, refuse(422, "IDEMPOTENCY_KEY_REUSED", "this Idempotency-Key was sent with another request: make one for each")
		}
	} else if err := p.room(owner); err != nil {
		return nil, err
	}
	p.busy[name] = true
	return once, nil
}

// idempotencyKey takes the draft's form, a string in quotes, and the bare one of most clients.
func idempotencyKey(values []string) (string, bool) {
	key := strings.TrimSpace(values[0])
	if n := len(key); n >= 2 && key[0] == '"' && key[n-1] == '"' {
		key = key[1 : n-1]
	}
	for i := range len(key) {
		if key[i] < 0x20 || key[i] > 0x7e {
			return "", false
		}
	}
	return key, len(values) == 1 && key != "" && len(key) <= mostIdempotent
}

// room needs mu.
func (p *repeats) room(owner string) error {
	count := 0
	for _, k := range p.kept {
		if k.owner == owner {
			count++
		}
	}
	if count >= repeatsOfKey || len(p.kept) >= mostRepeats {
		return refuse(429, "TOO_MANY_REQUESTS", "%d requests with an Idempotency-Key are remembered for a day, at most %d of one key: name the end with untilEpoch instead", len(p.kept), repeatsOfKey).after(time.Hour)
	}
	return nil
}

// sweep forgets what is old. It needs mu.
func (p *repeats) sweep(now time.Time) {
	for name, k := range p.kept {
		if now.Sub(k.at) > repeatLife && !p.busy[name] {
			p.drop(name)
		}
	}
}

// drop needs mu.
func (p *repeats) drop(name string) {
	delete(p.kept, name)
	if err := os.Remove(p.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		p.log("an old Idempotency-Key stays", "err", err)
	}
}

func (o *repeat) end() {
	if o != nil {
		o.p.mu.Lock()
		defer o.p.mu.Unlock()
		delete(o.p.busy, o.name)
	}
}

// answered gives the answer that was given before.
func (o *repeat) answered(into any) bool {
	return o != nil && o.Answer != nil && json.Unmarshal(o.Answer, into) == nil
}

// until is the epoch at which an earlier request with the key aimed; 0: none has sent anything.
func (o *repeat) until() unit.Epoch {
	if o == nil {
		return 0
	}
	return o.Until
}

func (o *repeat) cost() token.Amount {
	if o == nil {
		return 0
	}
	return o.Cost
}

// pays notes what the request aims at, before anything is sent.
func (o *repeat) pays(until unit.Epoch, cost token.Amount) error {
	if o == nil {
		return nil
	}
	o.Until, o.Cost = until, cost
	return o.keep()
}

// answer notes how the request was answered. Without that a repeat asks the ledger.
func (o *repeat) answer(v any) {
	if o == nil {
		return
	}
	b, err := json.Marshal(v)
	if o.Answer = b; err == nil {
		err = o.keep()
	}
	if err != nil {
		o.p.log("the answer to a request with an Idempotency-Key is not kept", "err", err)
	}
}

func (o *repeat) keep() error {
	b, err := json.Marshal(o.repeatRecord)
	if err == nil {
		err = client.WriteWhole(o.p.path(o.name), b, 0o600)
	}
	if err != nil {
		return fmt.Errorf("idempotency key: %w", err)
	}
	o.p.mu.Lock()
	defer o.p.mu.Unlock()
	o.p.kept[o.name] = repeatOf{o.Owner, time.Now()}
	return nil
}

// forget is called where surely nothing was paid: the next request begins anew.
func (o *repeat) forget() {
	if o != nil {
		o.p.mu.Lock()
		defer o.p.mu.Unlock()
		o.p.drop(o.name)
	}
}
