package ledger

import (
	"context"
	"testing"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/state"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// world is a network of known keys on a Local ledger.
type world struct {
	t       testing.TB
	g       Genesis
	l       *Local
	kv      *state.Memory
	users   []token.Key
	secrets []token.Secret
	nonces  map[token.Address]uint64
}

const worldName = "test"

// small is a network whose epochs are short enough to watch.
func small() Params {
	p := Testnet()
	p.Shards, p.RoundBlocks, p.RoundsPerEpoch, p.Buckets = 10, 10, 2, 1<<6
	p.Challenged = false // too short for that
	p.Staking.MinBond = 10 * token.WAL
	p.Registry.TombstoneEpochs = 2
	p.Registry.DefaultEpochs = 2
	return p
}

func userKey(i int) token.Key       { return token.KeyFromSeed([32]byte{1, byte(i)}) }
func nodeSecret(i int) token.Secret { return token.Secret{2, byte(i)} }

func newWorld(t testing.TB, p Params, nodes int) *world {
	t.Helper()
	return newWorldOf(t, p, nodes, func(*Genesis) {})
}

// newWorldOf lets change what the genesis says.
func newWorldOf(t testing.TB, p Params, nodes int, change func(*Genesis)) *world {
	t.Helper()
	w := &world{t: t, kv: state.NewMemory(), nonces: map[token.Address]uint64{}}
	w.g = Genesis{Name: worldName, Time: 1_800_000_000_000, Params: p}
	for i := range 4 {
		k := userKey(i)
		w.users = append(w.users, k)
		w.g.Accounts = append(w.g.Accounts, GenesisAccount{Address: k.Address(), Amount: 100_000 * token.WAL})
	}
	for i := range nodes {
		s := nodeSecret(i)
		w.secrets = append(w.secrets, s)
		n := GenesisNode{Operator: w.users[0].Address(), Addresses: []string{"/ip4/127.0.0.1/tcp/1"}, Comet: "127.0.0.1:2", Name: "n", CapacityKiB: 1 << 30, Bond: 100 * token.WAL, CommissionBps: 1000}
		w.g.Nodes = append(w.g.Nodes, n.Prove(worldName, s.Key(), s.BLSKey()))
	}
	change(&w.g)
	var err error
	if w.l, err = NewLocal(w.g, w.kv, func() int64 { return 0 }); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) view() View {
	w.t.Helper()
	v, err := w.l.View(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

func ok[T any](w *world, v T, err error) T {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

func (w *world) head() Head {
	w.t.Helper()
	h, err := w.view().Head()
	return ok(w, h, err)
}

func (w *world) account(k token.Key) Account {
	w.t.Helper()
	a, err := w.view().Account(k.Address())
	return ok(w, a, err)
}

func (w *world) committee() Committee {
	w.t.Helper()
	c, err := w.view().Committee(w.head().Epoch)
	return ok(w, c, err)
}

const fee = token.WAL / 100

func (w *world) sign(k token.Key, body Body) []byte {
	n := w.nonces[k.Address()]
	return Sign(k, w.l.ChainID(), n, fee, body)
}

// try submits and says what came of it.
func (w *world) try(k token.Key, body Body) error {
	w.t.Helper()
	r, err := w.l.Submit(context.Background(), w.sign(k, body))
	if err != nil {
		w.t.Fatal(err)
	}
	if r.Code == 0 {
		w.nonces[k.Address()]++
	}
	return r.Err()
}

func (w *world) do(k token.Key, body Body) {
	w.t.Helper()
	if err := w.try(k, body); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) send(body Body) error {
	w.t.Helper()
	r, err := w.l.Submit(context.Background(), Unsigned(body))
	if err != nil {
		w.t.Fatal(err)
	}
	return r.Err()
}

// manifest is that of some blob; the ledger never sees its bytes.
func (w *world) manifest(i, size int) blob.Manifest {
	w.t.Helper()
	shape, err := w.g.Params.Shape()
	l, err2 := ok(w, shape, err).Layout(int64(size))
	return blob.NewManifest(ok(w, l, err2), blob.Leaf([]byte{byte(i), byte(i >> 8)}))
}

// certificate is signed by those nodes of an epoch's committee that sign takes.
func (w *world) certificate(id blob.ID, epoch unit.Epoch, sign func(i int, id staking.NodeID) bool) registry.Certificate {
	w.t.Helper()
	c, err := w.view().Committee(epoch)
	ok(w, c, err)
	sigs := map[int]token.BLSSignature{}
	for i, m := range c.Nodes {
		if !sign(i, m.ID) {
			continue
		}
		for _, s := range w.secrets {
			if staking.NodeID(s.Key().Public()) == m.ID {
				sigs[i] = s.BLSKey().Sign(registry.ConfirmMessage(w.l.ChainID(), epoch, id))
			}
		}
	}
	cert, err := registry.NewCertificate(epoch, len(c.Nodes), sigs)
	return ok(w, cert, err)
}

func all(int, staking.NodeID) bool { return true }

func (w *world) certify(id blob.ID) {
	w.t.Helper()
	if err := w.send(Certify{Blob: id, Certificate: w.certificate(id, w.head().Epoch, all)}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) advance(n int) {
	w.t.Helper()
	if err := w.l.Advance(n); err != nil {
		w.t.Fatal(err)
	}
}

// toEpoch advances to the first block of an epoch.
func (w *world) toEpoch(e unit.Epoch) {
	w.t.Helper()
	for w.head().Epoch < e {
		w.advance(1)
	}
}

// toMiddle advances to the middle of an epoch.
func (w *world) toMiddle(e unit.Epoch) {
	w.t.Helper()
	w.toEpoch(e)
	for w.head().Height < w.head().Middle() {
		w.advance(1)
	}
}

// balanced checks that no money was made or lost.
func (w *world) balanced() TrialBalance {
	w.t.Helper()
	a, err := w.view().TrialBalance()
	if err != nil {
		w.t.Fatal(err)
	}
	if !a.Balanced() {
		w.t.Fatalf("money was made or lost: %+v", a)
	}
	return a
}

// allReady reports every shard that is on the move ready.
func (w *world) allReady() {
	w.t.Helper()
	c := w.committee()
	for s, from := range c.From {
		for _, secret := range w.secrets {
			if !from.IsZero() && w.idOf(secret) == c.Holder[s] {
				if err := w.send(NewShardReady(w.l.ChainID(), secret.Key(), c.Epoch, blob.Shard(s))); err != nil {
					w.t.Fatal(err)
				}
			}
		}
	}
}

type (
	registryEntry     = registry.Entry
	registryTombstone = registry.Tombstone
)

func (w *world) idOf(s token.Secret) staking.NodeID { return staking.NodeID(s.Key().Public()) }
