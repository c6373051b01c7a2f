package state

// Reader reads one key.
type Reader interface {
	Get(key []byte) (value []byte, ok bool, err error)
}

// Lister also walks the keys that begin with prefix, in order. An error from fn
// ends the walk and is returned. What fn is given stays valid after it returns.
type Lister interface {
	Reader
	Each(prefix []byte, fn func(key, value []byte) error) error
	// EachAfter walks those above after. To get there costs a look-up, not a walk.
	EachAfter(prefix, after []byte, fn func(key, value []byte) error) error
}

// KV is the disk. Get and Each must be safe beside a Commit of a batch.
type KV interface {
	Get(key []byte) (value []byte, ok bool, err error)
	// Each walks in key order; key and value need to be valid only within fn.
	Each(prefix []byte, fn func(key, value []byte) error) error
	EachAfter(prefix, after []byte, fn func(key, value []byte) error) error
	Batch() Batch
}

// Batch is a set of writes that happen together or not at all. It keeps the slices it is
// given: the caller must not change them.
type Batch interface {
	Set(key, value []byte)
	Delete(key []byte)
	// Commit writes. With sync, this batch and all that were committed before it
	// survive a crash; without, they survive in the order they were committed.
	Commit(sync bool) error
}

// Change sets a key to a value, or removes it.
type Change struct {
	_      struct{} `cbor:",toarray"`
	Key    []byte
	Value  []byte
	Delete bool
}
