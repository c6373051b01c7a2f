package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/walrus-network/walrus/kv"
)

// Free bytes of a file system that holds a part of the node, from the first refusal to
// the last byte. From kv.DefaultReserve (256 MiB) on no fragment is taken. At stopRoom
// the node closes all it has open, for which kv.CloseRoom (64 MiB) is needed. At
// startRoom it opens again.
const (
	stopRoom  = 128 << 20
	startRoom = 192 << 20
)

const (
	roomEvery = 100 * time.Millisecond // between two looks at the room
	roomAgain = time.Minute            // between two words about it in the log
	// roomPause is the least time between two openings where the disk is full in a way
	// that its free bytes do not tell: a quota, or no more files.
	roomPause = 10 * time.Second
)

// ErrFull is returned where the disk has no room for the node.
var ErrFull = kv.ErrFull

// places are where a node writes; each may be a file system of its own.
func places(dir string) []string {
	return []string{dir, filepath.Join(dir, KeysDir), filepath.Join(dir, LedgerDir), filepath.Join(dir, FragmentsDir)}
}

// leastFree is the place with the least room, and its free bytes.
func leastFree(dir string) (place string, free int64, err error) {
	for _, p := range places(dir) {
		n, err := kv.FreeBytes(p)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue // made when the node opens, in dir
		case err != nil:
			return p, 0, err
		}
		if place == "" || n < free {
			place, free = p, n
		}
	}
	return place, free, nil
}

// watchRoom returns ErrFull when a disk of the node is about to be full. A page that
// cannot be given to a mapped file ends the process with a signal: so the node stops
// while it can.
func watchRoom(ctx context.Context, dir string) error {
	tick := time.NewTicker(roomEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		place, free, err := leastFree(dir)
		if err == nil && free < stopRoom {
			return fmt.Errorf("%s has %d MiB left, and the node stops below %d: %w", place, free>>20, int64(stopRoom)>>20, ErrFull)
		}
	}
}

// awaitRoom waits until the disk has room for a node, and says meanwhile that it waits.
// after says that a full disk has stopped it, hasty that it did so soon after it opened.
func awaitRoom(ctx context.Context, c DaemonConfig, after, hasty bool, log *slog.Logger) error {
	least := int64(stopRoom)
	if after {
		least = startRoom // not to stop again at once
	}
	why := func() (string, bool) {
		place, free, err := leastFree(c.Dir)
		if err != nil || free >= least {
			return "", false
		}
		return fmt.Sprintf("%s has %d MiB free, %d are needed: make room, and it goes on by itself; nothing is damaged", place, free>>20, int64(startRoom)>>20), true
	}
	text, full := why()
	if full && c.ExitWhenFull {
		return fmt.Errorf("%s: %w", text, ErrFull)
	}
	if !full && !hasty {
		return nil
	}
	least = startRoom
	inner, cancel := context.WithCancel(ctx)
	group, inner := errgroup.WithContext(inner)
	group.Go(func() error {
		return serveWaiting(inner, c.Dir, func() string {
			if text, full := why(); full {
				return text
			}
			return "its disk was full; it opens again now"
		})
	})
	group.Go(func() error {
		defer cancel()
		begin, said := time.Now(), time.Time{}
		for {
			text, full := why()
			if !full && (!said.IsZero() || time.Since(begin) > roomPause) {
				return nil
			}
			if full && time.Since(said) > roomAgain {
				said = time.Now()
				log.Error("the node waits for room on its disk", "why", text)
			}
			if !pause(inner, roomEvery) {
				return nil
			}
		}
	})
	if err := group.Wait(); err != nil && ctx.Err() == nil {
		log.Warn("the node waits for room without its operator's socket", "err", err)
		for _, full := why(); full && pause(ctx, roomEvery); _, full = why() {
		}
	}
	return nil
}

// tellClosing answers the operator while a node on a full disk waits for the room that
// closing needs.
func tellClosing(ctx context.Context, dir string, log *slog.Logger) {
	place, free, err := leastFree(dir)
	if err != nil || free >= kv.CloseRoom || ctx.Err() != nil {
		return
	}
	log.Error("the node stops, and waits for the room that closing needs", "place", place, "free_mib", free>>20)
	err = serveWaiting(ctx, dir, func() string {
		place, free, _ := leastFree(dir)
		return fmt.Sprintf("%s has %d MiB free, %d are needed: make room, and it goes on by itself; nothing is damaged", place, free>>20, int64(startRoom)>>20)
	})
	if err != nil {
		log.Warn("the node waits for room without its operator's socket", "err", err)
	}
}

// pause waits; false where ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
