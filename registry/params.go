package registry

import (
	"fmt"

	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// Params are the numbers of the registry.
type Params struct {
	_               struct{}     `cbor:",toarray"`
	Price           token.Amount // of a stored KiB, for an epoch
	WritePrice      token.Amount // of a stored KiB, once, at a registration before the certificate
	MaxEpochs       uint64       // longest lease, from the epoch it is paid in
	DefaultEpochs   uint64       // what a client asks for when told nothing
	MaxLeases       uint64       // of one blob
	RefundFeeBps    unit.Bps     // kept of what is refunded, in 1/10000: reserving room for nothing has a price
	TombstoneEpochs uint64       // how long an ended blob is remembered after its bytes may go
	FinderBps       unit.Bps     // bps of what a badly encoded blob loses, for the finder; the rest is burned
}

// Default is for a real network.
func Default() Params {
	return Params{Price: 1000, WritePrice: 500, MaxEpochs: 104, DefaultEpochs: 13, MaxLeases: 128, RefundFeeBps: 100, TombstoneEpochs: 26, FinderBps: 500}
}

// Bounds on what one transaction writes, on the size of one entry, and on how long an ended
// blob takes room in the state.
const (
	mostEpochs = 1040 // forty years of a real network
	mostLeases = 1024
)

// Validate refuses numbers that do not fit together.
func (p Params) Validate() error {
	switch {
	case p.MaxEpochs < 2 || p.MaxEpochs > mostEpochs:
		return fmt.Errorf("registry: MaxEpochs %d: must be 2 to %d: a lease is renewed while its last epoch runs, and one transaction writes to the bucket of each of its epochs", p.MaxEpochs, mostEpochs)
	case p.DefaultEpochs < 1 || p.DefaultEpochs > p.MaxEpochs:
		return fmt.Errorf("registry: DefaultEpochs %d: must be 1 to MaxEpochs %d", p.DefaultEpochs, p.MaxEpochs)
	case p.MaxLeases < 1 || p.MaxLeases > mostLeases:
		return fmt.Errorf("registry: MaxLeases %d: must be 1 to %d: an entry must fit into a record of the state, also when each owner has extended at changing prices", p.MaxLeases, mostLeases)
	case p.RefundFeeBps > unit.Whole:
		return fmt.Errorf("registry: RefundFeeBps %d is more than everything", p.RefundFeeBps)
	case p.FinderBps > unit.Whole:
		return fmt.Errorf("registry: FinderBps %d is more than everything", p.FinderBps)
	case p.TombstoneEpochs < 1 || p.TombstoneEpochs > mostEpochs:
		return fmt.Errorf("registry: TombstoneEpochs %d: must be 1 to %d: without it a node that was away could not tell an ended blob from an unknown one, and a tombstone that is never due is kept for ever", p.TombstoneEpochs, mostEpochs)
	}
	return nil
}
