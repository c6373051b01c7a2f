package access

import (
	"bytes"

	"github.com/walrus-network/walrus/blob"
)

// All keys of a gateway share the wallet's lease on a blob. Which of them stored it is noted, so
// that none gives up what another relies on.

func ownerKey(id blob.ID, name string) []byte {
	return append(append([]byte("own/"), id[:]...), name...)
}

// Own notes that the grant's key stored a blob.
func (g *Grant) Own(id blob.ID) error {
	if g == nil {
		return nil
	}
	name := g.Name()
	if g.key == nil {
		name = tokenOwner
	}
	b := g.c.o.DB.Batch()
	b.Set(ownerKey(id, name), nil)
	return b.Commit(true)
}

// Owned says that a key or a token stored a blob and has not given it up. Where that cannot be
// read it is so.
func (c *Control) Owned(id blob.ID) (owned bool) {
	err := c.o.DB.EachKey(ownerKey(id, ""), func([]byte) error { owned = true; return nil })
	return owned || err != nil
}

// tokenOwner stands for all tokens. No key has such a name.
const tokenOwner = ":token"

// GiveUp notes that the grant's key does not need a blob any more, unless it never stored it
// (NotOwner). alone says that no other key needs it either.
func (g *Grant) GiveUp(id blob.ID) (alone bool, err error) {
	if g == nil {
		return true, nil
	}
	g.c.mu.Lock()
	defer g.c.mu.Unlock()
	own, others := ownerKey(id, g.Name()), 0
	mine := false
	err = g.c.o.DB.EachKey(ownerKey(id, ""), func(key []byte) error {
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
	if !mine {
		return false, deny(NotOwner, "key %s did not store this blob with this gateway", g.Name())
	}
	b := g.c.o.DB.Batch()
	b.Delete(own)
	return others == 0, b.Commit(true)
}
