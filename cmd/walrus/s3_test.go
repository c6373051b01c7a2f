package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/walrus-network/walrus/gateway/s3"
	"github.com/walrus-network/walrus/internal/testlevel"
)

// s3Gateway is a walrus gateway with an S3 door, a process of its own, on a testnet.
type s3Gateway struct {
	*developer
	state string   // its directory
	build []string // environment of the go command
	url   string
	key   s3.Key
	cmd   *exec.Cmd
	done  chan error
}

// startS3 starts a testnet and a gateway on it.
func startS3(t *testing.T) *s3Gateway {
	t.Helper()
	build := goEnv()
	g := &s3Gateway{build: build, developer: launch(t, "--nodes", "7", "--shards", "10", "--block-time", "300ms"), state: filepath.Join(t.TempDir(), "gateway")}
	for _, name := range []string{"AWS_CA_BUNDLE", "AWS_PROFILE", "AWS_CONFIG_FILE"} {
		t.Setenv(name, "")
		os.Unsetenv(name)
	}
	g.start()
	t.Cleanup(g.kill)
	return g
}

func (g *s3Gateway) start(args ...string) {
	g.Helper()
	g.cmd = exec.Command(os.Args[0], append([]string{"gateway", "--listen", "", "--s3", "127.0.0.1:0", "--dir", g.state, "--json"}, args...)...)
	log, err := os.OpenFile(filepath.Join(g.dir, "gateway.log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		g.Fatal(err)
	}
	defer log.Close()
	g.cmd.Stderr = log
	out, err := g.cmd.StdoutPipe()
	if err == nil {
		err = g.cmd.Start()
	}
	if err != nil {
		g.Fatal(err)
	}
	var up gatewayUp
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &up)
	}
	if err != nil {
		g.cmd.Process.Kill()
		g.cmd.Wait()
		g.Fatal("the gateway did not start: ", err, g.log())
	}
	g.done = make(chan error, 1)
	go func() { g.done <- g.cmd.Wait() }()
	keys, err := s3.ReadKeys(filepath.Join(g.state, "s3", "keys.json"))
	if err != nil {
		g.Fatal(err)
	}
	g.url, g.key = up.S3, keys[0]
	g.Setenv("AWS_ACCESS_KEY_ID", g.key.Access)
	g.Setenv("AWS_SECRET_ACCESS_KEY", g.key.Secret)
	g.Setenv("AWS_DEFAULT_REGION", "us-east-1")
}

// kill ends the process as a power cut does.
func (g *s3Gateway) kill() {
	if g.cmd.ProcessState == nil {
		g.cmd.Process.Kill()
		<-g.done
	}
}

func (g *s3Gateway) log() string {
	b, _ := os.ReadFile(filepath.Join(g.dir, "gateway.log"))
	return string(b)
}

// program finds another program, or skips.
func program(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("%s is not installed", name)
	}
}

// runs runs a program that must succeed, and returns what it prints.
func (g *s3Gateway) runs(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), commandLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = g.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s\n%s", name, strings.Join(args, " "), err, out, g.log())
	}
	return string(out)
}

// tree makes files: many small ones, and one that is uploaded in parts.
func (g *s3Gateway) tree() string {
	g.Helper()
	root := filepath.Join(g.dir, "tree")
	if err := os.MkdirAll(filepath.Join(root, "a folder"), 0o700); err != nil {
		g.Fatal(err)
	}
	for i := range 20 {
		g.file(filepath.Join("tree", "a folder", fmt.Sprintf("%d é.txt", i)), 9000+i, byte(i))
	}
	g.file("tree/empty", 0, 1)
	g.file("tree/big", 12<<20, 100)
	return root
}

func (g *s3Gateway) rclone(t *testing.T, args ...string) string {
	t.Helper()
	program(t, "rclone")
	return g.runs(t, "rclone", append([]string{"--config", "/dev/null", "--s3-provider", "Other", "--s3-env-auth", "--s3-endpoint", g.url, "--s3-upload-cutoff", "5M", "--s3-chunk-size", "5M"}, args...)...)
}

