package ledger

import (
	"testing"

	"github.com/walrus-network/walrus/token"
	"github.com/walrus-network/walrus/unit"
)

// TestTheStoryOfARenewalThatRunsDry is told in testdata/renewal.txt.
func TestTheStoryOfARenewalThatRunsDry(t *testing.T) {
	w := newWorld(t, small(), 4)
	n := w.narrate("A renewal that runs dry")
	alice, bob := w.users[1], w.users[2]
	photo := w.manifest(1, 1_000_000)
	id, units := photo.ID(), w.units(photo)
	price := w.g.Params.Registry.Price * token.Amount(units)
	until := func() unit.Epoch { return w.entry(id).End() }
	left := func() token.Amount { return w.entry(id).Leases[len(w.entry(id).Leases)-1].Renewal.Left }
	passes := func(epoch unit.Epoch) {
		w.toMiddle(epoch)
		n.shows("the photo is paid for until epoch", until())
		n.shows("left for renewals", w.balanced().Allowances)
	}

	n.tell("Alice has a photo of 1,000,000 bytes. The network keeps it in pieces, %d KiB of them in all, and today asks %s for each KiB and epoch: %s an epoch. Writing it costs %s more, once.",
		units, w.g.Params.Registry.Price, price, w.writePrice(photo))
	n.holds("Alice", alice)

	n.chapter("Epoch 0")
	allowance := 3*price + price/2
	n.tries(w.try(alice, RegisterBlob{Manifest: photo, Epochs: 2, Owner: alice.Address(), Allowance: allowance, HighestPrice: 1200}),
		"She pays for two epochs, and because she travels a lot she leaves an allowance of %s with the photo, to go on with when they are over. She also says what she finds too dear: more than 0.0000012WAL for a KiB and epoch.", allowance)
	n.tell("Until the nodes have shown that they hold the photo, her money waits. The fee for asking, %s, is gone in any case.", fee)
	n.holds("Alice", alice)
	n.books()
	w.certify(id)
	n.tell("The nodes show that they have it. What writing cost is theirs with this epoch, and each of the two epochs has its own money now. The allowance is still Alice's; only the ledger may use it, and for nothing else.")
	n.books()

	n.chapter("Epoch 1")
	n.tell("This is the last epoch that Alice has paid for. When it is half over, the ledger takes the price of one epoch from the allowance and goes on by itself.")
	passes(1)

	n.chapter("Epoch 2")
	w.toEpoch(2)
	w.setPrice(1100)
	n.tell("The price rises by a tenth. Alice accepts that, so the ledger buys the next epoch for her at the new price.")
	passes(2)

	n.chapter("Epoch 3")
	w.toEpoch(3)
	w.setPrice(1300)
	n.tell("Now it is 0.0000013WAL, more than she accepts. The middle of the epoch comes, and nothing is bought.")
	passes(3)
	n.tries(w.try(bob, SetRenewal{Blob: id, Allowance: price, HighestPrice: 2000}), "Bob, who likes the photo, wants to leave an allowance with it.")
	n.tell("Only who has a lease may say how it is renewed.")
	n.tries(w.try(alice, SetRenewal{Blob: id, Allowance: 2 * price, HighestPrice: 1300}),
		"Alice looks, sees the warning, and leaves a new allowance of %s that accepts 0.0000013WAL. The old one comes back to her; and because the epoch is half over already, the ledger buys the next one at once.", 2*price)
	n.shows("the photo is paid for until epoch", until())
	n.shows("left for renewals", left())
	n.holds("Alice", alice)

	n.chapter("Epoch 4")
	n.tell("An epoch costs %s now. What is left of the allowance does not pay for it, so nothing is bought, and the lease will end. walrus status has said so for two epochs.", 13*price/10)
	passes(4)
	before := w.account(alice).Balance

	n.chapter("Epoch 5")
	w.toEpoch(5)
	grave := w.grave(id)
	n.tell("The photo's last lease has ended: it has %s. Until epoch %d begins the nodes still keep its pieces, and then they may drop them. What was left of the allowance is back with Alice, to the last FROST.", grave.Reason, grave.Free)
	n.shows("back with Alice", w.account(alice).Balance-before)
	n.holds("Alice", alice)
	n.books()
	n.end("renewal.txt")
}
