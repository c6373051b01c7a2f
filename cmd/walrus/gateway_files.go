package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/gateway/access"
	"github.com/walrus-network/walrus/internal/livefile"
)

// Files that a gateway reads when it starts and again whenever they change. Most bytes of them:
const (
	mostKeys        = 1 << 20
	mostBlocklist   = 64 << 20
	mostCertificate = 1 << 20
)

// watch takes what a file says, now and whenever it changes, until the gateway closes. A
// mistake that is there now is returned.
func watch[T any](g *openedGateway, f *livefile.File[T], take func(T)) error {
	value, _, err := f.Look(time.Now())
	if err != nil {
		return err
	}
	take(value)
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		f.Watch(ctx, func(value T) {
			take(value)
			g.log.Info("a file was read anew", "file", f.Path)
		}, func(err error) {
			g.log.Error("A FILE OF THE GATEWAY HAS A MISTAKE: what it said before goes on to hold, also for what was taken out of it", "err", err)
		})
	})
	g.closes = append(g.closes, func() error { stop(); running.Wait(); return nil })
	return nil
}

// accessKeys is a file of the keys that may have the wallet pay.
func accessKeys(path string) *livefile.File[[]access.Key] {
	return &livefile.File[[]access.Key]{Path: "keys file " + path, Read: func() ([]byte, error) { return livefile.Bytes(mostKeys, path) }, Parse: access.ParseKeys}
}

// blocklist opens a file of blob IDs. blocked is nil where there is no file.
func (g *openedGateway) blocklist(path string) (blocked func(blob.ID) bool, err error) {
	if path == "" {
		return nil, nil
	}
	var list atomic.Pointer[map[blob.ID]bool]
	f := &livefile.File[map[blob.ID]bool]{Path: "blocklist " + path, Read: func() ([]byte, error) { return livefile.Bytes(mostBlocklist, path) }, Parse: parseBlocklist}
	if err := watch(g, f, func(ids map[blob.ID]bool) { list.Store(&ids) }); err != nil {
		return nil, err
	}
	return func(id blob.ID) bool { return (*list.Load())[id] }, nil
}

// parseBlocklist reads blob IDs, one a line. Empty lines and those that begin with # are notes.
func parseBlocklist(b []byte) (map[blob.ID]bool, error) {
	blocked := map[blob.ID]bool{}
	lines := bufio.NewScanner(bytes.NewReader(b))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		id, err := blob.ParseID(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		blocked[id] = true
	}
	return blocked, lines.Err()
}

// certificate opens the files of a certificate and its key; nil where there are none.
func (g *openedGateway) certificate(cert, key string) (*tls.Config, error) {
	if cert == "" {
		return nil, nil
	}
	var pair atomic.Pointer[tls.Certificate]
	f := &livefile.File[tls.Certificate]{
		Path: fmt.Sprintf("certificate %s with key %s", cert, key),
		Read: func() ([]byte, error) { return livefile.Bytes(mostCertificate, cert, key) },
		// Either reads over what is the other's.
		Parse: func(b []byte) (tls.Certificate, error) { return tls.X509KeyPair(b, b) },
	}
	if err := watch(g, f, func(c tls.Certificate) { pair.Store(&c) }); err != nil {
		return nil, err
	}
	return &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return pair.Load(), nil }}, nil
}
