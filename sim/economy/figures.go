package economy

import "math"

// Figures are the results of a study.
type Figures struct {
	Runs     int      `json:"runs"`
	SupplyOK bool     `json:"supply_ok"`
	Void     uint64   `json:"void_rounds"`
	Honest   Group    `json:"honest"`  // all nodes that kept everything, with the usual uptime
	Drops    []Group  `json:"drops"`   // by what they dropped; the first are the honest of the same networks
	Uptimes  []Group  `json:"uptimes"` // by uptime, all of the same networks
	Margins  []Margin `json:"margins"`
	Alone    []Alone  `json:"alone"`
}

// Group is the nodes of one kind. Amounts are means of a node-year, in WAL.
type Group struct {
	Uptime  float64 `json:"uptime"`
	Drop    float64 `json:"drop"`
	Years   int     `json:"node_years"`
	Slashed int     `json:"slashed_years"` // with a slash
	Rungs   [11]int `json:"rungs"`         // slashes by rung
	Passed  float64 `json:"passed"`
	Income  float64 `json:"income"` // paid
	Held    float64 `json:"held"`   // earned, and held back at the end
	Lost    float64 `json:"lost"`
	Slash   float64 `json:"slash"`
	Shards  float64 `json:"shard_epochs"`
	Jailed  float64 `json:"jailed"`
	Net     float64 `json:"net"`      // income + held - slash
	BestNet float64 `json:"best_net"` // of the luckiest

	OperatorNet float64 `json:"operator_net"` // the operator's part of pay, less what the bond lost
}

// Margin is the profit of an honest node less that of a dropper in the same networks, in
// WAL a year. A node pays the cost of storage only for the fragments that it keeps.
type Margin struct {
	Drop     float64 `json:"drop"`
	Cost     float64 `json:"cost"`     // part of the honest node's income
	Loss     float64 `json:"loss"`     // of node and delegators, in the mean
	Least    float64 `json:"least"`    // of the luckiest node
	Operator float64 `json:"operator"` // of the operator alone, whose storage costs that part of his own income
}

func (g *Group) add(n Node) {
	g.Years++
	if len(n.Slashes) > 0 {
		g.Slashed++
	}
	for _, s := range n.Slashes {
		g.Rungs[s.Rung]++
	}
	income, held, slash := wal(n.Income), wal(n.Held), wal(n.Slashed)
	g.Passed += n.Passed
	g.Income += income
	g.Held += held
	g.Lost += wal(n.Lost)
	g.Slash += slash
	g.Shards += float64(n.ShardEpochs)
	g.Jailed += float64(n.Jailed)
	net := income + held - slash
	if g.Years == 1 || net > g.BestNet {
		g.BestNet = net
	}
	g.Net += net
	part := 0.0
	if income > 0 {
		part = wal(n.Operator) / income // of what is held it will be about the same
	}
	g.OperatorNet += wal(n.Operator) + held*part - wal(n.BondSlashed)
}

func (g *Group) mean() {
	for _, v := range []*float64{&g.Passed, &g.Income, &g.Held, &g.Lost, &g.Slash, &g.Shards, &g.Jailed, &g.Net, &g.OperatorNet} {
		*v /= float64(max(g.Years, 1))
	}
}

func wal[T ~uint64](a T) float64 { return float64(a) / 1e9 }

// figures adds up the results of both sorts of networks. A network with a dropper or another
// uptime is of the second sort.
func figures(results []Result) Figures {
	f := Figures{Runs: len(results), SupplyOK: true, Honest: Group{Uptime: usualUptime}}
	f.Drops, f.Uptimes = []Group{{Uptime: usualUptime}}, nil
	for _, p := range studyDrops {
		f.Drops = append(f.Drops, Group{Uptime: usualUptime, Drop: p})
	}
	for _, u := range []float64{0.9, 0.95, usualUptime, 0.999} {
		f.Uptimes = append(f.Uptimes, Group{Uptime: u})
	}
	for _, r := range results {
		f.SupplyOK = f.SupplyOK && r.SupplyOK
		f.Void += r.Void
		mixed := r.mixed()
		for _, n := range r.Nodes {
			if n.Drop == 0 && n.Uptime == usualUptime {
				f.Honest.add(n)
			}
			if mixed {
				enter(f.Drops, n)
				enter(f.Uptimes, n)
			}
		}
	}
	f.Honest.mean()
	for _, list := range [][]Group{f.Drops, f.Uptimes} {
		for i := range list {
			list[i].mean()
		}
	}
	f.margins()
	return f
}

func (r Result) mixed() bool {
	for _, n := range r.Nodes {
		if n.Drop > 0 || n.Uptime != usualUptime {
			return true
		}
	}
	return false
}

func enter(list []Group, n Node) {
	for i := range list {
		if list[i].Drop == n.Drop && list[i].Uptime == n.Uptime {
			list[i].add(n)
		}
	}
}

// margins compares the droppers with the honest nodes of the same networks. A node without
// a shard pays nothing for it: a node that loses its shards saves their whole cost.
func (f *Figures) margins() {
	honest := f.Drops[0]
	whole, operators := honest.Income+honest.Held, honest.OperatorNet
	for _, g := range f.Drops[1:] {
		keeps := (1 - g.Drop) * g.Shards / max(honest.Shards, 1) // of what the honest keep
		for _, c := range studyCosts {
			f.Margins = append(f.Margins, Margin{Drop: g.Drop, Cost: c,
				Loss:     honest.Net - c*whole - (g.Net - c*whole*keeps),
				Least:    honest.Net - c*whole - (g.BestNet - c*whole*keeps),
				Operator: honest.OperatorNet - c*operators - (g.OperatorNet - c*operators*keeps)})
		}
	}
}

// UpperBound is the upper end of the one-sided confidence interval of 95 % for the
// probability of an event that was seen hits times in n (Clopper and Pearson 1934).
func UpperBound(hits, n int) float64 {
	if n == 0 || hits >= n {
		return 1
	}
	low, high := 0.0, 1.0
	for range 60 {
		p := (low + high) / 2
		if atMost(hits, n, p) > 0.05 {
			low = p
		} else {
			high = p
		}
	}
	return high
}

// atMost is the probability of at most hits in n, each with probability p.
func atMost(hits, n int, p float64) float64 {
	if p <= 0 {
		return 1
	}
	if p >= 1 {
		return 0
	}
	logTerm, sum := float64(n)*math.Log1p(-p), 0.0
	for k := range hits + 1 {
		sum += math.Exp(logTerm)
		logTerm += math.Log(float64(n-k)/float64(k+1)) + math.Log(p) - math.Log1p(-p)
	}
	return sum
}
