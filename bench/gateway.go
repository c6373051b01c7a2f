package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
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

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/gateway/s3"
	"github.com/walrus-network/walrus/node"
	"github.com/walrus-network/walrus/testnet"
)

// GatewayOptions say what is asked of a gateway.
type GatewayOptions struct {
	Size    int64         // of the large blobs
	Stream  int64         // of the body that streams in and out while memory is looked at
	Small   int           // GETs of 10 KiB
	Lanes   int           // of them at once
	Slow    int           // connections that take and send nothing meanwhile
	Frozen  time.Duration // for which GETs are sent while rounds run
	Program testnet.Command
	Log     io.Writer // what is being done; nil: nothing is said
}

// DefaultGateway is what doc/performance.md tells of.
func DefaultGateway(program testnet.Command) GatewayOptions {
	return GatewayOptions{Size: 64 << 20, Stream: 2 << 30, Small: 1000, Lanes: 32, Slow: 500, Frozen: 90 * time.Second, Program: program}
}

// GatewayResult is what a gateway's process costs on a testnet of seven nodes. Speeds are 10^6
// bytes a second, medians; ratios are to the client alone, in the same run.
type GatewayResult struct {
	Put struct {
		MBs   float64 `json:"mb_per_s"`
		Ratio float64 `json:"ratio_client"`
	} `json:"put"`
	Get struct {
		MBs       float64 `json:"mb_per_s"` // of what is not in the cache
		Ratio     float64 `json:"ratio_client"`
		FirstP50  float64 `json:"first_byte_p50_s"`
		FirstP99  float64 `json:"first_byte_p99_s"`
		CachedMBs float64 `json:"cached_mb_per_s"`
		CachedP50 float64 `json:"cached_first_byte_p50_s"`
	} `json:"get"`
	Small struct {
		PerS         float64 `json:"get_per_s"` // from the cache
		P99          float64 `json:"p99_s"`
		UncachedPerS float64 `json:"uncached_get_per_s"`
		UncachedP99  float64 `json:"uncached_p99_s"`
		BesidesSlow  float64 `json:"get_per_s_beside_slow"` // connections that stand still
	} `json:"small"`
	Frozen struct { // answers to GETs that were sent while nodes hold answers back
		Rounds    int     `json:"rounds"`
		Of        int     `json:"answers"`     // of what is not in the cache
		Waited    int     `json:"waited"`      // of these, for a tenth of a second or more
		Told      int     `json:"answers_503"` // within the gateway's patience
		P50       float64 `json:"get_p50_s"`   // whatever they are
		P99       float64 `json:"get_p99_s"`   // the same
		CachedP99 float64 `json:"cached_get_p99_s"`
	} `json:"frozen"`
	S3 struct {
		PutMBs float64 `json:"put_mb_per_s"`
		GetMBs float64 `json:"get_mb_per_s"`
	} `json:"s3"`
	RSS    int64   `json:"rss_bytes"` // peak of the gateway's process, after all
	Stream float64 `json:"stream_bytes"`
	Client struct {
		PutMBs float64 `json:"put_mb_per_s"`
		GetMBs float64 `json:"get_mb_per_s"`
	} `json:"client"`
}

type gatewayBench struct {
	ctx context.Context
	o   GatewayOptions
	c   *client.Connection
	t   *testnet.Testnet
	g   testnet.Gateway
	dir string
	r   *GatewayResult
	web *http.Client
	n   byte // of bodies so far

	mu   sync.Mutex       // guards read
	read map[blob.ID]bool // that the gateway may have whole
}

// Gateway starts a testnet with a gateway, and measures that.
func Gateway(ctx context.Context, o GatewayOptions) (r GatewayResult, err error) {
	err = onTestnet(ctx, NetworkOptions{Program: o.Program}, func(dir string, c *client.Connection, t *testnet.Testnet) error {
		b := &gatewayBench{ctx: ctx, o: o, c: c, t: t, dir: dir, r: &r, read: map[blob.ID]bool{}, web: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: o.Lanes}}}
		defer b.web.CloseIdleConnections()
		return b.run()
	})
	return r, err
}

func (b *gatewayBench) run() (err error) {
	if b.g, err = b.t.StartGateway(); err != nil {
		return err
	}
	for _, step := range []struct {
		what string
		run  func() error
	}{{"wait for the gateway", b.ready}, {"large blobs", b.large}, {"small blobs", b.small}, {"slow connections", b.slow}, {"S3", b.s3}, {"a stream", b.stream}, {"rounds", b.frozen}, {"memory", b.memory}} {
		if b.o.Log != nil {
			fmt.Fprintln(b.o.Log, step.what)
		}
		if err := step.run(); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
	}
	return nil
}

