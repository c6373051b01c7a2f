package light

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/cometbft/cometbft/crypto"
	"github.com/cometbft/cometbft/crypto/ed25519"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	"github.com/cometbft/cometbft/types"
	"github.com/cometbft/cometbft/version"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/state"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// world is a ledger whose headers are signed here, by keys that are known: so that
// any lie can be told well.
type world struct {
	genesis ledger.Genesis
	local   *ledger.Local
	keys    map[string]crypto.PrivKey // by address
	blocks  map[int64]*types.LightBlock
	began   time.Time
}

const worldBlock = time.Second

func newWorld(t testing.TB, name string, blocks int) *world {
	t.Helper()
	began := time.Now().Add(-time.Duration(blocks) * worldBlock).Truncate(time.Millisecond)
	operator := token.KeyFromSeed([32]byte{7})
	g := ledger.Genesis{Name: name, Time: began.UnixMilli(), Params: ledger.Testnet(),
		Accounts: []ledger.GenesisAccount{{Address: operator.Address(), Amount: 1000 * token.WAL}}}
	g.Params.Challenged = false // headers without votes' extensions are laid by hand
	for i := range 4 {
		secret := worldSecret(i)
		id, bls := staking.NodeID(secret.Key().Public()), secret.BLSKey()
		g.Nodes = append(g.Nodes, ledger.GenesisNode{
			ID: id, Operator: operator.Address(), BLS: bls.Public(), BLSProof: bls.ProvePossession(ledger.BLSProofMessage(name, id, bls.Public())),
			Addresses: []string{"/ip4/127.0.0.1/tcp/1/p2p/" + id.String()}, Comet: "127.0.0.1:1", Name: "n", CapacityKiB: 1 << 30, Bond: 100_000 * token.WAL,
		})
	}
	return newWorldOf(t, g, blocks)
}

func worldSecret(i int) token.Secret { return token.Secret{byte(i + 1), 9} }

// newWorldOf runs the ledger of a genesis for some blocks.
func newWorldOf(t testing.TB, g ledger.Genesis, blocks int) *world {
	t.Helper()
	w := &world{genesis: g, keys: map[string]crypto.PrivKey{}, blocks: map[int64]*types.LightBlock{}, began: time.UnixMilli(g.Time)}
	for i := range g.Nodes {
		key := ed25519.PrivKey(worldSecret(i).Key().Ed25519())
		w.keys[string(key.PubKey().Address())] = key
	}
	var err error
	now := w.began
	if w.local, err = ledger.NewLocal(w.genesis, state.NewMemory(), func() int64 { return now.UnixMilli() }); err != nil {
		t.Fatal(err)
	}
	committee := w.committee(t)
	for h := int64(1); h <= int64(blocks); h++ {
		app := w.local.AppHash()
		now = w.began.Add(time.Duration(h) * worldBlock)
		if err := w.local.Advance(1); err != nil {
			t.Fatal(err)
		}
		w.blocks[h] = w.sign(header(w.genesis, h, now, app[:], committee, committee), committee)
	}
	return w
}

