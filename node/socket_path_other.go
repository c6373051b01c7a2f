//go:build unix && !linux

package node

import (
	"fmt"
	"path/filepath"
)

// longestSocket is the longest path of a socket that the system takes, in bytes.
const longestSocket = 103

// socketPath is the path of the socket in dir, if the system takes it.
func socketPath(dir string) (path string, done func(), err error) {
	path = filepath.Join(dir, SocketName)
	if len(path) > longestSocket {
		return "", nil, fmt.Errorf("%s has %d bytes, and a socket's path at most %d on this system: choose a shorter directory", path, len(path), longestSocket)
	}
	return path, func() {}, nil
}

// checkSocket says whether the system takes the socket in dir.
func checkSocket(dir string) error {
	_, _, err := socketPath(dir)
	return err
}
