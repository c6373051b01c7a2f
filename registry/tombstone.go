package registry

import (
	"fmt"

	"github.com/walrus-network/walrus/unit"
)

// Reason says how a blob ended.
type Reason uint8

// The ways a blob ends.
const (
	Expired Reason = 1 // its last lease ran out
	Lapsed  Reason = 2 // it was never certified
	Deleted Reason = 3 // its owners deleted it
	Invalid Reason = 4 // it was proven badly encoded
)

// String is one word.
func (r Reason) String() string {
	switch r {
	case Expired:
		return "expired"
	case Lapsed:
		return "lapsed"
	case Deleted:
		return "deleted"
	case Invalid:
		return "invalid"
	}
	return fmt.Sprintf("reason %d", uint8(r))
}

// Tombstone states that a blob has ended. Only on its word do bytes go.
type Tombstone struct {
	_        struct{} `cbor:",toarray"`
	Reason   Reason
	Ended    unit.Epoch
	Height   unit.Height // of the block that noted it
	Free     unit.Epoch  // the first epoch in which the bytes may go
	Units    unit.KiB
	Reserved bool // its room is still set aside, until Free
}

// Bury is the tombstone of an entry that ends in epoch, as the
// block at height notes.
func Bury(e Entry, why Reason, epoch unit.Epoch, height unit.Height) Tombstone {
	return Tombstone{Reason: why, Ended: epoch, Height: height, Free: FreeFrom(why, epoch), Units: e.Units, Reserved: true}
}

// FreeFrom is the first epoch in which the bytes of a blob that ended in epoch may
// go: after the end of the following one. A lease that ran out had ended with the
// epoch before the one that notes it.
func FreeFrom(why Reason, epoch unit.Epoch) unit.Epoch {
	if why == Expired {
		return epoch + 1
	}
	return epoch + 2
}

// MayGo says whether a node may drop the bytes in epoch.
func (t Tombstone) MayGo(epoch unit.Epoch) bool { return epoch >= t.Free }

// Due is when the tombstone must be looked at next: to give its room back, or to
// be forgotten. An invalid blob is refused for good.
func (t Tombstone) Due(p Params) (Half, bool) {
	if t.Reserved {
		return Half(2 * t.Free), true
	}
	return Half(2 * t.Free.Plus(p.TombstoneEpochs)), t.Reason != Invalid
}

// PinnedUntil is the last epoch through which a confirmation binds its signer to
// keep the bytes, whatever becomes of the lease.
func PinnedUntil(confirmed unit.Epoch) unit.Epoch { return confirmed + 1 }
