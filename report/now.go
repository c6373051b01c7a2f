package report

import "github.com/walrus-network/walrus/ledger"

// Now is the ledger at one height, with the records that most figures need.
type Now struct {
	View   ledger.View
	Head   ledger.Head
	Params ledger.Params // in force at that height
}

// Look reads the head and the parameters of a view. The errors are those of the view.
func Look(v ledger.View) (n Now, err error) {
	n.View = v
	if n.Head, err = v.Head(); err != nil {
		return n, err
	}
	n.Params, err = v.Params()
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
