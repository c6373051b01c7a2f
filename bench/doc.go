// Package bench measures what the documentation claims, each time against limits
// taken in the same run, so that a figure means the same on any machine.
//
// The promise: no number is a constant; MB/s are 10^6 bytes of the user's data per
// second, medians of Rounds.
//
// Left to others: printing (cmd/walrus), and judging (people).
package bench
