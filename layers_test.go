package walrus

import (
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/walrus-network/walrus/"

// room is a package of the house: its floor, and the dependencies that live there
// and nowhere else. A package imports only from floors below its own.
type room struct {
	floor int
	owns  []string
	why   string // what it must not know, and so must not import
}

var house = map[string]room{
	"canon":               {0, []string{"github.com/fxamacker/cbor"}, "one value, one string of bytes: knows no value of ours"},
	"internal/golden":     {0, nil, "files that tests compare with: knows no format"},
	"internal/livefile":   {0, nil, "files that change: knows no format"},
	"internal/secretfile": {0, nil, "modes of files: knows no secret"},
	"internal/testlevel":  {0, nil, "levels of tests: knows no test"},
	"internal/wholelevel": {0, nil, "finds the tests of a level: runs none"},
	"internal/port":       {0, nil, "free ports: knows no node"},
	"internal/leak":       {0, []string{"go.uber.org/goleak"}, "goroutines that go on: knows no test"},
	"internal/number":     {0, nil, "numbers as people write them: knows no unit of money"},
	"unit":                {0, nil, "numbers of time and price: knows no rule"},
	"blob":                {1, []string{"github.com/ipfs/go-cid", "github.com/multiformats/go-multihash"}, "values: no disk, wire, clock, money"},
	"token":               {1, []string{"github.com/consensys/gnark-crypto", "github.com/decred/dcrd/bech32"}, "values: knows no account"},
	"kv":                  {1, []string{"github.com/dgraph-io/badger"}, "keys on a disk: knows nothing of what they mean"},
	"state":               {2, nil, "the ledger's keys: pure, over a small KV interface"},
	"redstuff":            {2, []string{"github.com/klauspost/reedsolomon"}, "arithmetic: knows no network or disk"},
	"quilt":               {2, nil, "many files as the bytes of one blob: reads and stores none"},
	"seal":                {2, nil, "encryption: keeps no key, knows no blob"},
	"staking":             {2, nil, "arithmetic on values: knows credit, never a challenge"},
	"store":               {2, nil, "fragments on a disk: knows nothing of tokens"},
	"p2p":                 {2, []string{"github.com/libp2p/go-libp2p-kad-dht", "github.com/libp2p/go-libp2p-pubsub", "github.com/multiformats/go-multiaddr", "github.com/multiformats/go-multistream"}, "carries bytes: knows nothing of tokens, duties or blocks"},
	"p2p/internal/wire":   {1, nil, "a seam for tests: carries nothing itself"},
	"p2p/p2ptest":         {2, []string{"github.com/quic-go/quic-go", "go.uber.org/fx"}, "packets in memory, for tests: knows no host of ours"},
	"wallet":              {2, nil, "a key in a file: asks nobody for a passphrase"},
	"fetch":               {3, nil, "verified bytes from the nodes: knows no ledger, money or duty"},
	"registry":            {3, nil, "what is promised: pure"},
	"challenge":           {4, []string{"lukechampine.com/blake3"}, "asks for proof: pure"},
	"ledger":              {5, nil, "the rule book: pure"},
	"internal/court":      {6, nil, "a ledger in memory for tests: knows no figure"},
	"explain":             {6, nil, "works out from records: settles nothing, asks no node"},
	"ledger/light":        {6, nil, "asks and checks: runs no agreement"},
	"ledger/snapshot":     {6, nil, "the state as a whole: knows no header, money or agreement"},
	"ledger/comet":        {7, nil, "translates, holds no rule"},
	"report":              {7, nil, "figures from records: asks no node, prints nothing"},
	"client":              {7, nil, "stores, pays, submits: runs no node"},
	"node/rounds":         {7, nil, "a node's part in the challenges: repairs and stores nothing"},
	"node":                {8, nil, "keeps what it promised"},
	"doctor":              {9, []string{"golang.org/x/sys"}, "examines a node: runs none"},
	"internal/world":      {9, nil, "a network in one process, for tests: holds no test"},
	"gateway/blobs":       {8, nil, "reads and stores for all doors: speaks no protocol"},
	"gateway/s3":          {9, []string{"github.com/zeebo/xxh3", "github.com/cespare/xxhash"}, "the S3 API: of the network it knows its storage alone"},
	"gateway":             {9, []string{"github.com/tus/tusd", "github.com/rs/cors", "github.com/prometheus/client_golang", "go.yaml.in/yaml", "golang.org/x/exp"}, "HTTP for blobs: starts no node"},
	"gateway/access":      {2, []string{"github.com/golang-jwt/jwt"}, "who may spend how much: knows no HTTP answer"},
	"testnet/adversary":   {9, nil, "breaks the rules as a conduct: starts nothing"},
	"testnet":             {10, nil, "processes: starts nodes, is none"},
	"testnet/demo":        {11, nil, "a story on a testnet: holds no fault of its own"},
	"bench":               {11, nil, "measures; nothing depends on it"},
	"bench/emulator":      {0, nil, "distance between processes: knows nothing of what they say"},
	"sim":                 {11, nil, "the real ledger and made-up people; knows no network"},
	"sim/economy":         {12, nil, "years of money: knows no message"},
	"sim/rounds":          {12, nil, "messages of rounds: knows no money"},
	"cmd/walrus":          {13, []string{"github.com/spf13", "github.com/schollz/progressbar", "golang.org/x/term"}, "words typed by people"},
}

// shared is third-party code that several rooms use, and which ones.
var shared = map[string][]string{
	"github.com/zeebo/blake3":          {"blob", "token", "state", "challenge", "p2p", "gateway"},
	"github.com/libp2p/go-libp2p":      {"p2p", "p2p/internal/wire", "p2p/p2ptest", "fetch", "node/rounds", "node", "ledger/light", "ledger/snapshot", "ledger/comet", "testnet", "testnet/adversary", "bench"}, // beside p2p: the type of a peer's name
	"github.com/cometbft":              {"ledger/light", "ledger/comet"},
	"filippo.io/age":                   {"wallet", "seal", "gateway/s3"},
	"github.com/pelletier/go-toml":     {"client", "gateway/access", "node", "cmd/walrus"},
	"github.com/dustin/go-humanize":    {"doctor", "cmd/walrus"},
	"github.com/mr-tron/base58":        {"staking", "gateway"},
	"github.com/hashicorp/golang-lru":  {"gateway/blobs", "gateway"},
	"google.golang.org/protobuf/proto": {"kv"},
}

// only lists packages that know fewer of our packages than their floor allows.
var only = map[string][]string{
	"fetch":       {"unit", "blob", "redstuff", "p2p"},
	"node/rounds": {"unit", "blob", "token", "redstuff", "staking", "p2p", "challenge", "ledger"},
}

// pure packages decide what everybody must agree on.
var pure = []string{"canon", "unit", "blob", "token", "redstuff", "staking", "state", "registry", "challenge", "ledger", "quilt"}

// impure is what a pure package may not use.
var impure = map[string]string{
	"os": "disk and environment", "net": "network", "net/http": "network", "time": "clock",
	"math/rand": "every node must compute the same", "math/rand/v2": "every node must compute the same",
	"log/slog": "a rule has nothing to say", "database/sql": "disk", "io/ioutil": "disk", "syscall": "system",
}

func packagesOf(t *testing.T) map[string]*build.Package {
	t.Helper()
	out := map[string]*build.Package{}
	err := filepath.WalkDir(".", func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		if name := d.Name(); path != "." && (strings.HasPrefix(name, ".") || name == "testdata" || name == "doc") {
			return filepath.SkipDir
		}
		p, err := build.ImportDir(path, 0)
		if err == nil && path != "." {
			out[filepath.ToSlash(path)] = p
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestImportsRunDownOnly(t *testing.T) {
	for path, p := range packagesOf(t) {
		here, ok := house[path]
		if !ok {
			t.Errorf("package %s has no room in the house: give it a floor here", path)
			continue
		}
		for _, i := range p.Imports {
			below, ok := strings.CutPrefix(i, module)
			if ok && house[below].floor >= here.floor {
				t.Errorf("%s (floor %d) imports %s (floor %d): %s", path, here.floor, below, house[below].floor, here.why)
			}
		}
	}
}

func TestSomeRoomsKnowOnlyAFew(t *testing.T) {
	packages := packagesOf(t)
	for path, few := range only {
		p, ok := packages[path]
		if !ok {
			t.Errorf("there is no package %s", path)
			continue
		}
		for _, i := range p.Imports {
			if below, ours := strings.CutPrefix(i, module); ours && !slices.Contains(few, below) {
				t.Errorf("%s imports %s, and may import only %s: %s", path, below, strings.Join(few, ", "), house[path].why)
			}
		}
	}
}

func TestEveryDependencyHasOneRoom(t *testing.T) {
	for path, p := range packagesOf(t) {
		for _, i := range p.Imports {
			for owner, r := range house {
				for _, owned := range r.owns {
					if owner != path && (i == owned || strings.HasPrefix(i, owned+"/")) {
						t.Errorf("%s imports %s, which lives in %s", path, i, owner)
					}
				}
			}
			for dep, rooms := range shared {
				if (i == dep || strings.HasPrefix(i, dep+"/")) && !slices.Contains(rooms, path) {
					t.Errorf("%s imports %s, which is for %s", path, i, strings.Join(rooms, ", "))
				}
			}
		}
	}
}

func TestRulesArePure(t *testing.T) {
	for path, p := range packagesOf(t) {
		if !slices.Contains(pure, path) {
			continue
		}
		for _, i := range p.Imports {
			if why, bad := impure[i]; bad {
				t.Errorf("%s imports %s (%s), and is to be pure", path, i, why)
			}
		}
	}
}

func TestEveryPackageSaysWhatItPromises(t *testing.T) {
	for path, p := range packagesOf(t) {
		if p.Doc == "" {
			t.Errorf("package %s has no doc", path)
		}
	}
}

// sdkComet is the part of CometBFT that the SDK may link: the light client's verification,
// the types, keys and messages of headers, and the packages that these import themselves.
var sdkComet = []string{"light", "types", "crypto", "proto", "abci/types", // ours
	"libs", "version", "config", "p2p", "rpc/client", "rpc/core/types", "rpc/jsonrpc/client", "rpc/jsonrpc/types"} // theirs

// A program that stores and reads runs no agreement, and must not carry one.
func TestTheSDKLinksNoConsensusEngine(t *testing.T) {
	const comet = "github.com/cometbft/cometbft/"
	out, err := exec.Command("go", "list", "-deps", "./client").Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := false
	for _, path := range strings.Fields(string(out)) {
		if path == module+"ledger/comet" {
			t.Errorf("the SDK links %s", path)
		}
		part, ok := strings.CutPrefix(path, comet)
		if !ok {
			continue
		}
		seen = seen || part == "light"
		if !slices.ContainsFunc(sdkComet, func(p string) bool { return part == p || strings.HasPrefix(part, p+"/") }) {
			t.Errorf("the SDK links %s, which belongs to the agreement", path)
		}
	}
	if !seen {
		t.Errorf("the SDK does not link %slight: this test looks at nothing", comet)
	}
}

// The composition roots stay lists.
func TestCompositionRootsAreShort(t *testing.T) {
	const most = 120
	for file, function := range map[string]string{"node/node.go": "New", "node/daemon.go": "open", "testnet/testnet.go": "Create"} {
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, d := range f.Decls {
			if name, lines := functionOf(set, d); name == function {
				found = true
				if lines > most {
					t.Errorf("%s in %s has %d lines, at most %d", function, file, lines, most)
				}
			}
		}
		if !found {
			t.Errorf("no %s in %s", function, file)
		}
	}
}

func functionOf(set *token.FileSet, d ast.Decl) (name string, lines int) {
	f, ok := d.(*ast.FuncDecl)
	if !ok {
		return "", 0
	}
	return f.Name.Name, set.Position(f.End()).Line - set.Position(f.Pos()).Line + 1
}

// strconv and go-humanize take more than one way of writing a number, and go-humanize
// skips what it does not know: what people type is read by package number alone.
func TestPeoplesNumbersAreReadInOnePlace(t *testing.T) {
	readers := map[string][]string{
		"humanize": {"ParseBytes", "ParseBigBytes", "ParseSI"}, "strconv": {"Atoi", "ParseInt", "ParseUint", "ParseFloat"}, "fmt": {"Sscan", "Sscanf", "Sscanln"},
	}
	files, err := filepath.Glob("cmd/walrus/*.go")
	if err != nil {
		t.Fatal(err)
	}
	descriptor := filepath.Join("cmd", "walrus", "outfile.go") // the system's numbers, in names of descriptors
	for _, path := range append(files, "node/file.go", "testnet/adversary/adversary.go", "token/amount.go") {
		if strings.HasSuffix(path, "_test.go") || path == descriptor {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if call, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := call.X.(*ast.Ident); ok && slices.Contains(readers[x.Name], call.Sel.Name) {
					t.Errorf("%s calls %s.%s: read it with package number", path, x.Name, call.Sel.Name)
				}
			}
			return true
		})
	}
}

// A figure is the same for the same records: report takes the time from its caller.
func TestReportReadsNoClock(t *testing.T) {
	files, err := filepath.Glob("report/*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, path := range files {
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if call, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := call.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains([]string{"Now", "Since", "Until"}, call.Sel.Name) {
					t.Errorf("%s calls time.%s", path, call.Sel.Name)
				}
			}
			return true
		})
	}
}
