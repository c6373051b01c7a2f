package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/state"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// ErrNoCommittee is returned for an epoch whose committee is not kept or not yet
// chosen: the present one, the one before, and after the middle the next are there.
var ErrNoCommittee = errors.New("no committee is kept for this epoch")

// ErrNoList is returned when a reader that knows single keys is asked for many.
var ErrNoList = errors.New("this view cannot list")

// prefetcher is a reader to which one question for many keys costs as much as one for one
// key: it reads from far away, and keeps what it has read.
type prefetcher interface {
	Prefetch(keys [][]byte) error
	PrefetchCommittee(keys [][]byte) error
	PrefetchList(prefix []byte, keys [][]byte) error
	PrefetchBeside(keys func(listed [][]byte) [][]byte)
}

// Prefetch reads many keys with few questions where the view reads from far away. It does
// nothing elsewhere.
func (v View) Prefetch(keys ...[]byte) error {
	if r, ok := v.R.(prefetcher); ok && len(keys) > 0 {
		return r.Prefetch(keys)
	}
	return nil
}

// PrefetchCommittee is Prefetch for keys, the head, the rules, the present committee and
// the records of its nodes.
func (v View) PrefetchCommittee(keys ...[]byte) error {
	if r, ok := v.R.(prefetcher); ok {
		return r.PrefetchCommittee(append([][]byte{KeyHead(), KeyRules()}, keys...))
	}
	return nil
}

// PrefetchList is PrefetchCommittee, and asks for the first of the keys that begin with prefix
// at the same time.
func (v View) PrefetchList(prefix []byte, keys ...[]byte) error {
	if r, ok := v.R.(prefetcher); ok {
		return r.PrefetchList(prefix, append([][]byte{KeyHead(), KeyRules()}, keys...))
	}
	return nil
}

// Head is where the ledger stands; every block writes it.
type Head struct {
	_           struct{} `cbor:",toarray"`
	Height      unit.Height
	TimeMs      int64 // of the block, Unix
	Epoch       unit.Epoch
	EpochStart  unit.Height // its first height
	EpochEnd    unit.Height // its last height
	RuleVersion uint64
}

// Middle is the first height of the epoch's second half.
func (h Head) Middle() unit.Height {
	return h.EpochStart.Plus((h.EpochEnd.Since(h.EpochStart) + 1) / 2)
}

// Half is the present half epoch.
func (h Head) Half() registry.Half { return registry.HalfOf(h.Epoch, h.Height >= h.Middle()) }

// Supply is all money, and the part of it that is in no account, pool or bucket.
type Supply struct {
	_          struct{}     `cbor:",toarray"`
	Total      token.Amount // all there is, since genesis
	Burned     token.Amount
	Carry      token.Amount // fees and dust, for the next rewards
	Escrow     token.Amount // paid by registrations that are not certified
	Allowances token.Amount // left with leases to renew them
	Subsidy    token.Amount // not yet handed out
	Insurance  token.Amount // fund, fed by fees up to a part of all stake
	Repair     token.Amount // fund, fed by slashes and by what no node earned
}

// Usage is how full the network is.
type Usage struct {
	_           struct{}      `cbor:",toarray"`
	ReservedKiB unit.KiB      // promised, over all shards
	ShardKiB    unit.KiB      // most that may be promised for each shard
	Swept       registry.Half // all that was due before this half is done
	Slots       uint64        // of the index of blobs that can be drawn, free ones too
	Drawable    uint64        // blobs in it
	DrawableKiB unit.KiB      // stored KiB of these
}

// NodeRecord is a registered node.
type NodeRecord struct {
	_               struct{} `cbor:",toarray"`
	ID              staking.NodeID
	Operator        token.Address // moves the bond, changes the record and its keys
	Governance      token.Address // votes for the node
	Payout          token.Address // is paid what the operator draws
	BLS             token.BLSPublicKey
	Addresses       []string // libp2p multiaddrs
	Comet           string   // host:port of its CometBFT
	CapacityKiB     unit.KiB
	Name            string
	URL             string // where the operator can be read about
	About           string // in the operator's words
	RegisteredEpoch unit.Epoch
	Out             bool // expelled for good: no new shards, and no power if it can be spared
}

// View reads the ledger's records from any reader of its keys: the node's own
// state, or a remote one that checks proofs.
type View struct{ R state.Reader }

