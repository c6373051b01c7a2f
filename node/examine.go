package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/ledger/comet"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/staking"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/wallet"
)

// Diagnosis is what was found out about a node and its machine.
type Diagnosis struct {
	Node    *staking.NodeID `json:"node,omitempty"`
	Running bool            `json:"running"`
	Checks  []Check         `json:"checks"`
	Disk    *DiskSpeed      `json:"disk,omitempty"`
	Proof   *ProofTime      `json:"proof,omitempty"`
}

// Count is how many checks came out so.
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

// ExamineOptions say which node is examined.
type ExamineOptions struct {
	Dir string
	// Addresses are those that others are to dial; none: those of the ledger, or those
	// where the node listens.
	Addresses []string
	Version   string // of this program
	Log       *slog.Logger
}

// examining is one examination of the node in a directory.
type examining struct {
	Diagnosis
	ExamineOptions
	file    File
	secret  token.Secret
	status  Status // where it runs
	network client.Network
	ledger  *ledgerFacts // nil: nobody told
}

// Examine looks at a node and at its machine. It takes some seconds, half a
// minute where nobody answers. A node that does not run is put on the network for that
// time, at the addresses where it will listen. An error is returned only where ctx ends:
// what does not work is a Check.
func Examine(ctx context.Context, o ExamineOptions) (Diagnosis, error) {
	x := &examining{ExamineOptions: o}
	file, err := LoadFile(o.Dir)
	if err != nil {
		x.fail(checkConfig, err, "")
		return x.Diagnosis, ctx.Err()
	}
	if _, err := file.Daemon(o.Dir, nil, o.Version); err != nil {
		x.fail(checkConfig, err, "correct it in "+FileName)
		return x.Diagnosis, ctx.Err()
	}
	x.file = file
	x.add(healthy(checkConfig, "%s can be used", FileName))
	if !x.process(ctx) {
		return x.Diagnosis, ctx.Err()
	}
	if !x.keys() {
		return x.Diagnosis, ctx.Err()
	}
	if x.network, err = file.LoadNetwork(o.Dir); err != nil {
		x.fail(checkNetwork, err, "get network.toml again from somebody you trust, or walrus node init --network ADDRESS in another directory, and compare the genesis")
		return x.Diagnosis, ctx.Err()
	}
	around, lookErr := x.outside(ctx)
	x.disk(ctx)
	x.proofs(ctx)
	x.capacity()
	x.dialback(around, lookErr)
	return x.Diagnosis, ctx.Err()
}

// process looks at the node's process. Nothing is examined beside one that runs and does
// not answer: where the node listens, nothing else can.
func (x *examining) process(ctx context.Context) (ok bool) {
	var err error
	if x.status, err = AskStatus(ctx, x.Dir); err == nil {
		x.Running = true
		x.add(healthy(checkProcess, "it runs and answers"))
		return true
	}
	if _, held, _ := Holder(x.Dir); !held {
		x.add(healthy(checkProcess, "it does not run"))
		return true
	}
	x.Running = true
	x.fail(checkProcess, err, "what is said of the rest would be guessing: mend this first")
	return false
}

// keys looks at what lies in the directory; ok is false where there is no key.
func (x *examining) keys() (ok bool) {
	path := filepath.Join(x.Dir, KeysDir, secretName)
	secret, err := LoadLooseSecret(x.Dir) // all that is wrong is told, not the first alone
	info, statErr := os.Stat(path)
	if err = errors.Join(err, statErr); err != nil {
		x.fail(checkKeys, err, "")
		return false
	}
	x.secret = secret
	id := staking.NodeID(secret.Key().Public())
	x.Node = &id
	judged := judgeSecret(id.String(), path, info.Mode())
	if _, err := LoadSecret(x.Dir); err != nil && judged.Health != Failing {
		x.fail(checkKeys, err, "")
	} else {
		x.add(judged)
	}
	_, err = os.Stat(filepath.Join(x.Dir, LedgerDir, "db"))
	ran := err == nil
	signed := filepath.Join(x.Dir, KeysDir, comet.LastSignName)
	_, err = os.Stat(signed)
	x.add(judgeSigned(signed, ran, err == nil), judgeWallet(walletsIn(x.Dir)))
	return true
}