func TestProgramsForS3UseAGateway(t *testing.T) {
	testlevel.Whole(t, "lets programs of others store through a gateway on a network of seven nodes")
	g := startS3(t)
	root := g.tree()
	big, err := os.ReadFile(filepath.Join(root, "big"))
	if err != nil {
		t.Fatal(err)
	}
	t.Run("rclone", func(t *testing.T) {
		g.rclone(t, "sync", root, ":s3:rclone/tree")
		g.rclone(t, "check", "--download", root, ":s3:rclone/tree")
		if got := g.rclone(t, "cat", "--offset", "5242878", "--count", "5", ":s3:rclone/tree/big"); got != string(big[5242878:5242883]) {
			t.Errorf("a range: %q", got)
		}
		if err := os.Remove(filepath.Join(root, "empty")); err != nil {
			t.Fatal(err)
		}
		g.rclone(t, "sync", root, ":s3:rclone/tree")
		g.rclone(t, "check", root, ":s3:rclone/tree")
		if got := g.rclone(t, "lsf", ":s3:rclone/tree"); got != "a folder/\nbig\n" {
			t.Error(got)
		}
		g.rclone(t, "purge", ":s3:rclone")
	})
	t.Run("restic", func(t *testing.T) {
		program(t, "restic")
		t.Setenv("RESTIC_PASSWORD", "correct horse")
		t.Setenv("RESTIC_CACHE_DIR", t.TempDir())
		restic := func(args ...string) string {
			return g.runs(t, "restic", append([]string{"-r", "s3:" + g.url + "/restic"}, args...)...)
		}
		restic("init")
		restic("backup", "tree")
		restic("check", "--read-data")
		into := t.TempDir()
		restic("restore", "latest", "--target", into)
		g.runs(t, "diff", "-r", root, filepath.Join(into, "tree"))
		restic("forget", "--prune", "--keep-last", "1", "latest")
	})
	t.Run("aws", func(t *testing.T) {
		program(t, "aws")
		t.Setenv("AWS_CONFIG_FILE", write(t, filepath.Join(t.TempDir(), "config"), "[default]\ns3 =\n  addressing_style = path\n  signature_version = s3v4\n"))
		aws := func(args ...string) string {
			return g.runs(t, "aws", append([]string{"--endpoint-url", g.url}, args...)...)
		}
		aws("s3", "mb", "s3://aws")
		aws("s3", "cp", "--no-progress", filepath.Join(root, "big"), "s3://aws/big")
		aws("s3", "sync", "--no-progress", root, "s3://aws/tree")
		into := t.TempDir()
		aws("s3", "sync", "--no-progress", "s3://aws/tree", into)
		g.runs(t, "diff", "-r", root, into)
		aws("s3", "mv", "--no-progress", "s3://aws/big", "s3://aws/moved")
		if program(t, "curl"); !strings.Contains(aws("s3api", "head-object", "--bucket", "aws", "--key", "moved"), "12582912") {
			t.Error("another size")
		}
		url := strings.TrimSpace(aws("s3", "presign", "s3://aws/moved"))
		g.runs(t, "sh", "-c", `curl -sf "$1" | cmp - "$2"`, "sh", url, filepath.Join(root, "big"))
		aws("s3", "rb", "--force", "s3://aws")
	})
	t.Run("s3cmd", func(t *testing.T) {
		program(t, "s3cmd")
		host := strings.TrimPrefix(g.url, "http://")
		s3cmd := func(args ...string) string {
			return g.runs(t, "s3cmd", append([]string{"--config", "/dev/null", "--access_key", g.key.Access, "--secret_key", g.key.Secret, "--host", host, "--host-bucket", host, "--no-ssl", "-q"}, args...)...)
		}
		s3cmd("mb", "s3://s3cmd")
		s3cmd("sync", "--multipart-chunk-size-mb", "5", root+"/", "s3://s3cmd/tree/")
		into := t.TempDir()
		s3cmd("get", "--recursive", "s3://s3cmd/tree/", into)
		g.runs(t, "diff", "-r", root, into)
		s3cmd("rb", "--recursive", "--force", "s3://s3cmd")
	})
	t.Run("Go SDK", func(t *testing.T) {
		sdk := filepath.Join(t.TempDir(), "gosdk")
		build := exec.Command("go", "build", "-o", sdk, ".")
		build.Dir = filepath.Join("..", "..", "gateway", "s3", "testdata", "gosdk")
		build.Env = append(os.Environ(), "GOFLAGS=-mod=mod")
		build.Env = append(build.Env, g.build...)
		if out, err := build.CombinedOutput(); err != nil {
			t.Skipf("the SDK is not to be had here: %v\n%s", err, out)
		}
		g.runs(t, sdk, g.url, g.key.Access, g.key.Secret)
	})
	t.Run("JavaScript SDK", func(t *testing.T) {
		program(t, "node")
		program(t, "npm")
		dir := t.TempDir()
		for _, name := range []string{"package.json", "main.mjs"} {
			b, err := os.ReadFile(filepath.Join("..", "..", "gateway", "s3", "testdata", "jssdk", name))
			if err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, name), string(b))
		}
		install := exec.Command("npm", "install", "--no-audit", "--no-fund", "--silent")
		install.Dir = dir
		if out, err := install.CombinedOutput(); err != nil {
			t.Skipf("the SDK is not to be had here: %v\n%s", err, out)
		}
		g.runs(t, "node", filepath.Join(dir, "main.mjs"), g.url, g.key.Access, g.key.Secret)
	})
}