func (b *gatewayBench) ready() error {
	for {
		resp, err := b.web.Get(b.g.HTTP + "/status")
		if err == nil {
			resp.Body.Close()
			return nil
		}
		select {
		case <-b.ctx.Done():
			return err
		case <-time.After(50 * time.Millisecond): // its process starts
		}
	}
}

// body makes a file of bytes that no other blob has.
func (b *gatewayBench) body(size int64) (client.FileSource, error) {
	b.n++
	path := filepath.Join(b.dir, "body")
	f, err := os.Create(path)
	if err != nil {
		return client.FileSource{}, err
	}
	_, err = io.CopyN(f, rand.NewChaCha8([32]byte{b.n, 7}), size)
	if err := errors.Join(err, f.Close()); err != nil {
		return client.FileSource{}, err
	}
	return client.NewFileSource(path)
}

// stored stores bytes with the client alone, so that the gateway's cache has none of them.
func (b *gatewayBench) stored(size int64) (id string, took time.Duration, err error) {
	src, err := b.body(size)
	if err != nil {
		return "", 0, err
	}
	out, err := b.c.Store(b.ctx, b.t.Wallet, src, client.StoreOptions{Epochs: 1})
	return out.ID.Base64(), out.TotalTime, err
}

// put stores a file over HTTP.
func (b *gatewayBench) put(url string, src client.FileSource) (id string, took time.Duration, err error) {
	in, err := src.Open(0)
	if err != nil {
		return "", 0, err
	}
	defer in.Close()
	r, err := http.NewRequestWithContext(b.ctx, http.MethodPut, url, in)
	if err != nil {
		return "", 0, err
	}
	if r.ContentLength = src.Size(); r.ContentLength == 0 {
		r.Body = http.NoBody // else no length is sent
	}
	began := time.Now()
	resp, err := b.web.Do(r)
	if err != nil {
		return "", 0, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	took = time.Since(began)
	if err != nil || resp.StatusCode != http.StatusOK {
		return "", took, errors.Join(err, fmt.Errorf("%s: %s", resp.Status, raw[:min(len(raw), 300)]))
	}
	var out struct {
		NewlyCreated struct{ BlobObject struct{ BlobID string } }
	}
	_ = json.Unmarshal(raw, &out) // an answer of S3 is none
	b.noteRead(b.url(out.NewlyCreated.BlobObject.BlobID))
	return out.NewlyCreated.BlobObject.BlobID, took, nil
}

// get reads a URL: the time to its first byte and to its last, and its status.
func (b *gatewayBench) get(url string, into []byte) (first, took time.Duration, code int, err error) {
	b.noteRead(url)
	began := time.Now()
	r, err := http.NewRequestWithContext(b.ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, 0, 0, err
	}
	resp, err := b.web.Do(r)
	if err != nil {
		return 0, 0, 0, err
	}
	defer resp.Body.Close()
	n, err := io.ReadAtLeast(resp.Body, into, 1)
	first = time.Since(began)
	for err == nil && n > 0 {
		n, err = resp.Body.Read(into)
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return first, time.Since(began), resp.StatusCode, err
}

// noteRead notes a whole blob that is read.
func (b *gatewayBench) noteRead(url string) {
	if id, err := blob.ParseID(strings.TrimPrefix(url, b.url(""))); err == nil {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.read[id] = true
	}
}

func (b *gatewayBench) url(id string) string { return b.g.HTTP + "/v1/blobs/" + id }

// large stores and reads large blobs, in turns with the client alone.
func (b *gatewayBench) large() error {
	var puts, gets, cached, clientPuts, clientGets []float64
	var firsts, cachedFirsts []time.Duration
	into := make([]byte, 1<<20)
	for i := range Rounds + 1 {
		id, took, err := b.stored(b.o.Size)
		if err != nil {
			return err
		}
		first, read, code, err := b.get(b.url(id), into)
		if err != nil || code != http.StatusOK {
			return errors.Join(err, fmt.Errorf("GET: %d", code))
		}
		other, _, err := b.stored(b.o.Size)
		if err != nil {
			return err
		}
		alone, err := b.readAlone(other)
		if err != nil {
			return err
		}
		again, readAgain, _, err := b.get(b.url(id), into)
		if err != nil {
			return err
		}
		src, err := b.body(b.o.Size)
		if err != nil {
			return err
		}
		_, put, err := b.put(b.g.HTTP+"/v1/blobs", src)
		if err != nil {
			return err
		}
		if i == 0 {
			continue // lines are opened
		}
		clientPuts, clientGets, puts = append(clientPuts, mbs(b.o.Size, took)), append(clientGets, mbs(b.o.Size, alone)), append(puts, mbs(b.o.Size, put))
		gets, cached = append(gets, mbs(b.o.Size, read)), append(cached, mbs(b.o.Size, readAgain))
		firsts, cachedFirsts = append(firsts, first), append(cachedFirsts, again)
	}
	// More first bytes than whole blobs: each from a place of its own.
	id, _, err := b.stored(b.o.Size)
	if err != nil {
		return err
	}
	const places = 20
	for i := range int64(places) {
		at := fmt.Sprintf("%s/byte-range?start=%d&length=%d", b.url(id), i*b.o.Size/places, b.o.Size/places)
		first, _, code, err := b.get(at, into)
		if err != nil || code != http.StatusOK {
			return errors.Join(err, fmt.Errorf("GET: %d", code))
		}
		firsts = append(firsts, first)
	}
	r := b.r
	r.Put.MBs, r.Get.MBs, r.Get.CachedMBs = median(puts), median(gets), median(cached)
	r.Client.PutMBs, r.Client.GetMBs = median(clientPuts), median(clientGets)
	r.Put.Ratio, r.Get.Ratio = r.Put.MBs/r.Client.PutMBs, r.Get.MBs/r.Client.GetMBs
	r.Get.FirstP50, r.Get.FirstP99, r.Get.CachedP50 = at(firsts, 50), at(firsts, 99), at(cachedFirsts, 50)
	return nil
}

func (b *gatewayBench) readAlone(text string) (time.Duration, error) {
	id, err := blob.ParseID(text)
	if err != nil {
		return 0, err
	}
	if _, _, _, err := b.c.Find(b.ctx, id); err != nil {
		return 0, err
	}
	began := time.Now()
	err = b.c.ReadBlob(b.ctx, id, io.Discard)
	return time.Since(began), err
}

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

// s3 stores and reads a large object.
func (b *gatewayBench) s3() error {
	keys, err := s3.ReadKeys(filepath.Join(b.t.GatewayDir(), "s3", "keys.json"))
	if err != nil {
		return err
	}
	request := func(method, path string) (string, error) {
		r, err := http.NewRequestWithContext(b.ctx, method, b.g.S3+path, nil)
		if err == nil {
			err = s3.Presign(r, keys[0], time.Now(), time.Hour)
		}
		return r.URL.String(), err
	}
	make, err := request(http.MethodPut, "/bench")
	if err != nil {
		return err
	}
	empty, err := b.body(0)
	if err != nil {
		return err
	}
	if _, _, err := b.put(make, empty); err != nil {
		return err
	}
	var puts, gets []float64
	for i := range Rounds {
		path := fmt.Sprintf("/bench/object-%d", i)
		to, err := request(http.MethodPut, path)
		if err != nil {
			return err
		}
		src, err := b.body(b.o.Size)
		if err != nil {
			return err
		}
		_, put, err := b.put(to, src)
		if err != nil {
			return err
		}
		from, err := request(http.MethodGet, path)
		if err != nil {
			return err
		}
		_, get, code, err := b.get(from, bytes.Repeat([]byte{0}, 1<<20))
		if err != nil || code != http.StatusOK {
			return errors.Join(err, fmt.Errorf("GET: %d", code))
		}
		puts, gets = append(puts, mbs(b.o.Size, put)), append(gets, mbs(b.o.Size, get))
	}
	b.r.S3.PutMBs, b.r.S3.GetMBs = median(puts), median(gets)
	return nil
}

// stream sends one large body in and takes it out again.
func (b *gatewayBench) stream() error {
	if b.o.Stream == 0 {
		return nil
	}
	src, err := b.body(b.o.Stream)
	if err != nil {
		return err
	}
	id, _, err := b.put(b.g.HTTP+"/v1/blobs", src)
	if err != nil {
		return err
	}
	_, _, code, err := b.get(b.url(id), make([]byte, 1<<20))
	if err == nil && code != http.StatusOK {
		err = fmt.Errorf("GET: %d", code)
	}
	b.r.Stream = float64(b.o.Stream)
	return err
}

func (b *gatewayBench) memory() error {
	pid, _, err := node.HolderAs(b.t.GatewayDir(), testnet.GatewayLock)
	if err == nil {
		b.r.RSS, err = peakRSSOf(pid)
	}
	return err
}
