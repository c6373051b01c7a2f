package kv

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/y"
)

// A value log is a header of 20 bytes and then entries: two bytes of flags (both
// zero here), the lengths of key and value and the time of expiry as varints, key
// with its version in the last eight bytes, value, and CRC-32C over all of it.
//
// Badger rewrites a log up to the first entry that is damaged, and then removes the
// file: one flipped bit would cost everything behind it. So a log is read before it
// is rewritten, and what stands behind damage is written anew first.
const (
	logHeader  = 20
	versionLen = 8
)

// discardFile has 16 bytes for each log: its number, and how many bytes of it are garbage.
const discardFile = "DISCARD"

// rescueVictim looks at the log that the next rewriting will choose.
func (db *DB) rescueVictim() error {
	stats, err := os.ReadFile(filepath.Join(db.dir, discardFile))
	if err != nil {
		return err
	}
	var victim, most uint64
	for ; len(stats) >= 16; stats = stats[16:] {
		id, garbage := binary.BigEndian.Uint64(stats), binary.BigEndian.Uint64(stats[8:])
		if id == 0 {
			break
		}
		if garbage > most {
			victim, most = id, garbage
		}
	}
	if most == 0 {
		return nil
	}
	return db.rescue(fmt.Sprintf("%06d.vlog", victim))
}

func (db *DB) rescue(name string) error {
	data, unmap, err := mapFile(filepath.Join(db.dir, name))
	if errors.Is(err, os.ErrNotExist) {
		return nil // the statistics outlive their file
	}
	if err != nil {
		return err
	}
	defer unmap()
	if firstDamage(data) == len(data) {
		return nil
	}
	// Commits wait: a value written meanwhile must not be overwritten by an older one.
	db.writes.Lock()
	defer db.writes.Unlock()
	saved, err := db.save(data[firstDamage(data):])
	if err != nil {
		return fmt.Errorf("rescue %s: %w", name, err)
	}
	db.log.Warn("value log is damaged: what is whole behind the damage was written anew", "file", name, "rescued", saved)
	return nil
}

// save writes every entry of b anew that is whole and still current.
func (db *DB) save(b []byte) (saved int, err error) {
	txn := db.b.NewTransaction(true)
	defer func() { txn.Discard() }()
	pending := 0
	for len(b) > 0 {
		key, value, rest, ok := nextWhole(b)
		if !ok {
			break
		}
		b = rest
		current, err := db.isCurrent(key)
		if err != nil {
			return saved, err
		}
		if !current {
			continue
		}
		if err := txn.Set(append([]byte(nil), y.ParseKey(key)...), append([]byte(nil), value...)); err != nil {
			return saved, db.explain(err)
		}
		saved++
		if pending += len(value); pending > 4<<20 {
			if err := txn.Commit(); err != nil {
				return saved, db.explain(err)
			}
			txn, pending = db.b.NewTransaction(true), 0
		}
	}
	if err := txn.Commit(); err != nil {
		return saved, db.explain(err)
	}
	return saved, db.watch.err()
}

// isCurrent reports whether this version of a key is the one that is read.
func (db *DB) isCurrent(versioned []byte) (current bool, err error) {
	key := y.ParseKey(versioned)
	if reserved(key) || len(key) == 0 {
		return false, nil
	}
	err = db.b.View(func(txn *badger.Txn) error {
		item, err := txn.Get(key)
		if errors.Is(err, badger.ErrKeyNotFound) {
			return nil
		}
		if err == nil {
			current = item.Version() == y.ParseTs(versioned)
		}
		return err
	})
	return current, err
}

// firstDamage is where the first damaged entry of a log begins; its length if there
// is none. What was never written reads as zeros.
func firstDamage(log []byte) int {
	at := min(logHeader, len(log))
	for at < len(log) {
		_, _, n := readLogEntry(log[at:])
		if n == 0 {
			if allZero(log[at:]) {
				return len(log)
			}
			return at
		}
		at += n
	}
	return at
}

var zeros [4096]byte

func allZero(b []byte) bool {
	for len(b) > len(zeros) {
		if !bytes.Equal(b[:len(zeros)], zeros[:]) {
			return false
		}
		b = b[len(zeros):]
	}
	return bytes.Equal(b, zeros[:len(b)])
}

// nextWhole is the first whole entry in b, looked for byte by byte, and what follows it.
func nextWhole(b []byte) (key, value, rest []byte, ok bool) {
	for ; len(b) > 0; b = b[1:] {
		if len(b)%len(zeros) == 0 && allZero(b) {
			return nil, nil, nil, false
		}
		if key, value, n := readLogEntry(b); n > 0 {
			return key, value, b[n:], true
		}
	}
	return nil, nil, nil, false
}

// keepLastLog prevents the library from cutting the last log off at damage, as it
// does with a write that was torn by a crash: if whole entries follow, it is no torn
// write. An empty log behind it makes it one that is not touched at opening.
func keepLastLog(dir string, log *slog.Logger) error {
	names, err := filepath.Glob(filepath.Join(escapeGlob(dir), "*.vlog"))
	if err != nil || len(names) == 0 {
		return err
	}
	last, id := "", uint64(0)
	for _, name := range names {
		n, err := strconv.ParseUint(strings.TrimSuffix(filepath.Base(name), ".vlog"), 10, 32)
		if err != nil {
			return damaged(filepath.Base(name) + ": not the name of a log")
		}
		if n >= id {
			last, id = name, n
		}
	}
	data, unmap, err := mapFile(last)
	if err != nil {
		return err
	}
	defer unmap()
	if _, _, _, ok := nextWhole(data[firstDamage(data):]); !ok {
		return nil
	}
	log.Warn("value log is damaged: what is whole in it is kept", "file", filepath.Base(last))
	return os.WriteFile(filepath.Join(dir, fmt.Sprintf("%06d.vlog", id+1)), make([]byte, logHeader), 0o600)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// readLogEntry reads the entry at the beginning of b. n is its length; zero if there
// is no whole one. The slices are parts of b.
func readLogEntry(b []byte) (key, value []byte, n int) {
	if len(b) < 2 || b[0] != 0 || b[1] != 0 {
		return nil, nil, 0
	}
	at := 2
	var fields [3]uint64 // key length, value length, expiry
	for i := range fields {
		v, w := binary.Uvarint(b[at:])
		if w <= 0 {
			return nil, nil, 0
		}
		fields[i] = v
		at += w
	}
	keyLen, valueLen := fields[0], fields[1]
	if keyLen <= versionLen || keyLen > maxKey+versionLen || valueLen > uint64(len(b)) || fields[2] != 0 {
		return nil, nil, 0
	}
	end := at + int(keyLen) + int(valueLen)
	if end+crc32.Size > len(b) || crc32.Checksum(b[:end], castagnoli) != binary.BigEndian.Uint32(b[end:]) {
		return nil, nil, 0
	}
	return b[at : at+int(keyLen)], b[at+int(keyLen) : end], end + crc32.Size
}