func read[T any](v View, what string, key []byte) (out T, ok bool, err error) {
	raw, ok, err := v.R.Get(key)
	if err != nil || !ok {
		if err != nil {
			err = fmt.Errorf("read %s: %w", what, err)
		}
		return out, false, err
	}
	if err := canon.Decode(raw, &out); err != nil {
		return out, false, fmt.Errorf("read %s: %w", what, err)
	}
	return out, true, nil
}

// one is for records that always exist.
func one[T any](v View, what string, key []byte) (T, error) {
	out, ok, err := read[T](v, what, key)
	if err == nil && !ok {
		err = fmt.Errorf("read %s: %w; is this an empty state?", what, ErrAbsent)
	}
	return out, err
}

// Head is where the ledger stands.
func (v View) Head() (Head, error) { return one[Head](v, "head", KeyHead()) }

// Rules is what is in force.
func (v View) Rules() (Rules, error) { return one[Rules](v, "rules", KeyRules()) }

// Params are the numbers in force.
func (v View) Params() (Params, error) {
	r, err := v.Rules()
	return r.Params, err
}

// Supply is all money, and the part of it that has no owner.
func (v View) Supply() (Supply, error) { return one[Supply](v, "supply", KeySupply()) }

// Usage is how full the network is.
func (v View) Usage() (Usage, error) { return one[Usage](v, "usage", KeyUsage()) }

// Account is an account; one that was never used is empty.
func (v View) Account(a token.Address) (Account, error) {
	acc, _, err := read[Account](v, "account", KeyAccount(a))
	return acc, err
}

// Node is a registered node.
func (v View) Node(id staking.NodeID) (NodeRecord, bool, error) {
	return read[NodeRecord](v, "node", KeyNode(id))
}

// Pool is the stake behind a node.
func (v View) Pool(id staking.NodeID) (staking.Pool, bool, error) {
	return read[staking.Pool](v, "pool", KeyPool(id))
}

// Delegation is an account's part of a pool.
func (v View) Delegation(a token.Address, id staking.NodeID) (staking.Delegation, bool, error) {
	return read[staking.Delegation](v, "delegation", KeyDelegation(a, id))
}

// Joined is the rate at which a pool let in what waited for an epoch; it is kept until
// every delegator has its shares.
func (v View) Joined(id staking.NodeID, epoch unit.Epoch) (OpenRate, bool, error) {
	return read[OpenRate](v, "rate", KeyJoined(id, epoch))
}

// Left is the rate at which a pool let out what was due for an epoch; it is kept until
// every delegator has its money.
func (v View) Left(id staking.NodeID, epoch unit.Epoch) (OpenRate, bool, error) {
	return read[OpenRate](v, "rate", KeyLeft(id, epoch))
}

// Sanctions is what a node's conduct has brought it to.
func (v View) Sanctions(id staking.NodeID) (staking.Sanctions, error) {
	s, _, err := read[staking.Sanctions](v, "standing", KeySanctions(id))
	return s, err
}

// Statement is what became of a node's pay and stake at an epoch's end.
func (v View) Statement(epoch unit.Epoch, id staking.NodeID) (Statement, bool, error) {
	return read[Statement](v, "statement", KeyStatement(epoch, id))
}

// Books are the money of an epoch that was closed.
func (v View) Books(epoch unit.Epoch) (staking.Books, bool, error) {
	return read[staking.Books](v, "books", KeyBooks(epoch))
}

// Terms are the numbers by which an epoch was closed.
func (v View) Terms(epoch unit.Epoch) (Terms, bool, error) {
	return read[Terms](v, "terms", KeyTerms(epoch))
}

// Bucket is what was prepaid for an epoch.
func (v View) Bucket(epoch unit.Epoch) (token.Amount, error) {
	a, _, err := read[token.Amount](v, "bucket", KeyBucket(epoch))
	return a, err
}

// Blob is what the registry says of a blob.
func (v View) Blob(id blob.ID) (registry.Entry, bool, error) {
	return read[registry.Entry](v, "blob", KeyBlob(id))
}

// Tombstone says that a blob has ended. Neither entry nor tombstone: unknown.
func (v View) Tombstone(id blob.ID) (registry.Tombstone, bool, error) {
	return read[registry.Tombstone](v, "tombstone", KeyTombstone(id))
}

// Ballot is what a node votes for.
func (v View) Ballot(id staking.NodeID) (Ballot, bool, error) {
	return read[Ballot](v, "ballot", KeyBallot(id))
}

