package report

import (
	"time"

	"github.com/walrus-network/walrus/ledger"
)

// Now is the ledger at one height, with the records that most figures need.
type Now struct {
	View   ledger.View
	Head   ledger.Head
	Rules  ledger.Rules
	Params ledger.Params // of Rules: in force at that height
	At     time.Time     // when the caller looked, by the caller's clock
}

// Look reads the head and the rules of a view; at is the time by the caller's clock. The
// errors are those of the view.
func Look(v ledger.View, at time.Time) (n Now, err error) {
	n.View, n.At = v, at
	if n.Head, err = v.Head(); err != nil {
		return n, err
	}
	n.Rules, err = v.Rules()
	n.Params = n.Rules.Params
	return n, err
}

// Prefetch reads many keys at once where the view's reader can, so that a remote ledger
// is asked few times. It does nothing for other readers.
func (n Now) Prefetch(keys ...[]byte) error {
	if r, ok := n.View.R.(interface{ Prefetch([][]byte) error }); ok && len(keys) > 0 {
		return r.Prefetch(keys)
	}
	return nil
}
