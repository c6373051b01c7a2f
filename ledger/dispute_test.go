package ledger

import (
	"bytes"
	"context"
	"errors"
	"math/rand"
	"testing"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/redstuff"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// archive is all fragments of some blobs, for the nodes that are to prove them.
type archive struct {
	code      *redstuff.Code
	fragments map[blob.Position]blob.VerifiedFragment
	witnesses map[blob.Position]blob.Witness
}

// fill encodes a blob of random bytes, and registers and certifies it.
func (a *arena) fill(k *archive, size int, seed int64) {
	a.t.Helper()
	shape := ok(a.world, must(a.g.Params.Shape()), nil)
	if k.code == nil {
		*k = archive{redstuff.For(shape), map[blob.Position]blob.VerifiedFragment{}, map[blob.Position]blob.Witness{}}
	}
	l := must(shape.Layout(int64(size)))
	data := make([]byte, size)
	rand.New(rand.NewSource(seed)).Read(data)
	var stripes []*redstuff.Stripe
	c, tree, err := k.code.Commit(context.Background(), l, bytes.NewReader(data), 1, func(s *redstuff.Stripe) error { stripes = append(stripes, s); return nil })
	ok(a.world, c, err)
	for i, s := range stripes {
		for p := range blob.Place(shape.N) {
			w := s.Tree().Witness(p, s.Parity(p), tree.Path(i))
			roots, err := w.Prove(c, uint32(i), p)
			ok(a.world, roots, err)
			k.witnesses[blob.Position{Blob: c.ID, Stripe: uint32(i), Place: p}] = w
			for _, axis := range []blob.Axis{blob.Row, blob.Column} {
				v, err := roots.VerifyFull(axis, s.AppendFragment(nil, axis, p), k.code)
				k.fragments[ok(a.world, v, err).Position()] = v.VerifiedFragment
			}
		}
		s.Release()
	}
	alice := a.users[1]
	a.signed(alice, RegisterBlob{Manifest: blob.NewManifest(l, tree.Root()), Epochs: 3, Owner: alice.Address()})
	if r := a.step(Unsigned(Certify{Blob: c.ID, Certificate: a.certificate(c.ID, a.head().Epoch, all)})); r.Txs[0].Code != 0 {
		a.t.Fatal(r.Txs[0].Log)
	}
}

func (k *archive) Fragment(at blob.Position) (blob.VerifiedFragment, error) {
	v, ok := k.fragments[at]
	if !ok {
		return v, errors.New("not there")
	}
	return v, nil
}

func (k *archive) Witness(id blob.ID, stripe uint32, p blob.Place) (blob.Witness, error) {
	return k.witnesses[blob.Position{Blob: id, Stripe: stripe, Place: p}], nil
}

// proof is what the holder of a shard answers in a round.
func (a *arena) proof(k *archive, r RoundState, s blob.Shard) challenge.Proof {
	a.t.Helper()
	c, err := a.view().Committee(r.Round.Epoch)
	ok(a.world, c, err)
	for _, secret := range a.secrets {
		if a.idOf(secret) == c.Holder[s] {
			p, err := r.Challenge(a.l.ChainID(), a.g.Params.Challenge, s).Prove(secret.Key(), k, k.code)
			return ok(a.world, p, err)
		}
	}
	a.t.Fatalf("nobody holds shard %d", s)
	return challenge.Proof{}
}

// signed runs a block with a transaction that must succeed.
func (a *arena) signed(k token.Key, body Body) {
	a.t.Helper()
	if err := a.tries(k, body); err != nil {
		a.t.Fatal(err)
	}
}

func (a *arena) tries(k token.Key, body Body) error {
	a.t.Helper()
	n := a.account(k).Nonce
	return a.came(Sign(k, a.l.ChainID(), n, fee, body))
}

func (a *arena) came(raw []byte) error {
	a.t.Helper()
	r := a.step(raw).Txs[0]
	a.balanced()
	return TxReceipt{Code: r.Code, Log: r.Log}.Err()
}

func (a *arena) dispute(ordinal unit.Ordinal, s blob.Shard) DisputeRecord {
	a.t.Helper()
	d, known, err := a.view().Dispute(ordinal, s)
	if err != nil || !known {
		a.t.Fatal(known, err)
	}
	return d
}

const bond = 10 * token.WAL

func TestADisputeThatIsAnsweredCostsItsBond(t *testing.T) {
	a := newArena(t, 5)
	var k archive
	a.fill(&k, 20_000, 1)
	a.fill(&k, 3_000, 2)
	a.untilOver(1)
	r := a.untilOver(2)
	if len(r.Drawings) == 0 {
		t.Fatal("nothing was asked")
	}
	bob, carol := a.users[2], userKey(9)
	before, supply := a.account(bob).Balance, a.balanced()
	a.signed(bob, Dispute{Ordinal: r.Ordinal, Shard: 4})
	if got := a.account(bob).Balance; got != before-bond-fee {
		t.Fatalf("%s of %s", got, before)
	}
	if audit := a.balanced(); audit.Disputes != bond {
		t.Fatalf("%+v", audit)
	}
	good := a.proof(&k, r, 4)
	answer := func(ordinal unit.Ordinal, s blob.Shard, p challenge.Proof) error {
		return a.came(Unsigned(Answer{Ordinal: ordinal, Shard: s, Proof: p.Encode(), To: carol.Address()}))
	}
	forged, empty := good, a.lie(0, 4, r)
	forged.Signature[1] ^= 1
	other := a.proof(&k, r, 5)
	a.refusedWith(ErrAnswer, answer(r.Ordinal, 4, forged))
	a.refusedWith(ErrAnswer, answer(r.Ordinal, 4, empty))
	a.refusedWith(ErrAnswer, answer(r.Ordinal, 4, other))
	a.refusedWith(ErrNoDispute, answer(r.Ordinal, 5, other))
	a.refusedWith(ErrAnswer, a.came(Unsigned(Answer{Ordinal: r.Ordinal, Shard: 4, Proof: []byte("what?")})))
	if err := answer(r.Ordinal, 4, good); err != nil {
		t.Fatal(err)
	}
	if got := a.account(carol).Balance; got != bond/10 {
		t.Fatalf("who answered has %s", got)
	}
	if audit := a.balanced(); audit.Disputes != 0 || audit.Burned != supply.Burned+bond-bond/10 {
		t.Fatalf("%+v", audit)
	}
	a.refusedWith(ErrNoDispute, answer(r.Ordinal, 4, good))
	a.refusedWith(ErrDisputed, a.tries(bob, Dispute{Ordinal: r.Ordinal, Shard: 4}))
	credit := a.credit(0)
	a.run(30)
	if d := a.dispute(r.Ordinal, 4); d.State != DisputeAnswered || d.Bond != 0 {
		t.Fatalf("%+v", d)
	}
	if open, err := a.view().OpenDisputes(); err != nil || open != 0 {
		t.Fatal(open, err)
	}
	if a.head().Epoch == 0 && a.credit(0) != credit {
		t.Fatal("an answered dispute changes the credit")
	}
	a.toEpochBySteps(1)
	for _, s := range a.secrets {
		if o, _, err := a.view().Statement(0, a.idOf(s)); err != nil || o.FalseVotes != 0 {
			t.Fatalf("%+v %v", o, err)
		}
	}
}

func TestAnUnansweredDisputeSlashesTheNodesThatVotedYes(t *testing.T) {
	a := newArena(t, 5)
	var k archive
	a.fill(&k, 20_000, 1)
	a.deaf[2] = true // does not vote
	a.untilOver(1)
	r := a.untilOver(2)
	shard := a.committee().Duty(a.idOf(a.secrets[3]))[0]
	bob := a.users[2]
	before := a.account(bob).Balance
	a.signed(bob, Dispute{Ordinal: r.Ordinal, Shard: shard})
	d := a.dispute(r.Ordinal, shard)
	if d.AnswerBy != a.head().Height+17 || d.State != DisputeOpen {
		t.Fatalf("%+v", d)
	}
	credit := a.credit(3)
	for a.head().Height < d.AnswerBy {
		a.step()
	}
	if a.dispute(r.Ordinal, shard).State != DisputeOpen || a.credit(3) != credit {
		t.Fatal("decided too early")
	}
	// Too late, though it holds.
	a.refusedWith(ErrNoDispute, a.came(Unsigned(Answer{Ordinal: r.Ordinal, Shard: shard, Proof: a.proof(&k, r, shard).Encode()})))
	if d := a.dispute(r.Ordinal, shard); d.State != DisputeUpheld || d.Closed != d.AnswerBy+1 || d.Bond != 0 {
		t.Fatalf("%+v", d)
	}
	if got := a.account(bob).Balance; got != before-fee {
		t.Fatalf("the bond did not come back: %s of %s", got, before)
	}
	credit.Passed--
	credit.Proven--
	if got := a.credit(3); got != credit || got.Failed != 0 {
		t.Fatalf("%+v, want %+v", got, credit)
	}
	a.toEpochBySteps(1)
	paid := a.account(bob).Balance
	for i, s := range a.secrets {
		o, _, err := a.view().Statement(0, a.idOf(s))
		ok(a.world, o, err)
		if i == 2 {
			if o.FalseVotes != 0 || o.Verdict.Bps != 0 {
				t.Fatalf("who did not vote is punished: %+v", o)
			}
			continue
		}
		if o.FalseVotes != 1 || o.Verdict.Rung != 8 || o.Verdict.Out || o.Verdict.Jail || o.Cut.Total() != token.WAL/5 || o.Bounty != token.WAL/100 {
			t.Fatalf("node %d: %+v", i, o)
		}
	}
	if paid != before-fee+4*token.WAL/100 {
		t.Fatalf("the opener's bounties: %s", paid-before)
	}
	a.balanced()
}

func TestWhatCannotBeDisputed(t *testing.T) {
	a := newArena(t, 5)
	a.unseen[7] = true
	bob, carol := a.users[2], a.users[3]
	try := func(want *Refusal, who token.Key, ordinal unit.Ordinal, s blob.Shard) {
		t.Helper()
		before := a.balanced()
		a.refusedWith(want, a.tries(who, Dispute{Ordinal: ordinal, Shard: s}))
		if after := a.balanced(); after.Disputes != before.Disputes {
			t.Fatal("a refusal moved money")
		}
	}
	for !a.opened() {
		a.step()
	}
	now, _, err := a.view().Round()
	ok(a.world, now, err)
	try(ErrDispute, bob, now.Ordinal, 1) // under way
	r := a.untilOver(0)
	try(ErrDispute, bob, r.Ordinal, 7)     // not passed
	try(ErrDispute, bob, r.Ordinal, 1000)  // no such shard
	try(ErrDispute, bob, r.Ordinal+1, 1)   // to come
	try(ErrDispute, bob, r.Ordinal+100, 1) // long to come
	for s := range blob.Shard(4) {
		a.signed(bob, Dispute{Ordinal: r.Ordinal, Shard: s})
	}
	try(ErrOpenDisputes, bob, r.Ordinal, 4)
	try(ErrDisputed, carol, r.Ordinal, 3)
	a.signed(carol, Dispute{Ordinal: r.Ordinal, Shard: 4})
	// Once they are decided bob can go on.
	for a.head().Height <= a.dispute(r.Ordinal, 3).AnswerBy {
		a.step()
	}
	try(ErrDisputed, carol, r.Ordinal, 3)
	a.signed(bob, Dispute{Ordinal: r.Ordinal, Shard: 5})
	// A round later, but not so late that no time is left for the answer.
	last := a.g.Params.DisputableUntil(a.head(), r.Round)
	if end := a.head().EpochStart.Plus(2*a.g.Params.RoundBlocks) - 1; last+17+challenge.Tail != end {
		t.Fatalf("until %d, the second round ends with %d", last, end)
	}
	for a.head().Height < last-1 {
		a.step()
	}
	a.signed(bob, Dispute{Ordinal: r.Ordinal, Shard: 6})
	try(ErrDispute, bob, r.Ordinal, 8)
	a.untilOver(2)
	if _, known, err := a.view().RoundOf(r.Ordinal); known || err != nil {
		t.Fatal("the round is kept too long", err)
	}
	err = a.view().EachDispute(func(ordinal unit.Ordinal, _ blob.Shard, _ DisputeRecord) error {
		if ordinal == r.Ordinal {
			t.Error("a dispute outlives its round")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	try(ErrDispute, bob, r.Ordinal, 9)
}

// The last round of an epoch can be disputed too, but only so early that the dispute is
// decided before the epoch ends.
func TestNoDisputeOutlivesItsEpoch(t *testing.T) {
	a := newArena(t, 5)
	r := a.untilOver(2)
	h := a.head()
	last := a.g.Params.DisputableUntil(h, r.Round)
	if last+17+challenge.Tail != h.EpochEnd {
		t.Fatalf("until %d, the epoch ends with %d", last, h.EpochEnd)
	}
	for a.head().Height < last-1 {
		a.step()
	}
	a.signed(a.users[2], Dispute{Ordinal: r.Ordinal, Shard: 1})
	a.refusedWith(ErrDispute, a.tries(a.users[2], Dispute{Ordinal: r.Ordinal, Shard: 2}))
	for a.head().Height < h.EpochEnd {
		a.step()
	}
	if d := a.dispute(r.Ordinal, 1); d.State != DisputeUpheld {
		t.Fatalf("%+v", d)
	}
	a.step()
	if a.head().Epoch != 1 {
		t.Fatal("no turn")
	}
	a.refusedWith(ErrDispute, a.tries(a.users[2], Dispute{Ordinal: r.Ordinal, Shard: 2}))
	a.balanced()
}

// So many disputes are open at once as blocks have room for answers, and all that come
// due in one block are decided before the epoch ends.
func TestDisputesAreAsManyAsBlocksHaveRoomFor(t *testing.T) {
	p := asked()
	p.BlockBytes = p.LargestTx() + blockOverhead // 1 answer and a half in a block, 17 blocks
	p.Shards = 67
	p.Challenge.MaxOpenDispute = 1000
	a := newArenaOf(t, p, 5)
	r := a.untilOver(2)
	room := p.disputeRoom()
	if room < 40 || room > 66 {
		t.Fatalf("%d disputes at once: the test wants fewer than there are shards", room)
	}
	for a.head().Height < p.DisputableUntil(a.head(), r.Round)-1 {
		a.step()
	}
	var txs [][]byte
	for s := range blob.Shard(room) + 1 {
		n := a.nonces[a.users[2].Address()] + uint64(s)
		txs = append(txs, Sign(a.users[2], a.l.ChainID(), n, fee, Dispute{Ordinal: r.Ordinal, Shard: s}))
	}
	for i, x := range a.step(txs...).Txs {
		if want := map[bool]Code{true: ErrOpenDisputes.Code}[uint64(i) == room]; x.Code != want {
			t.Fatalf("dispute %d of %d: %d %s", i, room, x.Code, x.Log)
		}
	}
	due := a.dispute(r.Ordinal, 0).AnswerBy
	for a.head().Height <= due {
		a.step()
	}
	if open, err := a.view().OpenDisputes(); err != nil || open != room-p.closings() {
		t.Fatalf("%d open after one block, %v", open, err)
	}
	// It is still on the list, and its time is over all the same.
	waits := blob.Shard(room - 1)
	if d := a.dispute(r.Ordinal, waits); d.State != DisputeOpen {
		t.Fatalf("%+v", d)
	}
	a.refusedWith(ErrNoDispute, a.came(Unsigned(Answer{Ordinal: r.Ordinal, Shard: waits, Proof: a.proof(&archive{}, r, waits).Encode()})))
	for a.head().Height < a.head().EpochEnd {
		a.step()
		a.balanced()
	}
	if open, err := a.view().OpenDisputes(); err != nil || open != 0 || a.head().Epoch != 0 {
		t.Fatalf("%d open at the epoch's end, %v", open, err)
	}
}

// Where nothing was asked all proofs of a holder are alike but for the shard they name.
func TestAProofAnswersForItsOwnShard(t *testing.T) {
	a := newArena(t, 5)
	r := a.untilOver(0)
	mine := a.committee().Duty(a.idOf(a.secrets[1]))
	a.signed(a.users[2], Dispute{Ordinal: r.Ordinal, Shard: mine[0]})
	answer := func(s blob.Shard) error {
		return a.came(Unsigned(Answer{Ordinal: r.Ordinal, Shard: mine[0], Proof: a.proof(&archive{}, r, s).Encode()}))
	}
	a.refusedWith(ErrAnswer, answer(mine[1]))
	if err := answer(mine[0]); err != nil {
		t.Fatal(err)
	}
}

// A proof may be larger than any other transaction; other kinds may not.
func TestAnAnswerMayBeAsLongAsAProof(t *testing.T) {
	a := newArena(t, 5)
	r := a.untilOver(0)
	a.signed(a.users[2], Dispute{Ordinal: r.Ordinal, Shard: 1})
	long := make([]byte, a.g.Params.TxBytes+1)
	a.refusedWith(ErrAnswer, a.came(Unsigned(Answer{Ordinal: r.Ordinal, Shard: 1, Proof: long})))
	a.refusedWith(ErrAnswer, a.came(Unsigned(Answer{Ordinal: r.Ordinal, Shard: 1, Proof: make([]byte, challenge.MaxProofBytes)})))
	a.refusedWith(ErrTooLarge, a.came(Unsigned(Answer{Ordinal: r.Ordinal, Shard: 1, Proof: make([]byte, challenge.MaxProofBytes+1)})))
	a.refusedWith(ErrTooLarge, a.came(Unsigned(Accuse{Ordinal: r.Ordinal, Evidence: long})))
}

// Lies that so many are named for that they have no effect leave no evidence behind.
func TestAnExcusedLieIsForgotten(t *testing.T) {
	for liars, kept := range map[int]bool{1: true, 2: false} { // 2 and 4 of ten shards
		a := newArena(t, 5)
		for i := range 5 {
			a.stored(i)
		}
		r := a.untilOver(2)
		var last Evidence
		for i := range liars {
			shard := a.committee().Duty(a.idOf(a.secrets[i]))[0]
			f, _ := r.Challenge(a.l.ChainID(), a.g.Params.Challenge, shard).Falsehood(a.lie(i, shard, r))
			if err := a.came(Unsigned(Accuse{Ordinal: r.Ordinal, Evidence: f.Encode()})); err != nil {
				t.Fatal(err)
			}
			last = Evidence{Kind: Lie, Epoch: r.Round.Epoch, Round: r.Round.Round, Shard: shard}
		}
		a.toEpochBySteps(1)
		if _, there, err := a.view().Bundle(0, last); err != nil || there != kept {
			t.Errorf("%d liars: evidence is there: %v, %v", liars, there, err)
		}
	}
}

func TestWindowsThatLeaveNoTimeForDisputesAreRefused(t *testing.T) {
	for name, change := range map[string]func(*challenge.Params){
		"AnswerParts":   func(p *challenge.Params) { p.AnswerParts = 1 },
		"no parts":      func(p *challenge.Params) { p.AnswerParts = 0 },
		"half a round":  func(p *challenge.Params) { p.AnswerParts, p.Start = 2, 8 },
		"KeepRounds":    func(p *challenge.Params) { p.KeepRounds = 1 },
		"DisputeRounds": func(p *challenge.Params) { p.DisputeRounds = 0 },
		"no bond":       func(p *challenge.Params) { p.DisputeBond = 0 },
		"AnswerBps":     func(p *challenge.Params) { p.AnswerBps = 5001 },
		"none at once":  func(p *challenge.Params) { p.MaxOpenDispute = 0 },
	} {
		p := asked()
		if err := p.Validate(); err != nil {
			t.Fatal(err)
		}
		if change(&p.Challenge); p.Validate() == nil {
			t.Errorf("%s is taken", name)
		}
	}
	for _, p := range []Params{Default(), Testnet()} {
		p.Challenged = true
		if err := p.Validate(); err != nil {
			t.Error(err)
		}
	}
}

// A slash can be checked again from its evidence alone.
func TestASlashIsReplayedFromItsEvidence(t *testing.T) {
	params := asked()
	params.HistoryEpochs, params.Challenge.FewBlobs = 3, 1
	a := newArenaOf(t, params, 5)
	var k archive
	a.fill(&k, 20_000, 1)
	a.fill(&k, 30_000, 2)
	a.untilOver(1)
	r := a.untilOver(2)
	liar, shard := a.idOf(a.secrets[3]), a.committee().Duty(a.idOf(a.secrets[3]))[0]
	honest, p := a.proof(&k, r, shard), a.proof(&k, r, shard)
	p.Openings[1].Symbols[0] = bytes.Clone(p.Openings[1].Symbols[0])
	p.Openings[1].Symbols[0][0] ^= 1
	p.Signature = a.secrets[3].Key().Sign(challenge.ProofMessage(a.l.ChainID(), p))
	f, shown := r.Challenge(a.l.ChainID(), a.g.Params.Challenge, shard).Falsehood(p)
	if !shown {
		t.Fatal("a wrong symbol holds")
	}
	if err := a.came(Unsigned(Accuse{Ordinal: r.Ordinal, Evidence: f.Encode()})); err != nil {
		t.Fatal(err)
	}
	other := a.committee().Duty(a.idOf(a.secrets[0]))[0]
	a.signed(a.users[2], Dispute{Ordinal: r.Ordinal, Shard: other})
	a.toEpochBySteps(unit.Epoch(a.g.Params.HistoryEpochs) - 1) // the round itself is forgotten for long
	for i, want := range map[int][]string{
		3: {"question 2 asks of blob " + r.Drawings[1].Manifest.ID().String(), "FALSE", "it does not hold"},
		1: {"voted that it had seen shard", "upheld"},
	} {
		e, err := ExplainSlash(a.view(), 0, a.idOf(a.secrets[i]))
		if err != nil || !e.Holds || len(e.Exhibits) == 0 {
			t.Fatalf("node %d: %v %+v", i, err, e)
		}
		for _, w := range want {
			if !e.says(w) {
				t.Errorf("node %d: nothing says %q:\n%+v", i, w, e.Steps)
			}
		}
		for _, x := range e.Exhibits {
			again, err := ReplayExhibit(x, a.l.ChainID())
			if err != nil || !again.Holds {
				t.Fatalf("%v %+v", err, again)
			}
			for name, change := range map[string]func(*ExhibitText){
				"another node":  func(x *ExhibitText) { x.Node = a.idOf(a.secrets[4]); x.Node[0] ^= 1 },
				"another round": func(x *ExhibitText) { x.Round++ },
				"another rung":  func(x *ExhibitText) { x.Kind = 15 - x.Kind },
			} {
				wrong := x
				change(&wrong)
				if again, err := ReplayExhibit(wrong, a.l.ChainID()); err == nil && again.Holds {
					t.Errorf("rung %d: %s is taken", x.Kind, name)
				}
			}
			if again, err := ReplayExhibit(x, "other-00000000"); err == nil && again.Holds {
				t.Errorf("rung %d: evidence of another chain is taken", x.Kind)
			}
		}
	}
	b, kept, err := a.view().Bundle(0, Evidence{Kind: Lie, Epoch: r.Round.Epoch, Round: r.Round.Round, Shard: shard})
	if err != nil || !kept {
		t.Fatal(kept, err)
	}
	for name, change := range map[string]func(*Bundle){
		"the right symbol": func(b *Bundle) {
			f := f
			f.Opening = honest.Openings[1]
			b.Falsehood = f.Encode()
		},
		"another beacon's questions": func(b *Bundle) { b.Round.Round++ },
		"no evidence":                func(b *Bundle) { b.Falsehood = nil },
	} {
		wrong := b
		if change(&wrong); ReplayBundle(wrong, liar).Holds {
			t.Errorf("%s is taken for a lie", name)
		}
	}
	a.toEpochBySteps(unit.Epoch(a.g.Params.HistoryEpochs) + 1)
	if _, kept, err := a.view().Bundle(0, Evidence{Kind: Lie, Epoch: r.Round.Epoch, Round: r.Round.Round, Shard: shard}); kept || err != nil {
		t.Fatal("the evidence outlives the record of the slash", err)
	}
}

func FuzzBundle(f *testing.F) {
	f.Add(Bundle{Params: challenge.Default(), Kind: Lie}.Encode())
	f.Add(Bundle{Params: challenge.Default(), Kind: FalseVote}.Encode())
	w := newWorld(f, small(), 4)
	drawn := Bundle{Chain: w.l.ChainID(), Params: challenge.Default(), Kind: Lie, Shard: 3, Holder: w.idOf(w.secrets[0]), Drawings: []DrawnStripe{{Manifest: w.manifest(1, 20_000)}, {Manifest: w.manifest(2, 5000)}}}
	lie := challenge.Proof{Shard: 3, Openings: make([]challenge.Opening, 2)}
	lie.Signature = w.secrets[0].Key().Sign(challenge.ProofMessage(w.l.ChainID(), lie))
	shown, _ := drawn.Challenge().Falsehood(lie)
	drawn.Falsehood = shown.Encode()
	if !ReplayBundle(drawn, drawn.Holder).Holds {
		f.Fatal("the seed shows nothing")
	}
	f.Add(drawn.Encode())
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, err := DecodeBundle(raw)
		if err != nil {
			return
		}
		if !bytes.Equal(b.Encode(), raw) {
			t.Fatal("accepted bytes that are not canonical")
		}
		for _, kind := range []FaultKind{Lie, FalseVote, b.Kind} {
			b.Kind = kind
			ReplayBundle(b, b.Holder)
		}
	})
}
