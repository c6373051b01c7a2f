package doctor

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// forget writes a file's pages to the disk and drops them from the page cache. The second
// is advice to the system: a file system may keep its pages.
func forget(f *os.File) error {
	if err := f.Sync(); err != nil {
		return err
	}
	if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOSYS) {
		return err
	}
	return nil
}

// oddFileSystem names the file system of dir if a node should not lie on it, else "".
func oddFileSystem(dir string) string {
	var s unix.Statfs_t
	if unix.Statfs(dir, &s) != nil {
		return ""
	}
	return map[uint32]string{
		unix.TMPFS_MAGIC: "tmpfs, which is memory", unix.RAMFS_MAGIC: "ramfs, which is memory",
		unix.NFS_SUPER_MAGIC: "NFS", unix.SMB_SUPER_MAGIC: "SMB", unix.SMB2_SUPER_MAGIC: "SMB", unix.CIFS_SUPER_MAGIC: "CIFS",
		unix.V9FS_MAGIC: "9p", unix.AFS_SUPER_MAGIC: "AFS", unix.CEPH_SUPER_MAGIC: "Ceph", unix.FUSE_SUPER_MAGIC: "FUSE",
	}[uint32(s.Type)]
}
