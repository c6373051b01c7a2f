package gateway

import (
	"fmt"
	"net/http"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/gateway/access"
	"github.com/walrus-network/walrus/gateway/blobs"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

type extended struct {
	BlobID   string       `json:"blobId"`
	EndEpoch unit.Epoch   `json:"endEpoch"`
	EndTime  time.Time    `json:"endTime"`
	Cost     token.Amount `json:"cost"`
}

// extension is the body of a request to lengthen a lease. One of the two is there.
type extension struct {
	Epochs uint64     `json:"epochs"`     // to add
	Until  unit.Epoch `json:"untilEpoch"` // at whose start the lease may end at the earliest
}

// mostEpochs is beyond what any network takes.
const mostEpochs = 1 << 32

// postExtend lengthens the gateway's lease. A client that has no answer asks again: with
// untilEpoch, or with the same Idempotency-Key, that pays nothing twice.
func (s *Server) postExtend(w http.ResponseWriter, r *http.Request, id blob.ID) error {
	g, err := s.keyed(r)
	if err != nil {
		return err
	}
	var of extension
	if err := s.readJSON(w, r, &of); err != nil {
		return err
	}
	if (of.Epochs == 0) == (of.Until == 0) || of.Epochs > mostEpochs || of.Until > mostEpochs {
		return refuse(400, "INVALID_EPOCHS", `the body is {"epochs": N} with the epochs to add, 1 or more, or {"untilEpoch": E} with the epoch until which the lease lasts at least`)
	}
	once, err := s.repeats.begin(r, g.Name(), fmt.Sprintf("extend %s %d %d", id.Base64(), of.Epochs, of.Until))
	if err != nil {
		return err
	}
	defer once.end()
	var answer extended
	if once.answered(&answer) {
		return noStore(w, answer)
	}
	if _, err := s.o.Reader.Find(r.Context(), id); err != nil {
		return err
	}
	x := blobs.Extension{Epochs: of.Epochs, Until: of.Until}
	if until := once.until(); until > 0 { // an earlier request may have paid for it
		x = blobs.Extension{Until: until}
	}
	c := &charge{s: s, g: g}
	x.Paying = func(now, until unit.Epoch, cost client.Cost) error {
		c.use = access.Use{Epochs: until.Since(now)} // of the whole lease from now on: that is what a key's limit is for
		if err := c.agree(cost); err != nil {
			return err
		}
		return once.pays(until, cost.Lease)
	}
	e, paid, err := s.o.Writer.ExtendAs(r.Context(), id, x)
	total := c.settle(paid, err)
	if err != nil {
		if !c.paid || client.IsUnpaid(err) {
			once.forget()
		}
		return err
	}
	s.metrics.paid(total)
	n, err := s.o.Writer.Now(r.Context())
	if err != nil {
		n = s.o.Writer.Last() // the lease is paid, whatever the ledger says now
	}
	end, _ := e.OwnedBy(s.o.Writer.Payer(), n.Head.Epoch)
	answer = extended{id.Base64(), end, n.Begins(end).UTC().Truncate(time.Second), max(paid, once.cost())}
	once.answer(answer)
	return noStore(w, answer)
}
