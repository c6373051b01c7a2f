package p2p

import (
	"cmp"
	"math/rand/v2"
	"slices"

	"github.com/libp2p/go-libp2p/core/peer"
)

// Connected is how many peers the host is connected to now, greeted or not.
func (h *Host) Connected() int { return len(h.libp2p.Network().Peers()) }

// Nodes is the peers that are nodes, in random order, those of the ledger first: of the
// peers that are connected those that the ledger has or that say so, and the bootstrap list.
func (h *Host) Nodes() (out []peer.ID) {
	greeted := h.Peers()
	for _, p := range h.libp2p.Network().Peers() {
		if h.standingOf(p) != Stranger || greeted[p].Ledger != "" { // a client names no ledger
			out = append(out, p)
		}
	}
	for _, b := range h.Bootstrap() {
		if b.ID != h.ID() && !slices.Contains(out, b.ID) {
			out = append(out, b.ID)
		}
	}
	rand.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	slices.SortStableFunc(out, func(a, b peer.ID) int { return cmp.Compare(h.standingOf(b), h.standingOf(a)) })
	return out
}