// PriceRecord is how the prices of an epoch came about, while it is kept.
func (v View) PriceRecord(epoch unit.Epoch) (PriceRecord, bool, error) {
	return read[PriceRecord](v, "price record", KeyPriceRecord(epoch))
}

// RuleRecord is what was voted for an epoch, if anything was, while it is kept.
func (v View) RuleRecord(epoch unit.Epoch) (RuleRecord, bool, error) {
	return read[RuleRecord](v, "rule record", KeyRuleRecord(epoch))
}

// eachBallot walks all ballots in the order of their nodes' IDs.
func (v View) eachBallot(fn func(staking.NodeID, Ballot) error) error {
	return each(v, prefixBallots(), func(k []byte, b Ballot) error { return fn(staking.NodeID(k), b) })
}

// EachBlob walks all entries in the order of their IDs.
func (v View) EachBlob(fn func(blob.ID, registry.Entry) error) error {
	return each(v, prefixBlobs(), func(k []byte, e registry.Entry) error { return fn(blob.ID(k), e) })
}

// EachTombstone walks all tombstones in the order of their IDs.
func (v View) EachTombstone(fn func(blob.ID, registry.Tombstone) error) error {
	return each(v, key(letterTombstone), func(k []byte, t registry.Tombstone) error { return fn(blob.ID(k), t) })
}

// EachNode walks all registered nodes in the order of their IDs.
func (v View) EachNode(fn func(NodeRecord) error) error {
	return each(v, PrefixNodes(), func(_ []byte, n NodeRecord) error { return fn(n) })
}

// EachNodeWith is EachNode after PrefetchList for PrefixNodes. While the first nodes are proven
// it reads keys, and those that belong to each of these nodes.
func (v View) EachNodeWith(keys [][]byte, of func(staking.NodeID) [][]byte, fn func(NodeRecord) error) error {
	v.beside(PrefixNodes(), keys, func(rest []byte) [][]byte {
		if len(rest) != len(staking.NodeID{}) {
			return nil
		}
		return of(staking.NodeID(rest))
	})
	return v.EachNode(fn)
}

// EachOwnedEntry walks the blobs that an owner has a lease on. After PrefetchList for
// PrefixOwned the entries of the first ones are read while these are proven.
func (v View) EachOwnedEntry(owner token.Address, fn func(blob.ID) error) error {
	v.beside(PrefixOwned(owner), nil, func(rest []byte) [][]byte {
		if len(rest) != len(blob.ID{}) {
			return nil
		}
		return [][]byte{KeyBlob(blob.ID(rest))}
	})
	return v.EachOwned(owner, fn)
}

// beside lets a reader from far away read keys, and those of each listed key, while it proves
// the first page of the next list.
func (v View) beside(prefix []byte, keys [][]byte, of func(rest []byte) [][]byte) {
	r, ok := v.R.(prefetcher)
	if !ok {
		return
	}
	r.PrefetchBeside(func(listed [][]byte) [][]byte {
		out := slices.Clone(keys)
		for _, k := range listed {
			if rest, ok := bytes.CutPrefix(k, prefix); ok {
				out = append(out, of(rest)...)
			}
		}
		return out
	})
}

// EachOwned walks the blobs that an owner has a lease on.
func (v View) EachOwned(owner token.Address, fn func(blob.ID) error) error {
	prefix := PrefixOwned(owner)
	return list(v, prefix, func(k, _ []byte) error { return fn(blob.ID(k[len(prefix):])) })
}

// EachDelegation walks an account's delegations.
func (v View) EachDelegation(a token.Address, fn func(staking.NodeID, staking.Delegation) error) error {
	return each(v, prefixDelegations(a), func(k []byte, d staking.Delegation) error { return fn(staking.NodeID(k), d) })
}

func list(v View, prefix []byte, fn func(k, raw []byte) error) error {
	l, ok := v.R.(state.Lister)
	if !ok {
		return ErrNoList
	}
	return l.Each(prefix, fn)
}

// each decodes what it lists and hands over what follows the prefix in the key.
func each[T any](v View, prefix []byte, fn func(rest []byte, value T) error) error {
	return list(v, prefix, func(k, raw []byte) error {
		var out T
		if err := canon.Decode(raw, &out); err != nil {
			return fmt.Errorf("read %x: %w", k, err)
		}
		return fn(k[len(prefix):], out)
	})
}
