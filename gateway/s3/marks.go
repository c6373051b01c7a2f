package s3

import (
	"context"
	"errors"

	"github.com/walrus-network/walrus/kv"
)

// mark says that a record has changed, in the generation of changes that was under way. A
// snapshot ends a generation. Marks stay until a whole snapshot has their records, so that
// what changed after any link of the chain can be told.
type mark struct {
	_          struct{} `cbor:",toarray"`
	Generation uint64
	Bytes      int64 // of the record in a snapshot
}

func markKey(key string) []byte { return []byte(prefixMark + key) }

// recordBytes is the size of a record in a snapshot.
func recordBytes(key, value int) int64 { return int64(8 + key + value) }

// eachMark calls fn with the key of each record that changed after a generation.
func eachMark(r kv.Reader, after uint64, fn func(key []byte, m mark) error) error {
	return r.Each([]byte(prefixMark), func(k, v []byte) error {
		var m mark
		if err := decode(v, &m); err != nil || m.Generation <= after {
			return err
		}
		return fn(k[len(prefixMark):], m)
	})
}

// changed is the bytes of the records that changed after each link of a chain.
func changed(db *kv.DB, chain []link) ([]int64, error) {
	sums := make([]int64, len(chain))
	err := db.View(func(r kv.Reader) error {
		return eachMark(r, 0, func(_ []byte, m mark) error {
			for i, l := range chain {
				if m.Generation > l.Generation {
					sums[i] += m.Bytes
				}
			}
			return nil
		})
	})
	return sums, err
}

// unmark forgets the marks of the generations that a whole snapshot has.
func (x *index) unmark(ctx context.Context, upTo uint64) error {
	const many = 1000 // marks of one change
	for {
		var keys [][]byte
		err := x.db.Each([]byte(prefixMark), func(k, v []byte) error {
			var m mark
			if err := decode(v, &m); err != nil || m.Generation > upTo {
				return err
			}
			if keys = append(keys, append([]byte(nil), k...)); len(keys) == many {
				return errStop
			}
			return nil
		})
		if err != nil && !errors.Is(err, errStop) || len(keys) == 0 {
			return err
		}
		err = x.change(ctx, func(c *change) error {
			for _, k := range keys { // which may have changed once more
				m, there, err := read[mark](c, k)
				if err != nil {
					return err
				}
				if there && m.Generation <= upTo {
					c.drop(k)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
}

// readHead reads what of the index is on the network.
func readHead(r reader) (head, error) {
	h, there, err := read[head](r, []byte(keyHead))
	if err != nil || there {
		return h, err
	}
	h.Generation = 1
	old, there, err := read[oldHead](r, []byte(keyOldHead))
	if there {
		h.Sequence, h.At, h.Chain = old.Sequence, old.At, []link{{Blob: old.Blob}}
	}
	return h, err
}
