package p2p

import (
	"fmt"
	"sync"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

const (
	maxWaitingMessages = 4096      // that wait for their handler
	maxWaitingBytes    = 128 << 20 // of them
	maxPeerMessages    = 1024      // of one peer: as many as a round has, so that one may pass all of them on
	maxPeerBytes       = 64 << 20
)

// intake bounds what waits for handlers, in all and of one peer, so that no peer keeps
// others' messages out. What finds no room is left as if it had never come: it is not
// "seen", and another peer may bring it.
//
// Pubsub's own queue counts messages and nothing else. So a message is entered when
// pubsub asks for its ID, which it does just before it queues it, and is left when
// pubsub tells that it took it out.
type intake struct {
	gossip *Gossip

	mu      sync.Mutex // guards the fields below
	due     map[*pb.Message]peer.ID
	waiting map[*pb.Message]peer.ID
	all     load
	of      map[peer.ID]load
}

// load is what waits.
type load struct{ messages, bytes int }

func (l load) plus(m *pb.Message) load { return load{l.messages + 1, l.bytes + len(m.GetData())} }
func (l load) less(m *pb.Message) load { return load{l.messages - 1, l.bytes - len(m.GetData())} }

func newIntake(g *Gossip) *intake {
	return &intake{gossip: g, waiting: map[*pb.Message]peer.ID{}, of: map[peer.ID]load{}}
}

// inspect takes out of a frame what has no business here or finds no room.
func (in *intake) inspect(from peer.ID, rpc *pubsub.RPC) error {
	rpc.Partial = nil
	if len(rpc.GetPublish()) == 0 {
		return nil
	}
	in.mu.Lock()
	all, own := in.all, in.of[from]
	var keep []*pb.Message
	var fault error
	in.due = map[*pb.Message]peer.ID{} // of the frame before this one all were asked for
	for _, m := range rpc.GetPublish() {
		if err := in.gossip.wellFormed(m); err != nil {
			fault = err
			continue
		}
		if all.messages >= maxWaitingMessages || own.messages >= maxPeerMessages ||
			all.bytes+len(m.GetData()) > maxWaitingBytes || own.bytes+len(m.GetData()) > maxPeerBytes {
			continue
		}
		all, own = all.plus(m), own.plus(m)
		keep = append(keep, m)
		in.due[m] = from
	}
	rpc.Publish = keep
	in.mu.Unlock()
	if fault != nil {
		in.gossip.blame(from, fault)
	}
	return nil
}

// wellFormed refuses what no correct program sends.
func (g *Gossip) wellFormed(m *pb.Message) error {
	if _, known := g.handlers[m.GetTopic()]; !known {
		return fmt.Errorf("gossip in a topic that this host did not name: %w", ErrProtocol)
	}
	if n := len(m.GetData()); n == 0 || n > MaxMessage {
		return fmt.Errorf("gossiped message of %d bytes, at most %d: %w", n, MaxMessage, ErrProtocol)
	}
	return nil
}

// id names a message, and enters it if it came from a peer.
func (in *intake) id(m *pb.Message) string {
	in.mu.Lock()
	if from, ok := in.due[m]; ok {
		delete(in.due, m)
		in.waiting[m] = from
		in.all, in.of[from] = in.all.plus(m), in.of[from].plus(m)
	}
	in.mu.Unlock()
	return in.gossip.ids.next(m.GetTopic(), m.GetData())
}

func (in *intake) leave(m *pb.Message) {
	in.mu.Lock()
	defer in.mu.Unlock()
	from, ok := in.waiting[m]
	if !ok {
		return
	}
	delete(in.waiting, m)
	in.all, in.of[from] = in.all.less(m), in.of[from].less(m)
	if in.of[from].messages == 0 {
		delete(in.of, from)
	}
}

// The ways out of the queue: to a handler, as seen already, or for want of room.
func (in *intake) ValidateMessage(m *pubsub.Message)         { in.leave(m.Message) }
func (in *intake) DuplicateMessage(m *pubsub.Message)        { in.leave(m.Message) }
func (in *intake) RejectMessage(m *pubsub.Message, _ string) { in.leave(m.Message) }

func (in *intake) Graft(p peer.ID, topic string)    { in.gossip.mesh.add(topic, p) }
func (in *intake) Prune(p peer.ID, topic string)    { in.gossip.mesh.remove(topic, p) }
func (in *intake) OnClosedOutboundStream(p peer.ID) { in.gossip.mesh.removeFromAll(p) }

func (in *intake) OnNewOutboundStream(peer.ID, protocol.ID)             {}
func (in *intake) Join(string)                                          {}
func (in *intake) Leave(string)                                         {}
func (in *intake) DeliverMessage(*pubsub.Message)                       {}
func (in *intake) ThrottlePeer(peer.ID)                                 {}
func (in *intake) RecvRPC(*pubsub.RPC)                                  {}
func (in *intake) SendRPC(*pubsub.RPC, peer.ID)                         {}
func (in *intake) SendRPCCompleted(*pubsub.RPC, peer.ID, time.Duration) {}
func (in *intake) DropRPC(*pubsub.RPC, peer.ID)                         {}
func (in *intake) UndeliverableMessage(*pubsub.Message)                 {}
