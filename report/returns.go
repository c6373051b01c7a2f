package report

import "time"

// Returns is the yearly return of a delegator's stake, in percent of the stake, if all
// epochs were like those that it is worked out from. Pay that is held back counts when it
// is released; earnings are not staked again; slashes are not subtracted.
type Returns struct {
	Mean   float64 `json:"mean_percent"`
	Low    float64 `json:"low_percent"`  // of the worst epoch
	High   float64 `json:"high_percent"` // of the best epoch
	Epochs int     `json:"epochs"`       // from the first statement to the last epoch that has ended
}

// Returns works out a node's yearly return from its statements, oldest first: for each
// epoch, delegators' pay / delegators' stake * epochs of a year. An epoch without a
// statement returned nothing. It is nil without any statement.
func (n Now) Returns(statements []EpochStatement) *Returns {
	if len(statements) == 0 {
		return nil
	}
	year := float64(365*24*time.Hour/time.Millisecond) / float64(n.Params.EpochBlocks()*n.Params.BlockMs)
	r := Returns{Epochs: int(n.Head.Epoch.Since(statements[0].Epoch))}
	var sum float64
	for i, st := range statements {
		rate := 0.0
		if st.Weight.Balance > 0 {
			rate = 100 * year * float64(st.Payment.Delegators) / float64(st.Weight.Balance)
		}
		if i == 0 || rate < r.Low {
			r.Low = rate
		}
		r.High = max(r.High, rate)
		sum += rate
	}
	if len(statements) < r.Epochs {
		r.Low = 0
	}
	r.Mean = sum / float64(r.Epochs)
	return &r
}
