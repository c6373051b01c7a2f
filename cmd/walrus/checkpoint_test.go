package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/node"
)

// trust keeps what was verified, shows it to others, and takes it from others.
func (d *developer) trust() {
	own := okJSON[checkpointShown](d.T, "checkpoint")
	network := os.Getenv(envPrefix + "NETWORK")
	dir, err := configDir()
	if err != nil {
		d.Fatal(err)
	}
	kept := filepath.Join(dir, "trust", string(own.Chain)+".trust")
	info, err := os.Stat(kept)
	if err != nil || info.Mode().Perm() != 0o600 {
		d.Errorf("kept: %v, %v", info, err)
	}
	// A file that makes no sense costs nothing but trust.
	if err := os.WriteFile(kept, []byte("garbage"), 0o600); err != nil {
		d.Fatal(err)
	}
	again := okJSON[checkpointShown](d.T, "checkpoint")
	if again.Height < own.Height || again.Chain != own.Chain {
		d.Errorf("block %d after %d", again.Height, own.Height)
	}
	// Nor does a committee that makes no sense, or none: the next command keeps a good one.
	committee := filepath.Join(dir, "trust", string(own.Chain)+".committee")
	known, err := os.ReadFile(committee)
	if err != nil {
		d.Fatal(err)
	}
	for i, spoil := range []func() error{func() error { return os.WriteFile(committee, []byte("garbage"), 0o600) }, func() error { return os.Remove(committee) }} {
		if err := spoil(); err != nil {
			d.Fatal(err)
		}
		path, content := d.file(fmt.Sprintf("spoiled %d", i), 1000, byte(80+i))
		d.reads(d.store(path).ID, content)
		info, err := os.Stat(committee)
		if err != nil || info.Mode().Perm() != 0o600 {
			d.Errorf("kept: %v, %v", info, err)
		}
		if b, err := os.ReadFile(committee); err != nil || len(b) < len(known)/2 {
			d.Errorf("%d bytes of a committee are kept, %d before: %v", len(b), len(known), err)
		}
	}
	nodeDir := filepath.Join(d.net, "nodes", "0")
	if nodes := okJSON[checkpointShown](d.T, "checkpoint", "--dir", nodeDir); nodes.Height < own.Height || !strings.Contains(nodes.Source, nodeDir) {
		d.Errorf("the node's block: %+v", nodes)
	}
	if out := ok(d.T, "checkpoint"); !strings.Contains(out, "walrus checkpoint --trust ") {
		d.Errorf("not told how it is trusted: %s", out)
	}

	file := filepath.Join(d.dir, "copied.toml")
	b, err := os.ReadFile(network)
	if err != nil {
		d.Fatal(err)
	}
	write(d.T, file, string(b))
	name := fmt.Sprintf("%d:%s", own.Height, own.Hash)
	wrong := fmt.Sprintf("%d:%s", own.Height+1, own.Hash)
	refused(d.T, exitFail, []string{"checkpoint"}, "checkpoint", "--network", file, "--trust", wrong)
	refused(d.T, exitUsage, []string{"HEIGHT:HASH"}, "checkpoint", "--network", file, "--trust", own.Hash)
	refused(d.T, exitUsage, []string{"exclude"}, "checkpoint", "--dir", nodeDir, "--trust", name)
	refused(d.T, exitFail, []string{"--trust-node"}, "checkpoint", "--network", file, "--trust-node")
	if saved := okJSON[checkpointShown](d.T, "checkpoint", "--network", file, "--trust", name); saved.Saved != file || !saved.Time.Equal(own.Time) {
		d.Errorf("trusted: %+v, shown before: %+v", saved, own)
	}
	ok(d.T, "info", "--network", file)

	// An operator that joins by the address of a node begins with its newest block, once it is verified.
	n, err := client.LoadNetwork(network)
	if err != nil {
		d.Fatal(err)
	}
	joined := filepath.Join(d.dir, "joined")
	ok(d.T, "node", "init", "--dir", joined, "--network", n.Bootstrap[0], "--genesis", n.Genesis.Hash().String())
	got, err := client.LoadNetwork(filepath.Join(joined, networkCopy))
	if err != nil || got.Checkpoint == nil || got.Checkpoint.Height < own.Height {
		d.Errorf("joined with checkpoint %v, %v", got.Checkpoint, err)
	}
	ok(d.T, "info", "--network", filepath.Join(joined, networkCopy))
	elsewhere := filepath.Join(d.dir, "elsewhere")
	refused(d.T, exitFail, nil, "node", "init", "--dir", elsewhere, "--network", n.Bootstrap[0], "--genesis", n.Genesis.Hash().String(), "--checkpoint", wrong)
	if _, err := os.Stat(filepath.Join(elsewhere, node.FileName)); err == nil {
		d.Error("a node was made that trusts a block which is not the chain's")
	}
}
