package store

import (
	"errors"
	"fmt"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/kv"
)

// change is a set of changes on top of what is stored, to be committed as one. It
// lives while Store.change is held.
type change struct {
	r         kv.Reader
	b         *kv.Batch
	totals    totals
	entries   map[blob.Position]entry
	addresses map[blob.Address]*addressState
	witnesses map[slot]*blob.Witness // nil: gone
	blobs     map[blob.ID]*blobState
	rewritten []blob.Address // rotten bytes that were written again
	emptied   []blob.Address // bytes that went with their last entry
	attested  []slot         // rotten witnesses that were written again
	freed     int64
}

type addressState struct {
	rec   addressRecord
	dirty bool
}

type blobState struct {
	rec   blobRecord
	held  bool
	dirty bool
}

// update runs fn over a change, commits it synced, and makes the totals those of the
// change. Store.change is held by the caller.
func (s *Store) update(b *kv.Batch, fn func(c *change) error) error {
	var c *change
	err := s.db.View(func(r kv.Reader) error {
		c = &change{
			r: r, b: b, totals: s.totals(),
			entries: map[blob.Position]entry{}, addresses: map[blob.Address]*addressState{},
			witnesses: map[slot]*blob.Witness{}, blobs: map[blob.ID]*blobState{},
		}
		if err := fn(c); err != nil {
			return err
		}
		c.finish()
		return nil
	})
	if err != nil {
		b.Discard()
		return err
	}
	// The commit point of everything the store acknowledges.
	if err := b.Commit(true); err != nil {
		return full(err)
	}
	s.mu.Lock()
	s.usage = c.totals
	s.mu.Unlock()
	s.rot.healed(c.rewritten)
	s.rot.healed(c.emptied)
	for _, sl := range c.attested {
		s.rot.healedSlot(sl)
	}
	if c.freed > 0 && s.freed.Add(c.freed) > collectStep {
		s.wake()
	}
	return nil
}

// finish writes the records that were changed.
func (c *change) finish() {
	for a, st := range c.addresses {
		if st.dirty && st.rec.Entries > 0 {
			c.b.Set(addressKey(tagAddress, a), canon.Encode(st.rec))
		}
	}
	for id, st := range c.blobs {
		if st.dirty && st.held {
			c.b.Set(blobKey(id), canon.Encode(st.rec))
		}
	}
	if c.b.Len() > 0 {
		c.b.Set([]byte{tagTotals}, canon.Encode(c.totals))
	}
}

func (c *change) entry(at blob.Position) (entry, error) {
	if e, ok := c.entries[at]; ok {
		return e, nil
	}
	e, err := readEntry(c.r, at)
	if err != nil {
		return entry{}, err
	}
	c.entries[at] = e
	return e, nil
}

func (c *change) address(a blob.Address) (*addressState, error) {
	if st, ok := c.addresses[a]; ok {
		return st, nil
	}
	b, ok, err := c.r.Get(addressKey(tagAddress, a))
	if err != nil {
		return nil, err
	}
	st := &addressState{}
	if ok {
		if st.rec, err = parseAddressRecord(b); err != nil {
			return nil, err
		}
	}
	c.addresses[a] = st
	return st, nil
}

func (c *change) blob(id blob.ID) (*blobState, error) {
	if st, ok := c.blobs[id]; ok {
		return st, nil
	}
	rec, ok, err := readBlob(c.r, id)
	if err != nil {
		return nil, err
	}
	st := &blobState{rec: rec, held: ok}
	c.blobs[id] = st
	return st, nil
}

// add enters a fragment; bytes are written with their first entry, or again if they
// had rotted. It returns by what the blob's share of the store grew.
func (c *change) add(p putItem, rotten bool) (grown uint64, err error) {
	e, err := c.entry(p.at)
	if err != nil {
		return 0, err
	}
	if e.held && e.address != p.address {
		return 0, fmt.Errorf("%v: held with the other address %s: %w", p.at, e.address, kv.ErrCorrupt)
	}
	witness, proofs, err := c.attest(p)
	if err != nil {
		return 0, err
	}
	st, err := c.address(p.address)
	if err != nil {
		return 0, err
	}
	if rotten || st.rec.Entries == 0 {
		c.b.Set(addressKey(tagBytes, p.address), p.data)
	}
	if rotten {
		c.rewritten = append(c.rewritten, p.address)
	}
	if e.held {
		return proofs, nil
	}
	if st.rec.Entries == 0 {
		st.rec.Len = uint32(len(p.data))
		c.totals.Bytes += uint64(len(p.data))
	}
	st.rec.Entries++
	st.dirty = true
	e = entry{address: p.address, witness: witness, held: true}
	c.entries[p.at] = e
	c.b.Set(entryKey(p.at), e.encode())
	c.b.Set(backKey(p.address, p.at), nil)
	c.totals.Fragments++
	return uint64(len(p.data)) + proofs, nil
}

