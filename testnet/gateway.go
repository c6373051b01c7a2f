package testnet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/internal/port"
	"github.com/walrus-network/walrus/node"
)

const (
	gatewayDir  = "gateway"
	gatewayName = "gateway.json"
	gatewayLog  = "gateway.log"
	// GatewayLock is the file that the process of a gateway holds locked.
	GatewayLock = "gateway.lock"
)

// Gateway is where the gateway of a testnet answers.
type Gateway struct {
	HTTP      string `json:"http"`
	S3        string `json:"s3"`
	AccessKey string `json:"access_key"`
	SecretKey string `json:"secret_key"`
}

// GatewayDir is the directory of the testnet's gateway.
func (t *Testnet) GatewayDir() string { return filepath.Join(t.Dir, gatewayDir) }

// GatewayFile has the Gateway, for programs.
func (t *Testnet) GatewayFile() string { return filepath.Join(t.Dir, gatewayName) }

// Gateway reads where the testnet's gateway answers; ok is false where it never had one. Its
// ports are chosen once and kept.
func (t *Testnet) Gateway() (g Gateway, ok bool, err error) {
	b, err := os.ReadFile(t.GatewayFile())
	if errors.Is(err, fs.ErrNotExist) {
		return g, false, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &g)
	}
	return g, err == nil, err
}

// SaveGateway writes down where the gateway answers, once it does: a program that waits for the
// file may use at once what is in it.
func (t *Testnet) SaveGateway(g Gateway) error {
	b, err := json.MarshalIndent(g, "", "  ")
	if err != nil {
		return err
	}
	return client.WriteWhole(t.GatewayFile(), append(b, '\n'), 0o600)
}

// StartGateway starts the gateway as a process that stays, on ports that are its own. args are
// beside those that a testnet's gateway has. SaveGateway keeps what it gives.
func (t *Testnet) StartGateway(args ...string) (g Gateway, err error) {
	if err := os.MkdirAll(t.GatewayDir(), 0o700); err != nil {
		return g, err
	}
	g, had, err := t.Gateway()
	if err != nil {
		return g, fmt.Errorf("%s: %w", t.GatewayFile(), err)
	}
	if !had {
		ports, err := port.Testnets.Free(2)
		if err != nil {
			return g, err
		}
		g.HTTP, g.S3 = fmt.Sprintf("http://127.0.0.1:%d", ports[0]), fmt.Sprintf("http://127.0.0.1:%d", ports[1])
	}
	log, err := os.OpenFile(filepath.Join(t.GatewayDir(), gatewayLog), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return g, err
	}
	defer log.Close()
	program, err := filepath.Abs(t.command.Program)
	if err != nil {
		return g, err
	}
	all := append([]string{"gateway", "--dir", t.GatewayDir(), "--network", t.NetworkFile(), "--wallet", t.WalletFile(), "--listen", g.HTTP[len("http://"):], "--s3", g.S3[len("http://"):]}, args...)
	cmd := exec.Command(program, all...)
	cmd.Env = append(os.Environ(), t.command.Env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // ^C is for the process that started it
	if err := cmd.Start(); err != nil {
		return g, fmt.Errorf("start the gateway: %w", err)
	}
	go cmd.Wait()
	return g, nil
}

// GatewayRuns says whether the gateway's process runs.
func (t *Testnet) GatewayRuns() (bool, error) {
	_, runs, err := t.gatewayProcess()
	return runs, err
}

func (t *Testnet) gatewayProcess() (pid int, runs bool, err error) {
	pid, runs, err = node.HolderAs(t.GatewayDir(), GatewayLock)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, nil
	}
	return pid, runs, err
}

// StopGateway ends the gateway's process, if it runs.
func (t *Testnet) StopGateway(ctx context.Context) error {
	return t.endGateway(ctx, syscall.SIGTERM, syscall.SIGKILL)
}

// KillGateway ends the gateway's process at once, as a crash does (SIGKILL), if it runs.
func (t *Testnet) KillGateway(ctx context.Context) error { return t.endGateway(ctx, syscall.SIGKILL) }

// endGateway sends the gateway signals, one after the other, until it has ended.
func (t *Testnet) endGateway(ctx context.Context, signals ...syscall.Signal) error {
	pid, runs, err := t.gatewayProcess()
	if err == nil && !runs {
		return nil
	}
	if err != nil || pid == 0 {
		return errors.Join(err, fmt.Errorf("the gateway runs in a process that cannot be seen from here: stop it first"))
	}
	for _, s := range signals {
		if err := syscall.Kill(pid, s); err != nil {
			return fmt.Errorf("stop the gateway: %w", err)
		}
		const patience = 10 * time.Second
		for began := time.Now(); time.Since(began) < patience; {
			if now, runs, _ := t.gatewayProcess(); !runs || now != pid {
				return nil
			}
			if wait(ctx, 10*time.Millisecond); ctx.Err() != nil {
				return ctx.Err()
			}
		}
	}
	return fmt.Errorf("the gateway (pid %d) does not end", pid)
}
