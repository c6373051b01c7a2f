package node

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
)

// Health is what a check found.
type Health string

const (
	Healthy  Health = "ok"
	Doubtful Health = "warn" // it works, and may not for long
	Failing  Health = "fail" // it does not do
)

// Check is one thing that was looked at: what was found, against what, and what to do.
type Check struct {
	Name   string `json:"name"`
	Health Health `json:"status"`
	Figure string `json:"figure"`
	Advice string `json:"advice,omitempty"` // where it is not ok
}

func healthy(name, format string, args ...any) Check {
	return Check{Name: name, Health: Healthy, Figure: fmt.Sprintf(format, args...)}
}

// The names of the checks, in the order in which they are told.
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

// Limits of what is well. That of the clock is the running node's: clockSlack.
const (
	clockDoubt   = clockSlack / 6
	syncDoubt    = 30 * time.Millisecond // each block waits for several
	syncFail     = 500 * time.Millisecond
	writeDoubt   = 20 << 20 // bytes a second: below, repair takes days
	readDoubt    = 30 * time.Millisecond
	marginDoubt  = 2 * LeastMargin // a disk that fills grows slower
	roomDoubt    = 10              // percent of what is declared that should be free beyond it
	stillBlocks  = 10              // blocks after which a ledger without one stands still
	stillSlack   = 5 * time.Second
	peersDoubt   = 2
	secretOthers = fs.FileMode(0o077) // rights of others than the owner
)

// judgeSecret looks at the rights of the file that holds the node's keys.
func judgeSecret(node string, path string, mode fs.FileMode) Check {
	c := healthy(checkKeys, "%s, readable by its owner alone", node)
	if mode.Perm()&secretOthers != 0 {
		c.Health, c.Figure = Failing, fmt.Sprintf("%s, whose file has the rights %v", node, mode.Perm())
		c.Advice = fmt.Sprintf("others on this machine can read what signs for your stake: chmod 600 %s; if they are not you, make a new node", path)
	}
	return c
}

// judgeSigned looks for the record of what was signed last: ran says that a ledger lies here.
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

// judgeWallet looks at what wallets lie in the node's directory.
func judgeWallet(found []string) Check {
	if len(found) == 0 {
		return healthy(checkWallet, "no wallet lies in the node's directory")
	}
	return Check{checkWallet, Doubtful, "in the node's directory lies " + strings.Join(found, ", "),
		"keep the operator's wallet on another machine: who breaks into this one gets the stake too; walrus node request needs no wallet here"}
}

// judgePeers looks at how many nodes answer.
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

// judgeLedger looks at how old the newest block is that the network has. behind is by how
// many blocks the ledger of a running node lacks it.
func judgeLedger(h ledger.Head, p ledger.Params, now time.Time, behind uint64, running bool) Check {
	age := max(0, now.Sub(time.UnixMilli(h.TimeMs)))
	c := healthy(checkLedger, "block %d, epoch %d, %s old", h.Height, h.Epoch, age.Round(time.Second))
	switch {
	case age > stillSlack+time.Duration(stillBlocks*p.BlockMs)*time.Millisecond:
		c.Health, c.Advice = Failing, "a block should come each "+(time.Duration(p.BlockMs)*time.Millisecond).String()+": the network stands still, or this machine's clock is wrong, or who answered is behind"
	case running && behind > stillBlocks:
		c.Health, c.Figure, c.Advice = Doubtful, c.Figure+fmt.Sprintf("; this node's ledger is %d blocks behind", behind), "it catches up; if it does not, look into its log"
	}
	return c
}

// judgeVersions looks at the rules in force and planned. What else is told is for people.
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

