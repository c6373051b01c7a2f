package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"
)

func says(text string) func(io.Writer) error {
	return func(w io.Writer) error { _, err := io.WriteString(w, text); return err }
}

func content(t *testing.T, path, want string) {
	t.Helper()
	if b, err := os.ReadFile(path); err != nil || string(b) != want {
		t.Errorf("%s has %q, %v; want %q", path, b, err, want)
	}
}

func TestAFileThatIsWrittenKeepsModeLinksAndNames(t *testing.T) {
	dir := t.TempDir()
	path := write(t, filepath.Join(dir, "f"), "a long old content")
	link, hard := filepath.Join(dir, "link"), filepath.Join(dir, "hard")
	if err := os.Symlink("f", link); err != nil {
		t.Fatal(err)
	}
	if err := writeWhole(t.Context(), link, 0o666, says("new")); err != nil {
		t.Fatal(err)
	}
	content(t, path, "new")
	if info, err := os.Lstat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Error("the link was replaced")
	}
	if err := os.Link(path, hard); err != nil {
		t.Fatal(err)
	}
	if err := writeWhole(t.Context(), path, 0o666, says("n2")); err != nil {
		t.Fatal(err)
	}
	content(t, hard, "n2")
	broken := errors.New("broken")
	if err := writeWhole(t.Context(), hard, 0o666, func(w io.Writer) error { io.WriteString(w, "half"); return broken }); !errors.Is(err, broken) {
		t.Error(err)
	}
	content(t, path, "n2")
	dangling := filepath.Join(dir, "dangling")
	if err := os.Symlink("later", dangling); err != nil {
		t.Fatal(err)
	}
	if err := writeWhole(t.Context(), dangling, 0o666, says("there")); err != nil {
		t.Fatal(err)
	}
	content(t, filepath.Join(dir, "later"), "there")
	long := filepath.Join(dir, strings.Repeat("n", 255))
	for _, text := range []string{"first", "second"} {
		if err := writeWhole(t.Context(), long, 0o666, says(text)); err != nil {
			t.Fatal(err)
		}
		content(t, long, text)
	}
	entries, _ := os.ReadDir(dir)
	if len(entries) != 6 {
		t.Errorf("beside them lie %v", entries)
	}
}

func TestWhereNoFileCanBeMadeItIsWrittenInPlaceAndSaid(t *testing.T) {
	path := write(t, filepath.Join(t.TempDir(), "f"), "a long old content")
	open := func() *os.File {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	broken := errors.New("broken")
	if err := inPlace(path, open(), 0, func(io.Writer) error { return broken }, syscall.EACCES); !errors.Is(err, broken) {
		t.Error(err)
	}
	content(t, path, "a long old content")
	err := inPlace(path, open(), 0, func(w io.Writer) error { io.WriteString(w, "half"); return broken }, syscall.EACCES)
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "first 4 bytes") {
		t.Error(err)
	}
	content(t, path, "half")
	if err := inPlace(path, open(), 0, says("new"), syscall.EACCES); err != nil {
		t.Error(err)
	}
	content(t, path, "new")
}

func TestADescriptorIsWrittenWhereItStands(t *testing.T) {
	path := write(t, filepath.Join(t.TempDir(), "log"), "before\n")
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	name := filepath.Join("/dev/fd", strconv.Itoa(int(f.Fd())))
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(name, link); err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{name, link} {
		if err := writeWhole(t.Context(), to, 0o666, says("more\n")); err != nil {
			t.Fatal(err)
		}
	}
	content(t, path, "before\nmore\nmore\n")
	for _, to := range []string{"-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"} {
		if got := outputName(to); got != "-" {
			t.Errorf("%s is %s", to, got)
		}
	}
}

