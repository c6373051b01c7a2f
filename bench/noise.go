package bench

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
)

// noise is endless content that does not compress and costs a copy: a block of random
// bytes again and again, of a length that no symbol divides.
type noise struct {
	block []byte
	rest  []byte
}

func newNoise() *noise {
	block := make([]byte, 1<<20+7)
	rand.NewChaCha8([32]byte{1}).Read(block)
	return &noise{block: block}
}

// Read never fails.
func (n *noise) Read(p []byte) (int, error) {
	for done := 0; done < len(p); {
		if len(n.rest) == 0 {
			n.rest = n.block
		}
		c := copy(p[done:], n.rest)
		done, n.rest = done+c, n.rest[c:]
	}
	return len(p), nil
}

// peakRSS is the most memory this process has held so far, in bytes: the kernel's
// figure where it gives one, else what the Go runtime has asked for.
func peakRSS() int64 {
	if peak, err := peakRSSOf(os.Getpid()); err == nil {
		return peak
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.Sys)
}

// peakRSSOf is the most memory that a process has held so far, in bytes, where the kernel says.
func peakRSSOf(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(status) {
		if rest, ok := bytes.CutPrefix(line, []byte("VmHWM:")); ok {
			kib, err := strconv.ParseInt(string(bytes.TrimSpace(bytes.TrimSuffix(bytes.TrimSpace(rest), []byte("kB")))), 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("process %d tells no peak of its memory", pid)
}
