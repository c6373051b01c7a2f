//go:build unix

package client

import "syscall"

// diskRoom is how many bytes are free on the disk of a directory, and how many it has.
func diskRoom(dir string) (free, total int64, err error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, 0, err
	}
	unit := int64(st.Bsize)
	return int64(st.Bavail) * unit, int64(st.Blocks) * unit, nil
}
