package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"github.com/walrus-network/walrus/gateway/s3"
	"github.com/walrus-network/walrus/testnet"
)

// gatewayLimit is how long the gateway of a testnet may take to answer after its start.
const gatewayLimit = 30 * time.Second

// faucetGift is what the faucet of a testnet gives.
const faucetGift = "1000WAL"

// upGateway starts the gateway of a testnet, waits until it answers, and says how to use it.
func (a *app) upGateway(ctx context.Context, t *testnet.Testnet) (testnet.Gateway, error) {
	g, err := t.StartGateway("--faucet", faucetGift)
	if err != nil {
		return g, err
	}
	ctx, cancel := context.WithTimeout(ctx, gatewayLimit)
	defer cancel()
	if err := answers(ctx, g.HTTP+"/status"); err != nil {
		return g, fmt.Errorf("the gateway does not answer: %w; its log is %s", err, filepath.Join(t.GatewayDir(), "gateway.log"))
	}
	keys, err := s3.ReadKeys(filepath.Join(s3Dir(t.GatewayDir()), "keys.json"))
	if err == nil && len(keys) == 0 {
		err = errors.New("the gateway has no S3 key")
	}
	if err != nil {
		return g, err
	}
	g.AccessKey, g.SecretKey = keys[0].Access, keys[0].Secret
	if err := t.SaveGateway(g); err != nil {
		return g, err
	}
	a.say("gateway: HTTP at %s, S3 at %s; %s has its keys", g.HTTP, g.S3, t.GatewayFile())
	a.say("  curl -T FILE %s/v1/blobs", g.HTTP)
	a.say("  rclone --s3-provider Other --s3-endpoint %s --s3-access-key-id %s --s3-secret-access-key %s copy DIR :s3:bucket", g.S3, g.AccessKey, g.SecretKey)
	return g, nil
}

// answers waits until an address answers.
func answers(ctx context.Context, url string) error {
	var last error
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(r)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
			err = fmt.Errorf("%s: %s", url, resp.Status)
		}
		if ctx.Err() == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			return errors.Join(last, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}
