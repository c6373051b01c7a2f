package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/walrus-network/walrus/bench/emulator"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/node"
	"github.com/walrus-network/walrus/testnet"
)

// The hosts after the nodes.
const (
	standingHost = wanNodes
	commandHost  = wanNodes + 1
	wanHosts     = wanNodes + 2
)

// wanWorld is seven nodes and the clients, each on a host of its own.
type wanWorld struct {
	ctx    context.Context
	o      WanOptions
	e      distance
	t      *testnet.Testnet
	dir    string
	homes  int
	traced io.WriteCloser // nil: nothing is written down

	client  *exec.Cmd
	answers *bufio.Reader
	asks    io.WriteCloser
}

// distance carries what hosts send to each other.
type distance interface {
	Kind() string
	Address(host int) string                                          // where its programs listen
	Front(host int, use emulator.Use, address string) (string, error) // where others reach what listens there
	In(host int, do func() error) error                               // do starts a program of the host
	Watch(host int) (stop func() []emulator.Flight)
	Close() error
}

// newDistance makes hosts, or where this machine does not let it, relays in place of them.
func (o WanOptions) newDistance() (distance, error) {
	links := emulator.Options{RTT: o.RTT, Loss: o.Loss}
	for i := range wanHosts {
		bits := o.Bits
		if i == o.Slow {
			bits = min(bits, SlowBits)
		}
		links.Bits = append(links.Bits, bits)
	}
	relays := func() (distance, error) {
		if o.Rounds > 0 {
			return nil, errors.New("relays carry what a client says to nodes, and not all that nodes say to each other: rounds of challenges take network namespaces")
		}
		return emulator.NewRelay(links, wanNodes)
	}
	if o.Relays {
		return relays()
	}
	e, err := emulator.New(links)
	if err == nil {
		return e, nil
	}
	r, without := relays()
	if without != nil {
		return nil, fmt.Errorf("%w; without namespaces: %w", err, without)
	}
	if o.Log != nil {
		fmt.Fprintf(o.Log, "%v: relays carry what is sent\n", err)
	}
	return r, nil
}

// isRelayed says that relays are in place of hosts.
func (w *wanWorld) isRelayed() bool {
	_, ok := w.e.(*emulator.Relay)
	return ok
}

// fronts is where others reach what a node listens on.
func (w *wanWorld) fronts(i int, listens testnet.Places) (reached testnet.Places, err error) {
	for _, p := range []struct {
		use      emulator.Use
		from, to *string
	}{{emulator.TCP, &listens.TCP, &reached.TCP}, {emulator.QUIC, &listens.QUIC, &reached.QUIC}, {emulator.Ledger, &listens.Ledger, &reached.Ledger}} {
		if *p.to, err = w.e.Front(i, p.use, *p.from); err != nil {
			return reached, err
		}
	}
	return reached, nil
}

func newWanWorld(ctx context.Context, o WanOptions) (w *wanWorld, err error) {
	w = &wanWorld{ctx: ctx, o: o}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	if w.dir, err = os.MkdirTemp("", "walrus-bench-"); err != nil {
		return w, err
	}
	if o.Trace != "" {
		if w.traced, err = os.Create(o.Trace); err != nil {
			return w, err
		}
	}
	if w.e, err = o.newDistance(); err != nil {
		return w, err
	}
	options := testnet.Default()
	options.Dir, options.Nodes = filepath.Join(w.dir, "net"), wanNodes
	options.Host, options.Fronts = w.e.Address, w.fronts
	// While a challenge runs, nodes hold back what was drawn: that is no distance.
	options.Difference = func(p *ledger.Params) { p.Challenged = false }
	if o.Rounds > 0 {
		o.challenged(&options)
	}
	if w.t, err = testnet.Create(options, o.Program); err != nil {
		return w, err
	}
	for i := range wanNodes {
		err := w.e.In(i, func() error {
			_, err := w.t.Start(i, false)
			return err
		})
		if err != nil {
			return w, err
		}
	}
	return w, w.startClient()
}

// close ends every process and removes what was made.
func (w *wanWorld) close() error {
	var errs []error
	if w.client != nil {
		w.asks.Close()
		w.client.Wait()
	}
	if w.t != nil {
		errs = append(errs, w.t.Down(context.WithoutCancel(w.ctx)))
	}
	if w.e != nil {
		errs = append(errs, w.e.Close())
	}
	if w.traced != nil {
		errs = append(errs, w.traced.Close())
	}
	if w.dir != "" {
		errs = append(errs, os.RemoveAll(w.dir))
	}
	return errors.Join(errs...)
}

// freeze stops the process of the node that is to be silent: what is sent to it is taken,
// and nothing comes back.
func (w *wanWorld) freeze() error {
	if w.o.Stopped < 0 {
		return nil
	}
	pid, held, err := node.Holder(w.t.NodeDir(w.o.Stopped))
	if err == nil && (!held || pid == 0) {
		err = errors.New("it does not run")
	}
	if err != nil {
		return fmt.Errorf("stop node %d: %w", w.o.Stopped, err)
	}
	return syscall.Kill(pid, syscall.SIGSTOP)
}

