package ledger

import (
	"encoding/binary"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// The keys of the state: a letter, then what is named. doc/formats.md lists them.
const (
	letterAccount    = 'a' // address
	letterBlob       = 'b' // blob ID
	letterCommittee  = 'c' // epoch
	letterBeacon     = 'B'
	letterCertified  = 'C' // blob ID
	letterDeclared   = 'D' // node
	letterEligible   = 'E' // height, blob ID
	letterFree       = 'F' // slot
	letterBundle     = 'G' // epoch at whose end it counts, epoch, round, kind, shard
	letterOpen       = 'N' // alone: of all; address: of one account
	letterDispute    = 'O' // ordinal, shard
	letterAnswerBy   = 'T' // height, ordinal, shard
	letterPastRound  = 'K' // ordinal
	letterLastDraw   = 'L' // blob ID
	letterMissed     = 'M' // node
	letterRound      = 'R'
	letterFreeing    = 'X' // slot
	letterDelegation = 'd' // address, node
	letterStatement  = 'e' // epoch, node
	letterFault      = 'f' // node, epoch, round, kind
	letterSlot       = 'S' // slot
	letterCertifiers = 'V' // epoch
	letterVouched    = 'W' // epoch
	letterTerms      = 'g' // epoch
	letterHead       = 'h'
	letterStanding   = 'i' // node
	letterTally      = 'j' // epoch
	letterBLS        = 'k' // BLS key -> node
	letterLeft       = 'l' // node, epoch
	letterBucket     = 'm' // epoch
	letterNode       = 'n' // node
	letterOwned      = 'o' // address, blob ID
	letterPool       = 'p' // node
	letterDue        = 'q' // half epoch, blob ID
	letterJoined     = 'r' // node, epoch
	letterSupply     = 's'
	letterTombstone  = 't' // blob ID
	letterUsage      = 'u'
	letterBooks      = 'y' // epoch
	letterDoubleSign = 'x' // node
	letterRules      = 'v' // alone: the rules; epoch: what was voted for it
	letterBallot     = 'w' // node
	letterPrice      = 'z' // epoch
)

func key(letter byte, parts ...[]byte) []byte {
	k := []byte{letter}
	for _, p := range parts {
		k = append(k, p...)
	}
	return k
}

func number[N ~uint64](n N) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }

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

// KeyCertificate is the key of the registry.Certificate of a blob that is kept.
func KeyCertificate(id blob.ID) []byte { return key(letterCertified, id[:]) }

// KeyCertifiers is the key of the Certifiers of an epoch.
func KeyCertifiers(epoch unit.Epoch) []byte { return key(letterCertifiers, number(epoch)) }

func keyVouched(epoch unit.Epoch) []byte { return key(letterVouched, number(epoch)) }

// KeyLastDraw is the key of a blob's LastDraw.
func KeyLastDraw(id blob.ID) []byte { return key(letterLastDraw, id[:]) }

// KeyTombstone is the key of a registry.Tombstone.
func KeyTombstone(id blob.ID) []byte { return key(letterTombstone, id[:]) }

// KeyOwned is the key that says that an owner has a lease on a blob.
func KeyOwned(owner token.Address, id blob.ID) []byte { return key(letterOwned, owner[:], id[:]) }

// KeyCommittee is the key of a committee.
func KeyCommittee(epoch unit.Epoch) []byte { return key(letterCommittee, number(epoch)) }

// KeyNode is the key of a NodeRecord.
func KeyNode(id staking.NodeID) []byte { return key(letterNode, id[:]) }

// KeyPool is the key of a staking.Pool.
func KeyPool(id staking.NodeID) []byte { return key(letterPool, id[:]) }

// KeyDelegation is the key of a staking.Delegation.
func KeyDelegation(a token.Address, id staking.NodeID) []byte {
	return key(letterDelegation, a[:], id[:])
}

// KeyJoined is the key of the OpenRate at which a pool let in what waited for an epoch.
func KeyJoined(id staking.NodeID, epoch unit.Epoch) []byte {
	return key(letterJoined, id[:], number(epoch))
}

// KeyLeft is the key of the OpenRate at which a pool let out what was due for an epoch.
func KeyLeft(id staking.NodeID, epoch unit.Epoch) []byte {
	return key(letterLeft, id[:], number(epoch))
}

// KeySanctions is the key of a node's staking.Sanctions.
func KeySanctions(id staking.NodeID) []byte { return key(letterStanding, id[:]) }

// KeyTally is the key of the Tally of the present epoch.
func KeyTally(epoch unit.Epoch) []byte { return key(letterTally, number(epoch)) }

