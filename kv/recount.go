package kv

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Badger counts the garbage of each log in one file, as compactions meet it, once. A
// crash between the rewriting of a log and its removal, or a lost file, leaves garbage
// that is not counted. A collection that ends with far too much disk in use leaves a
// mark; the next opening then counts every log as garbage. That is only an order in
// which to look: rewriting keeps whatever is live, and stops when enough is freed.
const recountMark = "RECOUNT"

// uncounted reports whether so much is used that counting again is worth it.
func uncounted(used, live int64) bool { return used > enough(live)+live/4+2*valueLog }

func markRecount(dir string) error {
	return os.WriteFile(filepath.Join(dir, recountMark), nil, 0o600)
}

// recount makes the statistics anew if they are marked. The database is not open yet.
func recount(dir string) error {
	mark := filepath.Join(dir, recountMark)
	if _, err := os.Stat(mark); err != nil {
		return nil // not marked
	}
	logs, err := filepath.Glob(filepath.Join(escapeGlob(dir), "*.vlog"))
	if err != nil {
		return err
	}
	slices.Sort(logs) // the library looks numbers up by halving
	stats := make([]byte, 0, 1<<20)
	for _, name := range logs {
		id, err := strconv.ParseUint(strings.TrimSuffix(filepath.Base(name), ".vlog"), 10, 32)
		if err != nil {
			continue // refused elsewhere
		}
		info, err := os.Stat(name)
		if err != nil {
			return err
		}
		stats = binary.BigEndian.AppendUint64(stats, id)
		stats = binary.BigEndian.AppendUint64(stats, uint64(info.Size()))
	}
	stats = append(stats, make([]byte, max(1<<20-len(stats), 1<<10))...) // ends with an empty slot
	stats = stats[:len(stats)/16*16]
	if err := os.WriteFile(filepath.Join(dir, discardFile), stats, 0o600); err != nil {
		return err
	}
	return os.Remove(mark)
}
