package p2p

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/unit"
)

// ProofProtocol fetches proofs that gossip did not bring, from their maker or from
// another peer that has them: request after request on one stream.
const ProofProtocol protocol.ID = "/walrus/proof/1"

const (
	kindGetProofs kind = 1
	kindProof     kind = 2

	maxAskedProofs = 64 // in one request: a small question must not have an answer of a gigabyte
	maxPulls       = 32 // streams of strangers answered at once
	maxPeerPulls   = 2  // streams of one peer answered at once, member or not
	// maxPullRequests on one stream suffice for all shards.
	maxPullRequests = (blob.MaxShards + maxAskedProofs - 1) / maxAskedProofs
	// maxMemberPulls suffice for a committee of which each member holds one shard: so
	// that no member can take another's place.
	maxMemberPulls = maxPeerPulls * blob.MaxShards

	maxNetPulls  = 8               // streams of one network of addresses
	pullPatience = 2 * time.Second // an asker that neither asks nor takes; then a newcomer may have the place

	pullIdle = 5 * time.Second  // for the next request: the asker has it ready
	pullLife = 30 * time.Second // for all of a stream, however slowly its bytes move
)

// getProofs asks for the proofs of shards, ascending, in a round.
type getProofs struct {
	_      struct{} `cbor:",toarray"`
	Epoch  unit.Epoch
	Round  unit.Round
	Shards []blob.Shard
}

// proofFrame precedes a proof's bytes as payload.
type proofFrame struct {
	_     struct{} `cbor:",toarray"`
	Shard blob.Shard
	Bytes uint32 // of the payload; 0: not held
}

// ProofSource returns the bytes of a shard's proof in a round, or ErrNotHeld. Several
// calls run at the same time.
type ProofSource func(ctx context.Context, from peer.ID, epoch unit.Epoch, round unit.Round, shard blob.Shard) ([]byte, error)

// ServeProofs answers the proof protocol with what held returns. Members are peers that
// have places of their own: identities are free, and strangers could else take all the
// places and keep the nodes that vote on the proofs from asking. It is called for each stream.
func (h *Host) ServeProofs(held ProofSource, member func(peer.ID) bool) {
	h.serve(ProofProtocol, newPulls(held, member).answer)
}

// pulls is the side of the proof protocol that answers: from what, whom, and how long.
type pulls struct {
	held      ProofSource
	member    func(peer.ID) bool
	strangers *places
	members   *places
}

func newPulls(held ProofSource, member func(peer.ID) bool) *pulls {
	p := &pulls{held: held, member: member,
		strangers: newPlaces(maxPulls, maxPeerPulls, maxNetPulls, pullPatience),
		members:   newPlaces(maxMemberPulls, maxPeerPulls, maxMemberPulls, pullPatience)}
	p.strangers.level, p.members.level = true, true // they ask for two at once, by rule
	return p
}

func (p *pulls) answer(ctx context.Context, s *session) error {
	v, places := s.visitor, p.strangers
	if v.peer, v.standing = s.peer(), Stranger; p.member(v.peer) {
		places = p.members
	}
	place, ok := places.take(v, func() { s.stream.Reset() })
	if !ok {
		s.refuse(Refuse(CodeBusy, "%d streams of proofs to strangers at once, %d to one peer: try again in a moment", maxPulls, maxPeerPulls))
		s.linger()
		return nil
	}
	defer place.release()
	s.desks = []*guest{place}
	defer func() { s.desks = nil }()
	end := time.AfterFunc(pullLife, func() { s.stream.Reset() })
	defer end.Stop()
	for range maxPullRequests {
		what, body, err := s.receive(pullIdle)
		if err != nil {
			return nil // the asker is done
		}
		place.touch()
		s.place.patient(workPatience)
		if err := serveGetProofs(ctx, s, p.held, what, body); err != nil {
			if s.refuse(err) == nil {
				s.linger()
			}
			return err
		}
		if err := s.flush(); err != nil {
			return err
		}
		s.place.touch()
	}
	return nil
}

func serveGetProofs(ctx context.Context, s *session, held ProofSource, what kind, body []byte) error {
	q, err := readGetProofs(what, body)
	if err != nil {
		return err
	}
	for _, shard := range q.Shards {
		proof, err := held(ctx, s.peer(), q.Epoch, q.Round, shard)
		if err != nil && !errors.Is(err, ErrNotHeld) {
			return err
		}
		if len(proof) > MaxMessage {
			return fmt.Errorf("proof of shard %d has %d bytes, at most %d", shard, len(proof), MaxMessage)
		}
		if err := s.send(kindProof, proofFrame{Shard: shard, Bytes: uint32(len(proof))}, proof); err != nil {
			return err
		}
	}
	return nil
}

// readGetProofs reads a stranger's request.
func readGetProofs(what kind, body []byte) (q getProofs, err error) {
	if what != kindGetProofs {
		return q, Refuse(CodeBadRequest, "unknown request %d", what)
	}
	if err := canon.Decode(body, &q); err != nil {
		return q, badRequest(err)
	}
	if len(q.Shards) < 1 || len(q.Shards) > maxAskedProofs {
		return q, Refuse(CodeBadRequest, "proofs of %d shards: ask for 1 to %d at once", len(q.Shards), maxAskedProofs)
	}
	return q, checkShards(q.Shards)
}

// checkShards wants shards ascending, so that each is asked for once.
func checkShards(shards []blob.Shard) error {
	for i, shard := range shards {
		if shard >= blob.MaxShards || i > 0 && shard <= shards[i-1] {
			return Refuse(CodeBadRequest, "shard %d: ask for shards in order, each once", shard)
		}
	}
	return nil
}

// AskProofs asks a peer for the proofs of shards, ascending, in a round. The answer has
// the proofs' bytes in that order, nil for what the peer does not hold. Nothing of them
// was checked. With an error come those that arrived before it.
func (h *Host) AskProofs(ctx context.Context, p peer.ID, epoch unit.Epoch, round unit.Round, shards []blob.Shard) (proofs [][]byte, err error) {
	proofs = make([][]byte, len(shards))
	if err := checkShards(shards); err != nil || len(shards) == 0 {
		return proofs, err
	}
	s, err := h.open(ctx, p, nil, ProofProtocol)
	if err != nil {
		return proofs, err
	}
	stop := context.AfterFunc(ctx, func() { s.stream.Reset() })
	for at := 0; at < len(shards) && err == nil; at += maxAskedProofs {
		end := min(at+maxAskedProofs, len(shards))
		err = s.askProofs(getProofs{Epoch: epoch, Round: round, Shards: shards[at:end]}, proofs[at:end])
	}
	if !stop() && err != nil {
		err = ctx.Err()
	}
	s.close(err)
	if err != nil {
		return proofs, fmt.Errorf("ask %s for proofs of epoch %d, round %d: %w", p, epoch, round, err)
	}
	return proofs, nil
}

func (s *session) askProofs(q getProofs, into [][]byte) error {
	if err := s.send(kindGetProofs, q); err != nil {
		return err
	}
	if err := s.flush(); err != nil {
		return err
	}
	for i, shard := range q.Shards {
		var f proofFrame
		if err := s.expect(kindProof, &f, idleLimit); err != nil {
			return err
		}
		if f.Shard != shard || f.Bytes > MaxMessage {
			return fmt.Errorf("proof of shard %d (%d bytes) where shard %d was due: %w", f.Shard, f.Bytes, shard, ErrProtocol)
		}
		if f.Bytes == 0 {
			continue
		}
		proof, err := s.payload(int(f.Bytes))
		if err != nil {
			return err
		}
		into[i] = proof
	}
	return nil
}
