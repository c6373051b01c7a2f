package store

import (
	"bytes"
	"context"
	"errors"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/internal/leak"
	"github.com/walrus-network/walrus/kv"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		runChild(dir)
		return
	}
	leak.Main(m)
}

var ctx = context.Background()

func open(t testing.TB, o Options) *Store {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// hold keeps the blob and puts all fragments of places.
func hold(t testing.TB, s *Store, e *encoded, places ...blob.Place) []Piece {
	t.Helper()
	must(t, s.Keep(ctx, e.m))
	all := e.pieces(t, places...)
	must(t, s.Put(ctx, e.c.ID, all...))
	return all
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error %v, want %v", err, want)
	}
}

// readable checks that a fragment comes back as it was put, with a witness that proves it.
func readable(t testing.TB, s *Store, e *encoded, p Piece) {
	t.Helper()
	at := p.Fragment.Position()
	v, err := s.Fragment(at)
	must(t, err)
	if !bytes.Equal(v.Bytes(), p.Fragment.Bytes()) || v.Position() != at {
		t.Fatalf("%v reads otherwise than it was put", at)
	}
	w, err := s.Witness(at.Blob, at.Stripe, at.Place)
	must(t, err)
	roots, err := w.Prove(e.c, at.Stripe, at.Place)
	must(t, err)
	if _, err := roots.VerifySource(at.Axis, v.Bytes(), w.Parity.Of(at.Axis)); err != nil {
		t.Fatalf("witness does not prove its fragment: %v", err)
	}
}

// recount is the totals, counted over all records.
func recount(t testing.TB, s *Store) (u totals) {
	t.Helper()
	slots := map[slot]uint16{}
	must(t, s.db.Each([]byte{tagAddress}, func(_, v []byte) error {
		rec, err := parseAddressRecord(v)
		u.Bytes += uint64(rec.Len)
		return err
	}))
	must(t, s.db.Each([]byte{tagEntry}, func(k, v []byte) error {
		u.Fragments++
		at, _ := parseEntry(k)
		e, err := parseEntryRecord(v)
		slots[slotOf(at)] = e.witness
		return err
	}))
	for _, n := range slots {
		u.Proofs += uint64(n)
	}
	must(t, s.eachBlob(func(_ blob.ID, rec blobRecord) error {
		u.Blobs++
		u.Proofs += uint64(len(rec.Manifest.Encode()))
		if rec.staged() {
			u.Staged++
			u.StagedBytes += rec.Bytes
		}
		return nil
	}))
	return u
}

// sound checks the invariants of the records against each other.
func sound(t testing.TB, s *Store) {
	t.Helper()
	if got, want := s.totals(), recount(t, s); got != want {
		t.Errorf("totals %+v, counted %+v", got, want)
	}
	entries := map[blob.Address]uint64{}
	must(t, s.db.EachKey([]byte{tagBack}, func(k []byte) error {
		a, _ := parseAddress(k[:1+hashLen])
		entries[a]++
		at, _ := parseEntry(k)
		return s.db.View(func(r kv.Reader) error {
			if e, err := readEntry(r, at); err != nil || !e.held || e.address != a {
				t.Errorf("back entry of %v without its entry (%v)", at, err)
			}
			return nil
		})
	}))
	must(t, s.db.Each([]byte{tagAddress}, func(k, v []byte) error {
		a, _ := parseAddress(k)
		rec, err := parseAddressRecord(v)
		if rec.Entries != entries[a] || rec.Entries == 0 {
			t.Errorf("%s counts %d entries, has %d", a, rec.Entries, entries[a])
		}
		delete(entries, a)
		return err
	}))
	if len(entries) > 0 {
		t.Errorf("%d addresses have entries and no record", len(entries))
	}
}

func TestWhatWasPutReadsBackAfterReopening(t *testing.T) {
	dir := t.TempDir()
	e := encode(t, 7, 512, randomBytes(1, 40_000))
	s, err := Open(Options{Dir: dir})
	must(t, err)
	all := hold(t, s, e, 2, 5)
	usage := s.Usage()
	must(t, s.Close())
	s = open(t, Options{Dir: dir})
	for _, p := range all {
		readable(t, s, e, p)
	}
	m, ok, err := s.Manifest(e.c.ID)
	if err != nil || !ok || m != e.m {
		t.Errorf("manifest %v, %v, %v", m, ok, err)
	}
	again := s.Usage()
	usage.DiskBytes, again.DiskBytes = 0, 0
	if usage != again {
		t.Errorf("usage %+v, after reopening %+v", usage, again)
	}
	if int(usage.Fragments) != len(all) || usage.Blobs != 1 {
		t.Errorf("usage %+v for %d fragments", usage, len(all))
	}
	sound(t, s)
}

