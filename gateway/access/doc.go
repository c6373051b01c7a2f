// Package access says who may have a gateway pay, and how much.
//
// There are keys, which servers keep and which each have limits, and tokens (JSON Web
// Tokens), which are signed for one store each and name its limits themselves.
//
// The promise: a token is used once, also across a restart; what a key may spend in a day is
// counted before it is spent, also across a restart; a secret is compared in constant time and
// only its hash is kept.
//
// Left to others: what a request costs, and how an error is written on the wire.
package access
