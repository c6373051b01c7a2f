package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/quilt"
	"github.com/walrus-network/walrus/testnet"
	"github.com/walrus-network/walrus/token"
)

// FilesOptions say which small files are stored.
type FilesOptions struct {
	Quilted  int             // files of a quilt
	Separate int             // files that are a blob each
	Size     int64           // bytes of a file
	Program  testnet.Command // nodes are started with it
}

// FilesResult is what many small files cost. Times are medians of Rounds.
type FilesResult struct {
	BlockSeconds float64 `json:"block_seconds"`
	Quilt        struct {
		Files       int     `json:"files"`
		Seconds     float64 `json:"seconds"`
		BlobSeconds float64 `json:"blob_seconds"` // of one blob with as many bytes as the files
		RatioTime   float64 `json:"ratio_time"`
		RatioPrice  float64 `json:"ratio_price"`
	} `json:"quilt"`
	Separate struct {
		Files       int     `json:"files"`
		Seconds     float64 `json:"seconds"`
		Blocks      float64 `json:"blocks"`       // made meanwhile
		AloneBlocks float64 `json:"alone_blocks"` // while one such file is stored
	} `json:"separate"`
}

// Files starts a testnet, and stores small files in a quilt and as blobs of their own.
func Files(ctx context.Context, o FilesOptions) (r FilesResult, err error) {
	err = onTestnet(ctx, NetworkOptions{Program: o.Program}, func(_ string, c *client.Connection, t *testnet.Testnet) error {
		b := filesBench{ctx: ctx, o: o, c: c, wallet: t.Wallet, random: rand.NewChaCha8([32]byte{6}), r: &r}
		if err := b.quilts(); err != nil {
			return err
		}
		return b.separate()
	})
	return r, err
}

type filesBench struct {
	ctx    context.Context
	o      FilesOptions
	c      *client.Connection
	wallet token.Key
	random *rand.ChaCha8
	r      *FilesResult
}

// inMemory is a source of bytes.
type inMemory []byte

func (m inMemory) Size() int64 { return int64(len(m)) }

func (m inMemory) Open(offset int64) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(m[offset:])), nil
}

func (b *filesBench) bytes(n int64) inMemory {
	out := make(inMemory, n)
	b.random.Read(out)
	return out
}

func (b *filesBench) store(src client.Source) (client.StoreResult, error) {
	return b.c.Store(b.ctx, b.wallet, src, client.StoreOptions{Epochs: 5})
}

// quilts stores quilts and blobs of as many bytes by turns.
func (b *filesBench) quilts() error {
	var quilted, single []float64
	var quiltPrice, blobPrice token.Amount
	for range Rounds {
		files := make([]quilt.File, b.o.Quilted)
		for i := range files {
			data := b.bytes(b.o.Size)
			files[i] = quilt.File{Identifier: fmt.Sprintf("file-%05d.bin", i), Size: b.o.Size, ContentType: "application/octet-stream", Open: data.Open}
		}
		q, err := quilt.New(files)
		if err != nil {
			return err
		}
		stored, err := b.store(q)
		if err != nil {
			return err
		}
		quilted, quiltPrice = append(quilted, stored.TotalTime.Seconds()), stored.Price+stored.Write
		if stored, err = b.store(b.bytes(int64(b.o.Quilted) * b.o.Size)); err != nil {
			return err
		}
		single, blobPrice = append(single, stored.TotalTime.Seconds()), stored.Price+stored.Write
	}
	r := &b.r.Quilt
	r.Files, r.Seconds, r.BlobSeconds = b.o.Quilted, median(quilted), median(single)
	r.RatioTime, r.RatioPrice = r.Seconds/r.BlobSeconds, float64(quiltPrice)/float64(blobPrice)
	return nil
}

// separate stores files side by side, each as a blob.
func (b *filesBench) separate() error {
	var took, blocks, alone []float64
	var rate []float64
	for range Rounds {
		before, err := b.head()
		if err != nil {
			return err
		}
		if _, err := b.store(b.bytes(b.o.Size)); err != nil {
			return err
		}
		between, err := b.head()
		if err != nil {
			return err
		}
		alone = append(alone, float64(between.Height-before.Height))
		began := time.Now()
		errs := make([]error, b.o.Separate)
		var stores sync.WaitGroup
		for i := range errs {
			data := b.bytes(b.o.Size)
			stores.Go(func() { _, errs[i] = b.store(data) })
		}
		stores.Wait()
		if err := errors.Join(errs...); err != nil {
			return err
		}
		took = append(took, time.Since(began).Seconds())
		after, err := b.head()
		if err != nil {
			return err
		}
		blocks = append(blocks, float64(after.Height-between.Height))
		rate = append(rate, float64(after.TimeMs-before.TimeMs)/1000/float64(max(1, after.Height-before.Height)))
	}
	r := &b.r.Separate
	r.Files, r.Seconds, r.Blocks, r.AloneBlocks = b.o.Separate, median(took), median(blocks), median(alone)
	b.r.BlockSeconds = median(rate)
	return nil
}

func (b *filesBench) head() (ledger.Head, error) {
	v, err := b.c.Remote.View(b.ctx)
	if err != nil {
		return ledger.Head{}, err
	}
	return v.Head()
}
