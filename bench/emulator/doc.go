// Package emulator makes a distance between processes on one machine: hosts with an
// address each, in network namespaces of their own, whose packets a router in this process
// carries with a delay, a bandwidth and losses.
//
// The promise: the machine needs neither a kernel module nor a tool, only /dev/net/tun and
// the right to make namespaces, which a user namespace gives too (Enter). All that is made
// is gone with the process, however it ends: a namespace and its device live as long as
// the threads and processes in them. Packets are never changed, and between two hosts they
// keep their order. The trace of a host's packets tells how often it waited for the line.
//
// Where a machine gives no such right, a Relay carries what processes on the loopback
// interface send to each other over the same links: it says what it imitates.
//
// Left to others: what the packets mean, and the processes.
package emulator
