package bench

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/walrus-network/walrus/client"
)

// at is a percentile in seconds.
func at(of []time.Duration, percent int) float64 {
	slices.Sort(of)
	return of[(len(of)-1)*percent/100].Seconds()
}

const smallBytes = 10 << 10

// many sends GETs, some at once, and gives how many a second were answered and the slowest of
// a hundred.
func (b *gatewayBench) many(urls []string, n int) (perS, p99 float64, err error) {
	took := make([]time.Duration, n)
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var lanes sync.WaitGroup
	began := time.Now()
	for range b.o.Lanes {
		lanes.Go(func() {
			into := make([]byte, smallBytes)
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				_, d, code, err := b.get(urls[i%len(urls)], into)
				if err == nil && code != http.StatusOK {
					err = fmt.Errorf("GET: %d", code)
				}
				if err != nil {
					failed.Store(&err)
				}
				took[i] = d
			}
		})
	}
	lanes.Wait()
	if e := failed.Load(); e != nil {
		return 0, 0, *e
	}
	return float64(n) / time.Since(began).Seconds(), at(took, 99), nil
}

func (b *gatewayBench) smallURLs() (urls []string, err error) {
	const different = 50
	for i := range different {
		body := make([]byte, smallBytes)
		rand.NewChaCha8([32]byte{byte(i), 9}).Read(body)
		path := filepath.Join(b.dir, "small")
		if err := os.WriteFile(path, body, 0o600); err != nil {
			return nil, err
		}
		src, err := client.NewFileSource(path)
		if err != nil {
			return nil, err
		}
		out, err := b.c.Store(b.ctx, b.t.Wallet, src, client.StoreOptions{Epochs: 1})
		if err != nil {
			return nil, err
		}
		urls = append(urls, b.url(out.ID.Base64()))
	}
	return urls, nil
}

func (b *gatewayBench) small() error {
	urls, err := b.smallURLs()
	if err != nil {
		return err
	}
	r := &b.r.Small
	if r.UncachedPerS, r.UncachedP99, err = b.many(urls, len(urls)); err != nil {
		return err
	}
	r.PerS, r.P99, err = b.many(urls, b.o.Small)
	return err
}

// slow opens connections that send half a header, or take nothing of a large answer, and reads
// small blobs meanwhile.
func (b *gatewayBench) slow() error {
	id, _, err := b.stored(b.o.Size)
	if err != nil {
		return err
	}
	host := strings.TrimPrefix(b.g.HTTP, "http://")
	for i := range b.o.Slow {
		text := fmt.Sprintf("GET /v1/blobs/%s HTTP/1.1\r\nHost: %s\r\n\r\n", id, host)
		if i%2 == 0 {
			text = text[:20]
		}
		c, err := net.Dial("tcp", host)
		if err != nil {
			return err
		}
		defer c.Close()
		if _, err := io.WriteString(c, text); err != nil {
			return err
		}
	}
	urls, err := b.smallURLs()
	if err == nil {
		b.r.Small.BesidesSlow, _, err = b.many(urls, b.o.Small)
	}
	return err
}
