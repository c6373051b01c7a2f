package adversary

import (
	"context"
	"crypto/rand"

	"github.com/walrus-network/walrus/node"
	"github.com/walrus-network/walrus/node/rounds"
)

// Flooder proves what it holds, and after that sends garbage in the same topic: it wants
// others' proofs lost or late. What is garbage is rejected, three such messages shut
// their sender out, and what waits for judgement is bounded for each peer. Honest proofs
// arrive as before; its own may have to be asked for.
type Flooder struct {
	Messages int // that it sends in a round
}

// Conduct is how such a node acts.
func (f Flooder) Conduct() node.Conduct { return node.Conduct{Rounds: rounds.Conduct{Send: f.send}} }

func (f Flooder) send(ctx context.Context, p rounds.Part, messages [][]byte) error {
	const (
		batch = 100
		bytes = 1 << 10
	)
	if err := p.Publish(ctx, messages); err != nil {
		return err
	}
	for sent := 0; sent < f.Messages; sent += batch {
		spam := make([][]byte, min(batch, f.Messages-sent))
		for i := range spam {
			spam[i] = make([]byte, bytes)
			rand.Read(spam[i])
		}
		if err := p.Publish(ctx, spam); err != nil {
			return err
		}
	}
	return nil
}
