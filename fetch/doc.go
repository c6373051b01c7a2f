// Package fetch gets a blob's bytes from the nodes that hold them: whole blobs,
// ranges, fragments and single symbols, each verified against the blob ID.
//
// The promise: a Fetcher returns verified bytes or an error, never a short or wrong
// result. While any k1 places answer correctly, Read succeeds; a silent member costs
// a short wait, and a lying member is asked last from then on. A blob that
// contradicts its own commitments ends in a BadEncodingError, which carries a proof.
//
// Left to others: a Directory, which names the holder of each shard, is the caller's, and
// so is the Commitment of the blob. This package knows no ledger, money or duty.
package fetch
