package s3

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/walrus-network/walrus/internal/golden"
	"github.com/walrus-network/walrus/internal/testlevel"
)

// Two suites of other projects run against the door on its double. What passes is in
// testdata, by group; doc/s3.md has the reason for each group that does not.

const (
	versitygw = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"
	minioGo   = "github.com/minio/minio-go/v7@v7.4.1"
)

// foreign are the groups of versitygw's suite that test its own users, roles, files and modes.
var foreign = regexp.MustCompile(`^(IAM|S3IAM|AccessControl|WebsiteHosting|Versioning|WORM|DataIntegrity|NoAclMode|Server|CORSMiddleware|PreflightOPTIONS|PublicBucket)`)

func TestWhatPassesOfVersitygwsSuite(t *testing.T) {
	testlevel.Whole(t, "builds versitygw and runs its suite")
	program := os.Getenv("WALRUS_VERSITYGW")
	if program == "" {
		dir := t.TempDir()
		install := exec.Command("go", "install", versitygw)
		install.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=-mod=mod")
		if out, err := install.CombinedOutput(); err != nil {
			t.Skipf("versitygw is not to be had here: %v\n%s", err, out)
		}
		program = filepath.Join(dir, "versitygw")
	}
	help, err := exec.Command(program, "test", "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	name := regexp.MustCompile(`(?m)^   ([A-Z][A-Za-z0-9]+(?:_\w+)?) +Runs`)
	var mu sync.Mutex
	pass, all := map[string]int{}, map[string]int{}
	var failed []string
	var group sync.WaitGroup
	slots := make(chan struct{}, 3)
	for _, m := range name.FindAllStringSubmatch(string(help), -1) {
		test := m[1]
		if foreign.MatchString(test) {
			continue
		}
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			said := versityTest(t, program, test)
			g, _, _ := strings.Cut(test, "_")
			mu.Lock()
			defer mu.Unlock()
			all[g]++
			if strings.Contains(said, "PASS") {
				pass[g]++
			} else {
				failed = append(failed, test+": "+said)
			}
		})
	}
	group.Wait()
	if path := os.Getenv("WALRUS_SUITE_LOG"); path != "" {
		slices.Sort(failed)
		if err := os.WriteFile(path, []byte(strings.Join(failed, "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	table(t, "versitygw.txt", pass, all)
}

// versityTest runs one test against a door of its own: all tests use the same names of buckets.
func versityTest(t *testing.T, program, test string) string {
	w := newWorld(t, func(o *Options) {
		o.Keys = []Key{{"accesskeyaccess", "secretkeysecretkey", []string{"*"}, true, ""}}
	})
	defer w.close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "test", "--access", "accesskeyaccess", "--secret", "secretkeysecretkey", "--endpoint", w.http.URL, test)
	cmd.Dir = t.TempDir()
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "AWS_") })
	out, _ := cmd.CombinedOutput() // what it says is the result
	out = regexp.MustCompile(`\x1b\[[0-9;]*m`).ReplaceAll(out, nil)
	if m := regexp.MustCompile(`(?m)^(PASS|FAIL).*$`).Find(out); m != nil {
		return string(m)
	}
	return string(out[max(0, len(out)-300):])
}

// table compares what passes with the list in testdata.
func table(t *testing.T, file string, pass, all map[string]int) {
	t.Helper()
	var b bytes.Buffer
	passed, tests := 0, 0
	for _, g := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&b, "%s %d/%d\n", g, pass[g], all[g])
		passed, tests = passed+pass[g], tests+all[g]
	}
	fmt.Fprintf(&b, "all %d/%d\n", passed, tests)
	golden.Check(t, file, b.String())
}

func TestWhatPassesOfMinioGosSuite(t *testing.T) {
	testlevel.Whole(t, "builds minio-go's functional tests and runs them")
	out, err := exec.Command("go", "mod", "download", "-json", minioGo).Output()
	var module struct{ Dir string }
	if err == nil {
		err = json.Unmarshal(out, &module)
	}
	if err != nil {
		t.Skipf("minio-go is not to be had here: %v\n%s", err, out)
	}
	source, err := os.ReadFile(filepath.Join(module.Dir, "functional_tests.go"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	source = regexp.MustCompile(`(?m)^//go:build mint$`).ReplaceAll(source, nil)
	path, version, _ := strings.Cut(minioGo, "@")
	for name, content := range map[string]string{"main.go": string(source), "go.mod": fmt.Sprintf("module functional\n\ngo 1.25\n\nrequire %s %s\n", path, version)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"mod", "tidy", "-e"}, {"build", "-o", "functional", "."}} {
		build := exec.Command("go", args...)
		build.Dir = dir
		build.Env = append(os.Environ(), "GOFLAGS=-mod=mod")
		if out, err := build.CombinedOutput(); err != nil {
			t.Skipf("minio-go is not to be had here: %v\n%s", err, out)
		}
	}
	w := newWorld(t)
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(dir, "functional"))
	cmd.Dir = t.TempDir() // where it leaves files
	cmd.Env = append(os.Environ(), "ENABLE_HTTPS=0", "SERVER_ENDPOINT="+strings.TrimPrefix(w.http.URL, "http://"), "ACCESS_KEY="+full.Access, "SECRET_KEY="+full.Secret, "ENABLE_KMS=0", "MINT_MODE=full", "RUN_ON_FAIL=1")
	out, _ = cmd.CombinedOutput() // what it says is the result
	pass, all := map[string]int{}, map[string]int{}
	for line := range strings.Lines(string(out)) {
		var said struct{ Name, Function, Status, Message, Error, Alert string }
		if json.Unmarshal([]byte(line), &said) != nil || said.Status == "" {
			continue
		}
		g := strings.TrimPrefix(said.Name, "minio-go: ")
		all[g]++
		if said.Status == "PASS" {
			pass[g]++
		} else {
			t.Log(g, said.Status, said.Message, said.Error, said.Alert)
		}
	}
	table(t, "miniogo.txt", pass, all)
}
