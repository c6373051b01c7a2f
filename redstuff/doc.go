// Package redstuff is the two-dimensional erasure code: it cuts a blob into stripes,
// extends each stripe's k1 x k2 matrix of symbols to N rows and N columns, and
// gives place i of the network row i and column i.
//
// The promise: any k1 rows, or any k2 columns, give back the stripe, and a lost
// fragment comes back from one symbol of each of k1 (a column) or k2 (a row)
// crossing fragments, so that repair moves what was lost and not the blob. What
// is decoded is checked against the row roots of the source rows: all readers see
// the same bytes or an error.
//
// A blob is streamed: memory grows with the stripe, never with the blob. Each of
// the N*N symbols of a stripe is hashed once, for the row trees and the column
// trees together.
//
// Left to others: values and the checking of proofs (package blob), and where
// bytes come from or go to.
package redstuff
