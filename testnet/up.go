package testnet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/node"
)

// Up starts all nodes, to stay, and returns when a blob can be stored. If that
// fails, or ctx ends before, none of the nodes that it started is left running.
func (t *Testnet) Up(ctx context.Context, log *slog.Logger) (err error) {
	for i := range t.Nodes {
		if t.Running(i) {
			return t.of(i, node.ErrRunning)
		}
	}
	var started []int // those of another Up are not ours to end
	defer func() {
		if err != nil {
			err = errors.Join(err, t.complaints(ctx, started), t.end(context.WithoutCancel(ctx), started))
		}
	}()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	for i := range t.Nodes {
		p, err := t.Start(i, true)
		if err != nil {
			return err
		}
		started = append(started, i)
		go func() { // until the process ends, or this one; it only looks
			select {
			case <-p.Exited():
				cancel(fmt.Errorf("node %d ended; its last words: %s", i, t.LastLine(i)))
			case <-ctx.Done():
			}
		}()
	}
	return t.ready(ctx, log)
}

// ready waits until a blob can be stored.
func (t *Testnet) ready(ctx context.Context, log *slog.Logger) error {
	c, err := client.Connect(ctx, t.Network, client.ConnectOptions{Version: "testnet", Log: log})
	if err != nil {
		return err
	}
	err = c.Ready(ctx)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	return errors.Join(err, c.Close())
}

// Answers waits until node i, whose process was started, answers its operator.
func (t *Testnet) Answers(ctx context.Context, i int) (node.Status, error) {
	for {
		s, err := t.Status(ctx, i)
		if err == nil {
			return s, nil
		}
		if !t.Running(i) {
			return s, fmt.Errorf("node %d ended; its last words: %s", i, t.LastLine(i))
		}
		if ctx.Err() != nil {
			return s, fmt.Errorf("node %d does not answer: %w", i, err)
		}
		wait(ctx, 20*time.Millisecond)
	}
}

// complaints is why nodes that run do not answer as they should, once for each reason.
func (t *Testnet) complaints(ctx context.Context, nodes []int) error {
	const limit = 2 * time.Second
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	for _, i := range nodes {
		if _, err := t.Status(ctx, i); errors.Is(err, node.ErrWaiting) {
			return fmt.Errorf("node %d: %w", i, err)
		}
	}
	return nil
}