// goEnv is where the go command finds modules, whatever HOME is.
func goEnv() []string {
	out, err := exec.Command("go", "env", "GOMODCACHE", "GOCACHE", "GOPROXY", "GOSUMDB").Output()
	if err != nil {
		return nil
	}
	v := strings.Split(strings.TrimSpace(string(out)), "\n")
	return []string{"GOMODCACHE=" + v[0], "GOCACHE=" + v[1], "GOPROXY=" + v[2], "GOSUMDB=" + v[3]}
}

// A gateway that is killed goes on with its uploads, and another machine goes on from the
// network alone.
func TestAnS3GatewayOutlivesItsMachine(t *testing.T) {
	testlevel.Whole(t, "lets programs of others store through a gateway on a network of seven nodes")
	g := startS3(t)
	program(t, "rclone")
	root := g.tree()
	g.rclone(t, "sync", root, ":s3:photos/tree")
	g.kill()
	g.start("--s3-snapshot", "1s")
	g.rclone(t, "check", "--download", root, ":s3:photos/tree")

	content := make([]byte, 9<<20)
	rand.Read(content)
	file := write(t, filepath.Join(g.dir, "interrupted"), string(content))
	copying := exec.Command("rclone", "--config", "/dev/null", "--s3-provider", "Other", "--s3-env-auth", "--s3-endpoint", g.url, "--s3-upload-cutoff", "5M", "--s3-chunk-size", "5M", "--retries", "1", "--low-level-retries", "1", "copy", file, ":s3:photos/late")
	if err := copying.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(700 * time.Millisecond) // somewhere between spool, payment, certificate and index
	g.kill()
	copying.Wait()
	g.start("--s3-snapshot", "1s")
	g.rclone(t, "copy", file, ":s3:photos/late")
	g.rclone(t, "check", "--download", filepath.Dir(file), ":s3:photos/late", "--include", "interrupted", "--one-way")

	for deadline := time.Now().Add(commandLimit); !strings.Contains(g.lastSnapshot(), "sequence=") || time.Since(g.changed(t)) < 3*time.Second; {
		if time.Now().After(deadline) {
			t.Fatal("no snapshot: ", g.log())
		}
		time.Sleep(200 * time.Millisecond)
	}
	g.kill()
	recovery := write(t, filepath.Join(t.TempDir(), "recovery"), string(must(os.ReadFile(recoveryPath(g.state)))))
	if err := os.Chmod(recovery, 0o600); err != nil {
		t.Fatal(err)
	}
	keys := must(os.ReadFile(filepath.Join(g.state, "s3", "keys.json")))
	g.state = filepath.Join(t.TempDir(), "another")
	out := okJSON[s3.Restored](t, "s3", "restore", "--dir", g.state, "--recovery-key", recovery)
	if out.Objects != 23 || out.Missing != 0 {
		t.Errorf("%+v", out)
	}
	if err := os.WriteFile(filepath.Join(g.state, "s3", "keys.json"), keys, 0o600); err != nil {
		t.Fatal(err)
	}
	g.start()
	g.rclone(t, "check", "--download", root, ":s3:photos/tree")
	g.rclone(t, "purge", ":s3:photos")
	for deadline := time.Now().Add(commandLimit); ; time.Sleep(500 * time.Millisecond) {
		// What the process that was killed had paid was used by the next; the snapshot stays.
		if left := okJSON[ownBlobs](t, "list"); len(left.Blobs) <= 1 {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("%d leases are left: %s", len(left.Blobs), g.log())
		}
	}
}

// lastSnapshot is the log's last line about one.
func (g *s3Gateway) lastSnapshot() (last string) {
	for line := range strings.Lines(g.log()) {
		if strings.Contains(line, "the index is on the network") {
			last = line
		}
	}
	return last
}

// changed is when the log was last written.
func (g *s3Gateway) changed(t *testing.T) time.Time {
	info, err := os.Stat(filepath.Join(g.dir, "gateway.log"))
	if err != nil {
		t.Fatal(err)
	}
	return info.ModTime()
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
