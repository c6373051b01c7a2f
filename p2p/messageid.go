package p2p

import (
	"encoding/binary"
	"sync"

	"github.com/zeebo/blake3"
)

// messageIDs names gossiped messages. The ID of a message is the hash of its topic and
// its bytes. Pubsub looks at an ID once: what has it is then "seen" for two minutes,
// whatever the handler said of it. A message that was ignored may be right a moment
// later (a proof that came before its round), so here it goes by another ID when it
// comes again, which no other peer gets to know, and reaches its handler again.
type messageIDs struct {
	mu sync.Mutex // guards the fields below
	// How often a message was ignored, by its ID. Strangers fill this: when young has its
	// number, old is forgotten and young grows old.
	young, old map[messageID]uint32
}

type messageID [32]byte

const maxIgnored = 1 << 15 // messages in each of the two

func newMessageIDs() *messageIDs { return &messageIDs{young: map[messageID]uint32{}} }

func hashMessage(topic string, data []byte) (id messageID) {
	h := blake3.New()
	h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(topic))))
	h.WriteString(topic)
	h.Write(data)
	h.Sum(id[:0])
	return id
}

// next is the ID that pubsub is to know a message by that comes now.
func (ids *messageIDs) next(topic string, data []byte) string {
	id := hashMessage(topic, data)
	ids.mu.Lock()
	defer ids.mu.Unlock()
	if n := ids.times(id); n > 0 {
		return string(binary.BigEndian.AppendUint32(id[:], n))
	}
	return string(id[:])
}

func (ids *messageIDs) times(id messageID) uint32 { return max(ids.young[id], ids.old[id]) }

// ignored notes that a message was ignored.
func (ids *messageIDs) ignored(topic string, data []byte) {
	id := hashMessage(topic, data)
	ids.mu.Lock()
	defer ids.mu.Unlock()
	ids.young[id] = ids.times(id) + 1
	if len(ids.young) >= maxIgnored {
		ids.young, ids.old = map[messageID]uint32{}, ids.young
	}
}

// settle notes that a message was accepted after all, and returns the ID that all know it by.
func (ids *messageIDs) settle(topic string, data []byte) string {
	id := hashMessage(topic, data)
	ids.mu.Lock()
	defer ids.mu.Unlock()
	delete(ids.young, id)
	delete(ids.old, id)
	return string(id[:])
}
