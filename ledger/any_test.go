package ledger

import (
	"errors"
	"fmt"
	"math"
	"math/rand"
	"os"
	"reflect"
	"strconv"
	"testing"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/internal/testlevel"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/state"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// anything makes transactions that no honest door lets in, with numbers at all edges,
// and puts them into blocks.
type anything struct {
	*arena
	r         *rand.Rand
	ids       []blob.ID
	manifests []blob.Manifest
	certified map[string]registry.Certificate // that were made, by blob and epoch
	proofs    [][]byte                        // of bad encoding, of challenges, of lies
	waiting   map[token.Address]int           // transactions of this block
	done      map[Kind]int
	refused   map[Code]int
	twin      *Machine // sees the same blocks, and is opened anew now and then
	twinKV    *state.Memory
}

// anyParams is a challenged network whose epochs and records come and go quickly.
func anyParams(r *rand.Rand) Params {
	p := asked()
	p.RoundsPerEpoch = 2 + uint64(r.Intn(2))
	p.HistoryEpochs = 2
	p.Registry.TombstoneEpochs, p.Registry.MaxLeases = 1, 4
	p.Subsidy = token.Amount(r.Intn(2)) * 100 * token.WAL
	p.Staking.Ladder.LateEpochs = 2
	return p
}

func newAnything(t testing.TB, seed int64) *anything {
	r := rand.New(rand.NewSource(seed))
	for try := 0; ; try++ {
		p := anyParams(r)
		if p.Validate() != nil && try < 20 {
			continue
		}
		x := &anything{arena: newArenaOf(t, p, 5), r: r, certified: map[string]registry.Certificate{}, done: map[Kind]int{}, refused: map[Code]int{}}
		x.begin()
		return x
	}
}

func (x *anything) begin() {
	f := forge(x.t, x.g.Params.Shards, 5000, int64(x.r.Intn(3)+1))
	x.manifests, x.ids = []blob.Manifest{f.manifest}, []blob.ID{f.manifest.ID()}
	x.proofs = [][]byte{f.invalidate(x.t).Proof}
	for i := range 12 {
		m := x.manifest(50+i, 1000+i)
		x.manifests, x.ids = append(x.manifests, m), append(x.ids, m.ID())
	}
	s := challenge.Signed{Round: challenge.RoundID{}, Shard: 1, Beacon: blob.Hash{1}}
	lie := challenge.Falsehood{Signed: s, Signature: x.secrets[0].Key().Sign(s.Message(x.l.ChainID()))}
	x.proofs = append(x.proofs, lie.Encode())
	x.twinKV = state.NewMemory()
	x.reopen()
}

func (x *anything) reopen() {
	var err error
	if x.twin, err = NewMachine(x.g, x.twinKV); err != nil {
		x.t.Fatalf("a machine that saw these blocks does not open again: %v", err)
	}
}

// number is one at an edge of some rule.
func (x *anything) number() uint64 {
	h, p := x.head(), x.g.Params
	edge := []uint64{0, 1, 2, 3, 10, uint64(h.Epoch), uint64(h.Epoch + 1), uint64(h.Epoch - 1), uint64(h.Height), uint64(h.Height + 1), uint64(h.Height) / p.RoundBlocks, uint64(h.Height)/p.RoundBlocks - 1, uint64(h.Height)/p.RoundBlocks + 1,
		1 << 31, 1 << 32, uint64(1<<62 + h.Epoch), 1 << 63, uint64(1<<63 + h.Epoch), 1<<63 - 1, 1<<63 + uint64(h.Height)/p.RoundBlocks, math.MaxUint64, math.MaxUint64 - 1, uint64(math.MaxUint64 - h.Epoch),
		uint64(token.WAL), uint64(50 * token.WAL), uint64(100_000 * token.WAL), p.Registry.MaxEpochs, maxCapacityKiB}
	switch x.r.Intn(8) {
	case 0:
		return x.r.Uint64() >> x.r.Intn(64)
	case 1, 2:
		return uint64(x.r.Intn(20))
	case 3, 4:
		return uint64(x.r.Intn(30)) * uint64(token.WAL)
	}
	return edge[x.r.Intn(len(edge))]
}

func (x *anything) nodeID() staking.NodeID {
	if x.r.Intn(30) == 0 {
		return staking.NodeID{byte(x.r.Intn(4))}
	}
	return x.idOf(x.secrets[x.r.Intn(len(x.secrets))])
}

func (x *anything) blobID() blob.ID {
	if x.r.Intn(30) == 0 {
		return blob.ID{byte(x.r.Intn(4))}
	}
	return x.ids[x.r.Intn(len(x.ids))]
}

// anyCertificate is right half of the time, but for its epoch perhaps.
func (x *anything) anyCertificate() registry.Certificate {
	id, epoch := x.blobID(), x.head().Epoch
	key := fmt.Sprint(id, epoch)
	c, made := x.certified[key]
	if !made {
		c = x.certificate(id, epoch, all)
		x.certified[key] = c
	}
	switch x.r.Intn(6) {
	case 0:
		c.Epoch = unit.Epoch(x.number())
	case 1:
		c.Bitmap = make([]byte, x.r.Intn(5))
		x.r.Read(c.Bitmap)
	}
	return c
}

// fill sets every field of a body to something that could be meant, or to an edge.
func (x *anything) fill(v reflect.Value) {
	switch v.Interface().(type) {
	case staking.NodeID:
		v.Set(reflect.ValueOf(x.nodeID()))
		return
	case token.Address:
		if x.r.Intn(4) > 0 {
			v.Set(reflect.ValueOf(x.users[x.r.Intn(len(x.users))].Address()))
		}
		return
	case blob.ID:
		v.Set(reflect.ValueOf(x.blobID()))
		return
	case blob.Manifest:
		m := x.manifests[x.r.Intn(len(x.manifests))]
		if x.r.Intn(8) == 0 {
			x.fillFields(reflect.ValueOf(&m).Elem())
		}
		v.Set(reflect.ValueOf(m))
		return
	case registry.Certificate:
		v.Set(reflect.ValueOf(x.anyCertificate()))
		return
	case []ParamChange:
		var list []ParamChange
		for range x.r.Intn(4) {
			list = append(list, ParamChange{Name: votables[x.r.Intn(len(votables))].Name, Value: x.number()})
		}
		v.Set(reflect.ValueOf(list))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		x.fillFields(v)
	case reflect.Uint64, reflect.Uint32:
		v.SetUint(x.number() & (1<<v.Type().Bits() - 1))
	case reflect.Uint16:
		v.SetUint(x.number() % 13)
		if x.r.Intn(10) == 0 {
			v.SetUint(x.number() & math.MaxUint16)
		}
	case reflect.Uint8:
		v.SetUint(x.number() & 0xff)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(x.number()))
	case reflect.Bool:
		v.SetBool(x.r.Intn(2) == 0)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			b := make([]byte, x.r.Intn(50))
			x.r.Read(b)
			if x.r.Intn(3) > 0 {
				b = x.proofs[x.r.Intn(len(x.proofs))]
			}
			v.SetBytes(b)
		}
	}
}

