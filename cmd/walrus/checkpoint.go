package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/ledger/light"
	"github.com/walrus-network/walrus/node"
	"github.com/walrus-network/walrus/token"
)

// checkpointShown is a block by which others can begin to trust a chain.
type checkpointShown struct {
	Chain  token.ChainID `json:"chain"`
	Height int64         `json:"height"`
	Hash   string        `json:"hash"` // hex
	Time   time.Time     `json:"time"` // of the block
	Source string        `json:"source"`
	Saved  string        `json:"saved,omitempty"` // file that names it as trusted now
}

func (a *app) checkpointCommand() *cobra.Command {
	var dir, trust string
	c := &cobra.Command{
		Use:   "checkpoint",
		Short: "Show a block that others can begin to trust the chain with, or trust one",
		Long: `Shows the newest block that this machine has verified, by height and hash. Give
it to people whose machines have not looked at the chain for longer than its
trust period: no answer of a node can lead them to the present any more, but a
block that you name can.

With --dir the block is the newest of the node that runs in that directory.

With --trust HEIGHT:HASH the block is written into network.toml, once a node of
the network has shown it. Take it from people or machines that you trust, from
more than one: its giver decides which history this machine believes.`,
		Example: "  walrus checkpoint\n  walrus checkpoint --trust 184467:6F3C…",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var out checkpointShown
			var err error
			switch {
			case trust != "" && dir != "":
				return errUsage{errors.New("--dir and --trust exclude each other")}
			case trust != "":
				out, err = a.trustCheckpoint(c.Context(), trust)
			case dir != "":
				out, err = nodeCheckpoint(c.Context(), dir)
			default:
				out, err = a.ownCheckpoint(c.Context())
			}
			if err != nil {
				return err
			}
			return a.print(out, out.print)
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "ask the node that runs in this directory")
	c.Flags().StringVar(&trust, "trust", "", "HEIGHT:HASH of a block to begin with from now on")
	return c
}

// ownCheckpoint is the newest block that this process verifies.
func (a *app) ownCheckpoint(ctx context.Context) (out checkpointShown, err error) {
	err = a.withSession(ctx, func(s *session) error {
		c, at, ok := s.Remote.NewestKnown()
		if !ok || !s.verified {
			return errors.New("no block was verified: leave out --trust-node, a checkpoint is not to be taken on a node's word")
		}
		out = checkpointShown{Chain: s.Network.Genesis.ChainID(), Height: c.Height, Hash: c.Hash.String(), Time: at.UTC(), Source: "verified by this machine"}
		return nil
	})
	return out, err
}

// nodeCheckpoint is the newest block of a node of the user's own.
func nodeCheckpoint(ctx context.Context, dir string) (out checkpointShown, err error) {
	s, err := node.AskStatus(ctx, dir)
	if err != nil {
		return out, err
	}
	if s.Block == nil {
		return out, fmt.Errorf("the node in %s has no block yet: ask again in a moment", dir)
	}
	return checkpointShown{Chain: s.Chain, Height: s.Block.Height, Hash: s.Block.Hash, Time: s.Block.Time, Source: "ledger of the node in " + dir}, nil
}

// trustCheckpoint writes a checkpoint into network.toml once a node has shown its block.
func (a *app) trustCheckpoint(ctx context.Context, typed string) (out checkpointShown, err error) {
	c, err := light.ParseCheckpoint(typed)
	if err != nil {
		return out, errUsage{err}
	}
	h, err := a.setting(setNetwork)
	if err != nil {
		return out, err
	}
	n, err := a.network()
	if err != nil {
		return out, err
	}
	n.Checkpoint = &c
	s, err := client.Connect(ctx, n, client.ConnectOptions{Version: version(), Log: a.log()})
	if err != nil {
		return out, err
	}
	defer s.Close()
	at, err := s.Remote.Begin(ctx)
	if err != nil {
		return out, fmt.Errorf("checkpoint %s: %w", typed, err)
	}
	if err := n.Save(h.Value); err != nil {
		return out, err
	}
	return checkpointShown{Chain: n.Genesis.ChainID(), Height: c.Height, Hash: c.Hash.String(), Time: at.UTC(), Source: "named by you, shown by a node", Saved: h.Value}, nil
}

func (c checkpointShown) print(w io.Writer) error {
	t := newTable(w)
	t.row("chain", c.Chain)
	t.row("block", fmt.Sprintf("%d of %s", c.Height, c.Time.Format(time.RFC3339)))
	t.row("hash", c.Hash)
	t.row("source", c.Source)
	if c.Saved != "" {
		t.row("trusted", "from now on: written into "+c.Saved)
	} else {
		t.row("trust it by", fmt.Sprintf("walrus checkpoint --trust %d:%s", c.Height, c.Hash))
	}
	return t.flush()
}
