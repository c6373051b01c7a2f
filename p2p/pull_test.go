package p2p

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/unit"
)

// evens holds the proofs of even shards of round 7 in epoch 3.
func evens(_ context.Context, _ peer.ID, epoch unit.Epoch, round unit.Round, shard blob.Shard) ([]byte, error) {
	if epoch != 3 || round != 7 || shard%2 == 1 {
		return nil, ErrNotHeld
	}
	return message(uint64(shard), 1000), nil
}

func nobody(peer.ID) bool { return false }

func allShards(n int) (out []blob.Shard) {
	for i := range n {
		out = append(out, blob.Shard(i))
	}
	return out
}

func TestProofsAreFetched(t *testing.T) {
	server, client := newHost(t, 1, "net"), newHost(t, 2, "net")
	server.ServeProofs(evens, nobody)
	connect(t, client, server)
	got, err := client.AskProofs(within(t), server.ID(), 3, 7, allShards(blob.MaxShards))
	if err != nil {
		t.Fatal(err)
	}
	for i, proof := range got {
		var want []byte
		if i%2 == 0 {
			want = message(uint64(i), 1000)
		}
		if !bytes.Equal(proof, want) {
			t.Errorf("shard %d: %d bytes", i, len(proof))
		}
	}
	got, err = client.AskProofs(within(t), server.ID(), 3, 8, []blob.Shard{2})
	if err != nil || got[0] != nil {
		t.Errorf("of another round: %v, %v", got, err)
	}
}

func TestTheLargestProofIsFetchedAndNoLargerOne(t *testing.T) {
	server, client := newHost(t, 1, "net"), newHost(t, 2, "net")
	size := MaxMessage
	server.ServeProofs(func(context.Context, peer.ID, unit.Epoch, unit.Round, blob.Shard) ([]byte, error) {
		return make([]byte, size), nil
	}, nobody)
	connect(t, client, server)
	got, err := client.AskProofs(within(t), server.ID(), 0, 0, []blob.Shard{1})
	if err != nil || len(got[0]) != size {
		t.Errorf("%v", err)
	}
	size++
	if _, err := client.AskProofs(within(t), server.ID(), 0, 0, []blob.Shard{1}); err == nil {
		t.Error("a proof over the limit was sent")
	}
}

func TestProofsAreAskedForInOrderAndBounds(t *testing.T) {
	server, client := newHost(t, 1, "net"), newHost(t, 2, "net")
	server.ServeProofs(evens, nobody)
	connect(t, client, server)
	for _, shards := range [][]blob.Shard{{2, 2}, {3, 1}, {blob.MaxShards}} {
		if _, err := client.AskProofs(within(t), server.ID(), 3, 7, shards); !IsRefusal(err, CodeBadRequest) {
			t.Errorf("asked for %v: %v", shards, err)
		}
	}
	// A client that does not keep to it is refused at the other side.
	for _, shards := range [][]blob.Shard{{}, {2, 2}, {blob.MaxShards}, allShards(maxAskedProofs + 1)} {
		s, err := client.open(within(t), server.ID(), nil, ProofProtocol)
		if err != nil {
			t.Fatal(err)
		}
		err = s.askProofs(getProofs{Epoch: 3, Round: 7, Shards: shards}, make([][]byte, len(shards)))
		if len(shards) == 0 {
			_, _, err = s.receive(idleLimit)
		}
		if !IsRefusal(err, CodeBadRequest) {
			t.Errorf("asked for %d shards: %v", len(shards), err)
		}
		s.close(err)
	}
}

