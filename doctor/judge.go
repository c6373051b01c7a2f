package doctor

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/node"
	"github.com/walrus-network/walrus/p2p"
)

// Health is the result of a check in a word.
type Health string

const (
	Healthy  Health = "ok"
	Doubtful Health = "warn" // the node works now, and may stop working
	Failing  Health = "fail" // the node does not work, or is not paid
)

// Check is the result of one check.
type Check struct {
	Name   string `json:"name"`
	Health Health `json:"status"`
	Figure string `json:"figure"`           // the finding, beside its limit
	Advice string `json:"advice,omitempty"` // for the operator, if the check is not ok
}

func healthy(name, format string, args ...any) Check {
	return Check{Name: name, Health: Healthy, Figure: fmt.Sprintf(format, args...)}
}

// The names of the checks, in the order of a Diagnosis.
const (
	checkConfig   = "config"
	checkProcess  = "process"
	checkKeys     = "keys"
	checkSigned   = "last sign"
	checkWallet   = "wallet apart"
	checkNetwork  = "network"
	checkLedger   = "ledger"
	checkVersions = "versions"
	checkClock    = "clock"
	checkDisk     = "disk"
	checkProofs   = "proof time"
	checkCapacity = "capacity"
	checkDialback = "dial-back"
)

// Limits of a healthy node. The clock's is that of the running node, node.ClockSlack.
const (
	clockDoubt   = node.ClockSlack / 6
	syncDoubt    = 30 * time.Millisecond // of an fsync; each block waits for several
	syncFail     = 500 * time.Millisecond
	writeDoubt   = 20 << 20              // bytes a second; below this, repair takes days
	readDoubt    = 30 * time.Millisecond // of 64 KiB
	marginDoubt  = 2 * leastMargin       // a disk gets slower as it fills
	roomDoubt    = 10                    // 1/roomDoubt of the declared bytes should be free beyond them
	stillBlocks  = 10                    // block times without a block: the ledger stands still
	stillSlack   = 5 * time.Second       // added to that
	peersDoubt   = 2                     // nodes that should answer
	secretOthers = fs.FileMode(0o077)    // rights of users other than the owner
)

// judgeSecret checks the rights of the file with the node's keys.
func judgeSecret(id string, path string, mode fs.FileMode) Check {
	c := healthy(checkKeys, "%s, readable by its owner alone", id)
	if mode.Perm()&secretOthers != 0 {
		c.Health, c.Figure = Failing, fmt.Sprintf("%s, whose file has the rights %v", id, mode.Perm())
		c.Advice = fmt.Sprintf("others on this machine can read what signs for your stake: chmod 600 %s; if they are not you, make a new node", path)
	}
	return c
}

// judgeSigned checks that the record of the last signature is there. ran says that the
// directory holds a ledger.
func judgeSigned(path string, ran, there bool) Check {
	switch {
	case there:
		return healthy(checkSigned, "on record")
	case !ran:
		return healthy(checkSigned, "nothing yet: the node has not run")
	}
	return Check{checkSigned, Doubtful, "there is a ledger, and no " + path,
		"restore it from your backup; without it the node waits before it signs, and if this key runs elsewhere too, it signs twice and loses its stake"}
}

// judgeWallet checks that no wallet lies in the node's directory.
func judgeWallet(found []string) Check {
	if len(found) == 0 {
		return healthy(checkWallet, "no wallet lies in the node's directory")
	}
	return Check{checkWallet, Doubtful, "in the node's directory lies " + strings.Join(found, ", "),
		"keep the operator's wallet on another machine: a break-in on this one loses the stake too; walrus node request needs no wallet here"}
}

// judgePeers checks how many of the known nodes answer.
func judgePeers(chain string, answer, known int) Check {
	c := healthy(checkNetwork, "%s, %d of %d nodes that were called answer", chain, answer, known)
	switch {
	case answer == 0:
		c.Health, c.Advice = Failing, "look at the bootstrap addresses in network.toml, and whether this machine may open connections"
	case answer < min(peersDoubt, known):
		c.Health, c.Advice = Doubtful, "one is too few to be sure of: get a newer network.toml, with more bootstrap addresses"
	}
	return c
}

