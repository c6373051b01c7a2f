// Package store keeps fragments on a disk under the hash of their bytes.
//
// The promise: what Put acknowledged survives a crash; bytes are kept once however
// many fragments have them, and go with the last; what is dropped is given back to
// the disk and does not return; a fragment whose bytes have rotted is missing, never
// wrong. It takes nothing that was not checked whole (blob.FullFragment) and hands out
// nothing that it did not check again (blob.VerifiedFragment).
//
// Left to others: which fragments to keep, for whom and until when. It knows neither
// tokens nor nodes, and its clock is the caller's.
package store