// A peer that answers with something else is found out.
func TestAnAnswerForAnotherShardIsRefused(t *testing.T) {
	for what, f := range map[string]proofFrame{"another shard": {Shard: 5, Bytes: 3}, "too long": {Shard: 2, Bytes: MaxMessage + 1}} {
		server, client := newHost(t, 1, "net"), newHost(t, 2, "net")
		server.serve(ProofProtocol, func(_ context.Context, s *session) error {
			if _, _, err := s.receive(idleLimit); err != nil {
				return err
			}
			if err := s.send(kindProof, f, make([]byte, 3)); err != nil {
				return err
			}
			return s.flush()
		})
		connect(t, client, server)
		if _, err := client.AskProofs(within(t), server.ID(), 0, 0, []blob.Shard{2}); !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestOnePeersPullsAreBounded(t *testing.T) {
	virtual(t, func(t *testing.T) {
		server, client := newHost(t, 1, "net"), newHost(t, 2, "net")
		hold := make(chan struct{})
		entered := make(chan struct{}, maxPeerPulls)
		server.ServeProofs(func(context.Context, peer.ID, unit.Epoch, unit.Round, blob.Shard) ([]byte, error) {
			entered <- struct{}{}
			<-hold
			return []byte{1}, nil
		}, nobody)
		connect(t, client, server)
		done := make(chan error, maxPeerPulls)
		for range maxPeerPulls {
			go func() {
				_, err := client.AskProofs(within(t), server.ID(), 0, 0, []blob.Shard{1})
				done <- err
			}()
		}
		for range maxPeerPulls {
			<-entered
		}
		if _, err := client.AskProofs(within(t), server.ID(), 0, 0, []blob.Shard{1}); !IsRefusal(err, CodeBusy) {
			t.Errorf("one stream too many: %v", err)
		}
		close(hold)
		for range maxPeerPulls {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
}

// idler asks a peer for one proof, and then for no more without hanging up.
func idler(t *testing.T, client, server *Host) *session {
	t.Helper()
	s, err := client.open(within(t), server.ID(), nil, ProofProtocol)
	if err == nil {
		err = s.askProofs(getProofs{Epoch: 3, Round: 7, Shards: []blob.Shard{2}}, make([][]byte, 1))
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Identities are free: peers that take all places of strangers must not keep members of
// the committee from asking.
func TestStrangersDoNotTakeTheMembersPlaces(t *testing.T) {
	virtual(t, func(t *testing.T) {
		server, member, late := newHost(t, 1, "net"), newHost(t, 2, "net"), newHost(t, 3, "net")
		server.serve(ProofProtocol, newPulls(evens, func(p peer.ID) bool { return p == member.ID() }).answer)
		for i := range maxPulls / maxPeerPulls {
			sybil := newHost(t, 10+i, "net")
			connect(t, sybil, server)
			for range maxPeerPulls {
				idler(t, sybil, server)
			}
		}
		connect(t, late, server)
		if _, err := late.AskProofs(within(t), server.ID(), 3, 7, []blob.Shard{2}); !IsRefusal(err, CodeBusy) {
			t.Errorf("a stranger too many: %v", err)
		}
		connect(t, member, server)
		for range maxPeerPulls {
			idler(t, member, server)
		}
		if _, err := member.AskProofs(within(t), server.ID(), 3, 7, []blob.Shard{2}); !IsRefusal(err, CodeBusy) {
			t.Errorf("a member has more than its own places: %v", err)
		}
	})
}

// A peer that has a place and asks for nothing loses it soon, and one that goes on asking
// loses it too, in the time that a stream of proofs may take.
func TestAPlaceForPullsIsLostInTime(t *testing.T) {
	for what, x := range map[string]struct {
		pause time.Duration // from one request to the next; 0: there is one
		limit time.Duration
	}{"idle": {0, pullIdle}, "long": {pullIdle - time.Second, pullLife}} {
		virtual(t, func(t *testing.T) {
			server, client := newHost(t, 1, "net"), newHost(t, 2, "net")
			p := newPulls(evens, nobody)
			server.serve(ProofProtocol, p.answer)
			connect(t, client, server)
			s := idler(t, client, server)
			began := time.Now()
			var err error
			for x.pause > 0 && err == nil {
				time.Sleep(x.pause)
				err = s.askProofs(getProofs{Epoch: 3, Round: 7, Shards: []blob.Shard{2}}, make([][]byte, 1))
			}
			for err == nil {
				_, err = s.stream.Read(make([]byte, 4096)) // ends when the server hangs up
			}
			if took := time.Since(began); took < x.limit-time.Second || took > x.limit+x.pause+time.Second { // the asker notices when it asks again
				t.Errorf("%s: the server hangs up after %s, its limit is %s", what, took, x.limit)
			}
			s.close(err)
			if err := errors.Join(server.Close(), client.Close()); err != nil { // waits for the handler
				t.Error(err)
			}
			if p.strangers.taken != 0 {
				t.Errorf("%s: %d places are taken", what, p.strangers.taken)
			}
		})
	}
}

func FuzzGetProofs(f *testing.F) {
	f.Add(byte(kindGetProofs), canon.Encode(getProofs{Epoch: 1, Round: 2, Shards: []blob.Shard{0, 999}}))
	f.Add(byte(kindGetProofs), canon.Encode(getProofs{Shards: []blob.Shard{1, 1}}))                      // asked for twice
	f.Add(byte(kindGetProofs), []byte{0x83, 0, 0, 0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}) // a list that claims to be endless
	f.Add(byte(0), []byte{})
	f.Fuzz(func(t *testing.T, what byte, body []byte) {
		q, err := readGetProofs(kind(what), body)
		if err != nil {
			return
		}
		if n := len(q.Shards); n < 1 || n > maxAskedProofs || checkShards(q.Shards) != nil {
			t.Errorf("took a request for %v", q.Shards)
		}
		if !bytes.Equal(canon.Encode(q), body) {
			t.Error("two strings of bytes for one request")
		}
	})
}

func FuzzProofFrame(f *testing.F) {
	f.Add(canon.Encode(proofFrame{Shard: 3, Bytes: 4}))
	f.Fuzz(func(t *testing.T, body []byte) {
		var p proofFrame
		if canon.Decode(body, &p) == nil && !bytes.Equal(canon.Encode(p), body) {
			t.Error("two strings of bytes for one frame")
		}
	})
}
