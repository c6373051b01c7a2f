package bench

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"time"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/gateway/s3"
	"github.com/walrus-network/walrus/node"
	"github.com/walrus-network/walrus/testnet"
)

// largeTimes is how long large blobs took.
type largeTimes struct {
	put, get, cached     []time.Duration // by the gateway, to the last byte
	first, cachedFirst   []time.Duration // to the first byte
	clientPut, clientGet []time.Duration // by the client alone
}

// large stores and reads large blobs, in turns with the client alone. The first turn, in which
// lines are opened, does not count.
func (b *gatewayBench) large() error {
	into := make([]byte, 1<<20)
	if err := b.turn(&largeTimes{}, into); err != nil {
		return err
	}
	var t largeTimes
	for range b.o.Turns {
		if err := b.turn(&t, into); err != nil {
			return err
		}
	}
	// More first bytes than whole blobs: each from a place of its own.
	id, _, err := b.stored(b.o.Size)
	if err != nil {
		return err
	}
	const places = 20
	for i := range int64(places) {
		first, _, err := b.getWhole(fmt.Sprintf("%s/byte-range?start=%d&length=%d", b.url(id), i*b.o.Size/places, b.o.Size/places), into)
		if err != nil {
			return err
		}
		t.first = append(t.first, first)
	}
	speed := func(took []time.Duration) float64 { return mbs(b.o.Size, time.Duration(1e9*at(took, 50))) }
	r := b.r
	r.Put.MBs, r.Get.MBs, r.Get.CachedMBs = speed(t.put), speed(t.get), speed(t.cached)
	r.Client.PutMBs, r.Client.GetMBs = speed(t.clientPut), speed(t.clientGet)
	r.Put.Ratio, r.Get.Ratio = r.Put.MBs/r.Client.PutMBs, r.Get.MBs/r.Client.GetMBs
	r.Get.FirstP50, r.Get.FirstP99, r.Get.CachedP50 = at(t.first, 50), at(t.first, 99), at(t.cachedFirst, 50)
	return nil
}

// turn stores and reads once by the client alone and once by the gateway.
func (b *gatewayBench) turn(t *largeTimes, into []byte) error {
	id, alone, err := b.stored(b.o.Size)
	if err != nil {
		return err
	}
	b.rest()
	first, get, err := b.getWhole(b.url(id), into)
	if err != nil {
		return err
	}
	src, err := b.body(b.o.Size)
	if err != nil {
		return err
	}
	b.rest()
	other, put, err := b.put(b.g.HTTP+"/v1/blobs", src)
	if err != nil {
		return err
	}
	b.rest()
	read, err := b.readAlone(other)
	if err != nil {
		return err
	}
	cachedFirst, cached, err := b.getWhole(b.url(id), into)
	if err != nil {
		return err
	}
	t.put, t.get, t.cached = append(t.put, put), append(t.get, get), append(t.cached, cached)
	t.first, t.cachedFirst = append(t.first, first), append(t.cachedFirst, cachedFirst)
	t.clientPut, t.clientGet = append(t.clientPut, alone), append(t.clientGet, read)
	return nil
}

// rest waits for a moment of a block that the steps before do not decide: a store ends with a
// block, so that one that begins at its end always waits for blocks equally long.
func (b *gatewayBench) rest() {
	time.Sleep(b.block + rand.N(b.block)) // a block in which nodes write what they were sent
}

// readAlone finds and reads a blob with the client alone.
func (b *gatewayBench) readAlone(text string) (time.Duration, error) {
	id, err := blob.ParseID(text)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if _, _, _, err := b.c.Find(b.ctx, id); err != nil {
		return 0, err
	}
	err = b.c.ReadBlob(b.ctx, id, io.Discard)
	return time.Since(began), err
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
	bucket, err := request(http.MethodPut, "/bench")
	if err != nil {
		return err
	}
	empty, err := b.body(0)
	if err != nil {
		return err
	}
	if _, _, err := b.put(bucket, empty); err != nil {
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
		_, get, err := b.getWhole(from, make([]byte, 1<<20))
		if err != nil {
			return err
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
	_, _, err = b.getWhole(b.url(id), make([]byte, 1<<20))
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
