package ledger

import (
	"flag"
	"fmt"
	"math/rand"
	"slices"
	"testing"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

var (
	chaosSteps = flag.Int("invariant.steps", 0, "blocks and transactions of random histories in which the invariants are checked; 0: as many as the level of tests asks for")
	chaosSeed  = flag.Int64("invariant.seed", 0, "seed of the first random history")
)

// chaos is a network to which everything happens: every kind of transaction, rounds
// that go well and badly, faults and double signs, proof that comes twice, votes that
// change the numbers while pay is held back.
type chaos struct {
	*player
	seed    int64
	temper  map[staking.NodeID]int // in 1/100: how many of its rounds it passes
	away    map[staking.NodeID]bool
	faults  []Fault // that were shown
	shown   map[string]bool
	signs   []DoubleSign
	vote    []ParamChange // what most nodes want just now
	next    map[token.Address]uint64
	blocks  []Block
	hashes  []blob.Hash
	steps   int
	most    int                      // transactions in a block, less one
	confirm func(Committee) [][]byte // in the place of ready
	rungs   map[uint8]int            // verdicts
}

func newChaos(t testing.TB, seed int64) *chaos {
	r := rand.New(rand.NewSource(seed))
	p := judged()
	p.Shards = []int{10, 13, 16, 28}[r.Intn(4)]
	p.RoundBlocks, p.RoundsPerEpoch = 2+uint64(r.Intn(4)), 4+uint64(r.Intn(4))
	p.SweepBlobs = 1 + uint64(r.Intn(3)*20)
	p.Subsidy = token.Amount(r.Intn(2)) * 100 * token.WAL
	p.HistoryEpochs = 2 + uint64(r.Intn(6))
	p.Staking.UnbondingEpochs = 1 + uint64(r.Intn(3))
	p.Staking.CommissionNotice = p.Staking.UnbondingEpochs + 2 + uint64(r.Intn(3))
	p.Staking.Ladder.JailEpochs = 1 + uint64(r.Intn(3))
	p.Staking.Pay.Tranches = 1 + uint64(r.Intn(9))
	w := newWorldOf(t, p, 5+r.Intn(6), func(g *Genesis) {
		g.Subsidy = 5000 * token.WAL
		for i := range g.Nodes {
			g.Nodes[i].Operator = userKey(i % 4).Address()
			g.Nodes[i].Bond = token.Amount(50+r.Intn(200)) * token.WAL
			g.Nodes[i].CapacityKiB = 1 << (14 + r.Intn(8))
		}
	})
	return &chaos{player: &player{world: w, r: r, done: map[Kind]int{}}, seed: seed,
		temper: map[staking.NodeID]int{}, away: map[staking.NodeID]bool{}, next: map[token.Address]uint64{}, rungs: map[uint8]int{}, most: 9, shown: map[string]bool{}}
}

// key is the one of an address.
func (c *chaos) key(a token.Address) token.Key {
	for _, k := range c.users {
		if k.Address() == a {
			return k
		}
	}
	c.t.Fatalf("nobody has the key of %s", a)
	return token.Key{}
}

func (c *chaos) record(id staking.NodeID) NodeRecord {
	n, known, err := c.view().Node(id)
	if err != nil || !known {
		return NodeRecord{ID: id, Operator: c.users[0].Address(), Governance: c.users[0].Address(), Payout: c.users[0].Address()}
	}
	return n
}

// signed uses the lowest nonce that neither the account nor this block has used.
func (c *chaos) signed(k token.Key, body Body) []byte {
	acc := c.account(k)
	n := max(acc.Nonce, c.next[k.Address()])
	for !acc.Unused(n) && n < acc.Nonce+NonceWindow {
		n++
	}
	c.next[k.Address()] = n + 1
	return Sign(k, c.l.ChainID(), n, fee, body)
}

// campaign is what most nodes will vote for: numbers of pay, stake and punishment.
func (c *chaos) campaign() {
	c.vote = nil
	for range c.r.Intn(4) {
		v := votables[c.r.Intn(len(votables))]
		change := ParamChange{Name: v.Name}
		now := v.Of(c.rules().Params)
		switch {
		case v.Name == "pay.tranches":
			change.Value = 1 + uint64(c.r.Intn(16))
		case v.Name == "staking.min_bond" || v.Name == "staking.min_delegation" || v.Name == "subsidy":
			change.Value = now + now/2 - uint64(c.r.Int63n(int64(now/2+1)))
		case v.Unit == "1/10000":
			change.Value = uint64(c.r.Intn(5001))
		case v.Unit == "epochs":
			change.Value = 1 + uint64(c.r.Intn(5))
		default:
			continue
		}
		if !slices.ContainsFunc(c.vote, func(x ParamChange) bool { return x.Name == change.Name }) {
			c.vote = append(c.vote, change)
		}
	}
}

// tx is a random transaction. Those whose proofs are dear are rare.
func (c *chaos) tx() []byte {
	user, id := c.users[c.r.Intn(len(c.users))], c.node()
	if c.r.Intn(3) > 0 {
		id = c.favourite()
	}
	n := c.record(id)
	op := c.key(n.Operator)
	switch k := c.r.Intn(100); {
	case k < 5:
		return c.player.tx() // also badly signed ones, and certificates and proofs
	case k < 6:
		b := c.player.blob()
		return Unsigned(Certify{Blob: b, Certificate: c.certificate(b, c.head().Epoch, all)})
	case k < 25:
		return c.signed(user, Delegate{Node: id, Amount: c.amount(), Least: staking.Shares(c.r.Intn(2) * c.r.Intn(int(token.WAL)))})
	case k < 37:
		d, _, err := c.view().Delegation(user.Address(), id)
		if err != nil {
			c.t.Fatal(err)
		}
		return c.signed(user, Undelegate{Node: id, Shares: staking.Shares(c.r.Int63n(int64(d.Shares) + 2))})
	case k < 47:
		return c.signed(user, Withdraw{Node: id})
	case k < 53:
		return c.signed(op, Bond{Node: id, Amount: c.amount()})
	case k < 58:
		return c.signed(op, Unbond{Node: id, Amount: c.amount()})
	case k < 62:
		return c.signed(op, SetCommission{Node: id, Bps: unit.Bps(c.r.Intn(11000))})
	case k < 64:
		keys := []token.Address{c.users[c.r.Intn(4)].Address(), c.users[c.r.Intn(4)].Address(), c.users[c.r.Intn(4)].Address(), {}}
		return c.signed(op, SetNodeKeys{Node: id, Operator: keys[c.r.Intn(4)], Governance: keys[c.r.Intn(4)], Payout: keys[c.r.Intn(4)]})
	case k < 72:
		id = c.node()
		return c.signed(c.key(c.record(id).Governance), Vote{Node: id, Price: token.Amount(c.r.Intn(3) * (500 + c.r.Intn(1000))), WritePrice: token.Amount(c.r.Intn(1000)), Changes: c.vote})
	case k < 76:
		return c.signed(op, UpdateNode{Node: id, CapacityKiB: unit.KiB(1 + uint64(c.r.Intn(1<<(1+c.r.Intn(22))))), Name: "x"})
	case k < 82:
		m := c.manifest(c.r.Intn(200), c.r.Intn(50_000))
		c.player.blobs = append(c.player.blobs, m.ID())
		return c.signed(user, RegisterBlob{Manifest: m, Epochs: 1 + uint64(c.r.Intn(4)), Owner: user.Address(), Permanent: c.r.Intn(5) == 0, Allowance: token.Amount(c.r.Intn(2) * c.r.Intn(10_000_000)), HighestPrice: c.highest()})
	case k < 85:
		return c.signed(user, Extend{Blob: c.player.blob(), Epochs: 1 + uint64(c.r.Intn(3))})
	case k < 88:
		return c.signed(user, Delete{Blob: c.player.blob()})
	case k < 91:
		return c.signed(user, SetRenewal{Blob: c.player.blob(), Allowance: token.Amount(c.r.Intn(2) * c.r.Intn(10_000_000)), HighestPrice: c.highest()})
	case k < 92 && len(c.secrets) < 14:
		_, body := c.newcomer(user, 20+len(c.secrets), token.Amount(9+c.r.Intn(300))*token.WAL)
		return c.signed(user, body)
	}
	return c.signed(user, Transfer{To: c.users[c.r.Intn(len(c.users))].Address(), Amount: c.amount()})
}

// ready are some of the shards whose receivers are done.
func (c *chaos) ready(committee Committee) (txs [][]byte) {
	for s, from := range committee.From {
		if from.IsZero() || c.r.Intn(8) > 0 || c.away[committee.Holder[s]] {
			continue
		}
		for _, k := range c.secrets {
			if c.idOf(k) == committee.Holder[s] {
				txs = append(txs, Unsigned(NewShardReady(c.l.ChainID(), k.Key(), committee.Epoch, blob.Shard(s))))
			}
		}
	}
	return txs
}

// moods changes what nodes are like: most are honest, some are flaky or lazy or gone.
func (c *chaos) moods() {
	clear(c.temper)
	for _, k := range c.secrets {
		id := c.idOf(k)
		switch c.r.Intn(14) {
		case 0:
			c.temper[id] = 85
		case 1:
			c.temper[id] = 60
		case 2:
			c.away[id] = !c.away[id]
		}
	}
}

func (c *chaos) round(committee Committee) staking.RoundResult {
	r := staking.RoundResult{Void: c.r.Intn(40) == 0}
	for _, id := range committee.Holder {
		o := staking.Passed
		pass, moody := c.temper[id]
		switch {
		case c.away[id]:
			o = staking.Away
		case moody && c.r.Intn(100) >= pass:
			o = staking.Failed
		case c.r.Intn(100) == 0:
			o = []staking.Outcome{staking.Failed, staking.Away, staking.Inconclusive, staking.Unready}[c.r.Intn(4)]
		}
		r.Outcomes = append(r.Outcomes, o)
	}
	return r
}

// registered is any node that there is.
func (c *chaos) registered() staking.NodeID {
	for {
		id := c.node()
		if _, known, err := c.view().Node(id); ok(c.world, known, err) {
			return id
		}
	}
}

// evidence is proof of faults: new ones, and ones that were shown before.
func (c *chaos) evidence(h Head) (faults []Fault, signs []DoubleSign) {
	if c.r.Intn(25) == 0 {
		f := Fault{Node: c.registered(), Kind: []FaultKind{Lie, FalseVote}[c.r.Intn(2)], Epoch: h.Epoch.Minus(uint64(c.r.Intn(5))), Round: unit.Round(c.r.Intn(8))}
		if c.r.Intn(2) == 0 {
			f.Finder = c.users[c.r.Intn(4)].Address()
		}
		faults = append(faults, f)
		c.faults = append(c.faults, f)
	}
	if len(c.faults) > 0 && c.r.Intn(10) == 0 {
		faults = append(faults, c.faults[c.r.Intn(len(c.faults))])
	}
	if len(c.signs) < 2 && c.r.Intn(150) == 0 {
		c.signs = append(c.signs, DoubleSign{Node: c.registered(), Height: h.Height, Power: int64(c.r.Intn(4))})
		signs = append(signs, c.signs[len(c.signs)-1])
	}
	if len(c.signs) > 0 && c.r.Intn(50) == 0 {
		signs = append(signs, c.signs[c.r.Intn(len(c.signs))])
	}
	return faults, signs
}

// block is a random next block.
func (c *chaos) block() Block {
	h, committee := c.head(), c.committee()
	b := Block{Height: h.Height + 1, TimeMs: h.TimeMs + 500}
	clear(c.next)
	for range c.r.Intn(c.most) {
		b.Txs = append(b.Txs, c.tx())
	}
	ready := c.ready
	if c.confirm != nil {
		ready = c.confirm
	}
	b.Txs = append(b.Txs, ready(committee)...)
	b.Faults, b.DoubleSigns = c.evidence(h)
	turn := b.Height > h.EpochEnd
	if p := c.g.Params; !turn && (b.Height+1).Since(h.EpochStart)%p.RoundBlocks == 0 && c.r.Intn(30) > 0 {
		b.Rounds = append(b.Rounds, c.round(committee))
	}
	if turn && c.r.Intn(2) == 0 {
		c.moods()
	}
	if turn && c.r.Intn(3) == 0 {
		c.campaign()
	}
	return b
}

// run executes a block, also in the ways in which it must make no difference.
func (c *chaos) run(b Block) Result {
	c.t.Helper()
	m := c.l.machine
	var same []blob.Hash
	if len(b.Faults)+len(b.DoubleSigns) > 0 { // invariant 8: each proof counts once
		twice, once := b, b
		twice.Faults, twice.DoubleSigns = append(slices.Clone(b.Faults), b.Faults...), append(slices.Clone(b.DoubleSigns), b.DoubleSigns...)
		once.Faults = slices.DeleteFunc(slices.Clone(b.Faults), func(f Fault) bool { return c.shown[string(KeyFault(f))] })
		once.DoubleSigns = slices.DeleteFunc(slices.Clone(b.DoubleSigns), func(d DoubleSign) bool { return c.shown[fmt.Sprint(d)] })
		for _, v := range []Block{twice, once} {
			r, err := m.Execute(v)
			same = append(same, ok(c.world, r, err).AppHash)
		}
		for _, f := range b.Faults {
			c.shown[string(KeyFault(f))] = true
		}
		for _, d := range b.DoubleSigns {
			c.shown[fmt.Sprint(d)] = true
		}
	}
	r, err := m.Execute(b)
	ok(c.world, r, err)
	for i, h := range same {
		if h != r.AppHash {
			c.fatalf("block %d: evidence %s changes something: %+v %+v", b.Height, []string{"twice in it", "that was shown before"}[i], b.Faults, b.DoubleSigns)
		}
	}
	if err := m.Commit(); err != nil {
		c.t.Fatal(err)
	}
	for _, x := range r.Txs {
		if x.Code == 0 {
			c.done[x.Kind]++
		}
	}
	c.blocks, c.hashes = append(c.blocks, b), append(c.hashes, r.AppHash)
	c.steps += 1 + len(b.Txs)
	return r
}

func (c *chaos) fatalf(format string, args ...any) {
	c.t.Helper()
	c.t.Logf("go test ./ledger -run Histories -invariant.seed %d", c.seed)
	c.t.Fatalf(format, args...)
}

// reopen goes on from what is stored, as after a restart.
func (c *chaos) reopen() {
	c.t.Helper()
	l, err := NewLocal(c.g, c.kv, func() int64 { return 0 })
	c.l = ok(c.world, l, err)
}
