package light

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cometbft/cometbft/crypto"
	"github.com/cometbft/cometbft/crypto/ed25519"
	"github.com/cometbft/cometbft/types"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/internal/testlevel"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/state"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// vault is a world that keeps a blob, and whose committee changes as its headers go on:
// a member for another in every tenth block, so that none of the first is left.
type vault struct {
	*world
	id blob.ID
}

const vaultBlocks = 120

func newVault(t testing.TB) *vault {
	t.Helper()
	w := newWorld(t, "test", 1)
	v := &vault{world: w}
	var roots [][]byte
	root := func() []byte { h := w.local.AppHash(); return h[:] }
	run := func(tx []byte) {
		roots = append(roots, root()) // named by the header of the block that comes now
		if tx == nil {
			if err := w.local.Advance(1); err != nil {
				t.Fatal(err)
			}
			return
		}
		r, err := w.local.Submit(context.Background(), tx)
		if err := errors.Join(err, r.Err()); err != nil {
			t.Fatal(err)
		}
	}
	shape, err := w.genesis.Params.Shape()
	l, err2 := shape.Layout(1000)
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	m := blob.NewManifest(l, blob.Leaf([]byte("content")))
	v.id = m.ID()
	operator := token.KeyFromSeed([32]byte{7})
	run(ledger.Sign(operator, w.genesis.ChainID(), 0, token.WAL, ledger.RegisterBlob{Manifest: m, Epochs: 9, Owner: operator.Address()}))
	run(ledger.Unsigned(ledger.Certify{Blob: v.id, Certificate: v.certificate(t)}))
	for w.tip() < vaultBlocks {
		run(nil)
	}
	v.signAll(t, roots)
	return v
}

func (v *vault) certificate(t testing.TB) registry.Certificate {
	t.Helper()
	view, err := v.local.View(context.Background())
	c, err2 := view.Committee(0)
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	sigs := map[int]token.BLSSignature{}
	for i, m := range c.Nodes[:3] {
		for k := range v.genesis.Nodes {
			if secret := worldSecret(k); secret.BLSKey().Public() == m.BLS {
				sigs[i] = secret.BLSKey().Sign(registry.ConfirmMessage(v.genesis.ChainID(), 0, v.id))
			}
		}
	}
	return must(registry.NewCertificate(0, len(c.Nodes), sigs))
}

// signAll signs the headers of blocks 2 and on by committees that change.
func (v *vault) signAll(t testing.TB, roots [][]byte) {
	t.Helper()
	set := v.committee(t)
	var seats []crypto.PubKey
	for _, one := range set.Validators {
		seats = append(seats, one.PubKey)
	}
	for i, root := range roots {
		h := int64(i) + 2
		next := set
		if h%10 == 0 {
			key := ed25519.GenPrivKeyFromSecret([]byte{byte(h), 1})
			v.keys[string(key.PubKey().Address())] = key
			next = set.Copy()
			if err := next.UpdateWithChangeSet([]*types.Validator{types.NewValidator(key.PubKey(), 7), types.NewValidator(seats[0], 0)}); err != nil {
				t.Fatal(err)
			}
			next.IncrementProposerPriority(1)
			seats = append(seats[1:], key.PubKey())
		}
		v.blocks[h] = v.sign(header(v.genesis, h, v.began.Add(worldBlock+time.Duration(h)*time.Millisecond), root, set, next), set)
		set = next
	}
}

