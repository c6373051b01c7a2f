package ledger

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand"
	"slices"
	"testing"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/internal/testlevel"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/state"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// player makes random transactions, most of them valid, some wrong on purpose.
type player struct {
	*world
	r     *rand.Rand
	blobs []blob.ID
	bad   []forgery
	done  map[Kind]int
}

func (p *player) node() staking.NodeID {
	return staking.NodeID(p.secrets[p.r.Intn(len(p.secrets))].Key().Public())
}

// favourite is a node that much happens to.
func (p *player) favourite() staking.NodeID {
	return staking.NodeID(p.secrets[p.r.Intn(2)].Key().Public())
}

func (p *player) blob() blob.ID {
	if len(p.blobs) == 0 || p.r.Intn(20) == 0 {
		return blob.ID{byte(p.r.Intn(256))}
	}
	return p.blobs[max(0, len(p.blobs)-1-p.r.Intn(8))]
}

// forged is one of some badly encoded blobs.
func (p *player) forged() forgery {
	if i := p.r.Intn(24); i < len(p.bad) {
		return p.bad[i]
	}
	p.bad = append(p.bad, forge(p.t, p.g.Params.Shards, 1+p.r.Intn(5000), int64(len(p.bad))))
	return p.bad[len(p.bad)-1]
}

func (p *player) amount() token.Amount {
	return token.Amount(p.r.Int63n(int64(token.WAL))) * token.Amount(1+p.r.Intn(50))
}

// highest is a price, above or below that in force, and at times one that is refused.
func (p *player) highest() token.Amount { return token.Amount(p.r.Intn(10)) * 300 }

func (p *player) tx() []byte {
	user := p.users[p.r.Intn(len(p.users))]
	var body Body
	switch p.r.Intn(17) {
	case 0, 1:
		body = Transfer{To: p.users[p.r.Intn(len(p.users))].Address(), Amount: p.amount()}
	case 2, 3, 4:
		m := p.manifest(p.r.Intn(200), p.r.Intn(50_000))
		if p.r.Intn(3) == 0 {
			m = p.forged().manifest
		}
		p.blobs = append(p.blobs, m.ID())
		body = RegisterBlob{Manifest: m, Epochs: 1 + uint64(p.r.Intn(4)), Owner: p.users[p.r.Intn(2)].Address(), Permanent: p.r.Intn(5) == 0, Allowance: token.Amount(p.r.Intn(2) * p.r.Intn(10_000_000)), HighestPrice: p.highest()}
	case 5, 6:
		id, epoch := p.blob(), p.head().Epoch
		if epoch > 0 {
			epoch = epoch.Minus(uint64(p.r.Intn(2)))
		}
		few := p.r.Intn(4) == 0
		return Unsigned(Certify{Blob: id, Certificate: p.certificate(id, epoch, func(i int, _ staking.NodeID) bool { return !few || i < 2 })})
	case 7:
		user, body = p.users[p.r.Intn(2)], Extend{Blob: p.blob(), Epochs: 1 + uint64(p.r.Intn(3))}
	case 8:
		user, body = p.users[p.r.Intn(2)], Delete{Blob: p.blob()}
	case 9:
		body = Delegate{Node: p.favourite(), Amount: p.amount()}
	case 10:
		n := p.favourite()
		d, _, err := p.view().Delegation(user.Address(), n)
		if err != nil {
			p.t.Fatal(err)
		}
		body = Undelegate{Node: n, Shares: staking.Shares(p.r.Int63n(int64(d.Shares) + 2))}
	case 11:
		body = Withdraw{Node: p.favourite()}
	case 12:
		user = p.users[0]
		if p.r.Intn(2) == 0 {
			body = Bond{Node: p.node(), Amount: p.amount()}
		} else {
			body = Unbond{Node: p.node(), Amount: p.amount()}
		}
	case 13:
		c := p.committee()
		for s, from := range c.From {
			if !from.IsZero() && p.r.Intn(2) == 0 {
				for _, secret := range p.secrets {
					if staking.NodeID(secret.Key().Public()) == c.Holder[s] {
						return Unsigned(NewShardReady(p.l.ChainID(), secret.Key(), c.Epoch, blob.Shard(s)))
					}
				}
			}
		}
		body = UpdateNode{Node: p.node(), CapacityKiB: unit.KiB(1 + uint64(p.r.Intn(1<<20))), Name: "x"}
		user = p.users[0]
	case 14:
		tx := p.forged().invalidate(p.t)
		if p.r.Intn(4) == 0 {
			tx.Blob = p.blob() // an honest one, most of the time
		}
		if p.r.Intn(2) == 0 {
			tx.Finder = user.Address()
		}
		return Unsigned(tx)
	case 15:
		user, body = p.users[p.r.Intn(2)], SetRenewal{Blob: p.blob(), Allowance: token.Amount(p.r.Intn(2) * p.r.Intn(10_000_000)), HighestPrice: p.highest()}
	case 16:
		user, body = p.users[0], randomVote(p.r, p.node(), p.head().Epoch)
	}
	n := p.account(user).Nonce
	if skip := n + uint64(p.r.Intn(NonceWindow+2)); p.r.Intn(2) == 0 {
		n = skip
	}
	f := fee
	if p.r.Intn(15) == 0 {
		f = 1
	}
	raw := Sign(user, p.l.ChainID(), n, f, body)
	if p.r.Intn(15) == 0 {
		raw[len(raw)-1] ^= 1
	}
	return raw
}

