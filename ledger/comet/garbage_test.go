package comet

import (
	"fmt"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/ledger"
)

func TestAPeerThatSendsWrongTransactionsIsNotHeardForAWhile(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	w := &offenders{now: func() time.Time { return now }}
	const liar, honest = peer.ID("liar"), peer.ID("honest")
	for range 100 { // what honest programs meet
		for _, code := range []ledger.Code{0, ledger.ErrNonce.Code, ledger.ErrFunds.Code, ledger.ErrCertified.Code, ledger.ErrKnown.Code} {
			w.note(honest, code)
		}
	}
	for i := range wrongsAllowed {
		if w.shut(liar) {
			t.Fatalf("shut out after %d", i)
		}
		w.note(liar, ledger.ErrCertificate.Code)
	}
	if !w.shut(liar) || w.shut(honest) {
		t.Fatal("the wrong one is shut out")
	}
	now = now.Add(wrongsTime + time.Second)
	if w.shut(liar) {
		t.Error("shut out for ever")
	}
	for i := range 3 * wrongPeers {
		w.note(peer.ID(fmt.Sprint(i)), ledger.ErrSignature.Code)
	}
	if len(w.peers) > wrongPeers {
		t.Errorf("%d peers are remembered", len(w.peers))
	}
}
