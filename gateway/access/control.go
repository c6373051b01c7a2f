package access

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/walrus-network/walrus/kv"
	"github.com/walrus-network/walrus/token"
)

// Reason is why a request is denied, as publishers of Walrus name it.
type Reason string

// The reasons.
const (
	NoSuch        Reason = "MISSING_CREDENTIALS" // none, or a key that is not known
	BadSignature  Reason = "INVALID_SIGNATURE"
	Expired       Reason = "EXPIRED_SIGNATURE"
	Replayed      Reason = "TOKEN_ALREADY_USED"
	BadToken      Reason = "INVALID_TOKEN"
	BadTimestamp  Reason = "INVALID_TIMESTAMP"
	BadExpiration Reason = "INVALID_EXPIRATION"
	BadEpochs     Reason = "INVALID_EPOCHS"
	BadSize       Reason = "INVALID_SIZE"
	BadOwner      Reason = "INVALID_SEND_OBJECT_TO"
	Inconsistent  Reason = "INCONSISTENT_TOKEN"
	NotOwner      Reason = "NOT_OWNER"
)

// DeniedError is returned where a request may not do what it asks for.
type DeniedError struct {
	Reason Reason
	text   string
}

func (e *DeniedError) Error() string { return e.text }

func deny(r Reason, format string, args ...any) error {
	return &DeniedError{r, fmt.Sprintf(format, args...)}
}

// OverError is returned where a key has used up what it may in a day.
type OverError struct {
	Until time.Duration // the next day begins
	text  string
}

func (e *OverError) Error() string { return e.text }

// Options say who may have the gateway pay.
type Options struct {
	Keys   []Key       // until SetKeys
	Tokens *TokenRules // nil: tokens are not taken
	DB     *kv.DB      // what was used; the caller's
	Now    func() time.Time
}

// Control knows who may have the gateway pay. All methods may be called at the same time.
type Control struct {
	o    Options
	keys atomic.Pointer[[]Key]
	mu   sync.Mutex // guards the counts in the database
}

// NewControl makes a Control.
func NewControl(o Options) *Control {
	if o.Now == nil {
		o.Now = time.Now
	}
	c := &Control{o: o}
	c.SetKeys(o.Keys)
	return c
}

// SetKeys replaces the keys. A request that was admitted goes on with the limits of its key as
// it was then; what a key has used stays counted by its name.
func (c *Control) SetKeys(keys []Key) { c.keys.Store(&keys) }

// Use is what a request asks for.
type Use struct {
	Bytes  int64 // -1: not known yet
	Epochs uint64
	Owner  token.Address // zero: the gateway
	Cost   token.Amount  // 0: not known yet
}

// Grant is a request's permission.
type Grant struct {
	c      *Control
	key    *Key
	claims *claims
	spent  bool  // the token is used
	day    int64 // on which the use was counted
}

// Name is the key's, or "token".
func (g *Grant) Name() string {
	switch {
	case g == nil:
		return ""
	case g.key != nil:
		return g.key.Name
	}
	return "token"
}

// IsKey says that the grant is a key's: it may do more than one store.
func (g *Grant) IsKey() bool { return g != nil && g.key != nil }

// Admit reads the credentials of a request: "Authorization: Bearer SECRET-OR-TOKEN".
// It changes nothing.
func (c *Control) Admit(r *http.Request) (*Grant, error) {
	lines := r.Header.Values("Authorization")
	if len(lines) != 1 {
		return nil, deny(NoSuch, "this gateway pays only for those it knows: send Authorization: Bearer with a key or a token")
	}
	scheme, text, _ := strings.Cut(lines[0], " ")
	if text = strings.TrimSpace(text); !strings.EqualFold(scheme, "Bearer") || text == "" {
		return nil, deny(NoSuch, "Authorization is not of the form Bearer KEY-OR-TOKEN")
	}
	if k, ok := keyOf(*c.keys.Load(), text); ok {
		return &Grant{c: c, key: &k}, nil
	}
	if c.o.Tokens == nil || strings.Count(text, ".") != 2 {
		return nil, deny(NoSuch, "the key is not known to this gateway")
	}
	claims, err := c.o.Tokens.read(text, c.o.Now())
	if err != nil {
		return nil, err
	}
	if _, used, err := c.o.DB.Get(tokenKey(claims.ID)); err != nil || used {
		return nil, errors.Join(err, replayed())
	}
	return &Grant{c: c, claims: &claims}, nil
}

// Named is the grant of a key by its name, for what began with that key.
func (c *Control) Named(name string) (*Grant, error) {
	for _, k := range *c.keys.Load() {
		if k.Name == name {
			return &Grant{c: c, key: &k}, nil
		}
	}
	return nil, deny(NoSuch, "key %q is not known to this gateway any more", name)
}

func replayed() error {
	return deny(Replayed, "the token was used before: have one signed for each store")
}

// Allows checks a use, as far as it is known, and counts nothing.
func (g *Grant) Allows(u Use) error {
	switch {
	case g == nil:
		return nil
	case g.claims != nil:
		return g.claims.allows(u)
	}
	l := g.key.Limits
	switch {
	case l.MaxBytes > 0 && u.Bytes > l.MaxBytes:
		return deny(BadSize, "key %s may store blobs of at most %d bytes, this one has %d", g.key.Name, l.MaxBytes, u.Bytes)
	case l.MaxEpochs > 0 && u.Epochs > l.MaxEpochs:
		return deny(BadEpochs, "key %s may store for at most %d epochs, not %d", g.key.Name, l.MaxEpochs, u.Epochs)
	}
	return g.c.overIfAdded(*g.key, u)
}

