package ledger

import (
	"slices"
	"testing"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/internal/testlevel"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// arena is a world whose nodes vote on blocks, as the agreement would have them do.
type arena struct {
	*world
	silent   map[int]bool // by number among the secrets: no reveal
	wrong    map[int]bool // a reveal that parses and is wrong
	deaf     map[int]bool // no attestation
	unclosed map[int]bool // no signature as a closer
	leftOut  map[int]bool // whose reveals no block carries
	lies     map[int]bool // votes no on all
	unseen   map[blob.Shard]bool
	bend     func(i int, s token.BLSSignature) token.BLSSignature // what node i reveals instead; nil: the truth
	chooser  func(Wants) int                                      // the proposer of a draw's block; nil: in turn
	pending  []VoteExtension                                      // of the votes on the last block
	pace     int64                                                // ms between blocks
	blocks   []Block                                              // that were run
	doubles  []DoubleSign                                         // evidence that the next blocks carry
	hashes   []blob.Hash                                          // what the state was after each
}

// asked is a network whose rounds are short, and which asks by itself.
func asked() Params {
	p := small()
	p.Challenged = true
	p.Challenge = challenge.Default()
	p.Challenge.Start, p.Challenge.Freeze, p.Challenge.Deadline, p.Challenge.Attest, p.Challenge.Pull = 5, 5, 2, 2, 1
	p.Challenge.Late, p.Challenge.Second = 5, 6
	p.RoundBlocks, p.RoundsPerEpoch = 70, 3
	return p
}

func newArena(t testing.TB, nodes int) *arena {
	return newArenaOf(t, asked(), nodes)
}

func newArenaOf(t testing.TB, p Params, nodes int) *arena {
	return &arena{world: newWorld(t, p, nodes), silent: map[int]bool{}, wrong: map[int]bool{}, deaf: map[int]bool{}, unclosed: map[int]bool{}, leftOut: map[int]bool{}, unseen: map[blob.Shard]bool{}, pace: 500}
}

// step runs a block with what it must carry.
func (a *arena) step(txs ...[]byte) Result {
	a.t.Helper()
	m := a.l.Machine()
	h := m.Height() + 1
	w, err := m.Wants(h)
	if err != nil {
		a.t.Fatal(err)
	}
	b := Block{Txs: txs, DoubleSigns: a.doubles}
	if w.Carry {
		b.Extensions = slices.DeleteFunc(slices.Clone(a.pending), func(v VoteExtension) bool {
			e, err := challenge.DecodeExtension(v.Extension, a.g.Params.Shards)
			return err == nil && e.Reveal != nil && slices.ContainsFunc(a.secrets, func(s token.Secret) bool { return a.idOf(s) == v.Node && a.leftOut[slices.Index(a.secrets, s)] })
		})
	}
	if w.Last {
		i := int(h) % len(a.secrets)
		if a.chooser != nil {
			i = a.chooser(w)
		}
		s := a.secrets[i]
		b.Proposer, b.Last = a.idOf(s), s.BLSKey().Sign(challenge.LastMessage(a.l.ChainID(), w.Round))
	}
	a.pending = a.votes(w)
	a.l.last += a.pace
	r, err := a.l.Run(b)
	if err != nil {
		a.t.Fatal(err)
	}
	b.Height, b.TimeMs = h, a.l.last
	a.blocks, a.hashes = append(a.blocks, b), append(a.hashes, r.AppHash)
	return r
}

// votes are those on the block that w is about.
func (a *arena) votes(w Wants) (out []VoteExtension) {
	for i, s := range a.secrets {
		v := VoteExtension{Node: a.idOf(s), Power: 1}
		switch {
		case w.Closer == v.Node && !a.unclosed[i]:
			v.Extension = challenge.NewClosing(a.l.ChainID(), s.BLSKey(), w.Round, w.Turn).Encode()
		case w.Reveal && a.wrong[i]:
			v.Extension = challenge.NewReveal("another chain", s.BLSKey(), w.Round).Encode()
		case w.Reveal && !a.silent[i]:
			e := challenge.NewReveal(a.l.ChainID(), s.BLSKey(), w.Round)
			if a.bend != nil {
				e.Reveal.Signature = a.bend(i, e.Reveal.Signature)
			}
			v.Extension = e.Encode()
		case w.Attest && !a.deaf[i]:
			yes := blob.NewSet[blob.Shard](a.g.Params.Shards)
			for shard := range blob.Shard(a.g.Params.Shards) {
				if !a.unseen[shard] && !a.lies[i] {
					yes.Add(shard)
				}
			}
			v.Extension = challenge.NewAttest(w.Round, true, blob.Hash{}, yes).Encode()
		}
		out = append(out, v)
	}
	return out
}

func (a *arena) run(blocks int) {
	a.t.Helper()
	for range blocks {
		a.step()
	}
}

// untilOver runs to the block that tallies the round of a number.
func (a *arena) untilOver(round unit.Round) RoundState {
	a.t.Helper()
	for start := a.head().Height; ; {
		a.step()
		r, ok, err := a.view().Round()
		if err != nil {
			a.t.Fatal(err)
		}
		if ok && r.Over && r.Round.Round == round && r.Round.Epoch == a.head().Epoch {
			return r
		}
		if h := a.head(); h.Height > start.Plus(3*a.g.Params.RoundBlocks) {
			a.t.Fatalf("round %d is not over at height %d: %+v", round, h.Height, r)
		}
	}
}

func (a *arena) tally() Tally {
	a.t.Helper()
	t, err := a.view().Tally(a.head().Epoch)
	return ok(a.world, t, err)
}

// credit is what a node is credited with so far.
func (a *arena) credit(i int) staking.Credit {
	a.t.Helper()
	k, _ := a.committee().Index(a.idOf(a.secrets[i]))
	return a.tally().Nodes[k]
}

func (a *arena) stored(i int) blob.ID {
	a.t.Helper()
	m := a.manifest(i, 20_000)
	alice := a.users[1]
	n := a.nonces[alice.Address()]
	a.nonces[alice.Address()]++
	a.step(Sign(alice, a.l.ChainID(), n, fee, RegisterBlob{Manifest: m, Epochs: 3, Owner: alice.Address()}))
	r := a.step(Unsigned(Certify{Blob: m.ID(), Certificate: a.certificate(m.ID(), a.head().Epoch, all)}))
	if r.Txs[0].Code != 0 {
		a.t.Fatal(r.Txs[0].Log)
	}
	return m.ID()
}

func TestARoundIsDrawnAndTallied(t *testing.T) {
	a := newArena(t, 5)
	var ids []blob.ID
	for i := range 3 {
		ids = append(ids, a.stored(i))
	}
	first := a.untilOver(0)
	if !first.Drawn || len(first.Drawings) != 0 || first.T != first.Nominal {
		t.Fatalf("blobs are asked for a round after they were certified: %+v", first)
	}
	a.untilOver(1)
	second := a.untilOver(2)
	if len(second.Drawings) == 0 || second.Beacon == first.Beacon {
		t.Fatalf("%+v", second)
	}
	for _, d := range second.Drawings {
		if id := d.Manifest.ID(); id != ids[0] && id != ids[1] && id != ids[2] {
			t.Fatalf("%s is drawn", id)
		}
	}
	if c, n := a.credit(0), a.tally(); n.Tallied != 3 || n.Judged != 3 || c.Passed != 6 || c.Assigned != 6 {
		t.Fatalf("%+v %+v", n, c)
	}
	a.balanced()
}

// goes makes a node go away: it says nothing, and no other node has its proofs.
func (a *arena) goes(i int) {
	a.silent[i], a.deaf[i] = true, true
	for _, s := range a.committee().Duty(a.idOf(a.secrets[i])) {
		a.unseen[s] = true
	}
}

// comes makes it come back.
func (a *arena) comes(i int) {
	delete(a.silent, i)
	delete(a.deaf, i)
	clear(a.unseen)
}

func TestANodeThatIsAwayIsNotCreditedForThreeRounds(t *testing.T) {
	a := newArena(t, 5)
	a.goes(1)
	a.untilOver(0)
	a.comes(1)
	for round, want := range []staking.Credit{{Assigned: 2, Judged: 2, Away: 2}, {Assigned: 4, Judged: 4, Away: 4}, {Assigned: 6, Judged: 6, Away: 6}} {
		if c := a.credit(1); c != want {
			t.Fatalf("round %d: %+v", round, c)
		}
		if round < 2 {
			a.untilOver(unit.Round(round + 1))
		}
	}
	if c := a.credit(0); c.Passed != 6 {
		t.Fatalf("%+v", c)
	}
	a.untilOver(0) // of the next epoch
	if c := a.credit(1); c.Passed != 2 {
		t.Fatalf("three rounds later: %+v", c)
	}
}

// A proof speaks for itself. A proposer that keeps another node's reveals out of the blocks
// before the draw, or all its votes but one, makes it neither unpaid nor away.
func TestANodeThatProvesIsPaidWhateverOthersLeaveOut(t *testing.T) {
	a := newArena(t, 5)
	a.silent[1], a.wrong[2], a.leftOut[3] = true, true, true
	for round := range unit.Round(3) {
		a.untilOver(round)
		for i := range a.secrets {
			if c := a.credit(i); c.Passed != 2*uint64(round+1) || c.Away != 0 {
				t.Fatalf("round %d, node %d: %+v", round, i, c)
			}
		}
	}
}

// A node that is there and proves nothing has failed, by any vote that shows it: being silent
// before the draw, and waiting for it, makes it no absence.
func TestANodeThatIsThereInAnyVoteHasFailed(t *testing.T) {
	for name, set := range map[string]func(*arena){
		"reveals":  func(a *arena) { a.deaf[1] = true },
		"attests":  func(a *arena) { a.silent[1] = true },
		"both":     func(*arena) {},
		"left out": func(a *arena) { a.leftOut[1] = true },
	} {
		a := newArena(t, 5)
		a.goes(1)
		delete(a.silent, 1)
		delete(a.deaf, 1)
		set(a)
		a.untilOver(0)
		if c := a.credit(1); c.Failed != 2 || c.Away != 0 {
			t.Errorf("%s: %+v", name, c)
		}
	}
}

func TestTheDrawWaitsForReveals(t *testing.T) {
	a := newArena(t, 5)
	for i := range 4 {
		a.silent[i] = true
	}
	for !a.opened() {
		a.step()
	}
	r, _, _ := a.view().Round()
	for a.head().Height < r.Nominal+1 {
		a.step()
	}
	if r, _, _ := a.view().Round(); r.Drawn || r.Closed || r.T != r.Nominal+4 {
		t.Fatalf("%+v", r)
	}
	clear(a.silent)
	a.run(5)
	if r, _, _ := a.view().Round(); !r.Drawn || r.T <= r.Nominal+3 {
		t.Fatalf("%+v", r)
	}
	// No node reveals for nine blocks: the round is skipped, and none is paid or blamed.
	for i := range a.secrets {
		a.silent[i] = true
	}
	before := a.untilOver(0)
	after := a.untilOver(1)
	if after.Drawn || a.tally().Tallied != 1 || !before.Drawn {
		t.Fatalf("%+v %+v", after, a.tally())
	}
	// The next one follows from the beacon before, and is drawn.
	clear(a.silent)
	if r := a.untilOver(2); !r.Drawn || r.Beacon == before.Beacon {
		t.Fatalf("%+v", r)
	}
}

func (a *arena) opened() bool {
	r, ok, err := a.view().Round()
	if err != nil {
		a.t.Fatal(err)
	}
	return ok && !r.Over
}

func TestAShardThatNoNodeHasSeenFails(t *testing.T) {
	a := newArena(t, 5)
	shard := a.committee().Duty(a.idOf(a.secrets[3]))[0]
	a.unseen[shard] = true
	a.untilOver(0)
	if c := a.credit(3); c.Passed != 1 || c.Failed != 1 || c.Judged != 2 {
		t.Fatalf("%+v", c)
	}
	// It says so before the next round: no strike, no pay.
	next, err := a.view().NextRound()
	if err != nil {
		t.Fatal(err)
	}
	key := a.secrets[3].Key()
	if r := a.step(Unsigned(NewDeclare(a.l.ChainID(), key, next))); r.Txs[0].Code != 0 {
		t.Fatal(r.Txs[0].Log)
	}
	if r := a.step(Unsigned(NewDeclare(a.l.ChainID(), key, next))); r.Txs[0].Code != ErrDeclared.Code {
		t.Fatal("declared twice", r.Txs[0].Code)
	}
	a.untilOver(1)
	if c := a.credit(3); c.Passed != 1 || c.Failed != 1 || c.Away != 2 {
		t.Fatalf("%+v", c)
	}
	// Once the next round is opened it is too late for it.
	for !a.opened() {
		a.step()
	}
	r, _, _ := a.view().Round()
	if r := a.step(Unsigned(NewDeclare(a.l.ChainID(), key, r.Ordinal))); r.Txs[0].Code != ErrDeclared.Code {
		t.Fatal("declared for a round under way", r.Txs[0].Log)
	}
}

func TestARoundOfSlowBlocksIsVoid(t *testing.T) {
	a := newArena(t, 5)
	shard := a.committee().Duty(a.idOf(a.secrets[3]))[0]
	a.unseen[shard] = true
	a.pace = 3 * 500 * 2
	r := a.untilOver(0)
	if c := a.credit(3); !r.Void || c.Failed != 0 || c.Passed != 0 || c.Assigned != 2 || a.tally().Judged != 0 {
		t.Fatalf("%+v %+v", r, c)
	}
}

// What ends between the opening of a round and its draw is drawn and not asked for: the
// other draws stay what they were.
func TestEndingABlobAfterTheRevealsDoesNotSteerTheDraw(t *testing.T) {
	drawn := func(end bool) (RoundState, blob.ID) {
		a := newArena(t, 5)
		var ids []blob.ID
		for i := range 40 {
			ids = append(ids, a.stored(i))
		}
		a.untilOver(1)
		for !a.opened() {
			a.step()
		}
		a.run(1) // reveals have begun
		var txs [][]byte
		if end {
			alice := a.users[1]
			txs = append(txs, Sign(alice, a.l.ChainID(), a.nonces[alice.Address()], fee, Delete{Blob: ids[7]}))
		}
		if r := a.step(txs...); end && r.Txs[0].Code != 0 {
			t.Fatal(r.Txs[0].Log)
		}
		return a.untilOver(2), ids[7]
	}
	with, gone := drawn(false)
	without, _ := drawn(true)
	if with.Beacon != without.Beacon {
		t.Fatal("two beacons")
	}
	var want []DrawnStripe
	for _, d := range with.Drawings {
		if d.Manifest.ID() != gone {
			want = append(want, d)
		}
	}
	if len(want) != len(without.Drawings) {
		t.Fatalf("%d draws, want %d of %d", len(without.Drawings), len(want), len(with.Drawings))
	}
	for i := range want {
		if want[i].Manifest.ID() != without.Drawings[i].Manifest.ID() || want[i].Stripe != without.Drawings[i].Stripe {
			t.Fatal("the draw was steered")
		}
	}
}

// A machine that is opened anew in any block of a round goes on alike.
func TestARoundGoesOnAfterARestart(t *testing.T) {
	testlevel.Middle(t, "takes seconds of processor time")
	a := newArena(t, 5)
	for i := range 5 {
		a.stored(i)
	}
	var hashes []blob.Hash
	for range 150 {
		hashes = append(hashes, a.step().AppHash)
	}
	b := newArena(t, 5)
	for i := range 5 {
		b.stored(i)
	}
	for i, want := range hashes {
		m, err := NewMachine(b.g, b.kv)
		if err != nil {
			t.Fatal(err)
		}
		b.l.machine = m
		if got := b.step().AppHash; got != want {
			t.Fatalf("block %d: another app hash after a restart", i)
		}
	}
}

func TestSlotsAreUsedAgain(t *testing.T) {
	a := newArena(t, 5)
	var ids []blob.ID
	for i := range 4 {
		ids = append(ids, a.stored(i))
	}
	a.untilOver(1)
	alice := a.users[1]
	for _, id := range ids[1:3] {
		n := a.nonces[alice.Address()]
		a.nonces[alice.Address()]++
		a.step(Sign(alice, a.l.ChainID(), n, fee, Delete{Blob: id}))
	}
	a.run(3)
	if x := a.l.machine.index; x.Live() != 2 || x.Len() != 4 {
		t.Fatalf("%d blobs in %d slots", x.Live(), x.Len())
	}
	fresh := []blob.ID{a.stored(11), a.stored(12), a.stored(13)}
	a.run(int(a.g.Params.RoundBlocks) + 10)
	x := a.l.machine.index
	if x.Live() != 5 || x.Len() != 5 || x.At(1).Blob != fresh[0] || x.At(2).Blob != fresh[1] || x.At(4).Blob != fresh[2] {
		t.Fatalf("%d blobs in %d slots", x.Live(), x.Len())
	}
	if _, err := a.view().Usage(); err != nil {
		t.Fatal(err)
	}
}

// lie is a proof of a shard, signed by a node, that shows nothing.
func (a *arena) lie(i int, shard blob.Shard, r RoundState) challenge.Proof {
	p := challenge.Proof{Round: r.Round, Shard: shard, Beacon: r.Beacon}
	for range r.Challenge(a.l.ChainID(), a.g.Params.Challenge, shard).Questions {
		p.Openings = append(p.Openings, challenge.Opening{})
	}
	p.Signature = a.secrets[i].Key().Sign(challenge.ProofMessage(a.l.ChainID(), p))
	return p
}

func TestAFalseProofIsSlashedOnceWhicheverNodeShowsIt(t *testing.T) {
	a := newArena(t, 5)
	for i := range 5 {
		a.stored(i)
	}
	r := a.untilOver(2)
	bad, finder := a.idOf(a.secrets[3]), userKey(9).Address()
	shard := a.committee().Duty(bad)[0]
	p := a.lie(3, shard, r)
	f, shown := r.Challenge(a.l.ChainID(), a.g.Params.Challenge, shard).Falsehood(p)
	if !shown {
		t.Fatal("an empty opening holds")
	}
	accuse := func(f challenge.Falsehood, ordinal unit.Ordinal) Code {
		t.Helper()
		return a.step(Unsigned(Accuse{Ordinal: ordinal, Evidence: f.Encode(), Finder: finder})).Txs[0].Code
	}
	forged := f
	forged.Signature[3] ^= 1
	for code, got := range map[Code]Code{ErrEvidence.Code: accuse(forged, r.Ordinal), 0: accuse(f, r.Ordinal), ErrKnown.Code: accuse(f, r.Ordinal)} {
		if got != code {
			t.Fatalf("code %d, want %d", got, code)
		}
	}
	if got := accuse(f, r.Ordinal-1); got != ErrEvidence.Code {
		t.Fatalf("evidence of another round: %d", got)
	}
	a.toEpochBySteps(1)
	s, _, err := a.view().Statement(0, bad)
	if err != nil || s.Lies != 1 || s.Verdict.Rung != 7 || s.Cut.Total() != token.WAL || s.Bounty != token.WAL/20 {
		t.Fatalf("%+v %v", s, err)
	}
	if got := a.account(userKey(9)).Balance; got != token.WAL/20 {
		t.Fatalf("the finder has %s", got)
	}
	a.balanced()
}

func (a *arena) toEpochBySteps(e unit.Epoch) {
	a.t.Helper()
	for a.head().Epoch < e {
		a.step()
	}
}

// A receiver that becomes ready after the draw was not asked, and has missed nothing.
func TestANodeThatBecomesReadyAfterTheDrawIsNotJudged(t *testing.T) {
	a := newArena(t, 5)
	op := a.users[3]
	id, body := a.newcomer(op, 7, 300*token.WAL)
	n := a.nonces[op.Address()]
	a.nonces[op.Address()]++
	if r := a.step(Sign(op, a.l.ChainID(), n, fee, body)); r.Txs[0].Code != 0 {
		t.Fatal(r.Txs[0].Log)
	}
	a.toEpochBySteps(1)
	mine := a.committee().Duty(id)
	if len(mine) != 1 {
		t.Fatalf("shards %v", mine)
	}
	for !a.opened() {
		a.step()
	}
	for {
		if r, _, _ := a.view().Round(); r.Drawn {
			break
		}
		a.step()
	}
	a.unseen[mine[0]] = true
	key := a.secrets[len(a.secrets)-1].Key()
	if r := a.step(Unsigned(NewShardReady(a.l.ChainID(), key, 1, mine[0]))); r.Txs[0].Code != 0 {
		t.Fatal(r.Txs[0].Log)
	}
	a.untilOver(0)
	if c := a.credit(5); c.Assigned != 1 || c.Failed != 0 || c.Judged != 0 {
		t.Fatalf("%+v", c)
	}
	a.untilOver(1)
	if c := a.credit(5); c.Failed != 1 {
		t.Fatalf("asked, and nobody has seen its proof: %+v", c)
	}
}
