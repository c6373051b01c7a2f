package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/gateway/blobs"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// Of streams of events.
const (
	mostStreams = 64               // at once
	beatEvery   = 15 * time.Second // something is sent, so that proxies and clients know that the stream lives
)

// blobEvent is a change of a lease that the gateway's wallet paid for, through any of its doors.
type blobEvent struct {
	Event    string        `json:"event"`
	BlobID   string        `json:"blobId"`
	CID      blob.ID       `json:"cid"`
	ObjectID string        `json:"objectId"`
	Size     int64         `json:"size"`
	EndEpoch unit.Epoch    `json:"endEpoch,omitempty"` // of the owner's claim; missing: it was deleted
	Cost     token.Amount  `json:"cost"`               // fees of the ledger left out
	Refund   *token.Amount `json:"refund,omitempty"`
	Time     time.Time     `json:"time"`
}

// epochEvent is the beginning of an epoch.
type epochEvent struct {
	Epoch  unit.Epoch  `json:"epoch"`
	Height unit.Height `json:"height"` // at which the gateway saw it
	Time   time.Time   `json:"time"`   // of that block
}

// getEvents tells what changes, as server-sent events, until the client goes: after the last
// one that the client knows (Last-Event-ID), else from now on.
func (s *Server) getEvents(w http.ResponseWriter, r *http.Request) error {
	if s.o.Writer == nil {
		return refuse(405, "READ_ONLY", "this gateway only reads, and tells no events: another one stores")
	}
	if _, err := s.keyed(r); err != nil {
		return err
	}
	if _, err := only(r); err != nil {
		return err
	}
	feed := s.o.Writer.Feed()
	last := feed.Newest()
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		var err error
		if last, err = strconv.ParseUint(id, 10, 64); err != nil {
			return refuse(400, "MALFORMED_REQUEST", "Last-Event-ID is not the id of an event of this stream")
		}
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx would keep it back
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK)
		return nil
	}
	if s.streams.Add(1) > mostStreams {
		s.streams.Add(-1)
		return TooMany(beatEvery, "%d streams of events are open, which is all that this gateway serves", mostStreams)
	}
	defer s.streams.Add(-1)
	out := &eventStream{to: s.streamTo(w, http.StatusOK)}
	tick := time.NewTicker(tipFor)
	defer tick.Stop()
	var told *unit.Epoch
	for {
		changes, missed, more := feed.Since(last)
		if missed {
			last = feed.Newest()
			if len(changes) > 0 {
				last = changes[0].ID - 1
			}
			out.send("missed", last, map[string]string{"message": "what changed before the next event is not told any more: GET /v1/blobs lists what there is"})
		}
		for _, c := range changes {
			out.send("blob", c.ID, eventOf(c))
			last = c.ID
		}
		if n, err := s.now(r.Context()); err == nil && (told == nil || *told != n.Head.Epoch) {
			told = &n.Head.Epoch
			out.send("epoch", 0, epochEvent{n.Head.Epoch, n.Head.Height, n.Time().UTC()})
		}
		if err := out.flush(); err != nil {
			return err // the client is gone
		}
		select {
		case <-more:
		case <-tick.C:
		case <-r.Context().Done():
			return nil
		case <-s.draining:
			return nil
		}
	}
}

// Drain ends the answers that would go on for ever, for a server that is to end.
func (s *Server) Drain() { s.drain() }

func eventOf(c blobs.Change) blobEvent {
	e := blobEvent{Event: c.What, BlobID: c.Blob.Base64(), CID: c.Blob, ObjectID: objectID(c.Blob), Size: c.Size, EndEpoch: c.End, Cost: c.Cost, Time: c.At.UTC()}
	if c.What == blobs.Deleted {
		e.Refund = &c.Refund
	}
	return e
}

// eventStream writes server-sent events. After an error it writes nothing.
type eventStream struct {
	to   *stream
	last time.Time // something was sent
	err  error
}

// send sends an event; id is 0 where a client need not remember it.
func (e *eventStream) send(name string, id uint64, data any) {
	b, err := json.Marshal(data)
	if e.err == nil {
		e.err = err
	}
	line := ""
	if id > 0 {
		line = fmt.Sprintf("id: %d\n", id)
	}
	e.write(fmt.Sprintf("%sevent: %s\ndata: %s\n\n", line, name, b))
}

func (e *eventStream) write(text string) {
	if e.err == nil {
		_, e.err = e.to.Write([]byte(text))
		e.last = time.Now()
	}
}

// flush sends what was written, and a note after a while without anything.
func (e *eventStream) flush() error {
	if time.Since(e.last) > beatEvery {
		e.write(": still here\n\n")
	}
	if e.err == nil {
		e.err = e.to.c.Flush()
	}
	return e.err
}