func TestPuttingAgainChangesNothing(t *testing.T) {
	s := open(t, Options{})
	e := encode(t, 4, 1024, randomBytes(2, 9_000))
	all := hold(t, s, e, 1)
	before := s.totals()
	must(t, s.Put(ctx, e.c.ID, all...))
	must(t, s.Put(ctx, e.c.ID, append(all, all...)...))
	must(t, s.Keep(ctx, e.m))
	must(t, s.Stage(ctx, e.m, time.Unix(9, 0)))
	if got := s.totals(); got != before {
		t.Errorf("totals %+v became %+v", before, got)
	}
	sound(t, s)
}

func TestBlobsOfZerosShareTheirBytes(t *testing.T) {
	s := open(t, Options{})
	a := encode(t, 7, 1024, make([]byte, 2*15*1024))
	b := encode(t, 7, 1024, make([]byte, 4*15*1024))
	inA := hold(t, s, a, 0, 3)
	one := s.Usage().Bytes
	inB := hold(t, s, b, 0, 3)
	if got := s.Usage().Bytes; got != one {
		t.Errorf("the second blob of zeros took %d bytes more", got-one)
	}
	sound(t, s)
	must(t, s.Drop(ctx, a.c.ID))
	for _, p := range inB {
		readable(t, s, b, p)
	}
	for _, p := range inA {
		_, err := s.Fragment(p.Fragment.Position())
		wantErr(t, err, ErrMissing)
	}
	sound(t, s)
	must(t, s.Drop(ctx, b.c.ID))
	if got := s.totals(); got != (totals{}) {
		t.Errorf("after dropping all: %+v", got)
	}
}

// Repair brings a column before its row: each adds the parity root it has shown.
func TestFragmentsOfAPlaceCanComeOneByOne(t *testing.T) {
	s := open(t, Options{})
	e := encode(t, 7, 256, randomBytes(3, 3_000))
	must(t, s.Keep(ctx, e.m))
	column, row := e.piece(t, 0, 4, blob.Column), e.piece(t, 0, 4, blob.Row)
	must(t, s.Put(ctx, e.c.ID, column))
	readable(t, s, e, column)
	must(t, s.Put(ctx, e.c.ID, row))
	readable(t, s, e, column)
	readable(t, s, e, row)
	sound(t, s)
	must(t, s.DropPlace(ctx, e.c.ID, 4))
	_, err := s.Witness(e.c.ID, 0, 4)
	wantErr(t, err, ErrMissing)
	sound(t, s)
}

func TestMissingIsDutyMinusPossession(t *testing.T) {
	s := open(t, Options{})
	e := encode(t, 7, 128, randomBytes(4, 10_000))
	stripes := e.c.Layout.Stripes
	if stripes < 3 {
		t.Fatalf("%d stripes", stripes)
	}
	gone, err := s.Missing(e.c, []blob.Place{6, 1, 6})
	must(t, err)
	if len(gone) != 2*2*stripes {
		t.Fatalf("%d missing of an unknown blob, want %d", len(gone), 4*stripes)
	}
	hold(t, s, e, 1, 3)
	must(t, s.Put(ctx, e.c.ID, e.piece(t, 2, 6, blob.Column)))
	gone, err = s.Missing(e.c, []blob.Place{6, 1})
	must(t, err)
	if len(gone) != 2*stripes-1 || slices.ContainsFunc(gone, func(at blob.Position) bool {
		return at.Place != 6 || at.Stripe == 2 && at.Axis == blob.Column
	}) {
		t.Errorf("missing: %v", gone)
	}
	for _, at := range gone {
		if held, err := s.Has(at); held || err != nil {
			t.Errorf("has %v: %v, %v", at, held, err)
		}
	}
	gone, err = s.Missing(e.c, []blob.Place{3})
	must(t, err)
	if len(gone) != 0 {
		t.Errorf("missing of a place that is held: %v", gone)
	}
}

func TestStagedBlobsStayInTheirCorner(t *testing.T) {
	e := encode(t, 4, 1024, randomBytes(5, 8_000))
	kept := encode(t, 4, 1024, randomBytes(6, 8_000))
	all := e.pieces(t, 0, 1)
	limit := int64(0)
	for _, p := range all[:2] {
		limit += int64(len(p.Fragment.Bytes()) + len(p.Witness.Encode()))
	}
	s := open(t, Options{StagedCapacity: limit + 100})
	wantErr(t, s.Put(ctx, e.c.ID, all...), ErrUnknown)
	now := time.Unix(1_700_000_000, 0)
	must(t, s.Stage(ctx, e.m, now))
	must(t, s.Put(ctx, e.c.ID, all[:2]...))
	wantErr(t, s.Put(ctx, e.c.ID, all[2:]...), ErrStagedFull)
	hold(t, s, kept, 0, 1)
	staged, err := s.Staged()
	must(t, err)
	u := s.Usage()
	if len(staged) != 1 || staged[0].ID != e.c.ID || !staged[0].Since.Equal(now) || staged[0].Bytes != u.StagedBytes || u.Staged != 1 {
		t.Errorf("staged %+v, usage %+v", staged, u)
	}
	sound(t, s)
	must(t, s.Keep(ctx, e.m))
	must(t, s.Put(ctx, e.c.ID, all[2:]...))
	if u := s.Usage(); u.Staged != 0 || u.StagedBytes != 0 {
		t.Errorf("after keeping: %+v", u)
	}
	for _, p := range all {
		readable(t, s, e, p)
	}
	sound(t, s)
}

