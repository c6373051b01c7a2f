package client

import (
	"errors"
	"fmt"

	"github.com/walrus-network/walrus/registry"
	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// errSignature is why a member's confirmation counts for nothing.
var errSignature = errors.New("its confirmation is not signed with its key")

// certificate makes a certificate of confirmations of the upload's epoch, and checks it as the
// ledger will: all signatures together, which costs as much as one. Where that fails each is
// checked alone, and members whose signature is wrong are left out and blamed; ok says that
// the rest is a certificate.
func (u *upload) certificate(sigs map[int]token.BLSSignature) (c registry.Certificate, ok bool) {
	if c, ok = u.checked(sigs); ok {
		return c, true
	}
	for _, l := range u.lanes {
		sig, has := sigs[l.member]
		if !has {
			continue
		}
		if err := u.known.Verify(u.d.keys[l.member], registry.ConfirmMessage(u.chain, u.d.epoch, u.p.ID), sig); err != nil {
			u.host.Blame(u.d.Members[l.member].Peer, err)
			l.wrong.Store(true)
			delete(sigs, l.member)
		}
	}
	return u.checked(sigs)
}

func (u *upload) checked(sigs map[int]token.BLSSignature) (registry.Certificate, bool) {
	c, err := registry.NewCertificate(u.d.epoch, len(u.d.Members), sigs)
	if err != nil {
		return c, false
	}
	members := make([]registry.Member, len(u.d.Members))
	for i, m := range u.d.Members {
		members[i] = registry.Member{BLS: u.d.keys[i], Shards: m.Shards}
	}
	return c, c.Verify(u.chain, u.p.ID, members, u.d.Shape.N, u.known) == nil
}

// confirmed is the confirmations that have come, by epoch. None is checked yet.
type confirmed struct {
	u         *upload
	sigs      map[int]token.BLSSignature // of the upload's epoch, by member
	elsewhere int                        // shards that confirmed for another epoch
}

// add counts a confirmation.
func (c *confirmed) add(l *lane, epoch unit.Epoch, sig token.BLSSignature) {
	if epoch != c.u.d.epoch {
		c.elsewhere += len(l.places)
		return
	}
	c.sigs[l.member] = sig
}

// weight is the shards that confirmed for the upload's epoch.
func (c *confirmed) weight() (sum int) {
	for _, l := range c.u.lanes {
		if _, has := c.sigs[l.member]; has {
			sum += len(l.places)
		}
	}
	return sum
}

// lost says why not enough members can confirm any more, or nil.
func (c *confirmed) lost() error {
	quorum, left := c.u.d.Shape.Quorum(), c.u.weight(nil)
	switch {
	case left < quorum:
		return c.u.shortfall(left)
	case left-c.elsewhere < quorum:
		return errTurned
	}
	return nil
}

// why is the reason for which a lane failed.
func (l *lane) why() error {
	if l.wrong.Load() {
		return fmt.Errorf("%w", errSignature)
	}
	return l.err
}