func TestNothingIsWaitedForAfterAnInterruption(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, wait := range map[string]func(context.Context) error{
		"an open to read":  func(ctx context.Context) error { _, err := openWaiting(ctx, pipe, os.O_RDONLY); return err },
		"an open to write": func(ctx context.Context) error { return writeWhole(ctx, pipe, 0, says("x")) },
		"a read": func(ctx context.Context) error {
			r, w := io.Pipe()
			defer w.Close()
			_, err := io.ReadAll(&patientReader{ctx: ctx, r: r})
			return err
		},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := wait(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAPatientReaderReadsAllThatIsThere(t *testing.T) {
	want := make([]byte, 1<<20)
	rand.NewChaCha8([32]byte{1}).Read(want)
	got, err := io.ReadAll(&patientReader{ctx: t.Context(), r: bytes.NewReader(want)})
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes of %d, %v", len(got), len(want), err)
	}
}

// writesTo opens a named pipe for writing as soon as a process has opened it for reading.
func writesTo(t *testing.T, pipe string) *os.File {
	t.Helper()
	for end := time.Now().Add(commandLimit); ; time.Sleep(5 * time.Millisecond) { // the process starts
		fd, err := syscall.Open(pipe, syscall.O_WRONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
		if err == nil {
			return os.NewFile(uintptr(fd), pipe)
		}
		if err != syscall.ENXIO || time.Now().After(end) {
			t.Fatalf("no process reads %s: %v", pipe, err)
		}
	}
}

// The program itself, as a process, in a call that never returns.
func TestEverySignalEndsABlockedCommandWithItsCode(t *testing.T) {
	home(t)
	dir := t.TempDir()
	type blocked struct {
		*exec.Cmd
		signal syscall.Signal
	}
	var all []blocked
	for _, args := range [][]string{{"info", "--network"}, {"wallet", "show", "--offline", "--wallet"}, {"wallet", "import"}} {
		for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
			pipe := filepath.Join(dir, fmt.Sprint("pipe-", len(all)))
			if err := syscall.Mkfifo(pipe, 0o600); err != nil {
				t.Fatal(err)
			}
			c := exec.Command(os.Args[0], append(args, pipe)...)
			c.Env = append(os.Environ(), runVariable+"=1")
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			all = append(all, blocked{c, s})
			w := writesTo(t, pipe)
			defer w.Close() // the pipe never ends
		}
	}
	for _, c := range all {
		c.Process.Signal(c.signal)
	}
	for _, c := range all {
		ended := make(chan error, 1)
		go func() { ended <- c.Wait() }()
		select {
		case <-ended:
			if code := c.ProcessState.ExitCode(); code != 128+int(c.signal) {
				t.Errorf("%v, %s: exit %d", c.Args, c.signal, code)
			}
		case <-time.After(commandLimit):
			t.Errorf("%v goes on after %s", c.Args, c.signal)
			c.Process.Kill()
			<-ended
		}
	}
}

func TestStandardInputServesOnePurpose(t *testing.T) {
	home(t)
	for _, name := range []string{"/dev/stdin", "/dev/fd/0", "/proc/self/fd/0", "-"} {
		refused(t, exitUsage, []string{"standard input", "passphrase_file"}, "store", "-", "--passphrase-file", name)
		refused(t, exitUsage, []string{"standard input", "passphrase_file"}, "wallet", "import", "-", "--passphrase-file", name, "--wallet", "new")
		refused(t, exitUsage, []string{"standard input"}, "wallet", "show", "--offline", "--wallet", "/dev/stdin", "--passphrase-file", name)
	}
	refused(t, exitUsage, []string{"standard input"}, "store", "-", "/dev/stdin")
}

func TestSecretsThatOtherUsersMayTouchAreRefused(t *testing.T) {
	home(t)
	dir := t.TempDir()
	path, word := filepath.Join(dir, "w"), write(t, filepath.Join(dir, "p"), "word\n")
	ok(t, "wallet", "new", "--wallet", path, "--passphrase-file", word)
	show := []string{"wallet", "show", "--offline", "--wallet", path, "--passphrase-file", word}
	for _, file := range []string{path, word} {
		for _, mode := range []os.FileMode{0o640, 0o604, 0o620, 0o602} {
			if err := os.Chmod(file, mode); err != nil {
				t.Fatal(err)
			}
			refused(t, exitFail, []string{"chmod 600 " + file, "--allow-loose-permissions"}, show...)
			if mode == 0o604 || !testing.Short() { // to open a wallet takes a third of a second
				ok(t, append(show, "--allow-loose-permissions")...)
			}
		}
		if err := os.Chmod(file, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ok(t, show...)
	net := laidNet(t)
	key := filepath.Join(net.NodeDir(0), "keys", "node.key")
	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	got := walrus(t, "node", "run", "--dir", net.NodeDir(0))
	if got.code != exitFail || !strings.Contains(got.err, "chmod 600 "+key) {
		t.Errorf("exit %d: %s", got.code, got.err)
	}
}

func TestATerminalGetsOnlyText(t *testing.T) {
	long := strings.Repeat("harmless text\n", 1000)
	for _, bad := range []string{"\x1b[2J", "\x00", "\u009b2J", "\xff", "\u202e", "\u2066", "\x07", "\x7f", "\xe2\x82"} {
		var out bytes.Buffer
		w := &textOnly{w: &out}
		_, err := io.Copy(w, iotestOneByte{strings.NewReader(long + bad)})
		if err == nil {
			err = w.Close()
		}
		if !errors.Is(err, errNotText) || !strings.HasPrefix(long, out.String()) {
			t.Errorf("%q after text: %v, %d bytes came through", bad, err, out.Len())
		}
	}
	good := "ä€\U0001F600 \t\r\n" + long
	var out bytes.Buffer
	w := &textOnly{w: &out}
	if _, err := io.Copy(w, iotestOneByte{strings.NewReader(good)}); err != nil || w.Close() != nil || out.String() != good {
		t.Errorf("%v, %d bytes of %d", err, out.Len(), len(good))
	}
}

// iotestOneByte parts letters between writes.
type iotestOneByte struct{ r io.Reader }

func (o iotestOneByte) Read(p []byte) (int, error) { return o.r.Read(p[:min(1, len(p))]) }

func TestJSONSteersNoTerminal(t *testing.T) {
	home(t)
	name := "a\u009b2J\u202eb\u2066\U000e0001ä"
	var out bytes.Buffer
	if err := encodeJSON(&out, map[string]string{"name": name}); err != nil {
		t.Fatal(err)
	}
	if got := object[map[string]string](t, out.String()); got["name"] != name || !utf8.Valid(out.Bytes()) || strings.ContainsAny(out.String(), "\u009b\u202e\u2066\U000e0001") || !strings.Contains(out.String(), "ä") {
		t.Errorf("%q", out.String())
	}
	if got := walrus(t, "--json", "id", "\u009b\u202e"); strings.ContainsAny(got.out, "\u009b\u202e") || got.code == exitOK {
		t.Errorf("%q", got.out)
	}
	if text := nameText(name); strings.ContainsAny(text, "\u009b\u202e\u2066") {
		t.Errorf("%q", text)
	}
}

func TestOnlyATerminalThatDrawsGetsABar(t *testing.T) {
	for _, c := range []struct {
		env  string
		want bool
	}{
		{"TERM=xterm LANG=C.UTF-8", true}, {"TERM=xterm LANG=de_DE.utf8", true}, {"TERM=dumb LANG=C.UTF-8", false}, {"LANG=C.UTF-8", false},
		{"TERM=xterm LANG=C", false}, {"TERM=xterm", false}, {"TERM=xterm LANG=C.UTF-8 LC_ALL=C", false}, {"TERM=xterm LANG=C LC_ALL=en_US.UTF-8", true}, {"TERM=xterm LANG=de_DE.ISO-8859-1", false},
	} {
		pairs := strings.Fields(c.env)
		env := func(name string) string {
			i := slices.IndexFunc(pairs, func(p string) bool { return strings.HasPrefix(p, name+"=") })
			if i < 0 {
				return ""
			}
			return strings.TrimPrefix(pairs[i], name+"=")
		}
		if drawsBlocks(env) != c.want {
			t.Errorf("%s: %v", c.env, !c.want)
		}
	}
	var out bytes.Buffer
	began := time.Unix(1000, 0)
	b := &plainBar{what: "read", total: 1000, w: &out, last: began}
	for i := range int64(1000) {
		b.set(i, began.Add(time.Duration(i)*20*time.Millisecond)) // 20 s
	}
	if lines := strings.Count(out.String(), "\n"); lines != 3 || strings.ContainsFunc(out.String(), func(r rune) bool { return r > 126 || r < 32 && r != '\n' }) {
		t.Errorf("%q", out.String())
	}
}

func TestNumbersAreNeverGuessed(t *testing.T) {
	home(t)
	node := "12D3KooWSxbp3eUp9CbQZbXDUVtB7EgHrMRYb8CSNaPWp9MC7Zt5"
	id := "bafyr4if4tbsvdd5ysntuhhenlofjprbnsaapnmqonj2aybuxuv634qr74u"
	for _, line := range []string{
		"pool update " + node + " --capacity 1,5TB", "pool update " + node + " --capacity 1.5", "pool update " + node + " --capacity 0", "pool update " + node + " --capacity 5", "pool update " + node + " --capacity 1e3GB",
		"node init --capacity 0 --dir none", "node init --capacity 1,5TB --dir none", "node init --capacity 1.5 --dir none",
		"read " + id + " --range 1,5-20", "read " + id + " --range 1.9-5", "read " + id + " --range +1-5", "read " + id + " --range 0x1-5", "read " + id + " --range 1_0-50",
		"store main.go --epochs 010", "store main.go --epochs 0x10", "store main.go --epochs 1_0", "store main.go --epochs +3", "store main.go --renew 1,5WAL",
		"testnet up --nodes 1_0", "testnet up --block-time -1s", "testnet up --block-time 5", "testnet up --adversary lazy=1e-3@3", "testnet up --adversary lazy=0,5@3", "testnet up --adversary silent@+3", "testnet up --adversary silent@03",
		"sim economy --uptime 9e-1", "sim economy --uptime 0,9", "sim economy --storage-cost inf", "sim economy --nodes 12 --drop 0.1@node07",
		"dispute +3", "dispute 03", "dispute 3 --round 0x1", "explain price 1_0", "bench encode --size 64", "bench encode --size 1,5MB", "pool commission " + node + " 1,5", "audit " + id + " --samples 010",
	} {
		refused(t, exitUsage, []string{"\""}, strings.Fields(line)...)
	}
}

// full is a disk, or a pipe, that takes some writes and no more.
type full struct {
	bytes.Buffer
	left int
}

func (f *full) Write(p []byte) (int, error) {
	if f.left--; f.left < 0 {
		return 0, syscall.ENOSPC
	}
	return f.Buffer.Write(p)
}

func (d *developer) hands() {
	var paths []string
	for i := range byte(6) {
		path, _ := d.file("many"+string('a'+i), 10_000, 100+i)
		paths = append(paths, path)
	}
	// One that fails stops no other, and the order is that of the words.
	words := append([]string{paths[0], filepath.Join(d.dir, "none")}, paths[1:]...)
	got := walrus(d.T, append([]string{"store"}, words...)...)
	lines := strings.Split(strings.TrimSpace(got.out), "\n")
	if got.code != exitFail || len(lines) != len(paths) || !strings.Contains(got.err, "none: ") {
		d.Fatalf("exit %d: %s%s", got.code, got.out, got.err)
	}
	for i, line := range lines {
		if !strings.HasSuffix(line, "  "+paths[i]) {
			d.Errorf("line %d is %q", i, line)
		}
	}
	for _, asJSON := range []bool{false, true} {
		out, stderr := &full{left: 2}, &bytes.Buffer{}
		args := append([]string{"store"}, paths...)
		if asJSON {
			out.left, args = 0, append(args, "--json")
		}
		if code := run(d.Context(), args, streams{in: strings.NewReader(""), out: out, err: stderr}); code != exitFail {
			d.Errorf("standard output is full: exit %d", code)
		}
		for _, line := range lines {
			if told := out.String() + stderr.String(); !strings.Contains(told, line) {
				d.Errorf("%q is told nowhere: %s", line, told)
			}
		}
	}
	// Standard input.
	refused(d.T, exitFail, []string{"empty", "--allow-empty"}, "store", "-")
	if empty := object[storeResult](d.T, ok(d.T, "store", "-", "--allow-empty", "--json")); empty.Blobs[0].Size != 0 {
		d.Errorf("%+v", empty)
	}
	if got := input(d.T, strings.NewReader("piped"), "store", "-"); got.code != exitOK || !strings.Contains(got.err, "(5 B) costs") {
		d.Errorf("exit %d: %s", got.code, got.err)
	}
	// Without money nothing is worked on: no byte of the gigabyte is read.
	poor := filepath.Join(d.dir, "poor")
	ok(d.T, "wallet", "new", "--no-passphrase", "--wallet", poor)
	big := write(d.T, filepath.Join(d.dir, "big"), "")
	if err := os.Truncate(big, 1<<30); err != nil {
		d.Fatal(err)
	}
	refused(d.T, exitFail, []string{"1.0 GiB", "for writing", "has 0WAL", "is missing", "nothing was paid"}, "store", big, "--wallet", poor)
	// Files.
	id := strings.Fields(lines[0])[0]
	log := write(d.T, filepath.Join(d.dir, "log"), "before")
	f, err := os.OpenFile(log, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		d.Fatal(err)
	}
	defer f.Close()
	name := "/dev/fd/" + strconv.Itoa(int(f.Fd()))
	ok(d.T, "read", id, "-o", name)
	ok(d.T, "receipt", id, "-o", name)
	want, err := os.ReadFile(paths[0])
	if err != nil {
		d.Fatal(err)
	}
	if b, err := os.ReadFile(log); err != nil || !bytes.HasPrefix(b, append([]byte("before"), want...)) || len(b) <= len(want)+6 {
		d.Errorf("the log has %d bytes, %v", len(b), err)
	}
	node := okJSON[nodeList](d.T, "nodes", "--no-call").Nodes[0].ID.String()
	if out := ok(d.T, "pool", "update", node, "--capacity", "1.5TiB", "--dry-run"); !strings.Contains(out, "1.5 TiB") || !strings.Contains(out, "was ") {
		d.Errorf("pool update: %s", out)
	}
}
