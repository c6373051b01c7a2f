package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/p2p"
	"github.com/walrus-network/walrus/testnet"
	"github.com/walrus-network/walrus/token"
)

// LedgerOptions say how hard the ledger is driven. Zero is the default of each.
type LedgerOptions struct {
	Dir        string          // of the testnet, which is made and removed; must not exist
	Program    testnet.Command // what a validator's process runs
	Validators int             // processes; default 4
	Block      time.Duration   // default 500 ms
	Rate       int             // transfers a second while the time to commit is measured; default 500
	Calm       time.Duration   // for how long; default 8 s
	Transfers  int             // of the measurement at saturation; default 30,000
	Waiting    int             // transfers that wait for their block at saturation; default 6,000
	Log        *slog.Logger    // nil: none
}

// LedgerResult is what the ledger did with transfers.
type LedgerResult struct {
	TxPerSecond  float64 `json:"tx_per_s"`      // committed at saturation, first submit to last receipt
	P50Seconds   float64 `json:"p50_s"`         // submit to receipt at the given rate
	P99Seconds   float64 `json:"p99_s"`         //
	BlockSeconds float64 `json:"block_seconds"` // mean time between blocks at that rate
	Validators   int     `json:"validators"`
}

func (o LedgerOptions) withDefaults() LedgerOptions {
	set := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	set(&o.Validators, 4)
	set(&o.Rate, 500)
	set(&o.Transfers, 30_000)
	set(&o.Waiting, 6_000)
	if o.Block == 0 {
		o.Block = 500 * time.Millisecond
	}
	if o.Calm == 0 {
		o.Calm = 8 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// perSender is how many transfers each sender's account makes: within the window of
// nonces, so that any order of them is valid.
const perSender = 50

// Ledger starts a network of validator processes and measures, from this process
// over the ledger protocol, how long a transfer takes to be committed at a given
// rate, and how many are committed each second when as many as possible are sent.
// All are signed before the clock starts.
func Ledger(ctx context.Context, o LedgerOptions) (r LedgerResult, err error) {
	o = o.withDefaults()
	calm := int(o.Calm.Seconds() * float64(o.Rate))
	senders := make([]token.Key, (calm+o.Transfers+perSender-1)/perSender)
	accounts := make([]ledger.GenesisAccount, len(senders))
	for i := range senders {
		var seed [32]byte
		binary.BigEndian.PutUint64(seed[:], uint64(i+1))
		senders[i] = token.KeyFromSeed(seed)
		accounts[i] = ledger.GenesisAccount{Address: senders[i].Address(), Amount: 1000 * token.WAL}
	}
	options := testnet.Default()
	options.Dir, options.Nodes, options.Block, options.Accounts = o.Dir, o.Validators, o.Block, accounts
	t, err := testnet.Create(options, o.Program)
	if err != nil {
		return r, err
	}
	defer func() {
		err = errors.Join(err, t.Down(context.WithoutCancel(ctx)))
		if err == nil {
			err = t.Remove()
		}
	}()
	for i := range o.Validators {
		if _, err := t.Start(i, false); err != nil {
			return r, err
		}
	}
	d := driver{}
	d.sign(t, senders, calm+o.Transfers)
	if d.conn, err = client.Connect(ctx, t.Network, client.ConnectOptions{Version: "bench", Log: o.Log}); err != nil {
		return r, err
	}
	defer d.conn.Close()
	ready, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := d.conn.Ready(ready); err != nil {
		return r, err
	}
	for _, b := range d.conn.Host.Bootstrap() {
		d.nodes = append(d.nodes, b.ID)
	}
	r.Validators = o.Validators
	if r.P50Seconds, r.P99Seconds, r.BlockSeconds, err = d.calm(ctx, calm, o.Rate); err != nil {
		return r, fmt.Errorf("%d transfers a second: %w", o.Rate, err)
	}
	if r.TxPerSecond, err = d.saturate(ctx, calm, o.Waiting); err != nil {
		return r, fmt.Errorf("at saturation: %w", err)
	}
	return r, nil
}

// driver sends transfers to all nodes in turn.
type driver struct {
	conn  *client.Connection
	nodes []peer.ID
	txs   [][]byte
}

// sign makes n transfers, in an order in which neighbours have different senders.
func (d *driver) sign(t *testnet.Testnet, senders []token.Key, n int) {
	fees := t.Network.Genesis.Params.Fees
	const size = 400 // more than a transfer has
	d.txs = make([][]byte, n)
	for i := range d.txs {
		from, to := senders[i%len(senders)], senders[(i+1)%len(senders)]
		d.txs[i] = ledger.Sign(from, t.Network.Genesis.ChainID(), uint64(i/len(senders)), fees.Of(size), ledger.Transfer{To: to.Address(), Amount: 1})
	}
}

func (d *driver) submit(ctx context.Context, i int) error {
	b, err := d.conn.Host.AskLedger(ctx, d.nodes[i%len(d.nodes)], p2p.AskSubmit, d.txs[i])
	if err != nil {
		return err
	}
	receipt, err := ledger.DecodeTxReceipt(b)
	if err != nil {
		return err
	}
	return receipt.Err()
}

// calm sends at a steady rate, whatever the answers take, and measures those.
func (d *driver) calm(ctx context.Context, n, rate int) (p50, p99, block float64, err error) {
	before, err := d.conn.Remote.Status(ctx)
	if err != nil {
		return 0, 0, 0, err
	}
	took, errs := make([]float64, n), make([]error, n)
	began := time.Now()
	var wg sync.WaitGroup
	for i := range n {
		due := began.Add(time.Duration(i) * time.Second / time.Duration(rate))
		time.Sleep(time.Until(due))
		wg.Go(func() {
			errs[i] = d.submit(ctx, i)
			took[i] = time.Since(due).Seconds() // a sender that is late is part of the wait
		})
	}
	wg.Wait()
	after, err := d.conn.Remote.Status(ctx)
	if err = errors.Join(append(errs, err)...); err != nil {
		return 0, 0, 0, err
	}
	slices.Sort(took)
	blocks := math.Max(float64(after.Height.Since(before.Height)), 1)
	return took[n/2], took[n*99/100], float64(after.TimeMs-before.TimeMs) / 1000 / blocks, nil
}

// saturate keeps a number of transfers waiting until all are committed.
func (d *driver) saturate(ctx context.Context, from, waiting int) (perSecond float64, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	next.Store(int64(from))
	began := time.Now()
	var wg sync.WaitGroup
	for range waiting {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(d.txs) && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				if err := d.submit(ctx, i); err != nil {
					cancel(fmt.Errorf("transfer %d: %w", i, err))
				}
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return 0, err
	}
	return float64(len(d.txs)-from) / time.Since(began).Seconds(), nil
}
