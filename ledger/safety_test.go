package ledger

import (
	"errors"
	"testing"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/challenge"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// inBlock puts transactions into a block past all doors.
func (w *world) inBlock(txs ...[]byte) []TxResult {
	w.t.Helper()
	r, err := w.l.Run(Block{Txs: txs})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, t := range r.Txs {
		if t.Defect != "" {
			w.t.Fatal(t.Defect)
		}
	}
	return r.Txs
}

func TestADelegationBeyondTheSupplyIsRefused(t *testing.T) {
	w := newWorld(t, small(), 5)
	alice := w.users[1]
	id := w.idOf(w.secrets[0])
	w.do(alice, Delegate{Node: id, Amount: token.WAL}) // a sum to overflow
	for _, body := range []Body{Delegate{Node: id, Amount: 1<<64 - 1}, Bond{Node: id, Amount: 1<<64 - 1}, Transfer{To: alice.Address(), Amount: 1<<64 - 1}, Undelegate{Node: id, Shares: 1<<64 - 1}, Unbond{Node: id, Amount: 1<<64 - 1}} {
		for _, k := range w.users[:2] {
			w.nonces[k.Address()] = w.account(k).Nonce
			tx := w.sign(k, body)
			if err := w.l.Machine().Check(tx); !Refused(err) || errors.Is(err, ErrDefect) {
				t.Errorf("%T at the door: %v", body, err)
			}
			if r := w.inBlock(tx); r[0].Code == 0 {
				t.Errorf("%T was done", body)
			}
		}
	}
	w.balanced()
}

func TestACertificateOfAWrappedEpochIsRefused(t *testing.T) {
	w := newWorld(t, small(), 5)
	alice := w.users[1]
	w.toEpoch(3)
	m := w.manifest(1, 1000)
	w.do(alice, RegisterBlob{Manifest: m, Epochs: 2, Owner: alice.Address()})
	for _, more := range []unit.Epoch{1 << 63, 1, 1<<64 - 1, 1<<64 - 3} {
		c := w.certificate(m.ID(), w.head().Epoch, all)
		c.Epoch += more // beyond the end too
		if r := w.inBlock(Unsigned(Certify{Blob: m.ID(), Certificate: c})); r[0].Code != ErrCertificate.Code {
			t.Errorf("epoch %d: %+v", c.Epoch, r[0])
		}
	}
}

func TestAnAccusationOfAForgottenRoundIsRefused(t *testing.T) {
	p := asked()
	p.RoundsPerEpoch = 3
	a := newArenaOf(t, p, 5)
	for a.head().Epoch < 3 {
		a.step()
	}
	for o := range unit.Ordinal(uint64(a.head().Height)/p.RoundBlocks) + 2 {
		r := a.inBlock(Unsigned(Accuse{Ordinal: o, Evidence: challenge.Falsehood{}.Encode()}))
		if r[0].Code != ErrEvidence.Code {
			t.Errorf("round %d: %+v", o, r[0])
		}
	}
}

// A record that is absent refuses the transaction that needs it; a disk that fails stops
// the block.
func TestOnlyAFailingDiskStopsABlock(t *testing.T) {
	x := &exec{}
	if err := x.settling(func() error { sure(0, ErrNoCommittee); return nil }); !errors.Is(err, ErrDefect) {
		t.Errorf("absent: %v", err)
	}
	if err := x.settling(func() error { panic("an invariant") }); !errors.Is(err, ErrDefect) || DefectOf(err) == "" {
		t.Errorf("a panic: %v", err)
	}
	var stopped error
	func() {
		defer guard(&stopped)
		_ = x.settling(func() error { sure(0, errors.New("the disk")); return nil })
	}()
	if stopped == nil || Refused(stopped) {
		t.Errorf("a disk: %v", stopped)
	}
}

func TestACorruptRecordStopsTheBlockAndRefusesNothing(t *testing.T) {
	w := newWorld(t, small(), 5)
	raw := Sign(w.users[1], w.l.ChainID(), 0, fee, Transfer{To: token.Address{9}, Amount: 1})
	x, err := w.l.machine.exec()
	if err != nil {
		t.Fatal(err)
	}
	block := x.o
	block.Set(KeyAccount(token.Address{9}), []byte("this is no account"))
	err = func() (err error) {
		defer guard(&err)
		_, err = x.run(block, raw)
		return err
	}()
	if err == nil || Refused(err) {
		t.Fatalf("a corrupt record is a refusal: %v", err)
	}
}

func TestWhatFailsInABlockPaysAndIsProvenByItsAccount(t *testing.T) {
	w := newWorld(t, small(), 5)
	w.advance(1)
	alice := w.users[1]
	had := w.account(alice).Balance
	good := Sign(alice, w.l.ChainID(), 0, fee, Transfer{To: token.Address{9}, Amount: 5})
	bad := Sign(alice, w.l.ChainID(), 1, fee, Transfer{To: token.Address{9}, Amount: had})
	late := SignUntil(alice, w.l.ChainID(), 2, fee, w.head().Height, Transfer{To: token.Address{9}, Amount: 1})
	r := w.inBlock(good, bad, late)
	if r[0].Code != 0 || r[1].Code != ErrFunds.Code || r[2].Code != ErrExpired.Code {
		t.Fatalf("%+v", r)
	}
	acc := w.account(alice)
	if acc.Balance != had-2*fee-5 || acc.Nonce != 2 {
		t.Fatalf("%s of %s, nonce %d", acc.Balance, had, acc.Nonce)
	}
	for nonce, want := range map[uint64]struct {
		tx   []byte
		code Code
	}{0: {good, 0}, 1: {bad, ErrFunds.Code}} {
		o, known := acc.outcomeOf(nonce)
		if !known || !o.Is(TxHash(want.tx)) || o.Code != want.code || o.Height != w.head().Height {
			t.Errorf("nonce %d: %+v", nonce, o)
		}
	}
	if _, known := acc.outcomeOf(2); known {
		t.Error("what never was has an outcome")
	}
	w.balanced()
	for n := range uint64(3 * OutcomesKept) {
		w.inBlock(Sign(alice, w.l.ChainID(), 2+n, fee, Transfer{To: token.Address{9}, Amount: 1}))
	}
	if got := w.account(alice).outcomes(); len(got) != OutcomesKept || got[0].Nonce != 2+2*OutcomesKept || got[OutcomesKept-1].Nonce != 1+3*OutcomesKept {
		t.Errorf("%d outcomes are kept", len(got))
	}
}

func TestATransactionIsDoneUntilItsLastBlock(t *testing.T) {
	w := newWorld(t, small(), 5)
	alice := w.users[1]
	last := w.head().Height + 3
	raw := SignUntil(alice, w.l.ChainID(), 0, fee, last, Transfer{To: token.Address{9}, Amount: 5})
	w.advance(2)
	if err := w.l.machine.Check(raw); err != nil {
		t.Fatal(err)
	}
	w.advance(1)
	w.refusedWith(ErrExpired, w.l.machine.Check(raw))
	if r := w.inBlock(raw); r[0].Code != ErrExpired.Code || w.account(alice).Nonce != 0 {
		t.Fatalf("%+v", r)
	}
}

// letIn counts what a mempool's door lets in.
func (w *world) letIn(txs [][]byte) (n int) {
	for _, tx := range txs {
		if w.l.machine.Check(tx) == nil {
			n++
		}
	}
	return n
}

func TestOneTransactionWaitsForASubject(t *testing.T) {
	w := newWorld(t, small(), 5)
	alice := w.users[1]
	f := forge(t, w.g.Params.Shards, 60_000, 1)
	w.do(alice, RegisterBlob{Manifest: f.manifest, Epochs: 1, Owner: alice.Address()})
	m := w.manifest(1, 1000)
	w.do(alice, RegisterBlob{Manifest: m, Epochs: 1, Owner: alice.Address()})
	p := f.invalidate(t)
	var proofs, certificates [][]byte
	for i := range 50 {
		p.Finder = token.Address{byte(i), 7}
		proofs = append(proofs, Unsigned(p))
	}
	for left := range 5 { // any four of five nodes make a valid one
		c := w.certificate(m.ID(), w.head().Epoch, func(i int, _ staking.NodeID) bool { return i != left })
		certificates = append(certificates, Unsigned(Certify{Blob: m.ID(), Certificate: c}))
	}
	if n := w.letIn(proofs); n != 1 {
		t.Errorf("%d proofs about one blob wait for a block", n)
	}
	if n := w.letIn(certificates); n != 1 {
		t.Errorf("%d certificates of one blob wait for a block", n)
	}
	w.inBlock(certificates[0], proofs[0])
	if n := w.letIn(append(proofs, certificates...)); n != 0 {
		t.Errorf("%d are let in that change nothing any more", n)
	}
}

func TestOneBalancePaysForAllThatWaits(t *testing.T) {
	w := newWorld(t, small(), 5)
	alice := w.users[1]
	had := w.account(alice).Balance
	var txs [][]byte
	for n := range uint64(NonceWindow + 1) {
		txs = append(txs, Sign(alice, w.l.ChainID(), n, fee, Transfer{To: token.Address{9}, Amount: had/3 - fee}))
	}
	if n := w.letIn(txs); n != 3 {
		t.Errorf("%d of %d wait, each for a third of the balance", n, len(txs))
	}
	done := 0
	for _, r := range w.inBlock(txs...) {
		if r.Code == 0 {
			done++
		}
	}
	if done != 3 || w.account(alice).Balance > 3 {
		t.Errorf("%d were done; %s are left: what fails must pay", done, w.account(alice).Balance)
	}
}

func TestEvidenceThatChangesNothingIsRefused(t *testing.T) {
	a := newArena(t, 10)
	a.stored(1)
	id := a.idOf(a.secrets[0])
	if _, err := a.l.Run(Block{DoubleSigns: []DoubleSign{{Node: id, Height: a.head().Height, Power: 1}}}); err != nil {
		t.Fatal(err)
	}
	r := a.untilOver(1)
	shard := a.committee().Duty(id)[0]
	s := challenge.Signed{Round: r.Round, Shard: shard, Beacon: blob.Hash{1}}
	f := challenge.Falsehood{Signed: s, Signature: a.secrets[0].Key().Sign(s.Message(a.l.ChainID()))}
	var txs [][]byte
	for i := range 30 {
		txs = append(txs, Unsigned(Accuse{Ordinal: r.Ordinal, Evidence: f.Encode(), Finder: token.Address{byte(i), 3}}))
	}
	if n := a.letIn(txs); n > 0 {
		t.Errorf("%d accusations of an expelled node are let in", n)
	}
	for _, x := range a.step(txs...).Txs {
		if x.Code != ErrEvidence.Code {
			t.Fatalf("%+v", x)
		}
	}
}

func TestAProposersBlockHoldsWhatCanBeDone(t *testing.T) {
	w := newWorld(t, small(), 5)
	alice, m := w.users[1], w.l.machine
	had := w.account(alice).Balance
	sign := func(nonce uint64, n token.Amount) []byte {
		return Sign(alice, w.l.ChainID(), nonce, fee, Transfer{To: token.Address{9}, Amount: n})
	}
	p, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{true, false, true, false} {
		tx := [][]byte{sign(0, had/2), sign(1, had), sign(1, 1), []byte("x")}[i]
		if took, err := p.Take(tx); err != nil || took != want {
			t.Errorf("transaction %d: %v %v", i, took, err)
		}
	}
	if w.account(alice).Balance != had {
		t.Fatal("packing a block has changed the state")
	}
}

func TestABlockOfTooMuchWorkIsRefusedWhole(t *testing.T) {
	w := newWorld(t, small(), 5)
	m, p := w.l.machine, w.g.Params
	heavy := Unsigned(Certify{Blob: blob.ID{1}})
	var txs [][]byte
	for used := uint64(0); used+p.Work(heavy) <= p.BlockWork; used += p.Work(heavy) {
		txs = append(txs, heavy)
	}
	if err := m.JudgeBlock(txs); err != nil {
		t.Fatal(err)
	}
	if m.JudgeBlock(append(txs, heavy)) == nil {
		t.Error("a block beyond its budget passes")
	}
	if m.JudgeBlock([][]byte{[]byte("no transaction")}) == nil {
		t.Error("a block with bytes that are no transaction passes")
	}
	if m.JudgeBlock([][]byte{make([]byte, p.LargestTx()+1)}) == nil {
		t.Error("a block with a transaction that is too large passes")
	}
	for k := range kindNames {
		if w := p.Work(make([]byte, p.LargestTx())) + workOf[k]; w > leastBudget {
			t.Errorf("%s may weigh %d, more than the least budget", k, w)
		}
	}
}