// quiet is a while, beside two round trips, in which a client is done with what it did before.
const quiet = 200 * time.Millisecond

// operation is one that was measured.
type operation struct {
	began, ended time.Time
	flights      []emulator.Flight
	out          *output
}

func (o operation) seconds() float64 { return o.ended.Sub(o.began).Seconds() }

// output is what a command printed, and when.
type output struct {
	kept        bytes.Buffer
	first, last time.Time
}

func (o *output) Write(b []byte) (int, error) {
	o.last = time.Now()
	if o.kept.Len() == 0 {
		o.first = o.last
	}
	return o.kept.Write(b)
}

// fresh is a home that no process has seen.
func (w *wanWorld) fresh() string {
	w.homes++
	return filepath.Join(w.dir, "home-"+strconv.Itoa(w.homes))
}

// walrus is a command of this program.
func (w *wanWorld) walrus(home string, words ...string) *exec.Cmd {
	c := exec.CommandContext(w.ctx, w.o.Program.Program, words...)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "WALRUS_") {
			c.Env = append(c.Env, v)
		}
	}
	c.Env = append(append(c.Env, w.o.Program.Env...), "HOME="+home, "XDG_CONFIG_HOME="+filepath.Join(home, "config"), "WALRUS_NETWORK="+w.t.NetworkFile(), "WALRUS_WALLET="+w.t.WalletFile())
	return c
}

// command runs a command as a new process. The operation ends with the last byte that it
// prints: what the process does until it ends keeps no one waiting for a result.
func (w *wanWorld) command(home string, words ...string) (o operation, err error) {
	if err := os.MkdirAll(home, 0o700); err != nil {
		return o, err
	}
	c := w.walrus(home, words...)
	var wrong bytes.Buffer
	o.out = &output{}
	c.Stdout, c.Stderr = o.out, &wrong
	time.Sleep(2*w.o.RTT + quiet) // what the process before it has sent is no packet of this one
	stop := w.e.Watch(commandHost)
	o.began = time.Now()
	err = w.e.In(commandHost, c.Start)
	if err == nil {
		err = c.Wait()
	}
	o.ended, o.flights = o.out.last, stop()
	if err == nil && o.out.kept.Len() == 0 {
		err = errors.New("it prints nothing")
	}
	if err != nil {
		err = fmt.Errorf("walrus %s: %w: %s", strings.Join(words, " "), err, wrong.String())
	}
	return o, err
}

// startClient starts the client that stands.
func (w *wanWorld) startClient() (err error) {
	c := w.walrus(w.fresh(), wanClientWords()...)
	c.Stderr = os.Stderr
	if w.asks, err = c.StdinPipe(); err != nil {
		return err
	}
	out, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	if err := w.e.In(standingHost, c.Start); err != nil {
		return fmt.Errorf("start a client: %w", err)
	}
	w.client, w.answers = c, bufio.NewReader(out)
	return nil
}

// ask lets the standing client do something.
func (w *wanWorld) ask(q wanQuestion) (wanAnswer, error) {
	b, err := json.Marshal(q)
	if err != nil {
		return wanAnswer{}, err
	}
	if _, err := w.asks.Write(append(b, '\n')); err != nil {
		return wanAnswer{}, fmt.Errorf("the standing client is gone: %w", err)
	}
	line, err := w.answers.ReadBytes('\n')
	if err != nil {
		return wanAnswer{}, fmt.Errorf("the standing client is gone: %w", err)
	}
	return decodeLine(line)
}

// standing is ask, measured.
func (w *wanWorld) standing(q wanQuestion) (o operation, err error) {
	time.Sleep(2*w.o.RTT + quiet)
	stop := w.e.Watch(standingHost)
	a, err := w.ask(q)
	o.flights = stop()
	o.began, o.ended = time.Unix(0, a.Began), time.Unix(0, a.Ended)
	if err != nil {
		err = fmt.Errorf("%s: %w", q.Op, err)
	}
	return o, err
}

// startSink starts a process on a node's host that takes and gives plain bytes.
func (w *wanWorld) startSink(host int) (addr string, stop func(), err error) {
	c := w.walrus(w.fresh(), wanSinkWords(w.e.Address(host))...)
	in, err := c.StdinPipe()
	if err != nil {
		return "", nil, err
	}
	out, err := c.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := w.e.In(host, c.Start); err != nil {
		return "", nil, fmt.Errorf("start a sink: %w", err)
	}
	stop = func() { in.Close(); c.Wait() }
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		stop()
		return "", nil, fmt.Errorf("start a sink: %w", err)
	}
	if addr, err = w.e.Front(host, emulator.TCP, strings.TrimSpace(line)); err != nil {
		stop()
	}
	return addr, stop, err
}
