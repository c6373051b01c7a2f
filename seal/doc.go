// Package seal encrypts a file so that a blob of it can be public: it is padded, so that its
// size tells a class only, and then is an age file (age-encryption.org/v1), which programs of
// other hands decrypt.
//
// The promise: no byte of a file leaves Opened.Write that the holder of a key did not
// encrypt, in its place; a range costs the chunks of 64 KiB that it covers.
//
// Left to others: where keys come from, and where bytes are kept. Encryption does not prove
// which sender it was: a recipient's public key is enough to make a file for it.
package seal