// KeyStatement is the key of a node's Statement of an epoch.
func KeyStatement(epoch unit.Epoch, id staking.NodeID) []byte {
	return key(letterStatement, number(epoch), id[:])
}

// KeyBooks is the key of an epoch's Books.
func KeyBooks(epoch unit.Epoch) []byte { return key(letterBooks, number(epoch)) }

// KeyRound is the key of the RoundState.
func KeyRound() []byte { return key(letterRound) }

// KeyPastRound is the key of a RoundState that is over.
func KeyPastRound(ordinal unit.Ordinal) []byte { return key(letterPastRound, number(ordinal)) }

// KeyBeacon is the key of the last beacon.
func KeyBeacon() []byte { return key(letterBeacon) }

// KeyMissed is the key of the ordinal of the last round in which a node had no reveal.
func KeyMissed(id staking.NodeID) []byte { return key(letterMissed, id[:]) }

// KeyDeclared is the key of the ordinal of the last round for which a node declared a loss.
func KeyDeclared(id staking.NodeID) []byte { return key(letterDeclared, id[:]) }

func keySlot(slot uint64) []byte { return key(letterSlot, number(slot)) }

func keyFree(slot uint64) []byte { return key(letterFree, number(slot)) }

func keyFreeing(slot uint64) []byte { return key(letterFreeing, number(slot)) }

func keyEligible(height unit.Height, id blob.ID) []byte {
	return key(letterEligible, number(height), id[:])
}

// KeyTerms is the key of an epoch's Terms.
func KeyTerms(epoch unit.Epoch) []byte { return key(letterTerms, number(epoch)) }

// KeyFault is the key of a FaultRecord.
func KeyFault(f Fault) []byte {
	return key(letterFault, f.Node[:], number(f.Epoch), number(f.Round), []byte{byte(f.Kind)})
}

// KeyDispute is the key of a DisputeRecord.
func KeyDispute(ordinal unit.Ordinal, s blob.Shard) []byte {
	return key(letterDispute, number(ordinal), number(uint64(s)))
}

// KeyOpenDisputes is the key of how many disputes are open.
func KeyOpenDisputes() []byte { return key(letterOpen) }

// KeyOpenDisputesOf is the key of how many of these an account has opened.
func KeyOpenDisputesOf(a token.Address) []byte { return key(letterOpen, a[:]) }

func keyAnswerBy(height unit.Height, ordinal unit.Ordinal, s blob.Shard) []byte {
	return key(letterAnswerBy, number(height), number(ordinal), number(uint64(s)))
}

// KeyBundle is the key of the Bundle of a fault that is punished at the end of epoch
// found.
func KeyBundle(found unit.Epoch, f Fault) []byte {
	return key(letterBundle, number(found), number(f.Epoch), number(f.Round), []byte{byte(f.Kind)}, number(uint64(f.Shard)))
}

// KeyDoubleSign is the key of a DoubleSignRecord.
func KeyDoubleSign(id staking.NodeID) []byte { return key(letterDoubleSign, id[:]) }

// KeyBucket is the key of what was prepaid for an epoch.
func KeyBucket(epoch unit.Epoch) []byte { return key(letterBucket, number(epoch)) }

// KeyRuleRecord is the key of the RuleRecord of an epoch.
func KeyRuleRecord(epoch unit.Epoch) []byte { return key(letterRules, number(epoch)) }

// KeyBallot is the key of a node's Ballot.
func KeyBallot(id staking.NodeID) []byte { return key(letterBallot, id[:]) }

// KeyPriceRecord is the key of the PriceRecord of an epoch.
func KeyPriceRecord(epoch unit.Epoch) []byte { return key(letterPrice, number(epoch)) }

// prefixBallots begins the keys of all ballots.
func prefixBallots() []byte { return key(letterBallot) }

// prefixBlobs begins the keys of all entries.
func prefixBlobs() []byte { return key(letterBlob) }

// PrefixNodes begins the keys of all node records.
func PrefixNodes() []byte { return key(letterNode) }

// PrefixOwned begins the keys of what an owner has leases on.
func PrefixOwned(owner token.Address) []byte { return key(letterOwned, owner[:]) }

// prefixDelegations begins the keys of an account's delegations.
func prefixDelegations(a token.Address) []byte { return key(letterDelegation, a[:]) }

func keyBLS(k token.BLSPublicKey) []byte { return key(letterBLS, k[:]) }

func keyDue(at registry.Half, id blob.ID) []byte { return key(letterDue, number(at), id[:]) }

func prefixDue(at registry.Half) []byte { return key(letterDue, number(at)) }

// numberAt reads a number that a key holds.
func numberAt(k []byte) uint64 { return binary.BigEndian.Uint64(k) }
