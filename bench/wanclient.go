package bench

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/token"
)

// What the standing client can do.
const (
	opReady    = "ready"
	opHead     = "head"
	opStore    = "store"
	opRead     = "read"
	opCopyTo   = "copy to"
	opCopyFrom = "copy from"
)

// wanQuestion is a line to the standing client, in JSON.
type wanQuestion struct {
	Op    string   `json:"op"`
	ID    string   `json:"id,omitempty"`
	File  string   `json:"file,omitempty"`
	Addrs []string `json:"addrs,omitempty"`
	Bytes int64    `json:"bytes,omitempty"` // for each of Addrs
}

// wanAnswer is its answer.
type wanAnswer struct {
	Began  int64  `json:"began"` // in nanoseconds since 1970
	Ended  int64  `json:"ended"`
	Height uint64 `json:"height,omitempty"`
	TimeMs int64  `json:"time_ms,omitempty"`
	Error  string `json:"error,omitempty"`
}

// Words after the program's name that make it the standing client or a sink for plain bytes.
func wanClientWords() []string          { return []string{"bench", "wan-client"} }
func wanSinkWords(host string) []string { return []string{"bench", "wan-sink", host} }

// WanClient does what it is asked for on in until in ends.
func WanClient(ctx context.Context, n client.Network, key token.Key, in io.Reader, out io.Writer) error {
	c, err := client.Connect(ctx, n, client.ConnectOptions{Version: "bench", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer c.Close()
	s := standingClient{c: c, key: key}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		var q wanQuestion
		if err := json.Unmarshal(lines.Bytes(), &q); err != nil {
			return err
		}
		var a wanAnswer
		a.Began = time.Now().UnixNano()
		err := s.do(ctx, q, &a)
		a.Ended = time.Now().UnixNano()
		if err != nil {
			a.Error = err.Error()
		}
		b, err := json.Marshal(a)
		if err != nil {
			return err
		}
		if _, err := out.Write(append(b, '\n')); err != nil {
			return err
		}
	}
	return lines.Err()
}

type standingClient struct {
	c   *client.Connection
	key token.Key
}

func (s standingClient) do(ctx context.Context, q wanQuestion, a *wanAnswer) error {
	switch q.Op {
	case opReady:
		ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
		defer cancel()
		return s.c.Ready(ctx)
	case opHead:
		v, err := s.c.Remote.View(ctx)
		if err != nil {
			return err
		}
		head, err := v.Head()
		a.Height, a.TimeMs = uint64(head.Height), head.TimeMs
		return err
	case opStore:
		source, err := client.NewFileSource(q.File)
		if err != nil {
			return err
		}
		_, err = s.c.Store(ctx, s.key, source, client.StoreOptions{Epochs: 1})
		return err
	case opRead:
		id, err := blob.ParseID(q.ID)
		if err != nil {
			return err
		}
		return s.c.ReadBlob(ctx, id, io.Discard)
	case opCopyTo, opCopyFrom:
		return plainCopies(ctx, q)
	}
	return fmt.Errorf("%q: no such operation", q.Op)
}

// plainCopies moves bytes to or from all addresses at once.
func plainCopies(ctx context.Context, q wanQuestion) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, addr := range q.Addrs {
		g.Go(func() error { return plainCopy(ctx, addr, q.Op, q.Bytes) })
	}
	return g.Wait()
}

// A plain copy begins with what is to be done, a byte, and the number of bytes.
const (
	sinkTakes = 't'
	sinkGives = 'g'
)

func plainCopy(ctx context.Context, addr, op string, bytes int64) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	what := byte(sinkTakes)
	if op == opCopyFrom {
		what = sinkGives
	}
	if _, err := conn.Write(binary.BigEndian.AppendUint64([]byte{what}, uint64(bytes))); err != nil {
		return err
	}
	if op == opCopyFrom {
		_, err := io.CopyN(io.Discard, conn, bytes)
		return err
	}
	if _, err := io.CopyN(conn, newNoise(), bytes); err != nil {
		return err
	}
	_, err = io.ReadFull(conn, make([]byte, 1)) // all is there
	return err
}

// WanSink takes and gives plain bytes until in ends. It prints where.
func WanSink(in io.Reader, out io.Writer, host string) error {
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return err
	}
	defer l.Close()
	if _, err := fmt.Fprintln(out, l.Addr()); err != nil {
		return err
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go serveSink(conn)
		}
	}()
	_, err = io.Copy(io.Discard, in)
	return err
}

func serveSink(conn net.Conn) error {
	defer conn.Close()
	var head [9]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return err
	}
	n := int64(binary.BigEndian.Uint64(head[1:]))
	switch head[0] {
	case sinkGives:
		_, err := io.CopyN(conn, newNoise(), n)
		return err
	case sinkTakes:
		if _, err := io.CopyN(io.Discard, conn, n); err != nil {
			return err
		}
		_, err := conn.Write([]byte{0})
		return err
	}
	return errors.New("neither to be taken nor given")
}
