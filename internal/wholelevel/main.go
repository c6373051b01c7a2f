// Command wholelevel prints a pattern for go test -run of the tests that only the whole level
// runs to their end, and the packages where they are: their bodies call testlevel.Whole,
// or testlevel.Repeat with a larger number for the whole level.
//
//	WALRUS_TESTS=all go test $(go run ./internal/wholelevel)
package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	names, packages, err := find(".")
	if err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
	fmt.Printf("-run ^(%s)$ %s\n", strings.Join(names, "|"), strings.Join(packages, " "))
}

// find looks through the test files below a directory.
func find(dir string) (names, packages []string, err error) {
	set := token.NewFileSet()
	err = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(set, path, nil, 0)
		if err != nil {
			return err
		}
		for _, d := range file.Decls {
			if !grows(set, d) {
				continue
			}
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv != nil || !strings.HasPrefix(f.Name.Name, "Test") {
				return fmt.Errorf("%s: testlevel.Whole and a growing testlevel.Repeat stand in the body of a Test function, or no level runs what they ask for", set.Position(d.Pos()))
			}
			names = append(names, f.Name.Name)
			if p := "./" + filepath.ToSlash(filepath.Dir(path)); !slices.Contains(packages, p) {
				packages = append(packages, p)
			}
		}
		return nil
	})
	return names, packages, err
}

// grows says whether the whole level does more in a declaration than the middle level.
func grows(set *token.FileSet, d ast.Decl) (more bool) {
	ast.Inspect(d, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		s, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := s.X.(*ast.Ident); !ok || x.Name != "testlevel" {
			return true
		}
		switch {
		case s.Sel.Name == "Whole":
			more = true
		case s.Sel.Name == "Repeat" && len(call.Args) == 3:
			more = more || text(set, call.Args[1]) != text(set, call.Args[2])
		}
		return true
	})
	return more
}

func text(set *token.FileSet, n ast.Node) string {
	var out strings.Builder
	if err := printer.Fprint(&out, set, n); err != nil {
		panic(err) // it was parsed
	}
	return out.String()
}