// Spend checks a use that is known whole and counts it, before it is paid. A token is used
// with that. A use that comes to nothing is given back with Return.
func (g *Grant) Spend(u Use) error {
	if g == nil {
		return nil
	}
	if err := g.Allows(u); err != nil {
		return err
	}
	g.c.mu.Lock()
	defer g.c.mu.Unlock()
	if g.claims != nil {
		if g.spent {
			return nil
		}
		_, used, err := g.c.o.DB.Get(tokenKey(g.claims.ID))
		if err != nil || used {
			return errors.Join(err, replayed())
		}
		b := g.c.o.DB.Batch()
		b.Set(tokenKey(g.claims.ID), binary.BigEndian.AppendUint64(nil, uint64(g.claims.ExpiresAt.Unix())))
		g.spent = true
		return b.Commit(true)
	}
	g.day = g.c.day()
	return g.c.add(*g.key, u, g.day, 1)
}

// MostBytes is the length of the longest body that the grant is good for; 0: it says none.
func (g *Grant) MostBytes() int64 {
	switch {
	case g == nil:
	case g.key != nil:
		return g.key.MaxBytes
	case g.claims.Size != nil:
		return *g.claims.Size
	case g.claims.MaxSize != nil:
		return *g.claims.MaxSize
	}
	return 0
}

// Return gives a use back that came to nothing. A token stays used.
func (g *Grant) Return(u Use) error {
	if g == nil || g.key == nil {
		return nil
	}
	g.c.mu.Lock()
	defer g.c.mu.Unlock()
	return g.c.add(*g.key, u, g.day, -1)
}

// Used is what the grant's key has used today; nothing where it is no key's.
func (g *Grant) Used() (Use, error) {
	if g == nil || g.key == nil {
		return Use{}, nil
	}
	now, err := g.c.used(*g.key, g.c.day())
	return Use{Bytes: now.bytes, Cost: now.paid}, err
}

// day is the days since 1970 in UTC.
func (c *Control) day() int64 { return c.o.Now().Unix() / 86400 }

func tokenKey(id string) []byte { return append([]byte("token/"), id...) }

func usageKey(day int64, name string) []byte {
	return append(binary.BigEndian.AppendUint64([]byte("day/"), uint64(day)), name...)
}

// usage is what a key has used in a day.
type usage struct {
	bytes int64
	paid  token.Amount
}

func (c *Control) used(k Key, day int64) (u usage, err error) {
	b, ok, err := c.o.DB.Get(usageKey(day, k.Name))
	if err == nil && ok && len(b) == 16 {
		u = usage{int64(binary.BigEndian.Uint64(b)), token.Amount(binary.BigEndian.Uint64(b[8:]))}
	}
	return u, err
}

// overIfAdded says that a use is more than what a key has left of its day.
func (c *Control) overIfAdded(k Key, u Use) error {
	now, err := c.used(k, c.day())
	if err != nil {
		return err
	}
	until := time.Unix((c.day()+1)*86400, 0).Sub(c.o.Now())
	switch l := k.Limits; {
	case l.BytesPerDay > 0 && max(u.Bytes, 0) > l.BytesPerDay-now.bytes:
		return &OverError{until, fmt.Sprintf("key %s may store %d bytes a day; %d are used and %d more are asked for", k.Name, l.BytesPerDay, now.bytes, max(u.Bytes, 0))}
	case l.WALPerDay > 0 && (now.paid > l.WALPerDay || u.Cost > l.WALPerDay-now.paid):
		return &OverError{until, fmt.Sprintf("key %s may spend %s a day; %s are spent and %s more are asked for", k.Name, l.WALPerDay, now.paid, u.Cost)}
	}
	return nil
}

// add counts a use, and once more what the limits say: others may have come between.
func (c *Control) add(k Key, u Use, day, sign int64) error {
	if sign > 0 {
		if err := c.overIfAdded(k, u); err != nil {
			return err
		}
	}
	now, err := c.used(k, day)
	if err != nil {
		return err
	}
	size := max(u.Bytes, 0)
	bytes, paid := now.bytes-min(size, now.bytes), now.paid-min(u.Cost, now.paid)
	if sign > 0 {
		if bytes = now.bytes + size; bytes < 0 {
			bytes = math.MaxInt64
		}
		if paid, err = now.paid.Add(u.Cost); err != nil {
			return err
		}
	}
	b := c.o.DB.Batch()
	b.Set(usageKey(day, k.Name), binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, uint64(bytes)), uint64(paid)))
	return b.Commit(true)
}

// Sweep forgets tokens that have expired, and what was used on days that are over.
func (c *Control) Sweep() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.o.DB.Batch()
	past := uint64(c.o.Now().Add(-2 * leeway).Unix())
	err := c.o.DB.Each([]byte("token/"), func(key, value []byte) error {
		if len(value) != 8 || binary.BigEndian.Uint64(value) < past {
			b.Delete(append([]byte(nil), key...))
		}
		return nil
	})
	if err == nil {
		today := usageKey(c.day(), "")
		err = c.o.DB.EachKey([]byte("day/"), func(key []byte) error {
			if string(key) < string(today) {
				b.Delete(append([]byte(nil), key...))
			}
			return nil
		})
	}
	if err != nil {
		b.Discard()
		return err
	}
	return b.CommitParts(true)
}