// attest keeps the witness of the fragment's slot and returns its length. The parity
// root along the fragment's axis is the one that was computed from it; along the
// other it is what was computed from the other fragment, if that is held.
func (c *change) attest(p putItem) (length uint16, grown uint64, err error) {
	s := slotOf(p.at)
	own, err := c.entry(p.at)
	if err != nil {
		return 0, 0, err
	}
	other, err := c.entry(s.at(p.at.Axis.Cross()))
	if err != nil {
		return 0, 0, err
	}
	next := p.witness
	old, err := c.witness(s, own.held || other.held)
	if err != nil {
		return 0, 0, err
	}
	if old != nil && other.held {
		if p.at.Axis == blob.Row {
			next.Parity.Column = old.Parity.Column
		} else {
			next.Parity.Row = old.Parity.Row
		}
	}
	encoded := next.Encode()
	for _, e := range []entry{own, other} {
		if e.held && int(e.witness) != len(encoded) {
			return 0, 0, fmt.Errorf("%v: witness of %d bytes, held with one of %d: %w", p.at, len(encoded), e.witness, blob.ErrMismatch)
		}
	}
	if old == nil || string(old.Encode()) != string(encoded) {
		c.b.Set(witnessKey(s), encoded)
		c.witnesses[s] = &next
		if old == nil && (own.held || other.held) {
			c.attested = append(c.attested, s)
		}
	}
	if !own.held && !other.held {
		grown = uint64(len(encoded))
		c.totals.Proofs += grown
	}
	return uint16(len(encoded)), grown, nil
}

// witness is the slot's witness as it will be; nil where there is none that can be read.
func (c *change) witness(s slot, held bool) (*blob.Witness, error) {
	if w, ok := c.witnesses[s]; ok || !held {
		return w, nil
	}
	w, err := readWitness(c.r, s)
	if errors.Is(err, ErrMissing) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	c.witnesses[s] = &w
	return &w, nil
}

// release removes an entry; the witness goes with the slot's last entry, bytes with
// the address's last.
func (c *change) release(at blob.Position) error {
	e, err := c.entry(at)
	if err != nil || !e.held {
		return err
	}
	c.entries[at] = entry{}
	c.b.Delete(entryKey(at))
	c.b.Delete(backKey(e.address, at))
	c.totals.Fragments--
	st, err := c.address(e.address)
	if err != nil {
		return err
	}
	if st.rec.Entries == 0 {
		return fmt.Errorf("%v: its bytes have no record: %w", at, kv.ErrCorrupt)
	}
	st.rec.Entries--
	st.dirty = true
	if st.rec.Entries == 0 {
		c.b.Delete(addressKey(tagAddress, e.address))
		c.b.Delete(addressKey(tagBytes, e.address))
		c.totals.Bytes -= uint64(st.rec.Len)
		c.freed += int64(st.rec.Len)
		c.emptied = append(c.emptied, e.address)
	}
	s := slotOf(at)
	other, err := c.entry(s.at(at.Axis.Cross()))
	if err != nil || other.held {
		return err
	}
	c.b.Delete(witnessKey(s))
	c.witnesses[s] = nil
	c.totals.Proofs -= uint64(e.witness)
	c.freed += int64(e.witness)
	return nil
}

// forget removes the blob's record.
func (c *change) forget(id blob.ID) error {
	st, err := c.blob(id)
	if err != nil || !st.held {
		return err
	}
	st.held = false
	c.b.Delete(blobKey(id))
	c.totals.Blobs--
	c.totals.Proofs -= uint64(len(st.rec.Manifest.Encode()))
	if st.rec.staged() {
		c.totals.Staged--
		c.totals.StagedBytes -= st.rec.Bytes
	}
	return nil
}
