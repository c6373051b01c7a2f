package ledger

import (
	"errors"
	"strings"
	"testing"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/state"
	"github.com/walrus-network/walrus/unit"
)

func TestACarriedChangeActsInTheNextEpochButOne(t *testing.T) {
	w := newWorld(t, small(), 4)
	change := ParamChange{Name: "registry.max_epochs", Value: 60}
	w.vote(Vote{Price: 1000, Changes: []ParamChange{change, {Name: "sweep_blobs", Value: 7}}}, 0, 1)
	w.toEpoch(1)
	if r := w.rules(); len(r.Planned) != 0 {
		t.Fatalf("planned with half of the shards: %+v", r.Planned)
	}
	w.vote(Vote{Changes: []ParamChange{change}}, 2)
	w.toEpoch(2)
	r := w.rules()
	if len(r.Planned) != 1 || r.Planned[0].Epoch != 3 || len(r.Planned[0].Changes) != 1 || r.Planned[0].Changes[0] != change || r.Params.Registry.MaxEpochs != 104 {
		t.Fatalf("%+v", r)
	}
	// What was carried is off the ballots, the rest stands.
	if b, _, _ := w.view().Ballot(w.g.Nodes[0].ID); len(b.Changes) != 1 || b.Changes[0].Name != "sweep_blobs" || b.Price != 1000 {
		t.Errorf("the ballot of 0: %+v", b)
	}
	if _, ok, _ := w.view().Ballot(w.g.Nodes[2].ID); ok {
		t.Error("the ballot of 2 asks for nothing, and is kept")
	}
	w.toEpoch(3)
	if r := w.rules(); len(r.Planned) != 0 || r.Params.Registry.MaxEpochs != 60 || r.Params.SweepBlobs != w.g.Params.SweepBlobs || r.Version != FirstRules {
		t.Fatalf("%+v", r)
	}
	if rec, ok, err := w.view().RuleRecord(3); err != nil || !ok || rec.Dropped || len(rec.Changes) != 1 {
		t.Errorf("%+v %v %v", rec, ok, err)
	}
	w.refusedWith(ErrEpochs, w.try(w.users[1], RegisterBlob{Manifest: w.manifest(1, 5), Epochs: 61, Owner: w.users[1].Address()}))
	w.toEpoch(5)
	if _, ok, _ := w.view().RuleRecord(5); ok {
		t.Error("it is planned again")
	}
	w.balanced()
}

// Each change fits by itself, both together do not: no lease could have the default length.
func TestChangesThatDoNotFitTogetherAreDroppedAndItIsSaid(t *testing.T) {
	w := newWorld(t, small(), 4)
	w.vote(Vote{Changes: []ParamChange{{Name: "registry.max_epochs", Value: 20}, {Name: "registry.default_epochs", Value: 30}}}, 0, 1, 2)
	w.toEpoch(1)
	if r := w.rules(); len(r.Planned) != 1 || len(r.Planned[0].Changes) != 2 {
		t.Fatalf("%+v", r)
	}
	w.toEpoch(2)
	r := w.rules()
	if rec, ok, err := w.view().RuleRecord(2); err != nil || !ok || !rec.Dropped || len(rec.Changes) != 2 {
		t.Errorf("%+v %v %v", rec, ok, err)
	}
	if len(r.Planned) != 0 || r.Params != w.g.Params {
		t.Errorf("%+v", r)
	}
}

// A program that does not know the version that was voted works out the last block
// before it, not the first with it, whatever it is given and however it is opened.
func TestAProgramStopsBeforeRulesItDoesNotKnow(t *testing.T) {
	w := newWorld(t, small(), 4)
	w.vote(Vote{Version: Newest + 1}, 0, 1)
	w.vote(Vote{Version: Newest + 2}, 2, 3)
	w.toEpoch(1)
	if _, planned := w.rules().Unknown(); planned {
		t.Fatal("two halves make no version")
	}
	w.vote(Vote{Version: Newest + 1}, 2)
	w.toEpoch(2)
	u, planned := w.rules().Unknown()
	if !planned || u != (UnknownRules{Epoch: 3, Version: Newest + 1}) {
		t.Fatalf("%+v %v", u, planned)
	}
	m := w.l.machine
	for m.Height() < w.head().EpochEnd {
		if _, err := NewMachine(w.g, w.kv); err != nil {
			t.Fatalf("height %d: %v", m.Height(), err)
		}
		w.advance(1)
	}
	hash, block := m.AppHash(), Block{Height: m.Height() + 1, TimeMs: w.head().TimeMs}
	_, err := m.Execute(block)
	if !errors.Is(err, ErrRules) || !strings.Contains(err.Error(), "epoch 3 begins with rules") || !strings.Contains(err.Error(), "install a release that knows rules") {
		t.Fatalf("got %v", err)
	}
	if err := m.Commit(); err == nil || m.AppHash() != hash {
		t.Fatalf("it was committed: %v", err)
	}
	if _, err := NewMachine(w.g, w.kv); !errors.Is(err, ErrRules) {
		t.Fatalf("opened again: %v", err)
	}
	// The votes did not only name what no release knows: 2 of 4 stand for another.
	if b, ok, _ := w.view().Ballot(w.g.Nodes[3].ID); !ok || b.Version != Newest+2 {
		t.Errorf("%+v %v", b, ok)
	}
}