// judgeLedger checks the age of the network's newest block. behind is the number of
// blocks that a running node's ledger lacks.
func judgeLedger(h ledger.Head, p ledger.Params, now time.Time, behind uint64, running bool) Check {
	age := max(0, now.Sub(time.UnixMilli(h.TimeMs)))
	c := healthy(checkLedger, "block %d, epoch %d, %s old", h.Height, h.Epoch, age.Round(time.Second))
	switch {
	case age > stillSlack+time.Duration(stillBlocks*p.BlockMs)*time.Millisecond:
		c.Health, c.Advice = Failing, "a block should come each "+(time.Duration(p.BlockMs)*time.Millisecond).String()+": the network stands still, or this machine's clock is wrong, or the node that answered is behind"
	case running && behind > stillBlocks:
		c.Health, c.Figure, c.Advice = Doubtful, c.Figure+fmt.Sprintf("; this node's ledger is %d blocks behind", behind), "it catches up; if it does not, look into its log"
	}
	return c
}

// judgeVersions checks that this program knows the rules in force and the planned ones.
func judgeVersions(r ledger.Rules, program, comet, golang string) Check {
	c := healthy(checkVersions, "rules %d in force, this program (%s) knows up to %d; CometBFT %s, %s", r.Version, program, ledger.Newest, comet, golang)
	if notice := r.Notice(); notice != "" {
		c.Health, c.Advice = Doubtful, notice
		if r.Version > ledger.Newest {
			c.Health = Failing
		}
	}
	return c
}

// judgeClock checks this machine's clock. peers has, for each peer, its clock - this one.
func judgeClock(peers []time.Duration) Check {
	if len(peers) == 0 {
		return Check{checkClock, Doubtful, "no peer told its time", "try again when peers answer"}
	}
	list := slices.Clone(peers)
	slices.Sort(list)
	off := -list[len(list)/2]
	c := healthy(checkClock, "%s off the clocks of %d peers (their median), at most %s", off.Abs().Round(time.Millisecond), len(list), node.ClockSlack)
	if off.Abs() > clockDoubt {
		c.Health = Doubtful
		if off.Abs() > node.ClockSlack {
			c.Health = Failing
		}
		way := "ahead"
		if off < 0 {
			way = "behind"
		}
		c.Advice = "this machine's clock is " + way + ": set it right (NTP does); rounds, leases and the trust in headers are told by it"
	}
	return c
}

// judgeDisk checks the measured speed of a disk.
func judgeDisk(d DiskSpeed) Check {
	c := healthy(checkDisk, "fsync %s (worst %s), writes %s a second, reads 64 KiB in %s", short(d.Sync), short(d.WorstSync), humanize.IBytes(uint64(max(d.Write, 0))), short(d.Read))
	switch {
	case d.Sync > syncFail:
		c.Health, c.Advice = Failing, fmt.Sprintf("an fsync takes %s, at most %s will do: blocks wait for it; use an SSD", short(d.Sync), syncFail)
	case d.Kind != "":
		c.Health, c.Advice = Doubtful, "the fragments lie on "+d.Kind+": what is there can be gone at once, or stall; use a local disk"
	case d.Sync > syncDoubt:
		c.Health, c.Advice = Doubtful, fmt.Sprintf("an fsync should take %s or less: blocks wait for it; use an SSD that this node has for itself", syncDoubt)
	case d.Write < writeDoubt:
		c.Health, c.Advice = Doubtful, fmt.Sprintf("it should write %s a second or more: repair takes long like this", humanize.IBytes(writeDoubt))
	case d.Read > readDoubt:
		c.Health, c.Advice = Doubtful, fmt.Sprintf("a read should take %s or less: a round reads some thousands", readDoubt)
	}
	return c
}

// judgeProofs checks the margin of a round.
func judgeProofs(t ProofTime) Check {
	c := healthy(checkProofs, "%s", t)
	m, asked := t.Margin()
	switch {
	case !asked:
	case m < leastMargin:
		c.Health, c.Advice = Failing, "it will miss rounds, and they are not paid and end in slashes: "+marginAdvice
	case m < marginDoubt:
		c.Health, c.Advice = Doubtful, fmt.Sprintf("%s would be better, since disks grow slower as they fill: ", times(marginDoubt))+marginAdvice
	}
	return c
}

