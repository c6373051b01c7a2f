package ledger

import (
	"fmt"
	"math/rand"
	"slices"
	"testing"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/internal/testlevel"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// snapshot is the index as it stands, and whose blobs have ended.
type snapshot struct {
	index *challenge.Index
	ended map[int]bool
}

func (a *arena) snapshot() (s snapshot) {
	a.t.Helper()
	s = snapshot{challenge.NewIndex(), map[int]bool{}}
	v := a.view()
	err := v.EachSlot(func(i int, slot challenge.Slot) error {
		s.index.Set(i, slot)
		_, ends, err := v.R.Get(keyFreeing(uint64(i)))
		s.ended[i] = ends
		return err
	})
	ok(a.world, s, err)
	return s
}

// live says which blobs are what they were: in the slot that they had.
func (a *arena) live(s snapshot) map[blob.ID]bool {
	out := map[blob.ID]bool{}
	for i := range s.index.Len() {
		id := s.index.At(i).Blob
		if e, known, err := a.view().Blob(id); err == nil && known && e.Certified() && e.Slot == uint64(i)+1 {
			out[id] = true
		}
	}
	return out
}

// drawsAsItStood checks a round against what its beacon draws from a snapshot.
func (a *arena) drawsAsItStood(s snapshot, r RoundState, live map[blob.ID]bool) error {
	var want []challenge.Draw
	for _, d := range challenge.DrawRound(a.g.Params.Challenge, r.Beacon, s.index, func(i int) bool { return s.ended[i] }) {
		if live[d.Blob] {
			want = append(want, d)
		}
	}
	var got []challenge.Draw
	for _, d := range r.Drawings {
		got = append(got, challenge.Draw{Blob: d.Manifest.ID(), Stripe: d.Stripe})
	}
	if !slices.Equal(got, want) {
		return fmt.Errorf("%d stripes are drawn, the index as it stood gives %d", len(got), len(want))
	}
	return nil
}

// signer signs for one block: numbers go on from those that the ledger has.
func (a *arena) signer(k token.Key) func(Body) []byte {
	n := a.account(k).Nonce
	return func(body Body) []byte {
		n++
		return Sign(k, a.l.ChainID(), n-1, fee, body)
	}
}

// untilOpened runs to the block that opens a round.
func (a *arena) untilOpened() {
	a.t.Helper()
	for a.opened() {
		a.step()
	}
	for !a.opened() {
		a.step()
	}
}

// untilDrawn runs to the draw, with transactions for the blocks until then.
func (a *arena) untilDrawn(txs func() [][]byte) RoundState {
	a.t.Helper()
	for {
		a.step(txs()...)
		r, _, err := a.view().Round()
		if ok(a.world, r, err).Drawn {
			return r
		}
	}
}

// Between the opening of a round and its draw accounts may do anything to any blob: the
// beacon draws the same stripes, and those are asked for whose blobs have not ended.
func TestNothingDoneToBlobsMovesADraw(t *testing.T) {
	testlevel.Middle(t, "takes seconds of processor time")
	ended := 0
	for seed := range int64(testlevel.Repeat(0, 6, 12)) {
		random := rand.New(rand.NewSource(seed))
		blobs := []int{3, 20, 40}[seed%3] // of few of them only one is drawn, by many stripes
		build := func() (*arena, []blob.ID) {
			a := newArena(t, 5)
			var ids []blob.ID
			for i := range blobs {
				m := a.manifest(i, 20_000*(1+i%40))
				alice := a.users[1]
				a.step(a.signer(alice)(RegisterBlob{Manifest: m, Epochs: 3, Owner: alice.Address()}))
				a.step(Unsigned(Certify{Blob: m.ID(), Certificate: a.certificate(m.ID(), a.head().Epoch, all)}))
				ids = append(ids, m.ID())
			}
			a.untilOver(2)
			a.untilOpened()
			return a, ids
		}
		quiet, _ := build()
		honest := quiet.untilDrawn(func() [][]byte { return nil })
		a, ids := build()
		before := a.snapshot()
		alice := a.users[1]
		var waiting []blob.ID
		var live map[blob.ID]bool // before the draw's own block, whose transactions come after it
		r := a.untilDrawn(func() (txs [][]byte) {
			live = a.live(before)
			sign := a.signer(alice)
			for _, id := range waiting { // registered again in the block before
				txs = append(txs, Unsigned(Certify{Blob: id, Certificate: a.certificate(id, a.head().Epoch, all)}))
			}
			waiting = nil
			for i, id := range ids {
				switch random.Intn(6) {
				case 0:
					txs = append(txs, sign(Delete{Blob: id}))
				case 1:
					m := a.manifest(i, 20_000*(1+i%40))
					txs = append(txs, sign(Delete{Blob: id}), sign(RegisterBlob{Manifest: m, Epochs: 1, Owner: alice.Address()}))
					waiting = append(waiting, id)
				case 2:
					txs = append(txs, sign(Extend{Blob: id, Epochs: 1}))
				case 3:
					txs = append(txs, sign(SetRenewal{Blob: id, Allowance: token.WAL, HighestPrice: token.WAL}))
				}
			}
			fresh := a.manifest(1000+random.Intn(1000), 20_000)
			return append(txs, sign(RegisterBlob{Manifest: fresh, Epochs: 1, Owner: alice.Address()}))
		})
		if r.Beacon != honest.Beacon {
			t.Fatalf("seed %d: another beacon", seed)
		}
		ended += before.index.Len() - len(live)
		if err := a.drawsAsItStood(before, r, live); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
		was := map[challenge.Draw]bool{}
		for _, d := range honest.Draws() {
			was[d] = true
		}
		for _, d := range r.Draws() {
			if !was[d] {
				t.Errorf("seed %d: %v is drawn, and would not have been", seed, d)
			}
		}
	}
	if ended == 0 {
		t.Error("nothing has ended")
	}
}

// Blobs that end by themselves while a round is open, or just before, move no draw either.
func TestBlobsThatRunOutMoveNoDraw(t *testing.T) {
	p := asked()
	p.SweepBlobs = 1 // so that they run out over many blocks
	a := newArenaOf(t, p, 5)
	alice := a.users[1]
	for i := range 60 {
		m := a.manifest(i, 60_000)
		a.step(a.signer(alice)(RegisterBlob{Manifest: m, Epochs: 2 + uint64(i%2)*4, Owner: alice.Address()}))
		a.step(Unsigned(Certify{Blob: m.ID(), Certificate: a.certificate(m.ID(), a.head().Epoch, all)}))
	}
	during := 0
	for a.head().Epoch < 4 {
		a.untilOpened()
		before := a.snapshot()
		r := a.untilDrawn(func() [][]byte { return nil })
		live := a.live(before)
		for i := range before.index.Len() {
			if before.index.At(i).Units > 0 && !before.ended[i] && !live[before.index.At(i).Blob] {
				during++
			}
		}
		if err := a.drawsAsItStood(before, r, live); err != nil {
			t.Errorf("%v: %v", r.Round, err)
		}
	}
	if during == 0 {
		t.Error("none has ended while a round was open")
	}
}

// A blob that is registered again waits for a round again before it can be drawn: the
// certificate that it had before does not count.
func TestACertificateOfAnEarlierLifeMakesNothingDrawable(t *testing.T) {
	a := newArena(t, 5)
	alice := a.users[1]
	id := a.stored(1)
	first := a.head().Height
	a.run(int(a.g.Params.RoundBlocks) - 10)
	m := a.manifest(1, 20_000)
	sign := a.signer(alice)
	a.step(sign(Delete{Blob: id}), sign(RegisterBlob{Manifest: m, Epochs: 3, Owner: alice.Address()}))
	a.step(Unsigned(Certify{Blob: id, Certificate: a.certificate(id, a.head().Epoch, all)}))
	second := a.head().Height
	if second >= first.Plus(a.g.Params.RoundBlocks) {
		t.Fatal("too late to show anything")
	}
	for a.head().Height < second.Plus(2*a.g.Params.RoundBlocks) {
		a.step()
		if e := a.entry(id); e.Slot > 0 && a.head().Height < second.Plus(a.g.Params.RoundBlocks) {
			t.Fatalf("certified in block %d, drawable in block %d", second, a.head().Height)
		}
	}
	if a.entry(id).Slot == 0 {
		t.Error("it is never drawable")
	}
}

// The draws of a round come at other blocks from round to round, as the last beacon says,
// and a node that knows the ledger knows when; also after a round that was skipped.
func TestTheLastBeaconSaysWhenTheNextDrawIs(t *testing.T) {
	p := asked()
	p.RoundsPerEpoch = 6
	a := newArenaOf(t, p, 5)
	offsets := map[uint64]bool{}
	for range 16 {
		a.untilOpened()
		r, _, _ := a.view().Round()
		last, err := a.view().Beacon()
		ok(a.world, last, err)
		h := a.head()
		start := h.EpochStart.Plus(uint64(r.Round.Round) * p.RoundBlocks).Plus(p.Challenge.Start)
		want := challenge.Offset(last, r.Round, p.Challenge.Offsets(p.RoundBlocks, p.Shards))
		if r.T != start.Plus(want) {
			t.Fatalf("%v: T is %d, want %d", r.Round, r.T, start.Plus(want))
		}
		offsets[want] = true
		a.silent[0], a.silent[1], a.silent[2], a.silent[3] = false, false, false, false
		if r.Round.Round == 2 { // is skipped
			for i := range 4 {
				a.silent[i] = true
			}
		}
		for {
			a.step()
			if r, _, _ = a.view().Round(); r.Drawn || r.Over {
				break
			}
		}
		if r.Drawn == (r.Round.Round == 2) {
			t.Fatalf("%+v", r)
		}
		for i := range 4 {
			delete(a.silent, i)
		}
	}
	if len(offsets) < 5 {
		t.Errorf("16 draws at %d different blocks of their rounds", len(offsets))
	}
}

// Whose reveals others leave out of every block before the draw, for two epochs, is paid
// like all others, and keeps stake and shards.
func TestANodeWhoseRevealsAreLeftOutLosesNothing(t *testing.T) {
	a := newArena(t, 10)
	victims := []int{1, 2, 3} // of shards: more than two thirds of the votes are there
	for _, i := range victims {
		a.silent[i], a.leftOut[i] = true, true
	}
	for a.head().Epoch < 3 {
		a.step()
	}
	for e := range unit.Epoch(3) {
		honest, _, err := a.view().Statement(e, a.idOf(a.secrets[0]))
		ok(a.world, honest, err)
		for _, i := range victims {
			s, _, err := a.view().Statement(e, a.idOf(a.secrets[i]))
			ok(a.world, s, err)
			if s.Verdict != (staking.Verdict{}) || s.Cut.Total() > 0 || s.Credit.Passed != s.Credit.Assigned || honest.Credit.Passed == 0 {
				t.Errorf("epoch %d, node %d: rung %d, slashed %s, %+v", e, i, s.Verdict.Rung, s.Cut.Total(), s.Credit)
			}
		}
	}
}
