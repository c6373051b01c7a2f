package economy

import (
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/sim"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/unit"
)

// Alone counts the slashes of one node without a network around it, over enough years for
// rare ones.
type Alone struct {
	Uptime  float64 `json:"uptime"`
	Years   int     `json:"years"`
	Slashed int     `json:"slashed"` // years with a slash
	Rungs   [11]int `json:"rungs"`   // slashes by rung
	Outages Outages `json:"outages"`
}

// runAlone sends years of one node's conduct up the real ladder (staking.Ladder.Judge).
// No money moves and no committee changes; each year begins anew.
func runAlone(law Outages, uptime float64, years int, seed uint64) Alone {
	a := Alone{Uptime: uptime, Years: years, Outages: law}
	p := ledger.Default()
	const epochs = 26
	when := realTiming()
	for year := range years {
		c := &conduct{challengeTimes: when, own: newOutages(law, uptime, sim.Stream(seed, streamOutages, year))}
		var standing staking.Sanctions
		slashed := false
		for epoch := range epochs {
			var credit staking.Credit
			for r := range int(p.RoundsPerEpoch) {
				c.begin(epoch*int(p.RoundsPerEpoch) + r)
				credit.Add(c.all, false)
			}
			var v staking.Verdict
			v, standing = p.Staking.Ladder.Judge(staking.Performance{Credit: credit, Enough: true}, standing, unit.Epoch(epoch))
			if v.Bps > 0 {
				a.Rungs[v.Rung]++
				slashed = true
			}
		}
		if slashed {
			a.Slashed++
		}
	}
	return a
}
