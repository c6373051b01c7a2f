package access

import (
	"bytes"
	"sync"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/kv"
)

// Names of owners that are no key's: a key's begins with a letter or a digit.
const (
	Token = ":token" // all tokens
	Local = ":local" // all that a gateway without keys pays for
)

// Owners notes which users of a gateway stored a blob: all share the wallet's lease on it, and
// none gives up what another relies on. All methods may be called at the same time.
type Owners struct {
	db *kv.DB
	mu sync.Mutex // held while a note is taken away
}

// NewOwners keeps notes in a database, which stays the caller's.
func NewOwners(db *kv.DB) *Owners { return &Owners{db: db} }

func ownerKey(id blob.ID, name string) []byte {
	return append(append([]byte("own/"), id[:]...), name...)
}

// Owner is the name under which it is noted what a grant stored; nil is a gateway's without
// keys.
func (g *Grant) Owner() string {
	switch {
	case g == nil:
		return Local
	case g.key != nil:
		return g.key.Name
	}
	return Token
}

// Add notes that an owner stored a blob.
func (o *Owners) Add(id blob.ID, name string) error {
	b := o.db.Batch()
	b.Set(ownerKey(id, name), nil)
	return b.Commit(true)
}

// Any says that an owner stored a blob and has not given it up. Where that cannot be read it
// is so.
func (o *Owners) Any(id blob.ID) (owned bool) {
	err := o.db.EachKey(ownerKey(id, ""), func([]byte) error { owned = true; return nil })
	return owned || err != nil
}

// GiveUp notes that an owner does not need a blob any more. A key gives up what it stored, and
// nothing else (NotOwner). alone says that no other owner needs it either.
func (o *Owners) GiveUp(id blob.ID, name string) (alone bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	own, others, mine := ownerKey(id, name), 0, false
	err = o.db.EachKey(ownerKey(id, ""), func(key []byte) error {
		if bytes.Equal(key, own) {
			mine = true
		} else {
			others++
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	if !mine && name != Local { // whose stores were not always noted
		return false, deny(NotOwner, "key %s did not store this blob with this gateway", name)
	}
	b := o.db.Batch()
	b.Delete(own)
	return others == 0, b.Commit(true)
}
