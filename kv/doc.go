// Package kv keeps ordered keys on a disk.
//
// The promise: a batch is all there or not there, also after a crash; one that was
// committed with sync is on the disk when Commit returns; and what was deleted from
// a Large database is given back to the file system by Collect and does not return.
//
// It is the only room of Badger. What Badger does not say by itself is said here:
// an fsync that failed (Failing), a file system about to run full (ErrFull; its files
// are mapped, so running into the wall would kill the process), tables that it would
// leave out in silence (ErrCorrupt).
//
// Left to others: what keys mean. Keys are not empty and do not begin with '!' or 0xff.
package kv
