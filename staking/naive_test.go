package staking

import (
	"flag"
	"math/big"
	"math/rand"
	"testing"

	"github.com/walrus-network/walrus/internal/testlevel"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

var (
	naiveOps  = flag.Int("naive.ops", 0, "operations that are played against the naive pool; 0: as many as the level of tests asks for")
	naiveSeed = flag.Int64("naive.seed", 0, "the first pool's seed")
)

// naivePool is a second implementation of a Pool that knows neither shares nor rates: it
// follows what is each delegator's singly, in rationals. It does not round; only what is
// finer than 2^-128 FROST is dropped, because the numbers would double in length with
// each reward.
type naivePool struct {
	bond    *big.Rat
	leaving []naiveDeposit // bond
	earned  *big.Rat
	parts   []naivePart // the first is nobody's
	bps     unit.Bps    // commission
	next    []Commission
}

// naivePart is one delegator's.
type naivePart struct {
	active  *big.Rat
	joining []naiveDeposit
	leaving []naiveDeposit // at risk still
	owed    *big.Rat
}

type naiveDeposit struct {
	money *big.Rat
	epoch unit.Epoch
}

func rat(n uint64) *big.Rat { return new(big.Rat).SetInt(new(big.Int).SetUint64(n)) }

func frost(a token.Amount) *big.Rat { return rat(uint64(a)) }

func plus(a, b *big.Rat) *big.Rat { return fine(new(big.Rat).Add(a, b)) }

func minus(a, b *big.Rat) *big.Rat { return fine(new(big.Rat).Sub(a, b)) }

func times(a, b *big.Rat) *big.Rat { return fine(new(big.Rat).Mul(a, b)) }

func over(a, b *big.Rat) *big.Rat { return fine(new(big.Rat).Quo(a, b)) }

func part(n, of uint64) *big.Rat {
	return new(big.Rat).SetFrac(new(big.Int).SetUint64(n), new(big.Int).SetUint64(of))
}

// fine drops what is finer than 2^-128.
func fine(a *big.Rat) *big.Rat {
	const bits = 128
	if a.Denom().BitLen() <= bits {
		return a
	}
	n := new(big.Int).Lsh(a.Num(), bits)
	return new(big.Rat).SetFrac(n.Div(n, a.Denom()), new(big.Int).Lsh(big.NewInt(1), bits))
}

func sumDeposits(list []naiveDeposit) *big.Rat {
	sum := new(big.Rat)
	for _, d := range list {
		sum = plus(sum, d.money)
	}
	return sum
}

// stake is what a delegator has at risk.
func (p naivePart) stake() *big.Rat { return plus(p.active, sumDeposits(p.leaving)) }

// worth is all that is a delegator's.
func (p naivePart) worth() *big.Rat {
	return plus(p.stake(), plus(sumDeposits(p.joining), p.owed))
}

func (p *naivePool) balance() *big.Rat {
	sum := new(big.Rat)
	for _, d := range p.parts {
		sum = plus(sum, d.stake())
	}
	return sum
}

func (p *naivePool) atRisk() *big.Rat {
	return plus(plus(p.bond, sumDeposits(p.leaving)), p.balance())
}

func (p *naivePool) operator() *big.Rat {
	return plus(plus(p.bond, sumDeposits(p.leaving)), p.earned)
}

// scale multiplies all that delegators have at risk.
func (p *naivePool) scale(by *big.Rat) {
	for i := range p.parts {
		d := &p.parts[i]
		d.active = times(d.active, by)
		for j := range d.leaving {
			d.leaving[j].money = times(d.leaving[j].money, by)
		}
	}
}

func (p *naivePool) reward(r token.Amount) {
	commission := times(frost(r), part(uint64(p.bps), unit.Whole))
	rest, risk := minus(frost(r), commission), p.atRisk()
	delegators := new(big.Rat)
	if balance := p.balance(); balance.Sign() > 0 {
		delegators = over(times(rest, balance), risk)
		p.scale(over(plus(balance, delegators), balance))
	}
	p.earned = plus(p.earned, minus(frost(r), delegators))
}

func (p *naivePool) slash(bps unit.Bps) {
	left := times(p.atRisk(), part(uint64(bps), unit.Whole))
	take := func(from **big.Rat) {
		n := left
		if n.Cmp(*from) > 0 {
			n = *from
		}
		*from, left = minus(*from, n), minus(left, n)
	}
	take(&p.bond)
	for i := range p.leaving {
		take(&p.leaving[i].money)
	}
	if balance := p.balance(); left.Sign() > 0 && balance.Sign() > 0 {
		p.scale(over(minus(balance, left), balance))
	}
}

// turn is the turn into an epoch.
func (p *naivePool) turn(epoch unit.Epoch, locked, bondLocked bool) {
	ruined := p.balance().Sign() == 0
	pick := func(list *[]naiveDeposit, hold bool) *big.Rat {
		sum := new(big.Rat)
		var rest []naiveDeposit
		for _, d := range *list {
			if hold || d.epoch > epoch {
				rest = append(rest, d)
			} else {
				sum = plus(sum, d.money)
			}
		}
		*list = rest
		return sum
	}
	p.earned = plus(p.earned, pick(&p.leaving, bondLocked))
	for i := range p.parts {
		d := &p.parts[i]
		d.owed = plus(d.owed, pick(&d.leaving, locked))
		if in := pick(&d.joining, false); ruined {
			d.owed = plus(d.owed, in)
		} else {
			d.active = plus(d.active, in)
		}
	}
	for _, c := range p.next {
		if c.Epoch <= epoch {
			p.bps, p.next = c.Bps, nil
		}
	}
}

// twins are a pool and its naive second, to which the same happens.
//
// dust bounds how far the two may be apart: the sum, over the operator and all
// delegators, of what one has more or less than in the other. What an operation rounds
// is added to it; and because the next operation begins with what is there, what was
// apart before may grow, but not by more than this, as a derivation of the exact
// operations shows:
//
//	deposit, exit     the same sums move in both: as it was
//	turn              each who joins loses less than the price of a share, which the others
//	                  gain; each who leaves loses less than 1 FROST: so does the pool
//	reward r          1 FROST each for commission and balance, which somebody else has:
//	                  4 FROST; what was apart grows by 1 + 4 r/(stake at risk)
//	slash of a part b 1 FROST; what was apart grows by 1 + b
type twins struct {
	t      *testing.T
	seed   int64
	r      *rand.Rand
	params Params
	pool   Pool
	parts  []Delegation // the first is nobody's
	drawn  []token.Amount
	rates  *book
	naive  naivePool
	dust   *big.Rat
	epoch  unit.Epoch
	ops    int
	worst  float64
}

const delegators = 5

func newTwins(t *testing.T, seed int64) *twins {
	w := &twins{t: t, seed: seed, r: rand.New(rand.NewSource(seed)), params: Default(), rates: newBook(), dust: new(big.Rat)}
	w.params.MinDelegation = 1 + token.Amount(w.r.Int63n(int64(token.WAL)))
	bond := w.params.MinDelegation + w.amount()
	bps := unit.Bps(w.r.Intn(unit.Whole + 1))
	var err error
	if w.pool, err = NewPool(bond, w.params.MinDelegation, bps); err != nil {
		t.Fatal(err)
	}
	w.parts, w.drawn = make([]Delegation, delegators+1), make([]token.Amount, delegators+1)
	w.parts[0].Shares = w.pool.Shares
	w.naive = naivePool{bond: frost(bond - w.params.MinDelegation), earned: new(big.Rat), bps: bps}
	for range w.parts {
		w.naive.parts = append(w.naive.parts, naivePart{active: new(big.Rat), owed: new(big.Rat)})
	}
	w.naive.parts[0].active = frost(w.params.MinDelegation)
	return w
}

// amount is of any size, from a FROST to a million WAL.
func (w *twins) amount() token.Amount {
	return 1 + token.Amount(w.r.Int63n(1<<w.r.Intn(50)))
}

func (w *twins) counted() unit.Epoch { return w.epoch.Plus(uint64(w.r.Intn(2))) }

func (w *twins) worth(i int) *big.Rat {
	d, trial := w.parts[i], w.pool
	s := trial.Settle(&d, w.rates)
	sum := plus(frost(w.drawn[i]), frost(s.Out))
	shares := d.Shares
	for _, x := range d.Leaving {
		shares += x.Shares
	}
	if w.pool.Shares > 0 {
		sum = plus(sum, over(times(rat(uint64(shares)), frost(w.pool.Balance)), rat(uint64(w.pool.Shares))))
	}
	return plus(sum, frost(sumOf(d.Joining)))
}

func (w *twins) check(what string) {
	w.t.Helper()
	w.ops++
	apart := new(big.Rat)
	compare := func(who int, real, naive *big.Rat) {
		apart = plus(apart, new(big.Rat).Abs(minus(real, naive)))
		if apart.Cmp(w.dust) > 0 {
			w.t.Fatalf("seed %d operation %d, %s: apart by %s, the bound is %s; delegator %d (0: nobody, %d: the operator) has %s, in the naive pool %s",
				w.seed, w.ops, what, apart.FloatString(3), w.dust.FloatString(3), who, len(w.parts), real.FloatString(3), naive.FloatString(3))
		}
	}
	for i := range w.parts {
		compare(i, w.worth(i), w.naive.parts[i].worth())
	}
	compare(len(w.parts), frost(w.pool.OwnBond()+w.pool.Earned), w.naive.operator())
	if w.dust.Sign() > 0 {
		f, _ := over(apart, w.dust).Float64()
		w.worst = max(w.worst, f)
	}
}

// widen says that an operation rounds by n and lets what was apart grow by a part.
func (w *twins) widen(n, grow *big.Rat) {
	w.dust = plus(times(w.dust, plus(rat(1), grow)), n)
}

func (w *twins) delegate() {
	i, a, counted := 1+w.r.Intn(delegators), w.amount(), w.counted()
	if err := w.pool.Delegate(&w.parts[i], a, 0, counted, w.params); err != nil {
		return
	}
	d := &w.naive.parts[i]
	d.joining = append(d.joining, naiveDeposit{frost(a), counted + 1})
	w.check("deposit")
}

func (w *twins) undelegate() {
	i, counted := 1+w.r.Intn(delegators), w.counted()
	w.draw(i)
	d := &w.parts[i]
	had := d.Shares
	s := Shares(w.r.Int63n(int64(min(had, 1<<62)) + 1))
	if w.r.Intn(4) == 0 {
		s = had
	}
	if err := w.pool.Undelegate(d, s, counted, w.params); err != nil {
		return
	}
	n := &w.naive.parts[i]
	out := times(n.active, part(uint64(s), uint64(had)))
	n.active = minus(n.active, out)
	n.leaving = append(n.leaving, naiveDeposit{out, counted.Plus(w.params.UnbondingEpochs) + 1})
	w.check("exit")
}

func (w *twins) draw(i int) {
	out := w.pool.Settle(&w.parts[i], w.rates).Out
	w.drawn[i] += out
	if limit := w.naive.parts[i].owed; frost(w.drawn[i]).Cmp(plus(limit, w.dust)) > 0 {
		w.t.Fatalf("seed %d: delegator %d drew %s, the naive pool owes %s", w.seed, i, w.drawn[i], limit.FloatString(3))
	}
}

func (w *twins) bond() {
	if w.r.Intn(2) == 0 || w.pool.Bond == 0 {
		a := w.amount()
		if err := w.pool.AddBond(a); err != nil {
			w.t.Fatal(err)
		}
		w.naive.bond = plus(w.naive.bond, frost(a))
		w.check("bond")
		return
	}
	had, counted := w.pool.Bond, w.counted()
	a := 1 + token.Amount(w.r.Int63n(int64(had)))
	if err := w.pool.Unbond(a, counted, w.params); err != nil {
		w.t.Fatal(err)
	}
	out := times(w.naive.bond, part(uint64(a), uint64(had)))
	w.naive.bond = minus(w.naive.bond, out)
	// The pool joins what leaves in one epoch: so that a slash takes it in the same order.
	due := counted.Plus(w.params.UnbondingEpochs) + 1
	for i := range w.naive.leaving {
		if x := &w.naive.leaving[i]; x.epoch == due {
			x.money = plus(x.money, out)
			out = nil
			break
		}
	}
	if out != nil {
		w.naive.leaving = append(w.naive.leaving, naiveDeposit{out, due})
	}
	w.check("unbond")
}

func (w *twins) reward() {
	risk := w.pool.AtRisk()
	r := token.Amount(w.r.Int63n(int64(risk/20) + 2))
	grow := new(big.Rat)
	if naive := w.naive.atRisk(); naive.Sign() > 0 {
		grow = over(times(rat(4), frost(r)), naive)
	}
	before := w.pool.Rate()
	w.pool.Reward(r)
	w.naive.reward(r)
	w.widen(rat(4), grow)
	if !w.pool.Rate().AtLeast(before) {
		w.t.Fatalf("seed %d: a reward made the rate fall", w.seed)
	}
	w.check("reward")
}

func (w *twins) slash(bps unit.Bps) {
	exact := times(frost(w.pool.AtRisk()), part(uint64(bps), unit.Whole))
	cut := frost(w.pool.Slash(bps).Total())
	w.naive.slash(bps)
	if cut.Cmp(exact) < 0 || minus(cut, exact).Cmp(rat(1)) >= 0 {
		w.t.Fatalf("seed %d: a slash took %s instead of %s", w.seed, cut.FloatString(3), exact.FloatString(3))
	}
	w.widen(rat(1), part(uint64(bps), unit.Whole))
	w.check("slash")
}

func (w *twins) commission() {
	bps, counted := unit.Bps(w.r.Intn(unit.Whole+1)), w.epoch+1
	if err := w.pool.SetCommission(bps, w.epoch, counted, w.params); err != nil {
		w.t.Fatal(err)
	}
	at := w.epoch + 1
	if bps > w.naive.bps {
		at = counted.Plus(w.params.CommissionNotice)
	}
	w.naive.next = []Commission{{Bps: bps, Epoch: at}}
	w.check("commission")
}

// turn also checks who pays for what is rounded: never who neither joins nor leaves.
func (w *twins) turn() {
	w.epoch++
	locked := w.r.Intn(5) == 0
	bondLocked := locked || w.r.Intn(5) == 0
	before := w.pool.Rate()
	entered, joiners := new(big.Rat), map[int]token.Amount{}
	for i, d := range w.parts {
		for _, j := range d.Joining {
			if _, done := w.rates.Joined(j.Epoch); !done && j.Epoch <= w.epoch {
				entered = plus(entered, frost(j.Amount))
				joiners[i] += j.Amount
			}
		}
	}
	t := w.pool.Turn(w.epoch, locked, bondLocked)
	for _, in := range t.In {
		w.rates.joined[in.Epoch] = t.Rate
	}
	for _, out := range t.Out {
		w.rates.left[out.Epoch] = t.Rate
	}
	w.naive.turn(w.epoch, locked, bondLocked)
	if !w.pool.Rate().AtLeast(before) {
		w.t.Fatalf("seed %d: the turn into %d made the rate fall from %+v to %+v", w.seed, w.epoch, before, w.pool.Rate())
	}
	rounds := rat(uint64(len(t.Out)) * (delegators + 2))
	if before.Shares > 0 && len(joiners) > 0 && !t.Rate.Returned {
		price := over(frost(before.Balance), rat(uint64(before.Shares)))
		rounds = plus(rounds, times(price, rat(2*uint64(len(joiners))+2)))
		bought := Shares(0)
		for _, a := range joiners {
			s, err := before.Buys(a)
			if err != nil {
				w.t.Fatal(err)
			}
			bought += s
		}
		after := w.pool.Rate()
		most := plus(entered, plus(rat(uint64(len(t.Out))), part(1, 1<<60))) // with what those who leave lose by rounding
		if got := over(times(rat(uint64(bought)), frost(after.Balance)), rat(uint64(after.Shares))); got.Cmp(most) > 0 {
			w.t.Fatalf("seed %d: %s joined and has %s", w.seed, entered.FloatString(3), got.FloatString(3))
		}
	}
	w.widen(rounds, new(big.Rat))
	w.check("turn")
}

// play lets a year pass for a pool.
func (w *twins) play() {
	for range 26 {
		for range 6 + w.r.Intn(20) {
			switch w.r.Intn(8) {
			case 0, 1, 2:
				w.delegate()
			case 3, 4:
				w.undelegate()
			case 5:
				w.bond()
			case 6:
				w.draw(1 + w.r.Intn(delegators))
				w.check("draw")
			case 7:
				w.commission()
			}
		}
		switch w.r.Intn(12) {
		case 0, 1:
			w.slash(unit.Bps(w.r.Intn(1500)))
		case 2:
			if w.r.Intn(20) == 0 {
				w.slash(unit.Whole)
			}
		}
		w.reward()
		w.turn()
	}
}

// TestPoolsDoWhatTheNaivePoolDoes plays the same against both. The bound on dust is
// worked out beside, see twins; it must stay small as well, or it would show nothing.
func TestPoolsDoWhatTheNaivePoolDoes(t *testing.T) {
	testlevel.Middle(t, "takes seconds of processor time")
	const perOperation = 16 // FROST
	operations := testlevel.Repeat(0, 15_000, 60_000)
	if *naiveOps > 0 {
		operations = *naiveOps
	}
	played, worst, most := 0, 0.0, 0.0
	for seed := *naiveSeed; played < operations; seed++ {
		w := newTwins(t, seed)
		w.play()
		played += w.ops
		worst = max(worst, w.worst)
		each, _ := over(w.dust, rat(uint64(w.ops))).Float64()
		if most = max(most, each); each > perOperation {
			t.Errorf("seed %d: the bound on dust is %s FROST after %d operations, more than %d for each", seed, w.dust.FloatString(0), w.ops, perOperation)
		}
	}
	t.Logf("%d operations: the bound is at most %.2f FROST an operation, the two were apart by at most %.0f %% of it", played, most, 100*worst)
	if worst == 0 {
		t.Error("the two never differ: is one of them the other?")
	}
}
