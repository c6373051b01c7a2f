package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"time"

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
	roomEvery = 100 * time.Millisecond // between two looks at the room, where it is short
	roomCalm  = 2 * time.Second        // where there is much of it
	fillRate  = 4 << 30                // bytes a second that other programs may write
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
	for again := roomEvery; ; {
		if !pause(ctx, again) {
			return nil
		}
		place, free, err := leastFree(dir)
		if err == nil && free < stopRoom {
			return fmt.Errorf("%s has %d MiB left, and the node stops below %d: %w", place, free>>20, int64(stopRoom)>>20, ErrFull)
		}
		again = roomAgainIn(free, err)
	}
}

// roomAgainIn is the time until the room is looked at again: before it can have gone.
func roomAgainIn(free int64, err error) time.Duration {
	if err != nil || free <= stopRoom {
		return roomEvery
	}
	mib := time.Duration(free-stopRoom) >> 20
	return min(max(mib*time.Second/(fillRate>>20), roomEvery), roomCalm)
}

// roomMissing says that a disk of the node has less than least bytes free; empty where none
// has.
func roomMissing(dir string, least int64) string {
	place, free, err := leastFree(dir)
	if err != nil || free >= least {
		return ""
	}
	return fmt.Sprintf("%s has %d MiB free, %d are needed: make room, and it goes on by itself; nothing is damaged", place, free>>20, int64(startRoom)>>20)
}

// roomOr is an answer to the operator: that the disk has less than least bytes free, or
// else what the node does.
func roomOr(dir string, least int64, does string) func() string {
	return func() string { return cmp.Or(roomMissing(dir, least), does) }
}

// awaitRoom waits until the disk has room for a node, and tells the operator meanwhile that
// it waits. after says that a full disk has stopped it, hasty that it did so soon after it
// opened.
func awaitRoom(ctx context.Context, c DaemonConfig, s *socket, after, hasty bool, log *slog.Logger) error {
	least := int64(stopRoom)
	if after {
		least = startRoom // not to stop again at once
	}
	text := roomMissing(c.Dir, least)
	if text != "" && c.ExitWhenFull {
		return fmt.Errorf("%s: %w", text, ErrFull)
	}
	if text == "" && !hasty {
		return nil
	}
	s.explain(roomOr(c.Dir, startRoom, "its disk was full; it opens again now"))
	for begin, said := time.Now(), (time.Time{}); ; {
		text := roomMissing(c.Dir, startRoom)
		if text == "" && (!said.IsZero() || time.Since(begin) > roomPause) {
			return nil
		}
		if text != "" && time.Since(said) > roomAgain {
			said = time.Now()
			log.Error("the node waits for room on its disk", "why", text)
		}
		if !pause(ctx, roomEvery) {
			return nil
		}
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
