package node

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/internal/number"
	"github.com/walrus-network/walrus/ledger/comet"
	"github.com/walrus-network/walrus/p2p"
)

// FileName is the file in a node's directory that says how it runs.
const FileName = "node.toml"

// File is node.toml: what an operator may choose.
type File struct {
	Network       string   `toml:"network" comment:"network.toml of the network this node belongs to"`
	Listen        []string `toml:"listen" comment:"where the node listens, as multiaddrs"`
	LedgerListen  string   `toml:"ledger_listen" comment:"host:port where its ledger listens"`
	LedgerAddress string   `toml:"ledger_address,omitempty" comment:"host:port under which others reach its ledger, if not the same"`
	Capacity      string   `toml:"capacity" comment:"most it keeps, like 500GB or 2TiB; empty: as much as the disk takes"`
	Reachable     bool     `toml:"reachable" comment:"get through the router: UPnP, relays, hole punching; a node that peers reach relays for others"`
	RepairRate    string   `toml:"repair_rate" comment:"most it receives a second to repair, like 64MiB; empty: no bound"`
	ScrubRate     string   `toml:"scrub_rate" comment:"how fast it reads its fragments again, a second; empty: 4MiB"`
	KeepBlocks    string   `toml:"keep_blocks,omitempty" comment:"blocks of the ledger that stay: a number, default, or all for an archive"`
	LogLevel      string   `toml:"log_level" comment:"debug, info, warn or error"`
}

// DefaultFile is for a node on a home connection.
func DefaultFile() File {
	return File{
		Network: "network.toml", Listen: []string{"/ip4/0.0.0.0/tcp/4001", "/ip4/0.0.0.0/udp/4001/quic-v1"},
		LedgerListen: "0.0.0.0:4002", Reachable: true, RepairRate: "64MiB", LogLevel: "info",
	}
}

// Save writes node.toml into dir.
func (f File) Save(dir string) error {
	b, err := toml.Marshal(f)
	if err != nil {
		return err
	}
	return client.WriteWhole(filepath.Join(dir, FileName), b, 0o600)
}

// LoadFile reads node.toml from dir. A word it does not know is an error: a typo
// must not pass for a default.
func LoadFile(dir string) (File, error) {
	path := filepath.Join(dir, FileName)
	r, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return File{}, fmt.Errorf("%s is missing: make a node with walrus node init --dir %s", path, dir)
	}
	if err != nil {
		return File{}, fmt.Errorf("node file: %w", err)
	}
	defer r.Close()
	f := DefaultFile()
	if err := toml.NewDecoder(r).DisallowUnknownFields().Decode(&f); err != nil {
		var unknown *toml.StrictMissingError
		if errors.As(err, &unknown) {
			return File{}, fmt.Errorf("%s: unknown setting:\n%s", path, unknown.String())
		}
		return File{}, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

// Daemon is the file as a node's process takes it. dir is the node's directory,
// bootstrap the network's addresses.
func (f File) Daemon(dir string, bootstrap []string, version string) (DaemonConfig, error) {
	if err := f.check(); err != nil {
		return DaemonConfig{}, err
	}
	c := DaemonConfig{Dir: dir, Listen: f.Listen, LedgerListen: f.LedgerListen, LedgerAddress: f.LedgerAddress,
		Bootstrap: bootstrap, Reachable: f.Reachable, Version: version, Node: DefaultConfig()}
	var err error
	if c.Capacity, err = size("capacity", f.Capacity); err != nil {
		return c, err
	}
	if c.ScrubRate, err = size("scrub_rate", f.ScrubRate); err != nil {
		return c, err
	}
	if c.Node.RepairRate, err = size("repair_rate", f.RepairRate); err != nil {
		return c, err
	}
	if c.KeepBlocks, err = KeepBlocks(f.KeepBlocks); err != nil {
		err = fmt.Errorf("keep_blocks = %w", err)
	}
	return c, err
}

// KeepBlocks reads how many blocks of the ledger stay, as comet.Options has it. How few they
// may be depends on the network.
func KeepBlocks(s string) (int64, error) {
	switch s {
	case "", "default":
		return 0, nil
	case "all":
		return comet.KeepAll, nil
	}
	n, err := number.Count(s)
	if err != nil || n == 0 || n > math.MaxInt64 {
		return 0, fmt.Errorf("%q: write a number of blocks, default (a little longer than faults can be punished), or all", s)
	}
	return int64(n), nil
}

// check says what is wrong with addresses and words, before anything is made of them.
func (f File) check() error {
	if err := p2p.CheckListen(f.Listen); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	if err := checkHostPort("ledger_listen", f.LedgerListen, true); err != nil {
		return err
	}
	if f.LedgerAddress != "" {
		if err := checkHostPort("ledger_address", f.LedgerAddress, false); err != nil {
			return err
		}
	}
	if _, err := f.Level(); err != nil {
		return err
	}
	return nil
}

// Level is how much the node says in its log.
func (f File) Level() (level slog.Level, err error) {
	if err := level.UnmarshalText([]byte(f.LogLevel)); err != nil || strings.ContainsAny(f.LogLevel, "+-") {
		return level, fmt.Errorf("log_level = %q: write debug, info, warn or error", f.LogLevel)
	}
	return level, nil
}

// checkHostPort holds an address to the form host:port. Where this machine listens the
// host is an IP address, a name, or nothing, which is every address it has.
func checkHostPort(name, address string, listen bool) error {
	form := "write host:port, like 203.0.113.7:4002 or [2001:db8::7]:4002"
	if listen {
		form = "write host:port, like 0.0.0.0:4002 or [::]:4002"
	}
	fail := func(why string) error { return fmt.Errorf("%s = %q: %s: %s", name, address, why, form) }
	if strings.Contains(address, "/") {
		return fail("it is neither a URL nor a multiaddr")
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		why := "it is not of this form"
		switch {
		case strings.Count(address, ":") > 1:
			why = "an IPv6 address stands in brackets"
		case !strings.Contains(address, ":"):
			why = "the port is missing"
		}
		return fail(why)
	}
	if n, err := number.Count(port); err != nil || n == 0 || n > 65535 {
		return fail("a port is a number from 1 to 65535")
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return nil
	}
	switch {
	case host == "" && !listen:
		return fail("the host is missing")
	case strings.Contains(host, ":"):
		return fail("that is no IPv6 address")
	case host != "" && !hostName(host):
		return fail("that is neither an IP address nor the name of a machine")
	}
	return nil
}

// hostName says whether a word can be a machine's name. A number with dots that is no
// IP address is a mistyped one.
func hostName(s string) bool {
	if len(s) > 253 {
		return false
	}
	letters := false
	for _, label := range strings.Split(strings.TrimSuffix(s, "."), ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range label {
			switch {
			case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
				letters = true
			case c >= '0' && c <= '9' || c == '-' || c == '_':
			default:
				return false
			}
		}
	}
	return letters
}

// LoadNetwork reads the network file that node.toml in dir names.
func (f File) LoadNetwork(dir string) (client.Network, error) {
	path := f.Network
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	return client.LoadNetwork(path)
}

// size reads a size with its unit; an empty text is 0, what holds without it. A written 0
// is refused: read as no bound it would mean the opposite of what it says.
func size(name, s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	n, err := number.Size(s)
	if err != nil {
		return 0, fmt.Errorf("%s = %w", name, err)
	}
	return n, nil
}
