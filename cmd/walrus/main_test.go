package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/walrus-network/walrus/testnet"
)

// runVariable makes the test binary a walrus: the nodes of the tests' networks are
// processes of it.
const runVariable = "WALRUS_TEST_RUN"

func TestMain(m *testing.M) {
	fuzzing := slices.Contains(os.Args, "-test.fuzzworker") // a child that is no walrus
	if os.Getenv(runVariable) != "" && !fuzzing {
		main()
		return
	}
	os.Setenv(runVariable, "1") // for the children
	os.Exit(m.Run())
}

// home gives a test a config directory of its own, and no settings.
func home(t *testing.T) {
	t.Helper()
	t.Setenv("HOME", t.TempDir())
	t.Setenv("XDG_CONFIG_HOME", "")
	for _, s := range settings {
		t.Setenv(s.env(), "")
	}
	t.Setenv(envPrefix+"CONFIG", "")
}

// typed is what a command did.
type typed struct {
	out, err string
	code     int
}

// commandLimit ends what hangs: none takes a tenth of it, and on a busy machine not all of it.
const commandLimit = 5 * time.Minute

// input runs a command as if it had been typed, with something on standard input.
func input(t *testing.T, in io.Reader, args ...string) typed {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), commandLimit)
	defer cancel()
	var out, err bytes.Buffer
	code := run(ctx, args, streams{in: in, out: &out, err: &err})
	return typed{out.String(), err.String(), code}
}

func walrus(t *testing.T, args ...string) typed {
	t.Helper()
	return input(t, strings.NewReader(""), args...)
}

// ok runs a command that must succeed and returns what it prints.
func ok(t *testing.T, args ...string) string {
	t.Helper()
	got := walrus(t, args...)
	if got.code != exitOK {
		t.Fatalf("walrus %s: exit %d: %s%s", strings.Join(args, " "), got.code, got.out, got.err)
	}
	return got.out
}

// object decodes the one JSON object on standard output.
func object[T any](t *testing.T, out string) (v T) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(out))
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%q is no JSON object: %v", out, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		t.Fatalf("more than one JSON object: %q", out)
	}
	return v
}

// okJSON runs a command that must succeed with --json.
func okJSON[T any](t *testing.T, args ...string) T {
	t.Helper()
	return object[T](t, ok(t, append(args, "--json")...))
}

// refused runs a command that must fail with code and say all of words, as text and
// as JSON.
func refused(t *testing.T, code int, words []string, args ...string) {
	t.Helper()
	got := walrus(t, args...)
	if got.code != code {
		t.Errorf("walrus %s: exit %d, want %d: %s%s", strings.Join(args, " "), got.code, code, got.out, got.err)
	}
	for _, w := range words {
		if !strings.Contains(got.err, w) {
			t.Errorf("walrus %s says %q, without %q", strings.Join(args, " "), got.err, w)
		}
	}
	got = walrus(t, append([]string{"--json"}, args...)...)
	if f := object[failure](t, got.out); f.Error == "" || got.code != code {
		t.Errorf("walrus --json %s: exit %d, %s", strings.Join(args, " "), got.code, got.out)
	}
}

// laidNet is a testnet of four nodes that does not run yet.
func laidNet(t *testing.T) *testnet.Testnet {
	t.Helper()
	program, err := testnet.Self()
	if err != nil {
		t.Fatal(err)
	}
	o := testnet.Default()
	o.Dir, o.Nodes, o.Shards = filepath.Join(t.TempDir(), "net"), 4, 4
	net, err := testnet.Create(o, program)
	if err != nil {
		t.Fatal(err)
	}
	return net
}
