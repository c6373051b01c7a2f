package gateway

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/token"
)

// A store answers as publishers do: made, there already, and lengthened.
func TestAStoreAnswersAsPublishersDo(t *testing.T) {
	g := newRig(t, nil)
	body := random(100_000, 1)
	var first, again, longer, forced storeResult
	a := g.put("/v1/blobs", body)
	a.json(t, &first)
	g.want(a, 200, "")
	created := first.Created
	if created == nil || created.Operation["registerFromScratch"].EpochsAhead == nil || *created.Operation["registerFromScratch"].EpochsAhead != 1 || created.Cost == 0 ||
		created.Object.Size != 100_000 || !created.Object.Deletable || created.Object.Storage.EndEpoch != 1 {
		t.Fatalf("%s", a.body)
	}
	id, err := blob.ParseID(created.Object.BlobID)
	if err != nil || first.Walrus.CID != id || created.Object.ID != objectID(id) {
		t.Errorf("%v %v", id, err)
	}
	g.put("/v1/blobs", body).json(t, &again)
	if again.Already == nil || again.Already.BlobID != created.Object.BlobID || again.Already.EndEpoch != 1 || again.Already.Event.TxDigest == "" {
		t.Errorf("the second store: %+v", again)
	}
	g.put("/v1/blobs?epochs=4", body).json(t, &longer)
	if longer.Created == nil || longer.Created.Operation["reuseAndExtend"].EpochsExtended == nil || *longer.Created.Operation["reuseAndExtend"].EpochsExtended != 3 || longer.Created.Object.Storage.EndEpoch != 4 {
		t.Errorf("a longer one: %+v", longer.Created)
	}
	g.put("/v1/blobs?force=true", body).json(t, &forced)
	if forced.Created == nil || forced.Created.Cost != 0 {
		t.Errorf("a forced one: %+v", forced)
	}
	friend := token.KeyFromSeed([32]byte{9}).Address()
	var sent storeResult
	g.put("/v1/blobs?permanent=true&send_object_to="+friend.String(), random(1000, 2)).json(t, &sent)
	if sent.Created == nil || sent.Created.Object.Deletable || sent.Walrus.Owner != friend {
		t.Errorf("for another owner: %+v", sent)
	}
	// The old path, a chunked body, a form's content type, and an empty body.
	for _, r := range []*http.Request{g.request("PUT", "/v1/store", bytes.NewReader(body)), g.request("PUT", "/v1/blobs", io.MultiReader(bytes.NewReader(body))), g.request("PUT", "/v1/blobs", http.NoBody)} {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Expect", "100-continue")
		g.want(g.do(r), 200, "")
	}
}

// What a store's query gets wrong costs nothing, and the answer says what.
func TestAWrongQueryStoresNothing(t *testing.T) {
	g := newRig(t, nil)
	for query, reason := range map[string]string{
		"epoch=5": "MALFORMED_REQUEST", "epochs=0": "MALFORMED_REQUEST", "epochs=-1": "MALFORMED_REQUEST", "epochs=1&epochs=2": "MALFORMED_REQUEST", "epochs=x": "MALFORMED_REQUEST",
		"permanent=1": "MALFORMED_REQUEST", "permanent=true&deletable=true": "INVALID_BLOB_PERSISTENCE", "encoding_type=RedStuff": "MALFORMED_REQUEST", "share=true": "INVALID_SEND_OBJECT_TO",
		"send_object_to=0x" + strings.Repeat("1", 64): "INVALID_SEND_OBJECT_TO", "epochs=4000000000": "INVALID_EPOCHS", "%zz": "MALFORMED_REQUEST", "epochs=1;permanent=true": "MALFORMED_REQUEST",
	} {
		g.want(g.put("/v1/blobs?"+query, []byte("hello")), 400, reason)
	}
	list := g.get("/v1/blobs")
	if string(list.body) != "{\"blobs\":[]}\n" {
		t.Errorf("%s", list.body)
	}
}
