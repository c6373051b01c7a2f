//go:build walrus_rules2

package ledger

// Newest is the newest version of the rules that this program knows: a trial of a
// release with other rules. Version 2 changes nothing but the number in the Head.
const Newest = 2