func (x *anything) fillFields(v reflect.Value) {
	for i := range v.NumField() {
		if v.Type().Field(i).Name != "_" && v.Field(i).CanSet() {
			x.fill(v.Field(i))
		}
	}
}

var anyBodies = []Body{Transfer{}, RegisterNode{}, UpdateNode{}, Bond{}, Unbond{}, Withdraw{}, Delegate{}, Undelegate{}, RegisterBlob{}, Certify{}, Extend{}, Delete{}, ShardReady{},
	SetRenewal{}, Vote{}, SetCommission{}, SetNodeKeys{}, Declare{}, Accuse{}, Dispute{}, Answer{}, Invalidate{}}

// tx is some transaction, mostly one whose form is right.
func (x *anything) tx() []byte {
	v := reflect.New(reflect.TypeOf(anyBodies[x.r.Intn(len(anyBodies))])).Elem()
	x.fillFields(v)
	body := v.Interface().(Body)
	secret := x.secrets[x.r.Intn(len(x.secrets))]
	switch b := body.(type) {
	case Declare:
		body = NewDeclare(x.l.ChainID(), secret.Key(), b.Ordinal)
	case ShardReady:
		body = NewShardReady(x.l.ChainID(), secret.Key(), b.Epoch, blob.Shard(b.Shard))
	case Vote: // a version that is voted in and not known stops a program on purpose
		b.Version = min(b.Version, Newest)
		body = b
	case SetNodeKeys: // the keys stay known
		b.Operator, b.Governance = token.Address{}, token.Address{}
		body = b
	}
	if body.kind().Unsigned() {
		return x.mangle(Unsigned(body))
	}
	u := x.users[max(0, x.r.Intn(2*len(x.users))-len(x.users))] // the first operates the nodes
	if b, ok := body.(RegisterNode); ok && x.r.Intn(2) == 0 {
		s := nodeSecret(x.r.Intn(200))
		b.CommissionBps %= 10_001
		body = b.Prove(x.l.ChainID(), worldName, u.Address(), s.Key(), s.BLSKey())
	}
	acc := x.account(u)
	fee, nonce, until := token.Amount(fee), acc.Nonce+uint64(x.waiting[u.Address()]), unit.Height(0)
	x.waiting[u.Address()]++
	if x.r.Intn(20) == 0 {
		fee = token.Amount(x.number())
	}
	if x.r.Intn(20) == 0 {
		nonce = x.number()
	}
	if x.r.Intn(4) == 0 {
		until = unit.Height(x.number())
	}
	raw := SignUntil(u, x.l.ChainID(), nonce, fee, until, body)
	if x.r.Intn(10) == 0 { // unsigned, or with a wrong signature
		raw = canon.Encode(Tx{Version: TxVersion, Kind: body.kind(), Body: canon.Encode(body), Signer: u.Public(), Nonce: nonce, Fee: fee})
	}
	return x.mangle(raw)
}

