package bench

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/testnet"
)

// GatewayOptions say what is asked of a gateway.
type GatewayOptions struct {
	Only    []string      // of GatewaySteps; empty: all
	Size    int64         // of the large blobs
	Turns   int           // of the gateway and the client alone, in storing and reading these
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
	return GatewayOptions{Size: 64 << 20, Turns: 9, Stream: 2 << 30, Small: 1000, Lanes: 32, Slow: 500, Frozen: 90 * time.Second, Program: program}
}

// GatewayResult is what a gateway's process costs on a testnet of seven nodes. Speeds are 10^6
// bytes a second, medians; ratios are to the client alone, in the same run. What was not
// measured is 0.
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
	ctx   context.Context
	o     GatewayOptions
	c     *client.Connection
	t     *testnet.Testnet
	g     testnet.Gateway
	dir   string
	r     *GatewayResult
	web   *http.Client
	n     byte // of bodies so far
	block time.Duration

	mu   sync.Mutex       // guards read
	read map[blob.ID]bool // that the gateway may have whole
}

// Gateway starts a testnet with a gateway, and measures that.
func Gateway(ctx context.Context, o GatewayOptions) (r GatewayResult, err error) {
	err = onTestnet(ctx, NetworkOptions{Program: o.Program}, func(dir string, c *client.Connection, t *testnet.Testnet) error {
		b := &gatewayBench{ctx: ctx, o: o, c: c, t: t, dir: dir, r: &r, block: testnet.Default().Block, read: map[blob.ID]bool{}, web: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: o.Lanes}}}
		defer b.web.CloseIdleConnections()
		return b.run()
	})
	return r, err
}

func (b *gatewayBench) run() (err error) {
	if b.g, err = b.t.StartGateway(); err != nil {
		return err
	}
	steps := append([]gatewayStep{{"", "wait for the gateway", b.ready}}, b.steps()...)
	for _, step := range append(steps, gatewayStep{"", "memory", b.memory}) {
		if step.name != "" && len(b.o.Only) > 0 && !slices.Contains(b.o.Only, step.name) {
			continue
		}
		if b.o.Log != nil {
			fmt.Fprintln(b.o.Log, step.what)
		}
		if err := step.run(); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
	}
	return nil
}

// gatewayStep is a part of the measurement.
type gatewayStep struct {
	name, what string
	run        func() error
}

func (b *gatewayBench) steps() []gatewayStep {
	return []gatewayStep{
		{"large", "large blobs", b.large}, {"small", "small blobs", b.small}, {"slow", "slow connections", b.slow},
		{"s3", "S3", b.s3}, {"stream", "a stream", b.stream}, {"rounds", "rounds", b.frozen},
	}
}

// GatewaySteps are the names of the parts that GatewayOptions.Only may have.
func GatewaySteps() (names []string) {
	for _, step := range (&gatewayBench{}).steps() {
		names = append(names, step.name)
	}
	return names
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
