package comet

import (
	"testing"
	"time"

	"github.com/cometbft/cometbft/types"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/state"
	"github.com/walrus-network/walrus/token"
)

// world is a ledger of four nodes whose keys are known.
type world struct {
	genesis ledger.Genesis
	local   *ledger.Local
}

func worldSecret(i int) token.Secret { return token.Secret{byte(i + 1), 9} }

// newWorld runs a ledger for some blocks of a second each.
func newWorld(t testing.TB, name string, blocks int) *world {
	t.Helper()
	began := time.Now().Add(-time.Duration(blocks) * time.Second).Truncate(time.Millisecond)
	operator := token.KeyFromSeed([32]byte{7})
	g := ledger.Genesis{Name: name, Time: began.UnixMilli(), Params: ledger.Testnet(),
		Accounts: []ledger.GenesisAccount{{Address: operator.Address(), Amount: 1000 * token.WAL}}}
	g.Params.Challenged = false // a test says what a block wants
	for i := range 4 {
		secret := worldSecret(i)
		id, bls := staking.NodeID(secret.Key().Public()), secret.BLSKey()
		g.Nodes = append(g.Nodes, ledger.GenesisNode{
			ID: id, Operator: operator.Address(), BLS: bls.Public(), BLSProof: bls.ProvePossession(ledger.BLSProofMessage(name, id, bls.Public())),
			Addresses: []string{"/ip4/127.0.0.1/tcp/1/p2p/" + id.String()}, Comet: "127.0.0.1:1", Name: "n", CapacityKiB: 1 << 30, Bond: 100_000 * token.WAL,
		})
	}
	w := &world{genesis: g}
	now := began
	var err error
	if w.local, err = ledger.NewLocal(g, state.NewMemory(), func() int64 { return now.UnixMilli() }); err != nil {
		t.Fatal(err)
	}
	for h := range blocks {
		now = began.Add(time.Duration(h+1) * time.Second)
		if err := w.local.Advance(1); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func (w *world) committee(t testing.TB) *types.ValidatorSet {
	t.Helper()
	doc, err := ledgerGenesis{w.genesis}.doc()
	if err != nil {
		t.Fatal(err)
	}
	var list []*types.Validator
	for _, v := range doc.Validators {
		list = append(list, types.NewValidator(v.PubKey, v.Power))
	}
	return types.NewValidatorSet(list)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
