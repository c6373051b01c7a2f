// Package token holds the values of money and authorship: amounts, addresses,
// keys, signatures, and the one form in which anything is signed.
//
// The promise: arithmetic on amounts never wraps; a signature is always over a
// purpose and a chain, so that none can be shown for another.
//
// Left to others: the right to spend, debts, and where keys are kept.
package token
