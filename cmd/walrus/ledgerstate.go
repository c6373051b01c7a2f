package main

import (
	"fmt"
	"time"

	"github.com/walrus-network/walrus/token"
)

// ledgerState says of which state of the ledger an answer is.
type ledgerState struct {
	Chain    token.ChainID `json:"chain"`
	Height   uint64        `json:"height"`
	Epoch    uint64        `json:"epoch"`
	Time     time.Time     `json:"time"`
	Age      float64       `json:"age_seconds"`
	Still    bool          `json:"still"`            // no block for much longer than there should be
	Notice   string        `json:"notice,omitempty"` // of rules to come that this program does not know
	Verified bool          `json:"verified"`         // proven against the genesis, not taken on a node's word
}

func (a *app) ledgerState(s *session) (ledgerState, error) {
	trust, err := a.trusting()
	return ledgerState{Chain: s.Network.Genesis.ChainID(), Height: s.head.Height, Epoch: s.head.Epoch, Time: s.time().UTC(),
		Age: s.age().Seconds(), Still: s.still(), Notice: s.rules.Notice(), Verified: !trust}, err
}

// String is for people.
func (l ledgerState) String() string {
	how := "proven"
	if !l.Verified {
		how = "on a node's word"
	}
	text := fmt.Sprintf("%s, block %d, epoch %d, %s old, %s", l.Chain, l.Height, l.Epoch, ageText(time.Duration(l.Age*float64(time.Second))), how)
	if l.Still {
		text += "; the ledger stands still now"
	}
	if l.Notice != "" {
		text += "; " + l.Notice
	}
	return text
}
