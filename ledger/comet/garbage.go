package comet

import (
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/ledger"
)

// Limits of what a peer may send that costs work and is wrong. An honest program sends
// such a transaction now and then, when an epoch turns on its way.
const (
	wrongsAllowed = 8           // transactions of a peer that are wrong, in wrongsTime
	wrongsTime    = time.Minute // for which it is not listened to then
	wrongPeers    = 4096        // peers that are remembered
)

// offenders remembers the peers that have sent transactions which no honest program signs:
// with wrong signatures, certificates or proofs. To see that costs a pairing each time.
type offenders struct {
	now func() time.Time

	mu    sync.Mutex // guards peers
	peers map[peer.ID]*offender
}

type offender struct {
	count int
	since time.Time
}

// shut says whether a peer is not listened to now.
func (w *offenders) shut(p peer.ID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	d := w.peers[p]
	if d != nil && w.now().Sub(d.since) > wrongsTime {
		delete(w.peers, p)
		return false
	}
	return d != nil && d.count >= wrongsAllowed
}

// note counts a transaction that was refused, if it was wrong.
func (w *offenders) note(p peer.ID, code ledger.Code) {
	switch code {
	case ledger.ErrSignature.Code, ledger.ErrCertificate.Code, ledger.ErrProof.Code, ledger.ErrEvidence.Code, ledger.ErrAnswer.Code, ledger.ErrMalformed.Code, ledger.ErrDefect.Code:
	default:
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	d := w.peers[p]
	if d == nil {
		if len(w.peers) >= wrongPeers || w.peers == nil {
			w.forget()
		}
		d = &offender{since: w.now()}
		w.peers[p] = d
	}
	if d.count++; d.count == wrongsAllowed {
		d.since = w.now()
	}
}

// forget drops the peers whose time is over, and all if wrongPeers or more would be left:
// mu is held.
func (w *offenders) forget() {
	kept := map[peer.ID]*offender{}
	for p, d := range w.peers {
		if w.now().Sub(d.since) <= wrongsTime {
			kept[p] = d
		}
	}
	if len(kept) >= wrongPeers {
		kept = map[peer.ID]*offender{}
	}
	w.peers = kept
}