const marginAdvice = "use a faster disk or processor, leave the machine to the node alone, or take less stake, so that it gets fewer shards"

// judgeCapacity checks that the declared bytes fit on the disk. declared 0 means as many
// as the disk takes.
func judgeCapacity(declared, stored, free int64) Check {
	if declared == 0 {
		return Check{checkCapacity, Doubtful, fmt.Sprintf("nothing is declared; the disk has %s free", humanize.IBytes(uint64(free))),
			"write capacity into node.toml, so that the disk is never full: what does not fit is refused, and then is missing"}
	}
	need := max(0, declared-stored)
	c := healthy(checkCapacity, "%s declared, %s stored, %s free", humanize.IBytes(uint64(declared)), humanize.IBytes(uint64(stored)), humanize.IBytes(uint64(free)))
	switch {
	case free < need:
		c.Health, c.Advice = Failing, fmt.Sprintf("%s more are promised than the disk takes: declare less (walrus pool update --capacity, capacity in node.toml), or make room", humanize.IBytes(uint64(need-free)))
	case free-need < declared/roomDoubt:
		c.Health, c.Advice = Doubtful, "little is left beyond what is declared, and logs and the ledger grow too: declare less, or make room"
	}
	return c
}

// dialback is the peers' attempts to dial one address of the node.
type dialback struct {
	address string
	seen    []p2p.AddressReport // one per peer
}

// dialbacks lists the attempts by address, for the addresses that a peer was asked to dial.
func dialbacks(s node.Surroundings) (out []dialback) {
	for i, a := range s.Addresses {
		if i < len(s.Seen) && len(s.Seen[i]) > 0 {
			out = append(out, dialback{a, s.Seen[i]})
		}
	}
	return out
}

// judgeDialback checks that peers reach the node at its addresses. reason says why list is
// empty, if it is.
func judgeDialback(list []dialback, reason string) Check {
	if len(list) == 0 {
		return Check{checkDialback, Doubtful, reason, "write an address that others can dial into node.toml (listen); with reachable = true there, a node behind a router that runs is reached through relays"}
	}
	var lines []string
	var good, bad, unseen bool
	for _, d := range list {
		line, reached, tried := d.line()
		good, bad, unseen = good || reached, bad || tried && !reached, unseen || !tried
		lines = append(lines, line)
	}
	c := healthy(checkDialback, "%s", strings.Join(lines, "; "))
	switch {
	case bad:
		c.Health, c.Advice = Failing, "open the port in the firewall, forward it in the router, or name the right address; with reachable = true in node.toml a node that runs is reached through relays"
	case !good:
		c.Health, c.Advice = Failing, "no peer could try an address: peers dial only the IP address that this machine comes to them from, so name one that others can dial with --address /ip4/…/tcp/…; behind a router that forwards no port, run the node with reachable = true in node.toml, and it is reached through relays"
	case unseen:
		c.Health, c.Advice = Doubtful, "peers dial only the IP address that this machine comes to them from: name what others shall be told with --address /ip4/…/tcp/…, with that IP address"
	}
	return c
}

// line says how many peers reached the address. tried is false where no peer dialed it.
func (d dialback) line() (text string, reached, tried bool) {
	n, why := 0, ""
	for _, seen := range d.seen {
		switch seen.Reach {
		case p2p.Reached:
			n++
			tried = true
		case p2p.NotReached:
			tried, why = true, seen.Text
		case p2p.NotDialable:
			if why == "" {
				why = seen.Text
			}
		}
	}
	if n > 0 {
		return fmt.Sprintf("%s answers %d of %d peers", d.address, n, len(d.seen)), true, true
	}
	if !tried {
		return fmt.Sprintf("%s was tried by no node (%.200q)", d.address, why), false, false
	}
	return fmt.Sprintf("%s answers none of %d peers (%.200q)", d.address, len(d.seen), why), false, true
}
