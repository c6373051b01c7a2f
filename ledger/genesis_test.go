package ledger

import (
	"errors"
	"testing"

	"github.com/walrus-network/walrus/state"
	"github.com/walrus-network/walrus/token"
)

func TestAGenesisReadsBackAndNamesItsChain(t *testing.T) {
	w := newWorld(t, small(), 4)
	g, err := DecodeGenesis(w.g.Encode())
	if err != nil || g.Hash() != w.g.Hash() || g.ChainID() != w.l.ChainID() {
		t.Fatalf("%v %s", err, g.ChainID())
	}
	other := w.g
	other.Time++
	if other.ChainID() == g.ChainID() {
		t.Fatal("two geneses have one chain ID")
	}
	if a := w.balanced(); a.Total != 400_400*token.WAL {
		t.Fatalf("%+v", a)
	}
	if _, err := NewMachine(other, w.kv); err == nil {
		t.Fatal("another chain's directory was opened")
	}
}

func TestAGenesisThatNoNetworkCanStartFromIsRefused(t *testing.T) {
	for name, bend := range map[string]func(*Genesis){
		"name":            func(g *Genesis) { g.Name = "Big Name" },
		"no name":         func(g *Genesis) { g.Name = "" },
		"other name":      func(g *Genesis) { g.Name = "other" }, // the proofs of possession are for this one
		"no time":         func(g *Genesis) { g.Time = 0 },
		"no nodes":        func(g *Genesis) { g.Nodes = nil },
		"node twice":      func(g *Genesis) { g.Nodes = append(g.Nodes, g.Nodes[0]) },
		"account twice":   func(g *Genesis) { g.Accounts = append(g.Accounts, g.Accounts[0]) },
		"possession":      func(g *Genesis) { g.Nodes[1].BLSProof = g.Nodes[0].BLSProof },
		"bond":            func(g *Genesis) { g.Nodes[1].Bond = g.Params.Staking.MinBond - 1 },
		"capacity":        func(g *Genesis) { g.Nodes[1].CapacityKiB = 0 },
		"commission":      func(g *Genesis) { g.Nodes[1].CommissionBps = 10001 },
		"too much money":  func(g *Genesis) { g.Accounts[0].Amount = 1<<64 - 1 },
		"shards":          func(g *Genesis) { g.Params.Shards = 3 },
		"buckets":         func(g *Genesis) { g.Params.Buckets = 1000 },
		"epoch":           func(g *Genesis) { g.Params.RoundBlocks, g.Params.RoundsPerEpoch = 1, 3 },
		"epoch overflows": func(g *Genesis) { g.Params.RoundBlocks, g.Params.RoundsPerEpoch = 1<<32, 1<<32 },
		"transactions":    func(g *Genesis) { g.Params.TxBytes = g.Params.BlockBytes },
		"sweep":           func(g *Genesis) { g.Params.SweepBlobs = 0 },
		"fees":            func(g *Genesis) { g.Params.Fees.PerByte = 1 << 63 },
		"staking":         func(g *Genesis) { g.Params.Staking.UnbondingEpochs = 0 },
		"registry":        func(g *Genesis) { g.Params.Registry.MaxEpochs = 0 },
	} {
		g := newWorld(t, small(), 4).g
		bend(&g)
		if err := g.Validate(); !errors.Is(err, ErrGenesis) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := NewMachine(g, state.NewMemory()); err == nil {
			t.Errorf("%s: a machine starts", name)
		}
	}
	for name, p := range map[string]Params{"default": Default(), "testnet": Testnet()} {
		if err := p.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := Testnet().EpochBlocks() * Testnet().BlockMs; got != 10*60*1000 {
		t.Errorf("an epoch of a testnet has %d ms", got)
	}
	if got := Default().EpochBlocks() * Default().BlockMs; got != 14*24*3600*1000 {
		t.Errorf("an epoch of a real network has %d ms", got)
	}
}

// TestARemoteReaderSeesTheSame reads every record through proofs alone.
func TestARemoteReaderSeesTheSame(t *testing.T) {
	w := newWorld(t, small(), 4)
	m := w.manifest(1, 1000)
	w.do(w.users[1], RegisterBlob{Manifest: m, Epochs: 2, Owner: w.users[1].Address()})
	w.advance(2)
	height := w.l.Height() - 1
	there, err := w.l.machine.ViewAt(height)
	if err != nil {
		t.Fatal(err)
	}
	root, err := w.l.machine.state.RootAt(height)
	if err != nil {
		t.Fatal(err)
	}
	remote := View{proven(func(key []byte) ([]byte, bool, error) {
		p, err := w.l.machine.Prove(key, height)
		if err != nil {
			return nil, false, err
		}
		return w.g.Verify(p, root, key)
	})}
	a, err1 := there.Committee(0)
	b, err2 := remote.Committee(0)
	if err := errors.Join(err1, err2); err != nil || string(a.encode()) != string(b.encode()) {
		t.Fatalf("%v", err)
	}
	e, ok, err := remote.Blob(m.ID())
	if err != nil || !ok || e.ID() != m.ID() {
		t.Fatalf("%+v %v %v", e, ok, err)
	}
	if _, ok, err := remote.Blob(w.manifest(2, 1).ID()); err != nil || ok {
		t.Fatalf("%v %v", ok, err)
	}
	h, err := remote.Head()
	if err != nil || h.Height != height {
		t.Fatalf("%+v %v", h, err)
	}
	if err := remote.EachNode(func(NodeRecord) error { return nil }); !errors.Is(err, ErrNoList) {
		t.Fatal(err)
	}
}

type proven func(key []byte) ([]byte, bool, error)

func (p proven) Get(key []byte) ([]byte, bool, error) { return p(key) }

func TestARestoredMachineGoesOnAlike(t *testing.T) {
	w := newWorld(t, small(), 4)
	w.do(w.users[1], Transfer{To: w.users[2].Address(), Amount: 5})
	w.advance(25)
	m := w.l.machine
	height, hash := m.Height(), m.AppHash()
	buckets := w.g.Params.Buckets
	level := state.TopLevel(buckets)
	top, err := m.Nodes(height, level)
	if err != nil {
		t.Fatal(err)
	}
	at, release, err := m.HoldAt(height)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	items := map[uint32][]state.Item{}
	err = at.Each(nil, func(k, v []byte) error {
		i := state.Item{Key: k, Value: v}
		node := state.LeafOf(w.g.Salt(), i).Node(buckets, level)
		items[node] = append(items[node], i)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	kv := state.NewMemory()
	r, err := state.NewRestorer(kv, w.g.Salt(), buckets, height, hash, top)
	if err != nil {
		t.Fatal(err)
	}
	for _, node := range r.Missing() {
		if err := r.Put(node, items[node]); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Finish(); err != nil {
		t.Fatal(err)
	}
	back, err := NewMachine(w.g, kv)
	if err != nil {
		t.Fatal(err)
	}
	b := Block{Height: height + 1, TimeMs: w.g.Time + 1, Txs: [][]byte{w.sign(w.users[1], Transfer{To: w.users[3].Address(), Amount: 6})}}
	x, err1 := m.Execute(b)
	y, err2 := back.Execute(b)
	if err := errors.Join(err1, err2); err != nil || x.AppHash != y.AppHash || x.Txs[0].Code != 0 {
		t.Fatalf("%v %+v %+v", err, x, y)
	}
}
