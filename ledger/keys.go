package ledger

import (
	"encoding/binary"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
)

// The keys of the state: a letter, then what is named. doc/formats.md lists them.
const (
	letterAccount    = 'a' // address
	letterBlob       = 'b' // blob ID
	letterCommittee  = 'c' // epoch
	letterDelegation = 'd' // address, node
	letterHead       = 'h'
	letterBLS        = 'k' // BLS key -> node
	letterBucket     = 'm' // epoch
	letterNode       = 'n' // node
	letterOwned      = 'o' // address, blob ID
	letterPool       = 'p' // node
	letterDue        = 'q' // half epoch, blob ID
	letterRate       = 'r' // node, epoch
	letterSupply     = 's'
	letterTombstone  = 't' // blob ID
	letterUsage      = 'u'
	letterRules      = 'v'
	letterDoubleSign = 'x' // node
)

func key(letter byte, parts ...[]byte) []byte {
	k := []byte{letter}
	for _, p := range parts {
		k = append(k, p...)
	}
	return k
}

func number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// KeyHead is the key of the Head.
func KeyHead() []byte { return key(letterHead) }

// KeyRules is the key of the Rules: rule version and Params.
func KeyRules() []byte { return key(letterRules) }

// KeySupply is the key of the Supply.
func KeySupply() []byte { return key(letterSupply) }

// KeyUsage is the key of the Usage.
func KeyUsage() []byte { return key(letterUsage) }

// KeyAccount is the key of an Account.
func KeyAccount(a token.Address) []byte { return key(letterAccount, a[:]) }

// KeyBlob is the key of a registry.Entry.
func KeyBlob(id blob.ID) []byte { return key(letterBlob, id[:]) }

// KeyTombstone is the key of a registry.Tombstone.
func KeyTombstone(id blob.ID) []byte { return key(letterTombstone, id[:]) }

// KeyOwned is the key that says that an owner has a lease on a blob.
func KeyOwned(owner token.Address, id blob.ID) []byte { return key(letterOwned, owner[:], id[:]) }

// KeyCommittee is the key of a committee.
func KeyCommittee(epoch uint64) []byte { return key(letterCommittee, number(epoch)) }

// KeyNode is the key of a NodeRecord.
func KeyNode(id staking.NodeID) []byte { return key(letterNode, id[:]) }

// KeyPool is the key of a staking.Pool.
func KeyPool(id staking.NodeID) []byte { return key(letterPool, id[:]) }

// KeyDelegation is the key of a staking.Delegation.
func KeyDelegation(a token.Address, id staking.NodeID) []byte {
	return key(letterDelegation, a[:], id[:])
}

// KeyRate is the key of the staking.Rate of a pool at the turn into an epoch.
func KeyRate(id staking.NodeID, epoch uint64) []byte { return key(letterRate, id[:], number(epoch)) }

// KeyDoubleSign is the key of a DoubleSignRecord.
func KeyDoubleSign(id staking.NodeID) []byte { return key(letterDoubleSign, id[:]) }

// KeyBucket is the key of what was prepaid for an epoch.
func KeyBucket(epoch uint64) []byte { return key(letterBucket, number(epoch)) }

// PrefixBlobs begins the keys of all entries.
func PrefixBlobs() []byte { return key(letterBlob) }

// PrefixNodes begins the keys of all node records.
func PrefixNodes() []byte { return key(letterNode) }

// PrefixOwned begins the keys of what an owner has leases on.
func PrefixOwned(owner token.Address) []byte { return key(letterOwned, owner[:]) }

// PrefixDelegations begins the keys of an account's delegations.
func PrefixDelegations(a token.Address) []byte { return key(letterDelegation, a[:]) }

func keyBLS(k token.BLSPublicKey) []byte { return key(letterBLS, k[:]) }

func keyDue(at registry.Half, id blob.ID) []byte { return key(letterDue, number(uint64(at)), id[:]) }

func prefixDue(at registry.Half) []byte { return key(letterDue, number(uint64(at))) }
