package main

import (
	"context"
	"fmt"
	"io"
	"os"
)

// isStdin says whether a typed name means standard input.
func isStdin(name string) bool { return name == "-" || name != "" && isDescriptor(name, 0) }

// useStdin claims standard input for one purpose. Two readers of one stream would each get
// a part of the other's input.
func (a *app) useStdin(purpose string) error {
	if a.stdinFor != "" {
		return errUsage{fmt.Errorf("standard input has %s: it cannot have %s too: use a file for one of them", a.stdinFor, purpose)}
	}
	all, err := a.held()
	if err != nil {
		return err
	}
	for _, h := range all {
		if pathSetting(h.Name) && isStdin(h.Value) {
			return errUsage{fmt.Errorf("standard input has %s: the %s (%s) cannot be read from it too: use a file for one of them", purpose, h.Name, h.Source)}
		}
	}
	a.stdinFor = purpose
	return nil
}

// oneStdin refuses two settings that both name standard input.
func oneStdin(all []settingValue) error {
	first := ""
	for _, h := range all {
		if !pathSetting(h.Name) || !isStdin(h.Value) {
			continue
		}
		if first != "" {
			return errUsage{fmt.Errorf("%s and %s are both to be read from standard input: use a file for one of them", first, h.Name)}
		}
		first = h.Name
	}
	return nil
}

func pathSetting(name string) bool {
	for _, s := range settings {
		if s.name == name {
			return s.path
		}
	}
	return false
}

// input opens a file, or standard input for -. Reads from it end with ctx.
func (a *app) input(ctx context.Context, name, purpose string) (io.ReadCloser, error) {
	if isStdin(name) {
		if err := a.useStdin(purpose); err != nil {
			return nil, err
		}
		return io.NopCloser(&patientReader{ctx: ctx, r: a.in}), nil
	}
	f, err := openWaiting(ctx, name, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{&patientReader{ctx: ctx, r: f}, f}, nil
}

// patientReader reads until ctx is done. A read that still blocks then is abandoned, since
// the program ends soon.
type patientReader struct {
	ctx  context.Context
	r    io.Reader
	buf  []byte // of the read that goes on, and then what of it was not taken yet
	rest []byte
	err  error // after rest
}

func (p *patientReader) Read(to []byte) (int, error) {
	const size = 256 << 10
	if len(p.rest) == 0 && p.err == nil {
		if err := p.ctx.Err(); err != nil {
			return 0, err
		}
		if p.buf == nil {
			p.buf = make([]byte, size)
		}
		type got struct {
			n   int
			err error
		}
		reads := make(chan got, 1)
		go func() {
			n, err := p.r.Read(p.buf)
			reads <- got{n, err}
		}()
		select {
		case g := <-reads:
			p.rest, p.err = p.buf[:g.n], g.err
		case <-p.ctx.Done():
			p.err = p.ctx.Err()
		}
	}
	n := copy(to, p.rest)
	p.rest = p.rest[n:]
	if n == 0 && len(p.rest) == 0 {
		return 0, p.err
	}
	return n, nil
}