// judgeClock looks at by how much peers' clocks are ahead of this one.
func judgeClock(peers []time.Duration) Check {
	if len(peers) == 0 {
		return Check{checkClock, Doubtful, "no peer told its time", "try again when peers answer"}
	}
	list := slices.Clone(peers)
	slices.Sort(list)
	off := -list[len(list)/2]
	c := healthy(checkClock, "%s off the clocks of %d peers (their median), at most %s", off.Abs().Round(time.Millisecond), len(list), clockSlack)
	if off.Abs() > clockDoubt {
		c.Health = Doubtful
		if off.Abs() > clockSlack {
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

// judgeDisk looks at what a disk does.
func judgeDisk(d DiskSpeed) Check {
	c := healthy(checkDisk, "fsync %s (worst %s), writes %s a second, reads 64 KiB in %s", short(d.Sync), short(d.WorstSync), humanize.IBytes(uint64(max(d.Write, 0))), short(d.Read))
	switch {
	case d.Sync > syncFail:
		c.Health, c.Advice = Failing, fmt.Sprintf("an fsync takes %s, at most %s will do: blocks wait for it; use an SSD", short(d.Sync), syncFail)
	case d.Kind != "":
		c.Health, c.Advice = Doubtful, "the fragments lie on "+d.Kind+": what is there can be gone at once, or stall; use a local disk"
	case d.Sync > syncDoubt:
		c.Health, c.Advice = Doubtful, fmt.Sprintf("an fsync should take %s or less: blocks wait for it; use an SSD, and one that nobody else wears", syncDoubt)
	case d.Write < writeDoubt:
		c.Health, c.Advice = Doubtful, fmt.Sprintf("it should write %s a second or more: repair takes long like this", humanize.IBytes(writeDoubt))
	case d.Read > readDoubt:
		c.Health, c.Advice = Doubtful, fmt.Sprintf("a read should take %s or less: a round reads some thousands", readDoubt)
	}
	return c
}

// judgeProofs looks at the margin of a round.
func judgeProofs(t ProofTime) Check {
	c := healthy(checkProofs, "%s", t)
	m, asked := t.Margin()
	switch {
	case !asked:
	case m < LeastMargin:
		c.Health, c.Advice = Failing, "it will miss rounds, and they are not paid and end in slashes: "+marginAdvice
	case m < marginDoubt:
		c.Health, c.Advice = Doubtful, fmt.Sprintf("%s would be better, since disks grow slower as they fill: ", times(marginDoubt))+marginAdvice
	}
	return c
}

const marginAdvice = "use a faster disk or processor, leave the machine to the node alone, or take less stake, so that it gets fewer shards"

// judgeCapacity looks at whether what is declared fits. Bytes; declared 0: as much as there is.
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

// sight is what peers saw at one address of the node.
type sight struct {
	Address string
	Seen    []p2p.Seen // by who dialed
}

// judgeDialback looks at whether others reach the node at its addresses.
func judgeDialback(list []sight, reason string) Check {
	if len(list) == 0 {
		return Check{checkDialback, Doubtful, reason, "write an address that others can dial into node.toml (listen), or say reachable = true"}
	}
	var lines []string
	var bad, unseen bool
	for _, s := range list {
		line, reached, tried := s.line()
		bad, unseen = bad || tried && !reached, unseen || !tried
		lines = append(lines, line)
	}
	c := healthy(checkDialback, "%s", strings.Join(lines, "; "))
	switch {
	case bad:
		c.Health, c.Advice = Failing, "open the port in the firewall, forward it in the router, or name the right address"
	case unseen:
		c.Health, c.Advice = Doubtful, "peers dial only the IP address that this machine comes to them from: name what others shall be told with --address /ip4/…/tcp/…, with that IP address"
	}
	return c
}

func (s sight) line() (text string, reached, tried bool) {
	n, why := 0, ""
	for _, seen := range s.Seen {
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
		return fmt.Sprintf("%s answers %d of %d peers", s.Address, n, len(s.Seen)), true, true
	}
	if !tried {
		return fmt.Sprintf("%s was tried by nobody (%.200q)", s.Address, why), false, false
	}
	return fmt.Sprintf("%s answers none of %d peers (%.200q)", s.Address, len(s.Seen), why), false, true
}