func (w *world) committee(t testing.TB) *types.ValidatorSet {
	t.Helper()
	set, err := firstCommittee(w.genesis)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func header(g ledger.Genesis, height int64, at time.Time, app []byte, now, next *types.ValidatorSet) types.Header {
	h := types.Header{ChainID: string(g.ChainID()), Height: height, Time: at.UTC(), AppHash: app,
		ValidatorsHash: now.Hash(), NextValidatorsHash: next.Hash(), ProposerAddress: now.Validators[0].Address,
		ConsensusHash: make([]byte, 32), DataHash: make([]byte, 32), LastCommitHash: make([]byte, 32), EvidenceHash: make([]byte, 32), LastResultsHash: make([]byte, 32)}
	h.Version.Block, h.Version.App = version.BlockProtocol, 1
	return h
}

// sign signs a header with all keys that are known.
func (w *world) sign(h types.Header, by *types.ValidatorSet) *types.LightBlock {
	id := types.BlockID{Hash: h.Hash(), PartSetHeader: types.PartSetHeader{Total: 1, Hash: make([]byte, 32)}}
	commit := &types.Commit{Height: h.Height, BlockID: id}
	for i, v := range by.Validators {
		vote := types.Vote{Type: cmtproto.PrecommitType, Height: h.Height, BlockID: id, Timestamp: h.Time, ValidatorAddress: v.Address, ValidatorIndex: int32(i)}
		sig := types.CommitSig{BlockIDFlag: types.BlockIDFlagCommit, ValidatorAddress: v.Address, Timestamp: h.Time}
		key, ok := w.keys[string(v.Address)]
		if !ok {
			commit.Signatures = append(commit.Signatures, types.NewCommitSigAbsent())
			continue
		}
		var err error
		if sig.Signature, err = key.Sign(types.VoteSignBytes(h.ChainID, vote.ToProto())); err != nil {
			panic(err)
		}
		commit.Signatures = append(commit.Signatures, sig)
	}
	return &types.LightBlock{SignedHeader: &types.SignedHeader{Header: &h, Commit: commit}, ValidatorSet: by}
}

func encodeLight(b *types.LightBlock) []byte {
	p, err := b.ToProto()
	if err != nil {
		panic(err)
	}
	raw, err := p.Marshal()
	if err != nil {
		panic(err)
	}
	return raw
}

// oracle answers one question, truly or not.
type oracle func(ask p2p.Ask, body []byte) ([]byte, error)

// prove answers a question for all at once out of the answers to the simple ones, so that a
// lie about either is told there too. An oracle that answers it by itself is taken as it is.
func (o oracle) prove(body []byte) ([]byte, error) {
	whole, err := o(p2p.AskProve, body)
	if err == nil || !p2p.IsRefusal(err, p2p.CodeBadRequest) {
		return whole, err
	}
	var q proveQuestion
	if err := decodeQuestion(body, &q); err != nil {
		return nil, err
	}
	raw, err := o(p2p.AskGet, canon.Encode(getQuestion{Keys: q.Keys}))
	var got getAnswer
	if err != nil || canon.Decode(raw, &got) != nil {
		return raw, err
	}
	a := proveAnswer{Height: got.Height, Proofs: got.Proofs}
	heights := []unit.Height{q.Begin, got.Height}
	if q.Trusted == got.Height {
		heights = nil
	}
	for _, h := range heights {
		if h == 0 || h == q.Begin && len(a.Headers) > 0 {
			continue
		}
		raw, err := o(p2p.AskLight, canon.Encode(headerQuestion{Height: h}))
		if err != nil {
			a.Headers = nil // the asker asks for them
			break
		}
		a.Headers = append(a.Headers, raw)
	}
	return canon.Encode(a), nil
}

func (w *world) tip() int64 { return int64(w.local.Height()) }

// honest answers as a node does.
func (w *world) honest(ask p2p.Ask, body []byte) ([]byte, error) {
	if ask == p2p.AskProve {
		return nil, p2p.Refuse(p2p.CodeBadRequest, "in parts")
	}
	return w.whole(ask, body)
}

// whole answers as a node does, also the question for all at once.
func (w *world) whole(ask p2p.Ask, body []byte) ([]byte, error) {
	return Responder{Genesis: w.genesis, Machine: w.local.Machine(), Chain: w}.Answer(ask, body)
}

// LightBlock is a block that was signed here.
func (w *world) LightBlock(height int64) (*types.LightBlock, error) {
	if height == 0 {
		height = w.tip()
	}
	b := w.blocks[height]
	if b == nil {
		return nil, p2p.Refuse(p2p.CodeNotHeld, "no block %d", height)
	}
	return b, nil
}

// AtTip says that there are no other blocks.
func (w *world) AtTip() bool { return true }

// get proves keys at a height of the past.
func (w *world) get(height int64, keys [][]byte) ([]byte, error) {
	a := getAnswer{Height: unit.Height(height)}
	for _, k := range keys {
		p, err := w.local.Machine().Prove(k, unit.Height(height-1))
		if err != nil {
			return nil, err
		}
		a.Proofs = append(a.Proofs, p.Encode())
	}
	return canon.Encode(a), nil
}

// town is nodes that can be asked, in order, and those that were blamed.
type town struct {
	nodes []oracle

	mu     sync.Mutex // guards the fields below
	blamed map[peer.ID]error
	asked  int
}

func (t *town) name(i int) peer.ID { return peer.ID(fmt.Sprintf("node-%d", i)) }

func (t *town) AskLedger(ctx context.Context, p peer.ID, ask p2p.Ask, body []byte) ([]byte, error) {
	t.mu.Lock()
	t.asked++
	t.mu.Unlock()
	for i, o := range t.nodes {
		if t.name(i) == p {
			if ask == p2p.AskProve {
				return o.prove(body)
			}
			return o(ask, body)
		}
	}
	return nil, errors.New("nobody there")
}

func (t *town) Peers() map[peer.ID]p2p.Hello { return nil }

func (t *town) Bootstrap() (out []peer.AddrInfo) {
	for i := range t.nodes {
		out = append(out, peer.AddrInfo{ID: t.name(i)})
	}
	return out
}

func (t *town) Nearest(context.Context, []peer.ID) peer.ID { return "" }

func (t *town) Avoided(peer.ID) bool { return false }

func (t *town) Blame(p peer.ID, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.blamed == nil {
		t.blamed = map[peer.ID]error{}
	}
	t.blamed[p] = err
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	t.Cleanup(cancel)
	return ctx
}
