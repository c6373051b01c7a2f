package challenge

import (
	"fmt"
	"strings"
	"testing"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
	"github.com/walrus-network/walrus/internal/golden"
	"github.com/walrus-network/walrus/token"
)

// TestGoldenFormats pins what a beacon leads to, and the bytes of proofs and votes.
func TestGoldenFormats(t *testing.T) {
	var out strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&out, "%-20s %s\n", name, fmt.Sprintf(format, args...))
	}
	r := RoundID{Epoch: 3, Round: 7}
	line("reveal message", "%x", RevealMessage(testChain, r))
	line("last message", "%x", LastMessage(testChain, r))
	beacon := NextBeacon(beaconOf(1), r, []byte{5}, token.BLSSignature{6}, token.BLSSignature{7})
	line("beacon", "%s", beacon)
	line("closing message", "%x", ClosingMessage(testChain, r, 1))
	line("beacon, closed", "%s", Close(beacon, 1, token.BLSSignature{8}))
	line("offset of 100", "%d", Offset(beacon, r, 100))
	line("closers of 100", "%d", CloserShards(beacon, r, 3, 100))

	k := newKept(t, 10)
	for i := range 40 {
		k.add(t, 30_000+9000*i, 3000, int64(i))
	}
	draws := DrawRound(Default(), beacon, k.index(), none)
	for i, d := range draws {
		line(fmt.Sprintf("draw %d", i), "blob %d stripe %d", k.number(d.Blob), d.Stripe)
	}
	ask := New(Default(), testChain, r, beacon, draws, 4, k.commitment)
	for i, q := range ask.Questions {
		line(fmt.Sprintf("shard 4, question %d", i), "%s of place %d, symbols %v, chunks %v", q.Axis, q.Place, q.At, q.Chunks)
	}
	p, err := ask.Prove(holder, k, k.code)
	if err != nil {
		t.Fatal(err)
	}
	line("opening 0", "%x", canon.Encode(p.Openings[0]))
	line("signed", "%x", canon.Encode(p.Signed()))
	line("message", "%x", p.Signed().Message(testChain))
	line("proof", "%d bytes, hash %s", len(p.Encode()), p.Hash())
	list, promise := Messages([]Proof{p})
	line("gossip", "%d bytes, hash %s, promise %s", len(list[0].Encode()), blob.Leaf(list[0].Encode()), promise)
	line("reveal", "%x", NewReveal(testChain, token.Secret{3}.BLSKey(), r).Encode())
	line("closing", "%x", NewClosing(testChain, token.Secret{3}.BLSKey(), r, 1).Encode())
	line("attestation", "%x", NewAttest(r, true, promise, []byte{255, 3}).Encode())
	bad := p
	bad.Openings = append([]Opening{{}}, p.Openings[1:]...)
	bad.Signature = holder.Sign(ProofMessage(testChain, bad))
	f, ok := ask.Falsehood(bad)
	line("falsehood", "%v %x", ok, f.Encode())
	golden.Check(t, "formats.txt", out.String())
}

func (k *kept) number(id blob.ID) int {
	for i, c := range k.blobs {
		if c.ID == id {
			return i
		}
	}
	return -1
}