// invariants are what must hold after every block.
func (p *player) invariants(before Committee) {
	p.t.Helper()
	p.balanced()
	v, h := p.view(), p.head()
	c := p.committee()
	sum := 0
	for _, m := range c.Nodes {
		sum += m.Shards
	}
	if sum != p.g.Params.Shards || len(c.Holder) != sum {
		p.t.Fatalf("height %d: %d shards held of %d", h.Height, sum, p.g.Params.Shards)
	}
	if bound := staking.MoveBound(p.g.Params.Shards); c.NotReady() > bound {
		p.t.Fatalf("height %d: %d shards on the move, at most %d", h.Height, c.NotReady(), bound)
	}
	if c.Epoch == before.Epoch+1 {
		for s := range c.Holder {
			if c.Holder[s] != before.Holder[s] && c.From[s].IsZero() && before.From[s] != c.Holder[s] {
				p.t.Fatalf("shard %d left its holder who was not told to keep it", s)
			}
		}
	}
	reserved, escrow, later, allowances := unit.KiB(0), token.Amount(0), token.Amount(0), token.Amount(0)
	err := v.EachBlob(func(id blob.ID, e registryEntry) error {
		if e.ID() != id || len(e.Leases) == 0 {
			return fmt.Errorf("entry %s has %d leases and ID %s", id, len(e.Leases), e.ID())
		}
		reserved += e.Units
		for _, l := range e.Leases {
			allowances += l.Renewal.Left
			if !e.Certified() {
				escrow += l.Escrow()
			} else {
				later += l.Unused(h.Epoch + 2)
			}
			if _, ok, err := v.R.Get(KeyOwned(l.Owner, id)); err != nil || !ok {
				return fmt.Errorf("%s is not in the list of its owner: %v", id, err)
			}
		}
		return nil
	})
	if err == nil {
		err = v.EachTombstone(func(id blob.ID, s registryTombstone) error {
			if s.Reason == registry.Invalid && !p.isBad(id) {
				return fmt.Errorf("%s was encoded well and is invalid", id)
			}
			if s.Reserved {
				reserved += s.Units
			}
			if _, both, _ := v.Blob(id); both {
				return fmt.Errorf("%s is live and buried", id)
			}
			return nil
		})
	}
	if err != nil {
		p.t.Fatal(err)
	}
	p.priced(before, c)
	u, err := v.Usage()
	s, err2 := v.Supply()
	if err := errors.Join(err, err2); err != nil {
		p.t.Fatal(err)
	}
	if u.ReservedKiB != reserved || s.Escrow != escrow || s.Allowances != allowances {
		p.t.Fatalf("height %d: reserved %d, entries say %d; escrow %s, leases say %s; allowances %s, leases say %s", h.Height, u.ReservedKiB, reserved, s.Escrow, escrow, s.Allowances, allowances)
	}
	// Buckets of epochs that no deleted blob can have paid for hold what leases paid.
	funded := token.Amount(0)
	for e := h.Epoch + 2; e < (h.Epoch + 2).Plus(p.g.Params.Registry.MaxEpochs); e++ {
		b, err := v.Bucket(e)
		if err != nil {
			p.t.Fatal(err)
		}
		funded += b
	}
	if funded != later {
		p.t.Fatalf("height %d: later buckets hold %s, leases paid %s", h.Height, funded, later)
	}
	for _, secret := range p.secrets {
		id := staking.NodeID(secret.Key().Public())
		p.drawable(v, id, h.Epoch)
	}
}

