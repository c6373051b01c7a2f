package comet

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	// trimEvery is the time between two looks at the consensus log.
	trimEvery = time.Minute
	// keepLogs is how many of its rotated files stay, of 10 MB each.
	keepLogs = 2
	// logDir and logName are where the log is, below CometBFT's directory.
	logDir, logName = "cs.wal", "wal"
)

// trimAlways removes rotated files of the consensus log that no start needs any more.
// CometBFT keeps 1 GB of them. A start needs what was logged from the end of the last height
// on: all that was logged before the last look belongs to heights that are over once a
// block came since then.
func (c *Chain) trimAlways(ctx context.Context) {
	dir := filepath.Join(c.options.Dir, "comet", logDir)
	for at, height := time.Now(), c.machine.Height(); sleep(ctx, trimEvery); {
		now, tip := time.Now(), c.machine.Height()
		if tip > height+1 {
			if err := trimLog(dir, at); err != nil {
				c.options.Log.Warn("old files of the consensus log cannot be removed", "dir", dir, "err", err)
			}
			at, height = now, tip
		}
	}
}

// trimLog removes the rotated files of the log in dir that were last written before a time,
// but for the newest ones.
func trimLog(dir string, before time.Time) error {
	list, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var old []fs.FileInfo
	for _, e := range list {
		if !strings.HasPrefix(e.Name(), logName+".") || !e.Type().IsRegular() {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // CometBFT has removed it meanwhile
		}
		if err != nil {
			return err
		}
		old = append(old, info)
	}
	slices.SortFunc(old, func(a, b fs.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	for _, info := range old[:max(0, len(old)-keepLogs)] {
		if !info.ModTime().Before(before) {
			break
		}
		if err := os.Remove(filepath.Join(dir, info.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
