package doctor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/kv"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/ledger/comet"
	"github.com/walrus-network/walrus/node"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/wallet"
)

// Diagnosis is the result of an examination.
type Diagnosis struct {
	Node    *staking.NodeID `json:"node,omitempty"`
	Running bool            `json:"running"`
	Checks  []Check         `json:"checks"`
	Disk    *DiskSpeed      `json:"disk,omitempty"`
	Proof   *ProofTime      `json:"proof,omitempty"` // of a round
}

// Count is the number of checks with this health.
func (d Diagnosis) Count(h Health) (n int) {
	for _, c := range d.Checks {
		if c.Health == h {
			n++
		}
	}
	return n
}

func (d *Diagnosis) add(c ...Check) { d.Checks = append(d.Checks, c...) }

func (d *Diagnosis) fail(name string, err error, advice string) {
	d.add(Check{name, Failing, err.Error(), advice})
}

// Options name the node to examine.
type Options struct {
	Dir string // of the node
	// Addresses are the multiaddrs that peers are asked to dial. Empty: those of the
	// ledger's record of the node, else those where the node listens.
	Addresses []string
	Version   string // of this program
	Log       *slog.Logger
}

// examination is one examination of the node in a directory.
type examination struct {
	Diagnosis
	Options
	file    node.File
	daemon  node.DaemonConfig
	secret  token.Secret
	status  node.Status // if the node runs
	network client.Network
	ledger  *ledgerFacts // nil: no node answered
}

// Examine examines a node and its machine. It takes some seconds, and half a minute where
// no node of the network answers. A node that does not run is on the network for that
// time, at the addresses where it will listen. A failure is a Check of the Diagnosis; an
// error is returned only if ctx ends.
func Examine(ctx context.Context, o Options) (Diagnosis, error) {
	x := &examination{Options: o}
	file, err := node.LoadFile(o.Dir)
	if err != nil {
		x.fail(checkConfig, err, "")
		return x.Diagnosis, ctx.Err()
	}
	if x.daemon, err = file.Daemon(o.Dir, nil, o.Version); err != nil {
		x.fail(checkConfig, err, "correct it in "+node.FileName)
		return x.Diagnosis, ctx.Err()
	}
	x.file = file
	x.add(healthy(checkConfig, "%s can be used", node.FileName))
	if !x.process(ctx) {
		return x.Diagnosis, ctx.Err()
	}
	if !x.keys() {
		return x.Diagnosis, ctx.Err()
	}
	if x.network, err = file.LoadNetwork(o.Dir); err != nil {
		x.fail(checkNetwork, err, "get network.toml again from a source you trust, or walrus node init --network ADDRESS in another directory, and compare the genesis")
		return x.Diagnosis, ctx.Err()
	}
	around, lookErr := x.outside(ctx)
	x.disk(ctx)
	x.proofs(ctx)
	x.capacity()
	x.dialback(around, lookErr)
	return x.Diagnosis, ctx.Err()
}

// process checks the node's process. ok is false if it runs and does not answer: then the
// rest cannot be examined, since the node's addresses are taken.
func (x *examination) process(ctx context.Context) (ok bool) {
	var err error
	if x.status, err = node.AskStatus(ctx, x.Dir); err == nil {
		x.Running = true
		x.add(healthy(checkProcess, "it runs and answers"))
		return true
	}
	if _, held, _ := node.Holder(x.Dir); !held {
		x.add(healthy(checkProcess, "it does not run"))
		return true
	}
	x.Running = true
	x.fail(checkProcess, err, "what is said of the rest would be guessing: mend this first")
	return false
}

// keys checks the node's keys and the files beside them. ok is false where there is no key.
func (x *examination) keys() (ok bool) {
	path := filepath.Join(x.Dir, node.KeysDir, node.SecretName)
	secret, err := node.LoadLooseSecret(x.Dir) // wrong rights do not end the examination
	info, statErr := os.Stat(path)
	if err = errors.Join(err, statErr); err != nil {
		x.fail(checkKeys, err, "")
		return false
	}
	x.secret = secret
	id := staking.NodeID(secret.Key().Public())
	x.Node = &id
	judged := judgeSecret(id.String(), path, info.Mode())
	if _, err := node.LoadSecret(x.Dir); err != nil && judged.Health != Failing {
		x.fail(checkKeys, err, "")
	} else {
		x.add(judged)
	}
	_, err = os.Stat(filepath.Join(x.Dir, node.LedgerDir, "db"))
	ran := err == nil
	signed := filepath.Join(x.Dir, node.KeysDir, comet.LastSignName)
	_, err = os.Stat(signed)
	x.add(judgeSigned(signed, ran, err == nil), judgeWallet(walletsIn(x.Dir)))
	return true
}

