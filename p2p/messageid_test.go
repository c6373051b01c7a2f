package p2p

import (
	"encoding/binary"
	"encoding/hex"
	"testing"
)

func TestAMessageIDIsTheHashOfTopicAndBytes(t *testing.T) {
	const want = "cdfe8824988eee2356d153a1593f353fdaefbbeae178e47df822d61b3c050fb4"
	id := hashMessage("/t", []byte("hi"))
	if got := hex.EncodeToString(id[:]); got != want {
		t.Errorf("ID %s, want %s", got, want)
	}
	if hashMessage("/th", []byte("i")) == id {
		t.Error("topic and bytes run into each other")
	}
}

func TestAnIgnoredMessageGoesByAnotherID(t *testing.T) {
	ids := newMessageIDs()
	data := []byte("early")
	first := ids.next("/t", data)
	ids.ignored("/t", data)
	second := ids.next("/t", data)
	ids.ignored("/t", data)
	if third := ids.next("/t", data); first == second || second == third || first == third {
		t.Error("pubsub would take it for seen")
	}
	if settled := ids.settle("/t", data); settled != first || ids.next("/t", data) != first {
		t.Error("accepted, it is not known by its own ID")
	}
}

func TestIgnoredMessagesAreRememberedWithinBounds(t *testing.T) {
	ids := newMessageIDs()
	var data []byte
	for i := range 3*maxIgnored + 7 {
		data = binary.BigEndian.AppendUint32(nil, uint32(i))
		ids.ignored("/t", data)
	}
	if n := len(ids.young) + len(ids.old); n > 2*maxIgnored {
		t.Errorf("%d are remembered", n)
	}
	if len(ids.next("/t", data)) == 32 {
		t.Error("the last one is forgotten")
	}
}
