package ledger

import (
	"testing"

	"github.com/walrus-network/walrus/blob"
)

// lastDraw is what is known of a blob's last draw.
func (a *arena) lastDraw(id blob.ID) (LastDraw, bool) {
	a.t.Helper()
	d, drawn, err := a.view().LastDraw(id)
	return ok(a.world, d, err), drawn
}

func (a *arena) delete(id blob.ID) {
	a.t.Helper()
	alice := a.users[1]
	n := a.nonces[alice.Address()]
	a.nonces[alice.Address()]++
	if r := a.step(Sign(alice, a.l.ChainID(), n, fee, Delete{Blob: id})); r.Txs[0].Code != 0 {
		a.t.Fatal(r.Txs[0].Log)
	}
}

func TestTheLedgerKnowsHowABlobsLastDrawWent(t *testing.T) {
	a := newArena(t, 5)
	id := a.stored(0)
	a.untilOver(0)
	if d, drawn := a.lastDraw(id); drawn {
		t.Fatalf("it cannot be drawn yet: %+v", d)
	}
	bad := a.committee().Duty(a.idOf(a.secrets[3]))[0]
	a.unseen[bad] = true
	r := a.untilOver(2)
	d, drawn := a.lastDraw(id)
	if !drawn || d.Round != r.Round || d.Ordinal != r.Ordinal || d.Height != r.T || d.TimeMs != r.TimeMs || d.Stripes != uint64(len(r.Drawings)) || d.Failed != 1 || d.Void {
		t.Fatalf("%v %+v, the round %+v", drawn, d, r)
	}
	for s := range blob.Shard(a.g.Params.Shards) {
		if d.Proved(s) != (s != bad) {
			t.Errorf("shard %d: %v", s, d.Proved(s))
		}
	}
	delete(a.unseen, bad)
	a.goes(2)
	a.untilOver(0) // of the next epoch
	d, _ = a.lastDraw(id)
	if d.Failed != 0 || d.Away != 2 || !d.Proved(bad) || d.Round.Epoch != 1 {
		t.Fatalf("the next round: %+v", d)
	}
	a.delete(id)
	if d, drawn := a.lastDraw(id); drawn {
		t.Fatalf("it has ended, and is remembered: %+v", d)
	}
}

// What a dispute takes back is not said to be proven of the blobs either that were drawn.
func TestADisputeTakesBackWhatWasSaidOfABlob(t *testing.T) {
	a := newArena(t, 5)
	id := a.stored(0)
	a.untilOver(1)
	r := a.untilOver(2)
	shard := a.committee().Duty(a.idOf(a.secrets[3]))[0]
	a.signed(a.users[2], Dispute{Ordinal: r.Ordinal, Shard: shard})
	before, _ := a.lastDraw(id)
	if before.Ordinal != r.Ordinal || !before.Proved(shard) {
		t.Fatalf("it was not drawn in round %d: %+v", r.Ordinal, before)
	}
	for a.dispute(r.Ordinal, shard).State == DisputeOpen {
		a.step()
	}
	d, _ := a.lastDraw(id)
	if d.Proved(shard) || d.Unclear != before.Unclear+1 {
		t.Fatalf("%+v", d)
	}
	for s := range blob.Shard(a.g.Params.Shards) {
		if s != shard && d.Proved(s) != before.Proved(s) {
			t.Errorf("shard %d: %v", s, d.Proved(s))
		}
	}
}

// What ends between its draw and the tally leaves nothing behind.
func TestABlobThatEndsInItsRoundIsForgotten(t *testing.T) {
	a := newArena(t, 5)
	id := a.stored(0)
	a.untilOver(1)
	for {
		if r, _, _ := a.view().Round(); r.Drawn && !r.Over && len(r.Drawings) > 0 {
			break
		}
		a.step()
	}
	a.delete(id)
	a.untilOver(2)
	if d, drawn := a.lastDraw(id); drawn {
		t.Fatalf("%+v", d)
	}
}

// Usage counts what the index holds: status and info tell odds by it.
func TestUsageCountsWhatCanBeDrawn(t *testing.T) {
	a := newArena(t, 5)
	var ids []blob.ID
	for i := range 6 {
		ids = append(ids, a.stored(i))
	}
	check := func(blobs int) {
		t.Helper()
		u, err := a.view().Usage()
		x := a.l.machine.index
		if ok(a.world, u, err); u.Drawable != uint64(x.Live()) || u.DrawableKiB != x.Total() || x.Live() != blobs {
			t.Fatalf("%+v; the index holds %d blobs, %d KiB; want %d", u, x.Live(), x.Total(), blobs)
		}
	}
	check(0)
	a.untilOver(1)
	check(6)
	a.delete(ids[1])
	a.delete(ids[4])
	a.run(3)
	check(4)
	a.stored(9)
	a.run(int(a.g.Params.RoundBlocks) + 10)
	check(5)
}
