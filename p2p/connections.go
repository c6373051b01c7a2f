package p2p

// Connected is how many peers the host is connected to now, greeted or not.
func (h *Host) Connected() int { return len(h.libp2p.Network().Peers()) }
