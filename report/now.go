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
// keys are read in the same question: those that the caller will need.
func Look(v ledger.View, at time.Time, keys ...[]byte) (n Now, err error) {
	if err = v.PrefetchCommittee(keys...); err != nil {
		return n, err
	}
	return lookAt(v, at)
}

// LookAndList is Look, with the question for the keys that begin with prefix at the same time.
func LookAndList(v ledger.View, at time.Time, prefix []byte, keys ...[]byte) (n Now, err error) {
	if err = v.PrefetchList(prefix, keys...); err != nil {
		return n, err
	}
	return lookAt(v, at)
}

func lookAt(v ledger.View, at time.Time) (n Now, err error) {
	n.View, n.At = v, at
	if n.Head, err = v.Head(); err != nil {
		return n, err
	}
	n.Rules, err = v.Rules()
	n.Params = n.Rules.Params
	return n, err
}

// Prefetch reads many keys at once where that saves questions; see ledger.View.
func (n Now) Prefetch(keys ...[]byte) error { return n.View.Prefetch(keys...) }
