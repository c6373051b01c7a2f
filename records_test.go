package walrus

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// recordsPage lists every value that is written as a canonical CBOR array, with the
// fields as the program has them.
const recordsPage = "doc/records.md"

const recordsHead = `# Records, field by field

Every value that travels or is kept as a canonical CBOR array, in the order of its
fields. The table is made from the program's own types (` + "`WALRUS_UPDATE=1 go test . -run Records`" + `),
and a test holds it against them. [formats.md](formats.md) says what they mean and how they
are used, where their bytes are hashed, and what else is on the wire.

uint is an unsigned integer of the bits that are named (64 where none are), in the
shortest form. bytes(n) is a byte string of n bytes, bytes one of any length. An array is
written with its length, a record as an array of its fields. In a set, a byte
string, number i is bit i mod 8 of byte i/8. FROST is 10⁻⁹ WAL.
`

// recordsOf are the packages whose records are formats.
var recordsOf = []string{"blob", "redstuff", "token", "registry", "staking", "challenge", "state", "ledger", "ledger/light", "ledger/comet", "p2p"}

// cborNames are types of the program as they are written.
var cborNames = map[string]string{
	"uint64": "uint", "uint32": "uint(32)", "uint16": "uint(16)", "uint8": "uint(8)", "byte": "uint(8)", "int": "int", "int64": "int", "bool": "bool", "string": "text", "[]byte": "bytes",
	"token.Amount": "uint, FROST", "Amount": "uint, FROST", "token.Address": "bytes(20)", "Address": "bytes(20)", "token.PublicKey": "bytes(32)", "PublicKey": "bytes(32)",
	"token.Signature": "bytes(64)", "Signature": "bytes(64)", "token.BLSPublicKey": "bytes(48)", "BLSPublicKey": "bytes(48)", "token.BLSSignature": "bytes(96)", "BLSSignature": "bytes(96)",
	"blob.Hash": "bytes(32)", "Hash": "bytes(32)", "blob.ID": "bytes(32): the digest of the CID", "ID": "bytes(32): the digest of the CID", "staking.NodeID": "bytes(32)", "NodeID": "bytes(32)",
	"staking.Shares": "uint", "Shares": "uint", "blob.Shard": "uint(16)", "Shard": "uint(16)", "blob.Place": "uint(16)", "Place": "uint(16)", "blob.Axis": "uint(8)", "Axis": "uint(8)",
	"Kind": "uint(8)", "Code": "uint(32)", "Codec": "uint(8)", "Reason": "uint(8)", "registry.Half": "uint", "Half": "uint", "FaultKind": "uint(8)", "DisputeState": "uint(8)", "staking.Outcome": "uint(8)", "Outcome": "uint(8)",
	"blob.ShardSet": "set of shards", "blob.Set[uint16]": "set of uint(16)", "blob.Set[uint32]": "set of uint(32)",
	"unit.Epoch": "uint, epoch", "unit.Height": "uint, height", "unit.Round": "uint, round", "unit.Ordinal": "uint, ordinal", "unit.KiB": "uint, KiB", "unit.Bps": "uint, 1/10000",
	"[32]byte": "bytes(32)", "ErrorCode": "uint(8)", "Reach": "uint(8)", "token.ChainID": "text", "ChainID": "text",
}

func cborType(e ast.Expr) string {
	text := exprText(e)
	if name, ok := cborNames[text]; ok {
		return name
	}
	if a, ok := e.(*ast.ArrayType); ok {
		if text := exprText(a.Elt); a.Len != nil && (text == "byte" || text == "uint8") {
			return fmt.Sprintf("bytes(%s)", exprText(a.Len))
		}
		if a.Len != nil {
			return fmt.Sprintf("array(%s) of %s", exprText(a.Len), cborType(a.Elt))
		}
		return "array of " + cborType(a.Elt)
	}
	if s, ok := e.(*ast.StarExpr); ok {
		return cborType(s.X)
	}
	return text
}

func exprText(e ast.Expr) string {
	switch x := e.(type) {
	case *ast.Ident:
		return x.Name
	case *ast.SelectorExpr:
		return exprText(x.X) + "." + x.Sel.Name
	case *ast.ArrayType:
		if x.Len == nil {
			return "[]" + exprText(x.Elt)
		}
		return "[" + exprText(x.Len) + "]" + exprText(x.Elt)
	case *ast.IndexExpr:
		return exprText(x.X) + "[" + exprText(x.Index) + "]"
	case *ast.BasicLit:
		return x.Value
	case *ast.StarExpr:
		return exprText(x.X)
	case *ast.StructType:
		return "record"
	}
	return fmt.Sprintf("%T", e)
}

// recordsIn writes the tables of a package.
func recordsIn(dir string) (out string, n int, err error) {
	set := token.NewFileSet()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return "", 0, err
	}
	slices.Sort(files)
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(set, name, nil, parser.ParseComments)
		if err != nil {
			return "", 0, err
		}
		for _, d := range f.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, s := range g.Specs {
				if t, ok := s.(*ast.TypeSpec); ok {
					if table := recordOf(t, g.Doc); table != "" {
						out += fmt.Sprintf("\n### %s, %s\n%s", t.Name.Name, dir, table)
						n++
					}
				}
			}
		}
	}
	return out, n, nil
}

// recordOf is the table of a type that is written as an array; "" for any other.
func recordOf(t *ast.TypeSpec, doc *ast.CommentGroup) string {
	s, ok := t.Type.(*ast.StructType)
	if !ok || len(s.Fields.List) < 2 {
		return ""
	}
	if first := s.Fields.List[0]; first.Tag == nil || !strings.Contains(first.Tag.Value, "toarray") {
		return ""
	}
	out := ""
	if doc != nil {
		out = strings.Join(strings.Fields(strings.Split(doc.Text(), "\n\n")[0]), " ") + "\n"
	}
	out += "\n| | field | type | |\n|---|---|---|---|\n"
	i := 0
	for _, f := range s.Fields.List[1:] {
		note := ""
		for _, c := range []*ast.CommentGroup{f.Doc, f.Comment} {
			if c != nil {
				note += strings.Join(strings.Fields(c.Text()), " ") + " "
			}
		}
		names := f.Names
		if len(names) == 0 {
			names = []*ast.Ident{{Name: exprText(f.Type)}}
		}
		for _, name := range names {
			out += fmt.Sprintf("| %d | %s | %s | %s |\n", i, name.Name, cborType(f.Type), strings.ReplaceAll(strings.TrimSpace(note), "|", "\\|"))
			i++
		}
	}
	return out
}

// The page of records says what the types say.
func TestThePageOfRecordsIsWhatTheTypesAre(t *testing.T) {
	want, records := recordsHead, 0
	for _, dir := range recordsOf {
		text, n, err := recordsIn(dir)
		if err != nil {
			t.Fatal(err)
		}
		want += text
		records += n
	}
	if records < 60 {
		t.Fatalf("%d records: the test is too thin", records)
	}
	if os.Getenv("WALRUS_UPDATE") != "" {
		if err := os.WriteFile(recordsPage, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(recordsPage)
	if err != nil || string(got) != want {
		t.Errorf("%s is not what the types are: %v; write it anew with WALRUS_UPDATE=1 go test . -run Records", recordsPage, err)
	}
}
