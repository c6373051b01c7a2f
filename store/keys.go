package store

import (
	"encoding/binary"

	"github.com/walrus-network/walrus/blob"
)

// Keys. Places and stripes are big endian, so that a place of a blob is one range.
//
//	m blob                            the blob's record: manifest, staged since, staged bytes
//	e blob place stripe axis          entry: the address of the fragment's bytes, the witness's length
//	b address blob place stripe axis  the entry the other way round, no value
//	a address                         length and number of entries
//	d address                         the bytes
//	w blob place stripe               the witness
//	u                                 totals
//
// The values of a, b, e, m and u are too short for the value log. Only d and w can
// be in it, and they count only where an a, or an e, says that they exist.
const (
	tagBlob    = 'm'
	tagEntry   = 'e'
	tagBack    = 'b'
	tagAddress = 'a'
	tagBytes   = 'd'
	tagWitness = 'w'
	tagTotals  = 'u'
)

const (
	hashLen  = 32
	slotLen  = hashLen + 2 + 4 // blob, place, stripe
	entryLen = slotLen + 1     // and axis
)

// slot is where a witness belongs: a place of a stripe of a blob.
type slot struct {
	blob   blob.ID
	place  blob.Place
	stripe uint32
}

func slotOf(at blob.Position) slot { return slot{at.Blob, at.Place, at.Stripe} }

func (s slot) at(axis blob.Axis) blob.Position {
	return blob.Position{Blob: s.blob, Stripe: s.stripe, Place: s.place, Axis: axis}
}

func (s slot) appendTo(k []byte) []byte {
	k = append(k, s.blob[:]...)
	k = binary.BigEndian.AppendUint16(k, uint16(s.place))
	return binary.BigEndian.AppendUint32(k, s.stripe)
}

func blobKey(id blob.ID) []byte { return append([]byte{tagBlob}, id[:]...) }

func witnessKey(s slot) []byte {
	return s.appendTo(append(make([]byte, 0, 1+slotLen), tagWitness))
}

func entryKey(at blob.Position) []byte {
	k := append(make([]byte, 0, 1+entryLen), tagEntry)
	return append(slotOf(at).appendTo(k), byte(at.Axis))
}

// entriesOf is the prefix of all entries of a blob.
func entriesOf(id blob.ID) []byte { return append([]byte{tagEntry}, id[:]...) }

// entriesAt is the prefix of the entries of one place of a blob.
func entriesAt(id blob.ID, p blob.Place) []byte {
	return binary.BigEndian.AppendUint16(entriesOf(id), uint16(p))
}

func backKey(a blob.Address, at blob.Position) []byte {
	k := append(make([]byte, 0, 1+hashLen+entryLen), tagBack)
	k = append(k, a[:]...)
	return append(slotOf(at).appendTo(k), byte(at.Axis))
}

func addressKey(tag byte, a blob.Address) []byte { return append([]byte{tag}, a[:]...) }

// backsOf is the prefix of the entries that have these bytes.
func backsOf(a blob.Address) []byte { return addressKey(tagBack, a) }

// parseSlot reads what appendTo wrote.
func parseSlot(k []byte) (s slot, ok bool) {
	if len(k) != slotLen {
		return s, false
	}
	copy(s.blob[:], k)
	s.place = blob.Place(binary.BigEndian.Uint16(k[hashLen:]))
	s.stripe = binary.BigEndian.Uint32(k[hashLen+2:])
	return s, true
}

// parseEntry reads the position at the end of an entry's key, either way round.
func parseEntry(k []byte) (at blob.Position, ok bool) {
	if len(k) < entryLen {
		return at, false
	}
	k = k[len(k)-entryLen:]
	s, ok := parseSlot(k[:slotLen])
	axis := blob.Axis(k[slotLen])
	return s.at(axis), ok && (axis == blob.Row || axis == blob.Column)
}

// parseAddress reads the address in a key of a tag and an address.
func parseAddress(k []byte) (a blob.Address, ok bool) {
	if len(k) != 1+hashLen {
		return a, false
	}
	copy(a[:], k[1:])
	return a, true
}
