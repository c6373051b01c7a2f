package node

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// longestSocket is the longest path of a socket that the system takes, in bytes.
const longestSocket = 107

// socketPath is a path of the socket in dir that the system takes. The kernel allows 107
// bytes; where the directory's own path is longer, one by way of the open directory is
// given, which is valid until done is called.
func socketPath(dir string) (path string, done func(), err error) {
	path = filepath.Join(dir, SocketName)
	if len(path) <= longestSocket {
		return path, func() {}, nil
	}
	f, err := os.Open(dir)
	if err != nil {
		return "", nil, err
	}
	// Not Fd(), which is for files that block.
	raw, err := f.SyscallConn()
	if err != nil {
		f.Close()
		return "", nil, err
	}
	if err := raw.Control(func(fd uintptr) { path = filepath.Join("/proc/self/fd", strconv.Itoa(int(fd)), SocketName) }); err != nil {
		f.Close()
		return "", nil, fmt.Errorf("open %s: %w", dir, err)
	}
	return path, func() { f.Close() }, nil
}

// checkSocket takes every path: a long one is shortened by socketPath.
func checkSocket(string) error { return nil }
