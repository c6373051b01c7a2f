package explain

import (
	"testing"

	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/internal/court"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// world is a ledger of a court, with known users.
type world struct {
	*court.Court
	users []token.Key // the first operates all nodes
}

// judged is epochs of ten short rounds, which a test judges.
func judged() ledger.Params {
	p := ledger.Testnet()
	p.Shards, p.RoundBlocks, p.RoundsPerEpoch, p.Buckets = 10, 10, 10, 1<<6
	p.Challenge = challenge.Params{} // rounds are entered by hand
	p.Staking.Ladder.LateEpochs = 2
	p.Staking.MinBond = 10 * token.WAL
	p.Registry.TombstoneEpochs, p.Registry.DefaultEpochs = 2, 2
	return p
}

func newWorld(t testing.TB, p ledger.Params, nodes int) *world {
	t.Helper()
	w := &world{}
	g := ledger.Genesis{Name: "test", Time: 1_800_000_000_000, Params: p}
	for i := range 4 {
		k := token.KeyFromSeed([32]byte{1, byte(i)})
		w.users = append(w.users, k)
		g.Accounts = append(g.Accounts, ledger.GenesisAccount{Address: k.Address(), Amount: 100_000 * token.WAL})
	}
	for i := range nodes {
		s := nodeSecret(i)
		n := ledger.GenesisNode{Operator: w.users[0].Address(), Addresses: []string{"/ip4/127.0.0.1/tcp/1"}, Comet: "127.0.0.1:2", Name: "n", CapacityKiB: 1 << 30, Bond: 100 * token.WAL, CommissionBps: 1000}
		g.Nodes = append(g.Nodes, n.Prove(g.Name, s.Key(), s.BLSKey()))
	}
	w.Court = court.New(t, g)
	return w
}

func nodeSecret(i int) token.Secret { return token.Secret{2, byte(i)} }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// fee is the fee of a transaction that is not meant as income.
const fee = token.WAL / 100

func (w *world) try(k token.Key, body ledger.Body) error { return w.Try(k, fee, body) }

func (w *world) do(k token.Key, body ledger.Body) { w.Do(k, fee, body) }

// pay gives the epoch an income: a transfer with a large fee.
func (w *world) pay(a token.Amount) {
	w.Do(w.users[3], a, ledger.Transfer{To: w.users[3].Address(), Amount: 1})
}

// advance runs blocks without a result of a round.
func (w *world) advance() {
	w.Helper()
	if err := w.Ledger.Advance(1); err != nil {
		w.Fatal(err)
	}
}

func (w *world) toEpoch(e unit.Epoch) {
	w.Helper()
	for w.Head().Epoch < e {
		w.advance()
	}
}