// mangle now and then changes bytes.
func (x *anything) mangle(raw []byte) []byte {
	if x.r.Intn(40) == 0 {
		raw[x.r.Intn(len(raw))] ^= byte(1 << x.r.Intn(8))
	}
	return raw
}

// block runs a block of some transactions on both machines, past all mempools.
func (x *anything) block(n int) {
	x.t.Helper()
	var txs [][]byte
	x.waiting = map[token.Address]int{}
	for range n {
		raw := x.tx()
		if x.r.Intn(10) == 0 { // the door must stand too
			if err := x.l.machine.Check(raw); err != nil && (!Refused(err) || errors.Is(err, ErrDefect)) {
				x.t.Fatalf("Check: %v\n%s", err, DefectOf(err))
			}
		}
		txs = append(txs, raw)
	}
	if x.r.Intn(20) == 0 && len(txs) > 0 {
		txs = append(txs, txs[0])
	}
	r := x.step(txs...)
	for i, t := range r.Txs {
		if t.Code == ErrDefect.Code {
			_, body, _ := DecodeTx(txs[i])
			x.t.Fatalf("%T %+v: %s", body, body, t.Defect)
		}
		if t.Code == 0 {
			x.done[t.Kind]++
		} else {
			x.refused[t.Code]++
		}
	}
	if x.r.Intn(40) == 0 {
		x.reopen()
	}
	b := x.blocks[len(x.blocks)-1]
	got, err := x.twin.Execute(b)
	if err == nil {
		err = x.twin.Commit()
	}
	if err != nil || got.AppHash != r.AppHash || !reflect.DeepEqual(got.Validators, r.Validators) {
		x.t.Fatalf("height %d: a machine that was opened again comes to %s %v, the other to %s: %v", b.Height, got.AppHash, got.Validators, r.AppHash, err)
	}
	x.blocks, x.hashes = nil, nil
	if b.Height%50 == 0 {
		x.balanced()
	}
}

// TestAnyTransactionsEndInAValueOrARefusal runs random transactions with extreme numbers.
// WALRUS_TRANSACTIONS says how many, WALRUS_SEED from which seed on.
func TestAnyTransactionsEndInAValueOrARefusal(t *testing.T) {
	most, seed := testlevel.Repeat(2000, 6000, 6000), int64(1)
	if s := os.Getenv("WALRUS_TRANSACTIONS"); s != "" {
		most, _ = strconv.Atoi(s)
	}
	if s := os.Getenv("WALRUS_SEED"); s != "" {
		seed, _ = strconv.ParseInt(s, 10, 64)
	}
	done, refused := map[Kind]int{}, map[Code]int{}
	for left := most; left > 0; seed++ {
		x := newAnything(t, seed)
		for range min(left, 20_000) / 12 {
			x.block(x.r.Intn(25))
		}
		left -= min(left, 20_000)
		for k, n := range x.done {
			done[k] += n
		}
		for c, n := range x.refused {
			refused[c] += n
		}
	}
	t.Log("done", done, "refused", refused)
	if len(done) < 12 || len(refused) < 15 {
		t.Errorf("%d kinds were done, %d refusals met: the test is too thin", len(done), len(refused))
	}
}

// FuzzAnyTransactions lets the fuzzer choose seeds, and bytes that go into a block raw.
func FuzzAnyTransactions(f *testing.F) {
	f.Add(int64(1), []byte("no transaction"))
	for i, b := range anyBodies {
		f.Add(int64(i), Unsigned(b))
	}
	f.Fuzz(func(t *testing.T, seed int64, raw []byte) {
		x := newAnything(t, seed)
		for range 12 {
			x.block(x.r.Intn(10))
		}
		if err := x.l.machine.Check(raw); err != nil && (!Refused(err) || errors.Is(err, ErrDefect)) {
			t.Fatal(err)
		}
		for _, res := range x.step(raw).Txs {
			if res.Code == ErrDefect.Code {
				t.Fatal(res.Defect)
			}
		}
	})
}
