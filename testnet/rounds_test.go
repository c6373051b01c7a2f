package testnet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/unit"
)

// challenged is a network of short rounds whose nodes are asked for proof.
func challenged(nodes int) Options {
	o := Default()
	o.Nodes, o.Shards, o.Block, o.Epoch = nodes, 10, 300*time.Millisecond, 90*time.Second
	o.Difference = func(p *ledger.Params) {
		p.Challenged, p.RoundBlocks, p.RoundsPerEpoch = true, 100, 3
		c := &p.Challenge
		c.Start, c.Freeze, c.Deadline, c.Attest, c.Pull, c.Late, c.Second = 6, 5, 5, 3, 3, 10, 11
	}
	return o
}

// tallyOf is the rounds of the present epoch so far, and the credit of a node.
func (r *running) tallyOf(ctx context.Context, i int) (t ledger.Tally, credit staking.Credit, err error) {
	v, err := r.c.Remote.View(ctx)
	if err != nil {
		return t, credit, err
	}
	h, err := v.Head()
	if err != nil {
		return t, credit, err
	}
	c, err := v.Committee(h.Epoch)
	if err != nil {
		return t, credit, err
	}
	if t, err = v.Tally(h.Epoch); err != nil {
		return t, credit, err
	}
	k, ok := c.Index(r.Network.Genesis.Nodes[i].ID)
	if !ok || k >= len(t.Nodes) {
		return t, credit, fmt.Errorf("node %d has no credit yet in epoch %d", i, h.Epoch)
	}
	return t, t.Nodes[k], nil
}

// Real nodes ask each other for proof over gossip, and the ledger credits them: those
// that are there pass, and one that is dead is away.
func TestNodesProveWhatTheyHold(t *testing.T) {
	t.Parallel()
	ctx := within(t, 8*time.Minute)
	o := challenged(5)
	o.Block = 200 * time.Millisecond
	r := startNet(ctx, t, o)
	for i := range 4 { // few: so each round asks for one of them
		path := filepath.Join(t.TempDir(), fmt.Sprint(i))
		if err := os.WriteFile(path, bytes.Repeat([]byte{byte(i), 7, 9}, 40_000+i), 0o600); err != nil {
			t.Fatal(err)
		}
		source, err := client.NewFileSource(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.c.Store(ctx, r.Wallet, source, client.StoreOptions{Epochs: 10}); err != nil {
			t.Fatal(err)
		}
	}
	r.until(ctx, "rounds with questions are passed", func() error {
		tally, credit, err := r.tallyOf(ctx, 0)
		if err == nil && (tally.Tallied < 2 || credit.Passed == 0) {
			err = fmt.Errorf("%d rounds, %+v", tally.Tallied, credit)
		}
		return err
	})
	r.until(ctx, "a round asks for the blobs", func() error {
		v, err := r.c.Remote.View(ctx)
		if err != nil {
			return err
		}
		round, known, err := v.Round()
		if err == nil && (!known || !round.Over || len(round.Drawings) == 0) {
			err = errors.New("no round with questions is over")
		}
		return err
	})
	tally, _, err := r.tallyOf(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range tally.Nodes {
		if !passed(c) || c.Failed+c.Away > 0 {
			t.Errorf("node %d of the committee: %+v in %d rounds", i, c, tally.Tallied)
		}
	}
	r.disputeInVain(ctx)
	r.readWhileFrozen(ctx)
	r.kill(ctx, 4)
	r.until(ctx, "the dead node is away", func() error {
		tally, credit, err := r.tallyOf(ctx, 4)
		if err == nil && credit.Away == 0 {
			err = fmt.Errorf("%d rounds, %+v", tally.Tallied, credit)
		}
		return err
	})
	tally, credit, err := r.tallyOf(ctx, 0)
	if err != nil || !passed(credit) {
		t.Errorf("%d rounds, %+v, %v", tally.Tallied, credit, err)
	}
}

// disputeInVain demands a proof of a round with questions: a node shows it by itself.
func (r *running) disputeInVain(ctx context.Context) {
	r.t.Helper()
	var round ledger.RoundState
	const shard = 4
	r.until(ctx, "a proof is disputed", func() error {
		v, err := r.c.Remote.View(ctx)
		if err != nil {
			return err
		}
		h, err := v.Head()
		if err != nil {
			return err
		}
		p, err := v.Params()
		if err != nil {
			return err
		}
		if round, _, err = v.Round(); err != nil {
			return err
		}
		if len(round.Drawings) == 0 || !round.Proven(shard) || h.Height+5 > p.DisputableUntil(h, round.Round) {
			return fmt.Errorf("at block %d there is nothing to dispute: %d draws", h.Height, len(round.Drawings))
		}
		_, err = r.c.Send(ctx, r.Wallet, ledger.Dispute{Ordinal: round.Ordinal, Shard: shard})
		return err
	})
	r.until(ctx, "the dispute is answered", func() error {
		v, err := r.c.Remote.View(ctx)
		if err != nil {
			return err
		}
		d, known, err := v.Dispute(round.Ordinal, shard)
		if err == nil && (!known || d.State != ledger.DisputeAnswered) {
			err = fmt.Errorf("%v, %+v", known, d)
		}
		return err
	})
}

// readWhileFrozen reads a blob from the moment on in which a round asks for it: its
// bytes come when the time for proofs is over, and whole.
func (r *running) readWhileFrozen(ctx context.Context) {
	r.t.Helper()
	var round ledger.RoundState
	var end unit.Height
	r.until(ctx, "a round asks for a blob", func() error {
		v, err := r.c.Remote.View(ctx)
		if err != nil {
			return err
		}
		p, err := v.Params()
		if err != nil {
			return err
		}
		h, err := v.Head()
		if err != nil {
			return err
		}
		if round, _, err = v.Round(); err != nil {
			return err
		}
		end = round.T.Plus(p.Challenge.Deadline)
		if len(round.Drawings) == 0 || h.Height+2 > end {
			return fmt.Errorf("at block %d, %d draws until block %d", h.Height, len(round.Drawings), end)
		}
		return nil
	})
	var out bytes.Buffer
	m := round.Drawings[0].Manifest
	if err := r.c.ReadBlob(ctx, m.ID(), &out); err != nil || uint64(out.Len()) != m.Size {
		r.t.Errorf("read while the challenge runs: %d of %d bytes, %v", out.Len(), m.Size, err)
	}
	// The node that is asked may be a block behind those that gave the bytes out.
	if at, err := r.c.Remote.Status(ctx); err != nil || at.Height+1 < end {
		r.t.Errorf("read at block %d, while what was drawn must wait until block %d (%v)", at.Height, end, err)
	}
}