func TestCapacityRefusesBeforeItIsExceeded(t *testing.T) {
	e := encode(t, 4, 4096, randomBytes(7, 200_000))
	all := e.pieces(t, 0, 1, 2, 3)
	const capacity = 150_000
	s := open(t, Options{Capacity: capacity})
	must(t, s.Keep(ctx, e.m))
	var held []Piece
	refused := 0
	for _, p := range all {
		err := s.Put(ctx, e.c.ID, p)
		if err == nil {
			held = append(held, p)
			continue
		}
		wantErr(t, err, ErrFull)
		refused++
	}
	if u := s.Usage(); u.Bytes+u.Proofs > capacity || u.Bytes+u.Proofs < capacity/2 || refused == 0 {
		t.Errorf("usage %+v, %d refused", u, refused)
	}
	for _, p := range held {
		readable(t, s, e, p)
	}
	must(t, s.Put(ctx, e.c.ID, held...)) // what is there needs no room
	must(t, s.Drop(ctx, e.c.ID))
	must(t, s.Keep(ctx, e.m))
	must(t, s.Put(ctx, e.c.ID, held...))
	sound(t, s)
}

func TestManyWritersAreCommittedTogether(t *testing.T) {
	s := open(t, Options{})
	var wg sync.WaitGroup
	blobs := make([]*encoded, 16)
	for i := range blobs {
		blobs[i] = encode(t, 4, 512, randomBytes(uint64(100+i), 6_000))
	}
	for _, e := range blobs {
		wg.Go(func() {
			if err := s.Keep(ctx, e.m); err != nil {
				t.Error(err)
			}
			for _, p := range e.pieces(t, 0, 2) {
				if err := s.Put(ctx, e.c.ID, p); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for i, e := range blobs {
		for _, p := range e.pieces(t, 0, 2) {
			readable(t, s, e, p)
		}
		if i%2 == 0 {
			wg.Go(func() {
				if err := s.Drop(ctx, e.c.ID); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	if u := s.Usage(); u.Blobs != 8 {
		t.Errorf("usage %+v", u)
	}
	sound(t, s)
}

func TestAPutOfAnotherBlobsFragmentIsRefused(t *testing.T) {
	s := open(t, Options{})
	a, b := encode(t, 4, 64, randomBytes(8, 500)), encode(t, 4, 64, randomBytes(9, 500))
	must(t, s.Keep(ctx, a.m))
	if err := s.Put(ctx, a.c.ID, b.piece(t, 0, 0, blob.Row)); err == nil {
		t.Error("kept")
	}
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	wantErr(t, s.Put(canceled, a.c.ID, a.piece(t, 0, 0, blob.Row)), context.Canceled)
	if got := s.Usage().Fragments; got != 0 {
		t.Errorf("%d fragments", got)
	}
}

func TestBlobsListsWhatIsKeptAndStaged(t *testing.T) {
	s := open(t, Options{})
	a, b := encode(t, 4, 64, randomBytes(10, 500)), encode(t, 4, 64, randomBytes(11, 500))
	must(t, s.Keep(ctx, a.m))
	must(t, s.Stage(ctx, b.m, time.Unix(1, 0)))
	got := map[blob.ID]bool{}
	must(t, s.Blobs(func(id blob.ID, m blob.Manifest, staged bool) error {
		if m.ID() != id {
			t.Errorf("manifest of %s under %s", m.ID(), id)
		}
		got[id] = staged
		return nil
	}))
	if len(got) != 2 || got[a.c.ID] || !got[b.c.ID] {
		t.Errorf("%v", got)
	}
}

func TestRunReturnsWhenToldToAndClearsUp(t *testing.T) {
	s := open(t, Options{})
	e := encode(t, 4, 64, randomBytes(12, 500))
	hold(t, s, e, 0)
	running, stop := context.WithCancel(ctx)
	done := make(chan error)
	go func() { done <- s.Run(running) }()
	must(t, s.Drop(ctx, e.c.ID))
	stop()
	must(t, <-done)
}
