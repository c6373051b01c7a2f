package ledger

import (
	"fmt"

	"github.com/walrus-network/walrus/blob"
)

// sweep settles what is due, at most so much in a block; the rest waits for the next.
func (x *exec) sweep() {
	left := x.p.SweepBlobs
	u := sure(x.view().Usage())
	swept := u.Swept
	for ; swept <= x.head.Half() && left > 0; swept++ {
		var ids []blob.ID
		prefix := prefixDue(swept)
		err := x.o.Each(prefix, func(k, _ []byte) error {
			if uint64(len(ids)) == left {
				return errEnough
			}
			ids = append(ids, blob.ID(k[len(prefix):]))
			return nil
		})
		if err != nil && err != errEnough {
			panic(readFailure{fmt.Errorf("sweep: %w", err)})
		}
		for _, id := range ids {
			x.o.Delete(keyDue(swept, id))
			x.settle(id)
		}
		left -= uint64(len(ids))
		if err == errEnough {
			break
		}
	}
	if swept != u.Swept {
		x.usage(func(u *Usage) { u.Swept = swept })
	}
}
