package testnet

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
)

// strangersVariable makes the test binary the strangers of an attack.
const strangersVariable = "WALRUS_TEST_STRANGERS"

// strangers starts an attack from all identities at all nodes at once, in a process of
// its own. lift ends it, and returns when it has ended.
func (b *besieged) strangers(t *testing.T, what string) (lift func()) {
	t.Helper()
	words := []string{os.Args[0], b.NetworkFile(), what, strconv.Itoa(b.identities), b.large.String()}
	if nice, err := exec.LookPath("nice"); err == nil {
		words = append([]string{nice, "-n", "15"}, words...)
	}
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Env = append(os.Environ(), strangersVariable+"=1")
	var said bytes.Buffer
	cmd.Stderr = &said
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	end := sync.OnceFunc(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the strangers: %v: %s", err, lastOf(said.Bytes()))
		}
	})
	t.Cleanup(end)
	return end
}

func lastOf(b []byte) []byte { return b[max(0, len(b)-2000):] }

// runStrangers is `NETWORK-FILE ATTACK IDENTITIES BLOB`, until stdin is closed.
func runStrangers(args []string) error {
	if len(args) != 4 {
		return fmt.Errorf("unknown words %q", args)
	}
	n, err := client.LoadNetwork(args[0])
	if err != nil {
		return err
	}
	do, known := attacks[args[1]]
	count, err := strconv.Atoi(args[2])
	if err != nil || !known {
		return fmt.Errorf("no such attack %q from %q", args[1], args[2])
	}
	id, err := blob.ParseID(args[3])
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	var all sync.WaitGroup
	for i := range count {
		a, err := newAttacker(n.Genesis, i)
		if err != nil {
			return err
		}
		defer a.host.Close()
		a.blob = id
		all.Go(func() { do(ctx, a) })
	}
	all.Wait()
	return nil
}
