package kv

import (
	"bufio"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Value logs are mapped whole, and every page that was written or read counts as
// memory of the process until the kernel wants it back: a node that holds a terabyte
// looks like one that eats all memory, and is killed where that is what is limited.

// madvPageout asks the kernel to reclaim pages now; clean ones of a file are dropped.
const madvPageout = 21

// pageOut gives back the resident pages of the value logs in dir. It is advice: what
// is needed again is read again, and a log unmapped meanwhile is no harm.
func pageOut(dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return err
	}
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return err
	}
	defer maps.Close()
	lines := bufio.NewScanner(maps)
	for lines.Scan() {
		// 7f0a1c000000-7f0a24000000 rw-s 00000000 fe:00 1234   /dir/000001.vlog
		line := lines.Text()
		if !strings.HasSuffix(line, ".vlog") || !strings.Contains(line, dir+string(filepath.Separator)) {
			continue
		}
		span, _, _ := strings.Cut(line, " ")
		from, to, _ := strings.Cut(span, "-")
		begin, err1 := strconv.ParseUint(from, 16, 64)
		end, err2 := strconv.ParseUint(to, 16, 64)
		if err1 != nil || err2 != nil || end <= begin {
			continue
		}
		// The answer does not matter: an old kernel knows no such advice.
		_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, uintptr(begin), uintptr(end-begin), madvPageout)
	}
	return lines.Err()
}