func (p *player) isBad(id blob.ID) bool {
	return slices.ContainsFunc(p.bad, func(f forgery) bool { return f.manifest.ID() == id })
}

// drawable checks that what delegators could draw is there.
func (p *player) drawable(v View, id staking.NodeID, epoch unit.Epoch) {
	p.t.Helper()
	pool, _, err := v.Pool(id)
	if err != nil {
		p.t.Fatal(err)
	}
	worth := token.Amount(0)
	for _, u := range p.users {
		d, _, err := v.Delegation(u.Address(), id)
		if err != nil {
			p.t.Fatal(err)
		}
		trial := pool
		settled, err := v.Settle(id, &trial, &d)
		if err != nil {
			p.t.Fatal(err)
		}
		worth += settled.Out
		now := pool.Rate()
		worth += now.Worth(d.Shares)
		for _, j := range d.Joining {
			worth += j.Amount
		}
		for _, x := range d.Leaving {
			worth += now.Worth(x.Shares)
		}
	}
	if there := pool.Total() - pool.OwnBond() - pool.Earned - pool.Held.Total(); worth > there {
		p.t.Fatalf("node %s: delegators could draw %s of %s", id, worth, there)
	}
}

func TestRandomBlocksKeepTheInvariantsAndReplayAlike(t *testing.T) {
	testlevel.Middle(t, "takes seconds of processor time")
	voted := 0 // seeds in which votes changed a rule
	for seed := range int64(testlevel.Repeat(0, 2, 4)) {
		params := small()
		params.SweepBlobs = 1 + uint64(seed*seed) // also one at a time
		w := newWorld(t, params, 5)
		p := &player{world: w, r: rand.New(rand.NewSource(seed)), done: map[Kind]int{}}
		var blocks []Block
		var hashes []blob.Hash
		m := w.l.machine
		for h := unit.Height(1); h <= 160; h++ {
			b := Block{Height: h, TimeMs: w.g.Time + int64(h)*500}
			for range p.r.Intn(6) {
				b.Txs = append(b.Txs, p.tx())
			}
			if h == 31 || h == 81 || h == 90 { // a middle, a turn, neither
				b.DoubleSigns = []DoubleSign{{Node: p.node(), Height: h - 1, Power: 2}}
			}
			before := w.committee()
			r, err := m.Execute(b)
			if err != nil {
				t.Fatal(err)
			}
			if err := m.Commit(); err != nil {
				t.Fatal(err)
			}
			if r.AppHash != m.AppHash() {
				t.Fatal("the app hash changed between execute and commit")
			}
			for _, x := range r.Txs {
				if x.Code == 0 {
					p.done[x.Kind]++
				}
			}
			p.invariants(before)
			blocks, hashes = append(blocks, b), append(hashes, r.AppHash)
		}
		for k := KindTransfer; k <= KindSetRenewal; k++ {
			if k != KindRegisterNode && k != KindUpdateNode && p.done[k] == 0 && seed == 0 {
				t.Errorf("seed %d: no %s was ever done: the story is too thin", seed, k)
			}
		}
		if w.rules().Params != w.g.Params {
			voted++
		}
		replay(t, w.g, blocks, hashes)
	}
	if voted == 0 {
		t.Error("votes changed nothing in any seed")
	}
}

