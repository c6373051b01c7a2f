package main

import (
	"fmt"
	"time"

	"github.com/walrus-network/walrus/report"
)

// ledgerState names the state of the ledger that the session looked at.
func (s *session) ledgerState() report.LedgerState {
	return s.LedgerState(s.Network.Genesis.ChainID(), s.verified)
}

// ledgerText prints a state of the ledger in a line.
type ledgerText report.LedgerState

func (l ledgerText) String() string {
	how := "proven"
	if !l.Verified {
		how = "on a node's word"
	}
	text := fmt.Sprintf("%s, block %d, epoch %d, %s old, %s", l.Chain, l.Height, l.Epoch, ageText(time.Duration(l.Age*float64(time.Second))), how)
	if l.Still {
		text += fmt.Sprintf("; the ledger stands still now: no block since %s, mostly since more than a third of the committee is away (walrus node status, on a node, names the nodes whose votes are missing)", timeText(l.Time))
	}
	if l.Notice != "" {
		text += "; " + l.Notice
	}
	return text
}
