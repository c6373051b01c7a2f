// Package quilt is the format that puts many files into one blob: an index, then the files
// back to back. One registration, one certificate and one lease then hold for all of them.
//
// The promise: a list of files has one quilt, and ReadIndex takes nothing but what New
// writes, so that a file of a quilt lies where its index says, within the blob, and no two
// files share a byte or a name. Memory is bounded whatever the index says.
//
// Left to others: where the bytes come from (a Quilt reads its files when it is read) and
// how a range of a blob is fetched. An identifier is a name and never a path: a program that
// writes files by identifier guards against ".." itself.
package quilt