// walletsIn lists the wallets in a node's directory and beside its keys.
func walletsIn(dir string) (found []string) {
	for _, place := range []string{dir, filepath.Join(dir, node.KeysDir)} {
		list, err := os.ReadDir(place)
		if err != nil {
			continue // not there
		}
		for _, e := range list {
			if path := filepath.Join(place, e.Name()); e.Type().IsRegular() && wallet.Is(path) {
				found = append(found, path)
			}
		}
	}
	return found
}

// outside checks the network: its nodes, its ledger and its time.
func (x *examination) outside(ctx context.Context) (node.Surroundings, error) {
	ledgerErr := x.look(ctx)
	addresses := x.Addresses
	if len(addresses) == 0 && x.ledger != nil && x.ledger.record != nil {
		addresses = x.ledger.record.Addresses
	}
	around, err := x.around(ctx, addresses)
	chain := string(x.network.Genesis.ChainID())
	if err != nil {
		x.fail(checkNetwork, err, "")
	} else {
		x.add(judgePeers(chain, around.Answer, around.Called))
	}
	if x.ledger == nil {
		x.fail(checkLedger, ledgerErr, "where no node answers, look at the bootstrap addresses in network.toml and at this machine's clock")
		return around, err
	}
	l := x.ledger
	var behind uint64
	if x.Running && l.head.Height > x.status.Height {
		behind = l.head.Height.Since(x.status.Height)
	}
	x.add(judgeLedger(l.head, l.rules.Params, time.Now(), behind, x.Running), x.registered(),
		judgeVersions(l.rules, x.Version, moduleVersion("github.com/cometbft/cometbft"), runtime.Version()), judgeClock(around.Clocks))
	return around, err
}

// around asks the running node to look around. For a node that does not run it looks
// around itself, with the node's key and where the node will listen.
func (x *examination) around(ctx context.Context, addresses []string) (node.Surroundings, error) {
	if x.Running {
		return node.AskSurroundings(ctx, x.Dir, addresses)
	}
	h, err := p2p.New(p2p.Config{Key: x.secret.Key().Ed25519(), Listen: x.file.Listen, Bootstrap: x.network.Bootstrap, Log: x.Log,
		Hello: p2p.Hello{Chain: string(x.network.Genesis.ChainID()), Version: x.Version}})
	if err != nil {
		return node.Surroundings{}, err
	}
	return node.LookAround(ctx, h, addresses), h.Close()
}

// params returns the parameters in force, the nodes that may have shards, and the node's
// shards; those of the genesis where the ledger cannot be reached.
func (x *examination) params() (p ledger.Params, nodes, shards int) {
	if x.ledger != nil {
		return x.ledger.rules.Params, x.ledger.nodes, x.ledger.shards
	}
	g := x.network.Genesis
	return g.Params, len(g.Nodes), 0
}

func (x *examination) disk(ctx context.Context) {
	speed, err := MeasureDisk(ctx, x.Dir)
	if err != nil {
		x.fail(checkDisk, err, "look at the file system's messages, its free space, and its rights")
		return
	}
	x.Disk = &speed
	x.add(judgeDisk(speed))
}

func (x *examination) proofs(ctx context.Context) {
	params, nodes, has := x.params()
	o, err := MeasureOpening(ctx, x.Dir, params)
	if err != nil {
		x.fail(checkProofs, err, "it needs some free space where the fragments lie")
		return
	}
	t := o.InRound(params, ShardsToExpect(params, nodes, has))
	x.Proof = &t
	x.add(judgeProofs(t))
}

func (x *examination) capacity() {
	free, err := kv.FreeBytes(fragmentsDisk(x.Dir))
	if err != nil {
		x.fail(checkCapacity, err, "")
		return
	}
	declared := x.daemon.Capacity
	if x.ledger != nil && x.ledger.record != nil {
		declared = int64(min(x.ledger.record.CapacityKiB, 1<<52)) << 10
	}
	stored := x.status.Possession.Bytes
	if !x.Running {
		stored, _ = kv.DiskUsage(filepath.Join(x.Dir, node.FragmentsDir)) // files that cannot be read take 0
	}
	x.add(judgeCapacity(declared, stored, free))
}

func (x *examination) dialback(around node.Surroundings, err error) {
	reason := whyUnasked(around)
	if err != nil {
		reason = "no node could be asked: " + err.Error()
	}
	x.add(judgeDialback(dialbacks(around), reason))
}

// whyUnasked says why no peer dialed the node, where none did.
func whyUnasked(around node.Surroundings) string {
	switch {
	case around.Answer == 0:
		return "no peer answers that could dial"
	case len(around.Addresses) == 0:
		return "this machine has no address that others can dial"
	}
	for _, why := range around.Errors {
		return fmt.Sprintf("no peer dialed: %.200q", why)
	}
	return "no peer dialed"
}

// moduleVersion is the version of a dependency in this program.
func moduleVersion(path string) string {
	info, _ := debug.ReadBuildInfo()
	if info != nil {
		for _, m := range info.Deps {
			if m.Path == path {
				return m.Version
			}
		}
	}
	return "of an unknown version"
}
