package adversary

import (
	"context"
	"crypto/rand"

	"github.com/walrus-network/walrus/node"
	"github.com/walrus-network/walrus/node/rounds"
)

// Flooder proves what it holds, and then sends garbage in the topic of the proofs: it
// wants other nodes' proofs lost or late. Garbage is rejected, three such messages shut
// their sender out, and each peer's messages that wait for a verdict are bounded. Honest
// proofs arrive as before; the flooder's own may have to be pulled.
type Flooder struct {
	Messages int // garbage, in a round
}

// Conduct sends garbage after the node's proofs.
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
