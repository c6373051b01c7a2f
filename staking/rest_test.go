package staking

import "testing"

// Whoever rests in every second epoch is found, as Lacks says.
func TestWhoRestsInEverySecondEpochDoesNotKeepItsShards(t *testing.T) {
	l, s := Default().Ladder, Standing{}
	for epoch := range uint64(20) {
		c := Credit{Assigned: 672, Judged: 672, Away: 672}
		if epoch%2 == 0 {
			c = Credit{Assigned: 672, Judged: 672, Passed: 672, Proven: 672}
		}
		var v Verdict
		v, s = l.Judge(Conduct{Credit: c, Enough: true, Judging: 336, Rounds: 336}, s, epoch)
		if v.Move || v.Bps > 0 {
			return
		}
	}
	t.Fatal("20 epochs, ten of them without a single proof: no slash, no shard moved")
}