func (v *vault) receipt(t testing.TB) BlobReceipt {
	t.Helper()
	r, err := NewRemote(&town{nodes: []oracle{v.honest}}, v.genesis, RemoteOptions{}).Receipt(context.Background(), v.id)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAReceiptIsCheckedWithTheGenesisAlone(t *testing.T) {
	v := newVault(t)
	file := v.receipt(t).Encode()
	r, err := DecodeBlobReceipt(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, now := range map[string]time.Time{"now": time.Now(), "in twenty years": time.Now().AddDate(20, 0, 0)} {
		got, err := r.Verify(v.genesis, nil, now)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got.Entry.ID() != v.id || !got.Entry.Certified() || got.Entry.End() != 9 || got.Nodes != 3 || 3*got.Shards <= 2*v.genesis.Params.Shards || got.Shards >= v.genesis.Params.Shards ||
			got.Height != v.tip() || got.Head.Height != unit.Height(v.tip()-1) || got.From != 1 || !got.Time.Equal(v.blocks[v.tip()].Time) {
			t.Errorf("%s: %+v", name, got)
		}
		if got.Headers < 4 || got.Headers > vaultBlocks/3 {
			t.Errorf("%d headers lead over %d blocks of committees that change", got.Headers, vaultBlocks)
		}
	}
	t.Logf("%d bytes, %d headers of 4 validators", len(file), len(r.Headers))
}

func TestAReceiptOfAnythingElseIsRefused(t *testing.T) {
	v := newVault(t)
	good := v.receipt(t)
	reHeaded := func(change func(h [][]byte) [][]byte) func(*BlobReceipt) {
		return func(r *BlobReceipt) { r.Headers = change(slices.Clone(r.Headers)) }
	}
	own := ed25519.GenPrivKeyFromSecret([]byte("own"))
	usurper := &world{genesis: v.genesis, keys: map[string]crypto.PrivKey{string(own.PubKey().Address()): own}}
	ownSet := types.NewValidatorSet([]*types.Validator{types.NewValidator(own.PubKey(), 10)})
	forged := func(height int64) []byte {
		h := *v.blocks[height].Header
		h.ValidatorsHash = ownSet.Hash()
		return must(encodeHeader(usurper.sign(h, ownSet)))
	}
	late := *v.blocks[v.tip()].Header
	late.Time = time.Now().Add(time.Hour).UTC()
	another := newWorld(t, "elsewhere", 1).genesis
	for name, c := range map[string]struct {
		change func(*BlobReceipt)
		words  string
	}{
		"another blob":                      {func(r *BlobReceipt) { r.Blob[3] ^= 1 }, "proof of the"},
		"another chain":                     {func(r *BlobReceipt) { r.Chain = another.ChainID() }, "of the chain"},
		"another height":                    {func(r *BlobReceipt) { r.Height-- }, "it names block"},
		"another time":                      {func(r *BlobReceipt) { r.Time = r.Time.Add(1) }, "it names block"},
		"no headers":                        {func(r *BlobReceipt) { r.Headers = nil }, "0 headers"},
		"without the first":                 {reHeaded(func(h [][]byte) [][]byte { return h[1:] }), "checkpoint"},
		"without the last":                  {reHeaded(func(h [][]byte) [][]byte { return h[:len(h)-1] }), "it names block"},
		"without those between":             {reHeaded(func(h [][]byte) [][]byte { return [][]byte{h[0], h[len(h)-1]} }), "does not follow"},
		"the last two changed about":        {reHeaded(func(h [][]byte) [][]byte { n := len(h); h[n-1], h[n-2] = h[n-2], h[n-1]; return h }), "does not follow"},
		"a header twice":                    {reHeaded(func(h [][]byte) [][]byte { return append(h, h[len(h)-1]) }), "does not follow"},
		"the last is signed by a stranger":  {reHeaded(func(h [][]byte) [][]byte { h[len(h)-1] = forged(v.tip()); return h }), "does not follow"},
		"the first is signed by a stranger": {reHeaded(func(h [][]byte) [][]byte { h[0] = forged(1); return h }), "another committee than the genesis"},
		"a header from tomorrow": {reHeaded(func(h [][]byte) [][]byte {
			h[len(h)-1] = must(encodeHeader(v.sign(late, v.blocks[v.tip()].ValidatorSet)))
			return h
		}), "clock"},
		"the head for the blob":           {func(r *BlobReceipt) { r.Proofs.Blob = r.Proofs.Head }, "proof of the blob"},
		"no certificate":                  {func(r *BlobReceipt) { r.Proofs.Certificate = nil }, "proof of the certificate"},
		"the committee for who certifies": {func(r *BlobReceipt) { r.Proofs.Certifiers = r.Proofs.Blob }, "proof of the certifiers"},
	} {
		r := good
		c.change(&r)
		if got, err := r.Verify(v.genesis, nil, time.Now()); !errors.Is(err, ErrReceipt) || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %v, shows %+v", name, err, got)
		}
	}
	if _, err := good.Verify(another, nil, time.Now()); !errors.Is(err, ErrReceipt) || !strings.Contains(err.Error(), string(another.ChainID())) {
		t.Errorf("with another genesis: %v", err)
	}
	// A file that is cut off, or says more.
	file := good.Encode()
	for name, b := range map[string][]byte{"half": file[:len(file)/2], "nothing": nil, "more": append(bytes.Clone(file), ' '), "twice": append(bytes.Clone(file), file...),
		"another version": bytes.Replace(file, []byte(`"walrus_receipt": 1`), []byte(`"walrus_receipt": 2`), 1), "a member more": bytes.Replace(file, []byte(`{`), []byte(`{"held": true,`), 1),
		"text of its own": []byte("{}\n"), "large": make([]byte, MaxReceipt+1)} {
		if _, err := DecodeBlobReceipt(b); !errors.Is(err, ErrReceipt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Every field of a receipt, down to the keys and signatures in its headers, is changed
// by a bit, in many places: it is refused, always.
func TestNoBitOfAReceiptCanBeChanged(t *testing.T) {
	v := newVault(t)
	good := v.receipt(t)
	file, now := good.Encode(), time.Now()
	tried := 0
	refused := func(what string, b []byte) {
		t.Helper()
		tried++
		r, err := DecodeBlobReceipt(b)
		if err == nil {
			_, err = r.Verify(v.genesis, nil, now)
		}
		if !errors.Is(err, ErrReceipt) {
			t.Fatalf("%s: %v", what, err)
		}
	}
	flips := func(what string, field []byte, most int, put func([]byte) []byte) {
		t.Helper()
		for at := 0; at < len(field); at += max(1, len(field)/most) * testlevel.Repeat(5, 1, 1) {
			changed := bytes.Clone(field)
			changed[at] ^= 1 << (at % 8)
			refused(what, put(changed))
		}
	}
	flips("the file", file, 300, func(b []byte) []byte { return b })
	for i, raw := range good.Headers {
		if i > 1 && i < len(good.Headers)-1 {
			continue // as the others
		}
		var in receiptHeader
		if err := canon.Decode(raw, &in); err != nil {
			t.Fatal(err)
		}
		put := func(h receiptHeader) []byte {
			r := good
			r.Headers = slices.Clone(r.Headers)
			r.Headers[i] = canon.Encode(h)
			return r.Encode()
		}
		flips("a header", in.Header, 60, func(b []byte) []byte { h := in; h.Header = b; return put(h) })
		flips("a commit", in.Commit, 150, func(b []byte) []byte { h := in; h.Commit = b; return put(h) })
		for k := range in.Committee {
			with := func(one voter) []byte {
				h := in
				h.Committee = slices.Clone(in.Committee)
				h.Committee[k] = one
				return put(h)
			}
			flips("a key", in.Committee[k].Key, 8, func(b []byte) []byte { return with(voter{Key: b, Power: in.Committee[k].Power}) })
			refused("a power", with(voter{Key: in.Committee[k].Key, Power: in.Committee[k].Power + 1}))
		}
		for _, committee := range [][]voter{in.Committee[1:], append(slices.Clone(in.Committee), in.Committee[0]), nil} {
			refused("a committee", put(receiptHeader{Header: in.Header, Commit: in.Commit, Committee: committee}))
		}
	}
	for name, field := range map[string]*[]byte{"head": &good.Proofs.Head, "blob": &good.Proofs.Blob, "certificate": &good.Proofs.Certificate, "certifiers": &good.Proofs.Certifiers} {
		was := *field
		flips("proof of the "+name, was, 80, func(b []byte) []byte {
			*field = b
			defer func() { *field = was }()
			return good.Encode()
		})
	}
	if _, err := good.Verify(v.genesis, nil, now); err != nil {
		t.Fatal("the test spoilt the receipt", err)
	}
	t.Logf("%d changes", tried)
}

// Where no node has the first blocks any more a receipt begins at the checkpoint of the
// network file, and is checked by a reader that trusts that too.
func TestAReceiptMayBeginAtACheckpoint(t *testing.T) {
	v := newVault(t)
	forgetful := oracle(func(ask p2p.Ask, body []byte) ([]byte, error) {
		var q headerQuestion
		if ask == p2p.AskLight && decodeQuestion(body, &q) == nil && q.Height > 0 && q.Height < 50 {
			return nil, errors.New("forgotten")
		}
		return v.honest(ask, body)
	})
	point := &Checkpoint{Height: 60, Hash: blob.Hash(v.blocks[60].Hash())}
	remote := func(c *Checkpoint) *Remote {
		return NewRemote(&town{nodes: []oracle{forgetful}}, v.genesis, RemoteOptions{Checkpoint: c})
	}
	r, err := remote(point).Receipt(context.Background(), v.id)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := r.Verify(v.genesis, point, time.Now()); err != nil || got.From != 60 {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := r.Verify(v.genesis, nil, time.Now()); !errors.Is(err, ErrReceipt) || !strings.Contains(err.Error(), "checkpoint") {
		t.Errorf("without the checkpoint: %v", err)
	}
	if _, err := r.Verify(v.genesis, &Checkpoint{Height: 60, Hash: blob.Hash{1}}, time.Now()); !errors.Is(err, ErrReceipt) {
		t.Errorf("with another: %v", err)
	}
	if _, err := remote(nil).Receipt(context.Background(), v.id); err == nil {
		t.Error("a receipt without the first block or a checkpoint")
	}
}

// A node that lies gets nothing into a receipt, and is blamed.
func TestNoLieComesIntoAReceipt(t *testing.T) {
	v := newVault(t)
	for name, liar := range map[string]oracle{
		"changes a proof":      v.edit(p2p.AskGet, func(_, b []byte) []byte { b = bytes.Clone(b); b[len(b)/2] ^= 1; return b }),
		"forges its headers":   v.forge(func(b *types.LightBlock) *types.LightBlock { b.AppHash = make([]byte, 32); return b }),
		"answers with nothing": func(p2p.Ask, []byte) ([]byte, error) { return nil, nil },
	} {
		two := &town{nodes: []oracle{liar, v.honest}}
		r, err := NewRemote(two, v.genesis, RemoteOptions{}).Receipt(context.Background(), v.id)
		if err != nil || two.blamed[two.name(0)] == nil {
			t.Errorf("%s: %v, blamed %v", name, err, two.blamed)
			continue
		}
		if _, err := r.Verify(v.genesis, nil, time.Now()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	missing := blob.ID(blob.Leaf([]byte("never stored")))
	if _, err := NewRemote(&town{nodes: []oracle{v.honest}}, v.genesis, RemoteOptions{}).Receipt(context.Background(), missing); !errors.Is(err, ErrUncertified) {
		t.Errorf("of a blob that is not there: %v", err)
	}
}

// Whatever file comes as a receipt: what it shows is true.
func FuzzReceiptsOfStrangers(f *testing.F) {
	v := newVault(f)
	good := v.receipt(f)
	f.Add(good.Encode())
	f.Add([]byte("{}"))
	f.Add(must(json.Marshal(BlobReceipt{Version: 1})))
	f.Add(bytes.Replace(good.Encode(), []byte(`"headers": [`), []byte(`"headers": ["",`), 1)) // an odd one: no header at all in a header
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := DecodeBlobReceipt(b)
		if err != nil {
			return
		}
		if !bytes.Equal(r.Encode(), b) {
			t.Error("two files of one receipt")
		}
		if got, err := r.Verify(v.genesis, nil, time.Now()); err == nil && (got.Entry.ID() != v.id || got.Entry.End() != 9) {
			t.Errorf("it shows %+v", got)
		}
	})
}

// Whatever bytes come as a header of a receipt: an error, or the one form of a header
// whose signatures hold.
func FuzzHeadersOfReceipts(f *testing.F) {
	w := newWorld(f, "test", 2)
	chain := string(w.genesis.ChainID())
	f.Add(must(encodeHeader(w.blocks[2])))
	f.Add([]byte{0x83, 0x40, 0x40, 0x80})
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := decodeHeader(b, chain)
		if err != nil {
			return
		}
		if again, err := encodeHeader(l); err != nil || !bytes.Equal(again, b) {
			t.Error("two forms of one header")
		}
		if err := l.ValidatorSet.VerifyCommit(chain, l.Commit.BlockID, l.Height, l.Commit); err != nil {
			t.Error(err)
		}
	})
}

// A state in which a blob is certified without signatures, signed by the whole committee: the
// nodes' own signatures are missing, and the receipt shows nothing.
func TestAnUnsignedCertificateShowsNothing(t *testing.T) {
	v := newVault(t)
	good := v.receipt(t)
	view := must(v.local.View(context.Background()))
	cert, _, err := view.Certificate(v.id)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*registry.Certificate)
		words  string
	}{
		"as it is": {func(*registry.Certificate) {}, ""},
		"of another blob": {func(c *registry.Certificate) {
			c.Aggregate = worldSecret(0).BLSKey().Sign(registry.ConfirmMessage(v.genesis.ChainID(), 0, blob.ID{1}))
		}, "certificate is not valid"},
		"of half the shards": {func(c *registry.Certificate) { c.Bitmap = []byte{0b11} }, "two thirds"},
		"of a node too many": {func(c *registry.Certificate) { c.Bitmap = []byte{0b11111} }, "node 4 of 4"},
		"of nobody":          {func(c *registry.Certificate) { c.Bitmap = nil }, "bitmap"},
		"in another's name":  {func(c *registry.Certificate) { c.Bitmap = []byte{0b1110} }, "certificate is not valid"},
	} {
		changed := cert
		c.change(&changed)
		s, err := state.Open(state.NewMemory(), v.genesis.Salt(), v.genesis.Params.Buckets)
		if err != nil {
			t.Fatal(err)
		}
		keys := receiptKeys(v.id, cert.Epoch)
		o := state.NewOverlay(state.NewMemory())
		for _, k := range keys {
			value, _, err := view.R.Get(k)
			if err != nil {
				t.Fatal(err)
			}
			o.Set(k, value)
		}
		o.Set(ledger.KeyCertificate(v.id), canon.Encode(changed))
		u, err := s.Prepare(0, o.Changes())
		if err := errors.Join(err, s.Commit(u)); err != nil {
			t.Fatal(err)
		}
		last := v.blocks[v.tip()]
		h, root := *last.Header, s.Root()
		h.AppHash = root[:]
		r := good
		r.Headers = slices.Clone(r.Headers)
		r.Headers[len(r.Headers)-1] = must(encodeHeader(v.sign(h, last.ValidatorSet)))
		for i, to := range []*[]byte{&r.Proofs.Head, &r.Proofs.Blob, &r.Proofs.Certificate, &r.Proofs.Certifiers} {
			*to = must(s.Prove(0, keys[i])).Encode()
		}
		_, err = r.Verify(v.genesis, nil, time.Now())
		if c.words == "" && err != nil || c.words != "" && (!errors.Is(err, ErrReceipt) || !strings.Contains(err.Error(), c.words)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What says the same in other bytes is refused: a receipt has one form.
func TestAHeaderOfAReceiptHasOneForm(t *testing.T) {
	v := newVault(t)
	chain := string(v.genesis.ChainID())
	good := must(encodeHeader(v.blocks[v.tip()]))
	if _, err := decodeHeader(good, chain); err != nil {
		t.Fatal(err)
	}
	unknown := []byte{0xf8, 0x7f, 1} // field 2047 of a protobuf message
	for name, change := range map[string]func(*receiptHeader){
		"a field more in the header": func(h *receiptHeader) { h.Header = append(bytes.Clone(h.Header), unknown...) },
		"a field more in the commit": func(h *receiptHeader) { h.Commit = append(bytes.Clone(h.Commit), unknown...) },
		"the committee in another order": func(h *receiptHeader) {
			h.Committee = slices.Clone(h.Committee)
			h.Committee[0], h.Committee[1] = h.Committee[1], h.Committee[0]
		},
	} {
		var h receiptHeader
		if err := canon.Decode(good, &h); err != nil {
			t.Fatal(err)
		}
		change(&h)
		if _, err := decodeHeader(canon.Encode(h), chain); err == nil || !strings.Contains(err.Error(), "canonical form") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