// replay runs blocks on a fresh machine, opened anew now and then, and each block
// executed twice.
func replay(t *testing.T, g Genesis, blocks []Block, hashes []blob.Hash) {
	t.Helper()
	kv := state.NewMemory()
	m, err := NewMachine(g, kv)
	if err != nil {
		t.Fatal(err)
	}
	for i, b := range blocks {
		if i%17 == 0 {
			if m, err = NewMachine(g, kv); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := m.Execute(Block{Height: b.Height, TimeMs: b.TimeMs + 1}); err != nil {
			t.Fatal(err)
		}
		r, err := m.Execute(b)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Commit(); err != nil {
			t.Fatal(err)
		}
		if r.AppHash != hashes[i] {
			t.Fatalf("height %d: app hash %s, the first time %s", b.Height, r.AppHash, hashes[i])
		}
	}
}

// written is what a block writes.
func (p *player) written(b Block) (out map[string]string, last admission) {
	p.t.Helper()
	x, err := p.l.machine.exec()
	if err != nil {
		p.t.Fatal(err)
	}
	x.at = b.Height
	x.begin(b)
	block := x.o
	for _, raw := range b.Txs {
		last, _ = x.run(block, raw)
	}
	out = map[string]string{}
	for _, c := range block.Changes() {
		out[string(c.Key)] = fmt.Sprint(c.Delete, c.Value)
	}
	return out, last
}

// paid checks that a refused transaction wrote its signer's account and the fee, if it
// was payable, and else nothing.
func (p *player) paid(b Block, raw []byte) {
	p.t.Helper()
	b.Txs = nil
	want, _ := p.written(b)
	b.Txs = [][]byte{raw}
	got, a := p.written(b)
	if a.payable {
		account, supply := string(KeyAccount(a.tx.Signer.Address())), string(KeySupply())
		if got[account] == want[account] || got[supply] == want[supply] {
			p.t.Fatalf("%s failed and did not pay", a.tx.Kind)
		}
		for _, k := range []string{account, supply} {
			delete(got, k)
			delete(want, k)
		}
	}
	if !maps.Equal(got, want) {
		p.t.Fatalf("%s was refused and changed more than its fee", a.tx.Kind)
	}
}

// TestARefusedTransactionChangesNothingButItsFeeAndNonce compares a block of refused
// transactions with an empty one: those that are signed rightly have paid their fee.
func TestARefusedTransactionChangesNothingButItsFeeAndNonce(t *testing.T) {
	params := small()
	w := newWorld(t, params, 5)
	p := &player{world: w, r: rand.New(rand.NewSource(9)), done: map[Kind]int{}}
	refused := 0
	for h := unit.Height(1); h <= 60; h++ {
		b := Block{Height: h, TimeMs: w.g.Time + int64(h)*500}
		m := w.l.machine
		empty, err := m.Execute(b)
		if err != nil {
			t.Fatal(err)
		}
		for range 4 {
			raw := p.tx()
			one := b
			one.Txs = [][]byte{raw}
			r, err := m.Execute(one)
			if err != nil {
				t.Fatal(err)
			}
			if r.Txs[0].Code != 0 {
				refused++
				p.paid(b, raw)
			} else if b.Txs = append(b.Txs, raw); r.AppHash == empty.AppHash {
				t.Fatalf("%s was done and changed nothing", r.Txs[0].Kind)
			}
		}
		if _, err := m.Execute(b); err != nil {
			t.Fatal(err)
		}
		if err := m.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	if refused < 30 {
		t.Fatalf("only %d were refused", refused)
	}
}

func TestLocalSubmitsFromManyAtOnce(t *testing.T) {
	w := newWorld(t, small(), 4)
	done := make(chan error)
	const each = 16
	for i := range 4 {
		go func() {
			done <- func() error {
				for n := range uint64(each) {
					tx := Sign(w.users[1], w.l.ChainID(), uint64(i)+4*n, fee, Transfer{To: w.users[2].Address(), Amount: 1})
					for {
						r, err := w.l.Submit(context.Background(), tx)
						if err != nil {
							return err
						}
						if err = r.Err(); err == nil {
							break
						}
						if !errors.Is(err, ErrNonce) {
							return err
						}
					}
				}
				return nil
			}()
		}()
	}
	for range 4 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	if a := w.account(w.users[1]); a.Nonce != 4*each || a.Used != 0 {
		t.Fatalf("%+v", a)
	}
	w.balanced()
}
