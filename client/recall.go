package client

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/fetch"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// A process keeps the committee that the ledger showed last for the next one, which dials the
// members, asks them and offers to them while it looks at the ledger. What is kept decides
// nothing: no byte is handed on and nothing is paid before the ledger has answered, and an
// offer to another committee than the ledger's is dropped.

// keptCommitteeVersion is the version of the form in which a committee is kept.
const keptCommitteeVersion = 1

// Bounds on a kept committee: one of 1,000 nodes with an address of 100 bytes for each of two
// transports has 350 KB.
const (
	maxKeptCommittee = 1 << 20 // bytes
	maxKeptAddrs     = 16      // of a member
	maxKeptAddr      = 256     // bytes of an address
)

// keptCommittee is a committee as a process keeps it for the next one. The form is local to a
// machine.
type keptCommittee struct {
	_       struct{} `cbor:",toarray"`
	Version uint64
	Chain   token.ChainID
	Epoch   unit.Epoch
	Members []keptMember
	Holder  []uint64 // for each shard, the index in Members of the node with the duty
	From    []uint64 // for each shard, 1 + the index of the node that still serves it; 0: none
}

// keptMember is a member of a kept committee. Its shards are those of Holder.
type keptMember struct {
	_         struct{} `cbor:",toarray"`
	Key       []byte   // ed25519, of its peer ID
	BLS       token.BLSPublicKey
	Addresses []string // multiaddrs
}

// Known is the committee that the ledger showed last, for Recall of a later process; nil where
// it has shown none.
func (c *Client) Known() []byte {
	d, ok := c.seated.get()
	if !ok || !c.seated.isShown() {
		return nil
	}
	k := keptCommittee{Version: keptCommitteeVersion, Chain: c.chain, Epoch: d.epoch}
	for i, m := range d.Members {
		key, err := p2p.KeyOf(m.Peer)
		if err != nil {
			return nil // no node of the ledger has such a name
		}
		k.Members = append(k.Members, keptMember{Key: key, BLS: d.keys[i], Addresses: m.Addrs})
	}
	for s := range d.Holder {
		if d.Holder[s] < 0 {
			return nil
		}
		k.Holder, k.From = append(k.Holder, uint64(d.Holder[s])), append(k.From, uint64(d.From[s]+1))
	}
	return canon.Encode(k)
}

// Recall begins with a committee that Known gave a process before this one.
func (c *Client) Recall(kept []byte) error {
	d, err := decodeCommittee(kept, c.chain, c.Shape)
	if err == nil {
		c.seated.recall(d)
	}
	return err
}

// decodeCommittee reads a kept committee of a chain, whose blobs have a shape.
func decodeCommittee(kept []byte, chain token.ChainID, shape blob.Shape) (committee, error) {
	fail := func(format string, args ...any) (committee, error) {
		return committee{}, fmt.Errorf("kept committee: "+format, args...)
	}
	var k keptCommittee
	if len(kept) > maxKeptCommittee {
		return fail("%d bytes, at most %d", len(kept), maxKeptCommittee)
	}
	if err := canon.Decode(kept, &k); err != nil {
		return fail("%w", err)
	}
	if k.Version != keptCommitteeVersion || k.Chain != chain {
		return fail("version %d of %q, not %d of %q", k.Version, k.Chain, keptCommitteeVersion, chain)
	}
	if shape.N == 0 || len(k.Holder) != shape.N || len(k.From) != shape.N {
		return fail("%d shards, the genesis has %d", len(k.Holder), shape.N)
	}
	d := committee{Directory: &fetch.Directory{Shape: shape}, epoch: k.Epoch}
	for _, m := range k.Members {
		id, err := p2p.PeerOf(m.Key)
		if err != nil {
			return fail("%w", err)
		}
		if len(m.Addresses) > maxKeptAddrs || slices.ContainsFunc(m.Addresses, func(a string) bool { return len(a) > maxKeptAddr }) {
			return fail("%s has more addresses, or longer ones, than a node may have", id)
		}
		d.Members, d.keys = append(d.Members, fetch.Member{Peer: id, Addrs: m.Addresses}), append(d.keys, m.BLS)
	}
	for s := range shape.N {
		holder, from := k.Holder[s], k.From[s]
		if holder >= uint64(len(d.Members)) || from > uint64(len(d.Members)) {
			return fail("shard %d is held by member %d of %d", s, holder, len(d.Members))
		}
		d.Holder, d.From = append(d.Holder, int(holder)), append(d.From, int(from)-1)
		d.Members[holder].Shards++
	}
	return d, nil
}

// recollection is where a connection keeps the committee.
type recollection struct {
	dir  TrustDir
	name string
	log  *slog.Logger
	had  []byte // what was kept
}

// recall begins with the committee that was kept, if one was.
func (c *Connection) recall(dir TrustDir, name string, log *slog.Logger) {
	r := &recollection{dir: dir, name: name, log: log}
	c.kept = r
	var err error
	if r.had, err = dir.load(name, committeeSuffix, maxKeptCommittee); err == nil {
		err = c.Recall(r.had)
	}
	if err != nil {
		if r.had = nil; !errors.Is(err, fs.ErrNotExist) {
			log.Info("the committee that was known last is not used", "err", err)
		}
		return
	}
	d, _ := c.seated.get()
	c.Fetcher.Recall(d.Directory)
}

// keepCommittee keeps the committee for the next process where it has changed.
func (c *Connection) keepCommittee() {
	r := c.kept
	if r == nil {
		return
	}
	known := c.Known()
	if known == nil || len(known) > maxKeptCommittee || bytes.Equal(known, r.had) {
		return
	}
	if err := r.dir.keep(r.name, committeeSuffix, known); err != nil {
		r.log.Info("the committee is not kept for later commands", "err", err)
	}
}
