package ledger

import (
	"fmt"

	"github.com/walrus-network/walrus/state"
	"github.com/walrus-network/walrus/token"
)

// Try does what a transaction would do, by the ledger's own rules, on what a view
// shows, and returns a view of what comes of it: the ledger itself is not touched and
// nothing needs to be signed. It is for telling people what they are about to do;
// other transactions may come before theirs.
//
// It fails as the ledger would refuse: with a *Refusal. The genesis is that of the view's
// chain. A body whose kind carries its own proof costs the signer nothing.
func (v View) Try(g Genesis, signer token.PublicKey, fee token.Amount, body Body) (after View, err error) {
	defer guard(&err)
	base, ok := v.R.(state.Lister)
	if !ok {
		return v, ErrNoList
	}
	head, rules := sure(v.Head()), sure(v.Rules())
	if head.Height < head.EpochEnd {
		head.Height++ // the block that would hold it
	}
	x := &exec{o: state.NewOverlay(base), p: rules.Params, chain: g.ChainID(), name: g.Name, head: head, at: head.Height, verified: newVerifyCache()}
	if err := x.try(Tx{Version: TxVersion, Kind: body.kind(), Signer: signer, Fee: fee}, body); err != nil {
		return v, err
	}
	return x.view(), nil
}

func (x *exec) try(tx Tx, body Body) error {
	if err := body.check(x.p); err != nil {
		return fmt.Errorf("%s: %w", tx.Kind, err)
	}
	a := admission{tx: tx, payable: !tx.Kind.Unsigned()}
	if a.payable {
		if b, ok := body.(prover); ok {
			if err := b.proofs(x.chain, x.name, tx.Signer.Address()); err != nil {
				return fmt.Errorf("%s: %w: %w", tx.Kind, ErrSignature, err)
			}
		}
		a.tx.Nonce = x.account(tx.Signer.Address()).Nonce
	}
	err := x.settling(func() (err error) {
		if a.plan, err = x.afford(a.tx, body); err != nil {
			return err
		}
		x.charge(a, 0)
		a.plan.apply()
		x.flushBuckets()
		x.end()
		return nil
	})
	if err != nil {
		return fmt.Errorf("%s: %w", tx.Kind, err)
	}
	return nil
}