// walletsIn is the files in a node's directory, and beside its keys, that hold a wallet.
func walletsIn(dir string) (found []string) {
	for _, place := range []string{dir, filepath.Join(dir, KeysDir)} {
		list, err := os.ReadDir(place)
		if err != nil {
			continue // what is not there holds none
		}
		for _, e := range list {
			if path := filepath.Join(place, e.Name()); e.Type().IsRegular() && wallet.Is(path) {
				found = append(found, path)
			}
		}
	}
	return found
}

// outside looks at the network: who answers, what the ledger says, what time it is.
func (x *examining) outside(ctx context.Context) (surroundings, error) {
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
		x.fail(checkLedger, ledgerErr, "where nobody answers, look at the bootstrap addresses in network.toml and at this machine's clock")
		return around, err
	}
	l := x.ledger
	var behind uint64
	if x.Running && l.head.Height > x.status.Height {
		behind = l.head.Height - x.status.Height
	}
	x.add(judgeLedger(l.head, l.rules.Params, time.Now(), behind, x.Running), x.registered(),
		judgeVersions(l.rules, x.Version, moduleVersion("github.com/cometbft/cometbft"), runtime.Version()), judgeClock(around.Clocks))
	return around, err
}

// around asks the running node what its peers see of it, or looks for itself with the
// node's key, where the node will listen.
func (x *examining) around(ctx context.Context, addresses []string) (surroundings, error) {
	if x.Running {
		return askSurroundings(ctx, x.Dir, addresses)
	}
	h, err := p2p.New(p2p.Config{Key: x.secret.Key().Ed25519(), Listen: x.file.Listen, Bootstrap: x.network.Bootstrap, Log: x.Log,
		Hello: p2p.Hello{Chain: string(x.network.Genesis.ChainID()), Version: x.Version}})
	if err != nil {
		return surroundings{}, err
	}
	return lookAround(ctx, h, addresses), h.Close()
}

// params are those in force, or of the genesis where the ledger is out of reach.
func (x *examining) params() (p ledger.Params, nodes, shards int) {
	if x.ledger != nil {
		return x.ledger.rules.Params, x.ledger.nodes, x.ledger.shards
	}
	g := x.network.Genesis
	return g.Params, len(g.Nodes), 0
}

func (x *examining) disk(ctx context.Context) {
	speed, err := MeasureDisk(ctx, x.Dir)
	if err != nil {
		x.fail(checkDisk, err, "look at the file system's messages, its free space, and who may write there")
		return
	}
	x.Disk = &speed
	x.add(judgeDisk(speed))
}

func (x *examining) proofs(ctx context.Context) {
	params, nodes, has := x.params()
	o, err := TryProving(ctx, x.Dir, params)
	if err != nil {
		x.fail(checkProofs, err, "it needs some free space where the fragments lie")
		return
	}
	t := o.Round(params, ShardsToExpect(params, nodes, has))
	x.Proof = &t
	x.add(judgeProofs(t))
}

func (x *examining) capacity() {
	place := filepath.Join(x.Dir, FragmentsDir)
	if _, err := os.Stat(place); err != nil {
		place = x.Dir
	}
	free, err := freeBytes(place)
	if err != nil {
		x.fail(checkCapacity, err, "")
		return
	}
	declared, err := size("capacity", x.file.Capacity)
	if err != nil {
		x.fail(checkCapacity, err, "")
		return
	}
	if x.ledger != nil && x.ledger.record != nil {
		declared = int64(min(x.ledger.record.CapacityKiB, 1<<52)) << 10
	}
	stored := x.status.Possession.Bytes
	if !x.Running {
		stored = bytesUnder(filepath.Join(x.Dir, FragmentsDir))
	}
	x.add(judgeCapacity(declared, stored, free))
}

func (x *examining) dialback(around surroundings, err error) {
	reason := "this machine has no address that others can dial"
	switch {
	case err != nil:
		reason = "nobody could be asked: " + err.Error()
	case around.Answer == 0:
		reason = "no peer answers that could dial"
	case len(around.Addresses) > 0:
		reason = "no peer dialed"
		for _, why := range around.Errors {
			reason = fmt.Sprintf("no peer dialed: %.200q", why)
		}
	}
	x.add(judgeDialback(around.sights(), reason))
}

// bytesUnder is what the files under dir take of the disk: logs are sparse, and their
// sizes say nothing.
func bytesUnder(dir string) (sum int64) {
	_ = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil // gone meanwhile, or not there: it takes nothing
		}
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			sum += allocated(info)
		}
		return nil
	})
	return sum
}

// moduleVersion is the version of a dependency that this program was built with.
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