func TestAStateOfNewerRulesIsNotOpened(t *testing.T) {
	w := newWorld(t, small(), 4)
	base, err := w.l.machine.state.At(w.l.machine.Height())
	if err != nil {
		t.Fatal(err)
	}
	o := state.NewOverlay(base)
	x := &exec{o: o}
	x.put(KeyRules(), Rules{Version: Newest + 1, Params: w.g.Params})
	u, err := w.l.machine.state.Prepare(1, o.Changes())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.l.machine.state.Commit(u); err != nil {
		t.Fatal(err)
	}
	if _, err := NewMachine(w.g, w.kv); !errors.Is(err, ErrRules) {
		t.Errorf("got %v", err)
	}
}

// Each parameter is read from where it is written, and from no other place.
func TestEveryVotableParameterIsItsOwn(t *testing.T) {
	last := ""
	for _, v := range Votables() {
		if v.Name <= last || v.Unit == "" || v.Doc == "" {
			t.Errorf("%+v after %s", v, last)
		}
		last = v.Name
		p := Testnet()
		v.set(&p, 77)
		if v.Of(p) != 77 {
			t.Errorf("%s is %d", v.Name, v.Of(p))
		}
		for _, other := range Votables() {
			if other.Name != v.Name && other.Of(p) != other.Of(Testnet()) {
				t.Errorf("%s is %s too", v.Name, other.Name)
			}
		}
	}
}

// Blocks with votes give the same hashes to
// a machine that replays them and opens the state anew between them.
func TestVotesReplayAlike(t *testing.T) {
	w := newWorld(t, small(), 4)
	var blocks []Block
	var hashes []blob.Hash
	m := w.l.machine
	for h := unit.Height(1); h <= 130; h++ {
		b := Block{Height: h, TimeMs: w.g.Time + int64(h)}
		if h%15 == 3 && h < 90 {
			for i := range w.g.Nodes[:3] {
				b.Txs = append(b.Txs, Sign(w.users[0], w.l.ChainID(), w.nonces[w.users[0].Address()], fee,
					Vote{Node: w.g.Nodes[i].ID, Price: 1010, WritePrice: 400, Changes: []ParamChange{{Name: "history_epochs", Value: uint64(2 + h%3)}}}))
				w.nonces[w.users[0].Address()]++
			}
		}
		r, err := m.Execute(b)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range r.Txs {
			if x.Code != 0 {
				t.Fatal(x.Log)
			}
		}
		if err := m.Commit(); err != nil {
			t.Fatal(err)
		}
		blocks, hashes = append(blocks, b), append(hashes, r.AppHash)
	}
	if r := w.rules(); r.Params.HistoryEpochs == w.g.Params.HistoryEpochs || r.Params.Registry.Price == 1000 {
		t.Fatalf("nothing was voted: %+v", r)
	}
	replay(t, w.g, blocks, hashes)
}

// What is in force already is no plan, however many nodes ask for it: a ballot may be cast between
// a plan and its epoch.
func TestWhatIsInForceIsNotPlanned(t *testing.T) {
	w := newWorld(t, small(), 4)
	x, err := w.l.machine.exec()
	if err != nil {
		t.Fatal(err)
	}
	r := x.rules()
	r.Version = 3
	all := Ballot{Version: 3, Changes: []ParamChange{{Name: "fees.base", Value: uint64(r.Params.Fees.Base)}}}
	x.carry(&r, []ballotOf{{node: w.g.Nodes[0].ID, shards: 10, Ballot: all}})
	if len(r.Planned) != 0 {
		t.Fatalf("planned: %+v", r.Planned)
	}
	all.Version, all.Changes[0].Value = 4, all.Changes[0].Value+1
	x.carry(&r, []ballotOf{{node: w.g.Nodes[0].ID, shards: 10, Ballot: all}, {node: w.g.Nodes[1].ID, Ballot: Ballot{Version: 3}}})
	if len(r.Planned) != 1 || r.Planned[0].Version != 4 || len(r.Planned[0].Changes) != 1 {
		t.Fatalf("planned: %+v", r.Planned)
	}
	if _, ok, err := (View{x.o}).Ballot(w.g.Nodes[1].ID); ok || err != nil {
		t.Errorf("a ballot for an older version than the one that is planned stands: %v", err)
	}
}
