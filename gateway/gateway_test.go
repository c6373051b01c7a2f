package gateway

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"go.uber.org/goleak"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/client"
	"github.com/walrus-network/walrus/gateway/access"
	"github.com/walrus-network/walrus/gateway/blobs"
	"github.com/walrus-network/walrus/internal/world"
	"github.com/walrus-network/walrus/ledger"
	"github.com/walrus-network/walrus/quilt"
	"github.com/walrus-network/walrus/token"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// Background routines of dependencies that end with the process.
		goleak.IgnoreAnyFunction("github.com/libp2p/go-libp2p/p2p/net/connmgr.(*BasicConnMgr).background"),
		goleak.IgnoreAnyFunction("go.opencensus.io/stats/view.(*worker).start"),
		// It ends ten seconds after its request, whatever came of that.
		goleak.IgnoreAnyFunction("github.com/tus/tusd/v2/pkg/handler.newDelayedContext.func1"),
	)
}

// rig is a gateway on a network.
type rig struct {
	t   *testing.T
	w   *world.World
	c   *client.Client
	s   *Server
	url string
	dir string
	key string // is sent with each request, if not empty
}

func newRig(t *testing.T, change func(*Options)) *rig {
	t.Helper()
	w := world.New(t, 4, 10)
	g := &rig{t: t, w: w, c: w.Client(), dir: t.TempDir()}
	g.start(change)
	return g
}

func (g *rig) start(change func(*Options)) {
	g.t.Helper()
	r, err := blobs.NewReader(g.c, blobs.DefaultReader(g.dir+"/cache"))
	if err != nil {
		g.t.Fatal(err)
	}
	spool, err := blobs.NewSpool(g.dir+"/spool", 64<<20, 32<<20)
	if err != nil {
		g.t.Fatal(err)
	}
	wo := blobs.DefaultWriter()
	wo.Reader = r
	o := Defaults()
	o.Reader, o.Writer, o.Spool, o.MaxBody, o.UploadDir = r, blobs.NewWriter(g.c, g.w.Wallet, wo), spool, 32<<20, g.dir+"/uploads"
	o.Faults = func(err error) { g.t.Error(err) }
	if change != nil {
		change(&o)
	}
	if g.s, err = New(o); err != nil {
		g.t.Fatal(err)
	}
	s := g.s
	server := httptest.NewServer(s)
	g.url = server.URL + s.o.BasePath
	g.t.Cleanup(func() { server.Close(); s.Close(); r.Close() })
}

// apiDocument is the validator of openapi.yaml.
var apiDocument = sync.OnceValues(func() (validator.Validator, error) {
	doc, err := libopenapi.NewDocument(document)
	if err != nil {
		return nil, err
	}
	v, errs := validator.NewValidator(doc)
	if len(errs) > 0 {
		return nil, fmt.Errorf("%v", errs)
	}
	if ok, errs := v.ValidateDocument(); !ok {
		return nil, fmt.Errorf("%v", errs)
	}
	return v, nil
})

// answer is a response whose body was read.
type answer struct {
	*http.Response
	body []byte
}

func (a answer) json(t *testing.T, into any) {
	t.Helper()
	if err := json.Unmarshal(a.body, into); err != nil {
		t.Fatalf("%v in %s", err, a.body)
	}
}

// reason is that of an error; empty if it is none.
func (a answer) reason() string {
	var e struct {
		Error struct {
			Status  string
			Code    int
			Details []struct{ Reason string }
		}
	}
	if json.Unmarshal(a.body, &e) != nil || len(e.Error.Details) == 0 || e.Error.Code != a.StatusCode {
		return ""
	}
	return e.Error.Details[0].Reason
}

func (g *rig) request(method, path string, body io.Reader) *http.Request {
	g.t.Helper()
	r, err := http.NewRequestWithContext(g.t.Context(), method, g.url+path, body)
	if err != nil {
		g.t.Fatal(err)
	}
	if g.key != "" {
		r.Header.Set("Authorization", "Bearer "+g.key)
	}
	return r
}

// do sends a request, and holds the answer against the document.
func (g *rig) do(r *http.Request) answer {
	g.t.Helper()
	var sent []byte
	if r.Body != nil && r.ContentLength >= 0 && r.ContentLength < 1<<20 {
		sent, _ = io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(sent))
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		g.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	g.check(r, resp, sent, b)
	return answer{resp, b}
}

func (g *rig) check(r *http.Request, resp *http.Response, sent, b []byte) {
	g.t.Helper()
	v, err := apiDocument()
	if err != nil {
		g.t.Fatal(err)
	}
	path := strings.TrimPrefix(r.URL.Path, g.s.o.BasePath)
	if strings.Contains(path, "/by-quilt-id/") || strings.Contains(path, "..") || r.Method == "OPTIONS" || r.Header.Get("Tus-Resumable") != "" && (answer{resp, b}).reason() == "" || resp.StatusCode == 405 || strings.Contains(resp.Header.Get("Content-Type"), "octet") && r.Method == "HEAD" {
		return // the document's paths know no slash in an identifier
	}
	as := r.Clone(r.Context())
	as.URL.Path, as.URL.RawPath = path, ""
	as.Body = io.NopCloser(bytes.NewReader(sent))
	resp.Body = io.NopCloser(bytes.NewReader(b))
	if ok, errs := v.ValidateHttpResponse(as, resp); !ok && resp.StatusCode != 404 {
		for _, e := range errs {
			g.t.Errorf("%s %s: %d is not as openapi.yaml says: %s: %s %v\n%s", r.Method, r.URL.Path, resp.StatusCode, e.Message, e.Reason, e.SchemaValidationErrors, b[:min(len(b), 600)])
		}
	}
	if resp.StatusCode < 400 && r.Method != "PUT" && !strings.Contains(path, "upload") {
		if ok, errs := v.ValidateHttpRequest(as); !ok {
			for _, e := range errs {
				g.t.Errorf("%s %s was answered %d, and is not as openapi.yaml says: %s: %s", r.Method, r.URL, resp.StatusCode, e.Message, e.Reason)
			}
		}
	}
	if resp.StatusCode >= 400 && r.Method != "HEAD" && (answer{resp, b}).reason() == "" && resp.StatusCode != 503 {
		g.t.Errorf("%s %s: the error %d has no envelope: %s", r.Method, r.URL, resp.StatusCode, b)
	}
}

func (g *rig) get(path string, header ...string) answer {
	g.t.Helper()
	r := g.request("GET", path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return g.do(r)
}

func (g *rig) put(path string, body []byte) answer {
	g.t.Helper()
	return g.do(g.request("PUT", path, bytes.NewReader(body)))
}

// stored stores bytes, and gives their ID.
func (g *rig) stored(body []byte) string {
	g.t.Helper()
	a := g.put("/v1/blobs?epochs=3", body)
	var r storeResult
	a.json(g.t, &r)
	switch {
	case a.StatusCode != 200:
		g.t.Fatalf("%d %s", a.StatusCode, a.body)
	case r.Created != nil:
		return r.Created.Object.BlobID
	}
	return r.Already.BlobID
}

func random(n int, seed byte) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

func (g *rig) want(a answer, code int, reason string) {
	g.t.Helper()
	if a.StatusCode != code || a.reason() != reason && a.Request.Method != "HEAD" {
		g.t.Errorf("%s %s: %d %q, want %d %q: %s", a.Request.Method, a.Request.URL, a.StatusCode, a.reason(), code, reason, a.body[:min(len(a.body), 300)])
	}
}

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

// Reads of all forms give the same bytes, with headers that caches and browsers need.
func TestReads(t *testing.T) {
	g := newRig(t, nil)
	body := random(1_000_000, 3)
	id := g.stored(body)
	parsed, _ := blob.ParseID(id)
	for _, path := range []string{"/v1/blobs/" + id, "/v1/blobs/" + parsed.String(), "/v1/blobs/" + objectID(parsed), "/v1/blobs/by-object-id/" + objectID(parsed), "/v1alpha/blobs/" + id + "/stream", "/v1/blobs/" + id + "?cb=17"} {
		a := g.get(path)
		h := a.Header
		if a.StatusCode != 200 || !bytes.Equal(a.body, body) || h.Get("ETag") != `"`+id+`"` || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Accept-Ranges") != "bytes" ||
			!strings.Contains(h.Get("Content-Security-Policy"), "sandbox") || h.Get("Content-Length") != "1000000" || !strings.HasPrefix(h.Get("Cache-Control"), "public, max-age=86400") || h.Get("Content-Type") != opaque {
			t.Errorf("%s: %d %v", path, a.StatusCode, h)
		}
		head := g.do(g.request("HEAD", path, nil))
		if head.StatusCode != 200 || len(head.body) > 0 || head.Header.Get("Content-Length") != "1000000" || head.Header.Get("ETag") != h.Get("ETag") {
			t.Errorf("HEAD %s: %d %v", path, head.StatusCode, head.Header)
		}
	}
	for header, want := range map[string][2]int{"bytes=0-0": {0, 1}, "bytes=5-": {5, 999_995}, "bytes=-7": {999_993, 7}, "bytes=0-": {0, 1_000_000}, "bytes=999999-2000000": {999_999, 1}, "Bytes=10-19": {10, 10}, "bytes=-2000000": {0, 1_000_000}} {
		a := g.get("/v1/blobs/"+id, "Range", header)
		if a.StatusCode != 206 || !bytes.Equal(a.body, body[want[0]:want[0]+want[1]]) || a.Header.Get("Content-Range") != fmt.Sprintf("bytes %d-%d/1000000", want[0], want[0]+want[1]-1) {
			t.Errorf("%s: %d %v, %d bytes", header, a.StatusCode, a.Header.Get("Content-Range"), len(a.body))
		}
	}
	for _, header := range []string{"bytes=0-1,5-6", "lines=1-2"} {
		if a := g.get("/v1/blobs/"+id, "Range", header); a.StatusCode != 200 || len(a.body) != len(body) {
			t.Errorf("%s: %d", header, a.StatusCode)
		}
	}
	for _, header := range []string{"bytes=5-4", "bytes=1000000-", "bytes=x", "bytes=--1", "bytes=-0", "bytes", "bytes=+1-2", "bytes=1- 2", "bytes=99999999999999999999-"} {
		a := g.get("/v1/blobs/"+id, "Range", header)
		g.want(a, 416, "INVALID_BYTE_RANGE")
		if a.Header.Get("Content-Range") != "bytes */1000000" || a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("ETag") != "" {
			t.Errorf("%s: %v", header, a.Header)
		}
	}
	etag := `"` + id + `"`
	for _, c := range []struct {
		name, value string
		code        int
	}{{"If-None-Match", etag, 304}, {"If-None-Match", id, 304}, {"If-None-Match", `W/"x", W/` + etag, 304}, {"If-None-Match", "*", 304}, {"If-None-Match", `"x"`, 200},
		{"If-Match", etag, 200}, {"If-Match", `"x"`, 412}, {"If-Match", "W/" + etag, 412}} {
		if a := g.get("/v1/blobs/"+id, c.name, c.value); a.StatusCode != c.code {
			t.Errorf("%s: %s: %d, want %d", c.name, c.value, a.StatusCode, c.code)
		}
	}
	for value, code := range map[string]int{etag: 206, `"x"`: 200, "Sat, 28 Nov 2026 15:00:00 GMT": 200} {
		if a := g.get("/v1/blobs/"+id, "If-Range", value, "Range", "bytes=0-9"); a.StatusCode != code {
			t.Errorf("If-Range: %s: %d, want %d", value, a.StatusCode, code)
		}
	}
	a := g.get("/v1/blobs/" + id + "/byte-range?start=10&length=20")
	if a.StatusCode != 200 || !bytes.Equal(a.body, body[10:30]) || a.Header.Get("ETag") != `"`+id+`-10-20"` {
		t.Errorf("%d %v", a.StatusCode, a.Header)
	}
	for _, q := range []string{"", "start=1", "start=1&length=0", "start=-1&length=5", "start=1000000&length=1", "start=0&length=1000001", "start=9223372036854775807&length=9223372036854775807", "start=1&start=2&length=3"} {
		g.want(g.get("/v1/blobs/"+id+"/byte-range?"+q), 400, "INVALID_BYTE_RANGE")
	}
	joined := append(append([]byte(nil), body...), body...)
	if a := g.get("/v1alpha/blobs/concat?ids=" + id + "," + objectID(parsed)); a.StatusCode != 200 || !bytes.Equal(a.body, joined) {
		t.Errorf("concat: %d, %d bytes", a.StatusCode, len(a.body))
	}
	post := g.request("POST", "/v1alpha/blobs/concat", strings.NewReader(`{"ids":["`+id+`","`+id+`"]}`))
	post.Header.Set("Content-Type", "application/json")
	if a := g.do(post); a.StatusCode != 200 || !bytes.Equal(a.body, joined) {
		t.Errorf("concat by POST: %d, %d bytes", a.StatusCode, len(a.body))
	}
	g.want(g.get("/v1alpha/blobs/concat"), 400, "MALFORMED_REQUEST")
	g.want(g.get("/v1alpha/blobs/concat?ids=x"), 400, "INVALID_ID_FORMAT")
	g.want(g.get("/v1/blobs/"+strings.Repeat("A", 43)), 404, "BLOB_NOT_FOUND")
	g.want(g.get("/v1/blobs/short"), 400, "INVALID_ID_FORMAT")
	g.want(g.get("/v1/blobs/%2e%2e%2f%2e%2e"), 400, "INVALID_ID_FORMAT")
	g.want(g.get("/v1/blobs/"+id+"?strict_consistency_check=true&skip_consistency_check=true"), 400, "INVALID_CONSISTENCY_CHECK")
	g.want(g.get("/v1/blobs/"+id+"/nothing"), 404, "NO_SUCH_ROUTE")
	g.want(g.do(g.request("POST", "/v1/blobs/"+id, nil)), 405, "METHOD_NOT_ALLOWED")
	g.want(g.get("/v1/blob-upload-relay"), 404, "NO_UPLOAD_RELAY")
}

// A client that takes the whole of a blob and gets an error after the first byte sees its
// connection break off, never a short answer that looks whole; without a length, too.
func TestALateErrorBreaksTheConnection(t *testing.T) {
	g := newRig(t, nil)
	s := httptest.NewServer(g.s.serve(route{"/", "x", map[string]handle{"": func(w http.ResponseWriter, r *http.Request) error {
		out := &stream{w: w, c: http.NewResponseController(w), code: 200}
		out.Write(make([]byte, 100_000))
		return io.ErrUnexpectedEOF
	}}}))
	defer s.Close()
	resp, err := http.Get(s.URL)
	if err == nil {
		_, err = io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	if err == nil {
		t.Error("a short answer looks whole")
	}
}

// Bytes of users are given types that no browser runs, the same for each range.
func TestBytesOfUsersDoNotRun(t *testing.T) {
	g := newRig(t, nil)
	for body, want := range map[string]string{
		"<!doctype html><script>alert(1)</script>": opaque, "<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>": "text/plain; charset=utf-8", "<?xml version='1.0'?><svg/>": opaque,
		"\x89PNG\r\n\x1a\n1234": "image/png", "GIF89a1": "image/gif", "plain words": "text/plain; charset=utf-8", "%PDF-1.4": "application/pdf", "\x1f\x8b\x08": opaque, "": "text/plain; charset=utf-8",
	} {
		id := g.stored([]byte(body))
		for _, header := range []string{"", "bytes=3-"} {
			if a := g.get("/v1/blobs/"+id, "Range", header); a.Header.Get("Content-Type") != want && a.StatusCode < 400 || !strings.Contains(a.Header.Get("Content-Security-Policy"), "sandbox") && a.StatusCode < 400 {
				t.Errorf("%q %s: %s", body, header, a.Header.Get("Content-Type"))
			}
		}
	}
}

type part struct{ name, kind, body string }

func (g *rig) putParts(query string, parts ...part) answer {
	g.t.Helper()
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	for _, p := range parts {
		h := textproto.MIMEHeader{"Content-Disposition": {fmt.Sprintf(`form-data; name=%q; filename="ignored"`, p.name)}}
		if p.kind != "" {
			h.Set("Content-Type", p.kind)
		}
		w, err := form.CreatePart(h)
		if err != nil {
			g.t.Fatal(err)
		}
		io.WriteString(w, p.body)
	}
	form.Close()
	r := g.request("PUT", "/v1/quilts"+query, &b)
	r.Header.Set("Content-Type", form.FormDataContentType())
	return g.do(r)
}

// A quilt's files are read by patch ID and by identifier, whatever characters it holds.
func TestQuilts(t *testing.T) {
	g := newRig(t, nil)
	files := map[string]string{"walrus.jpg": "\x89PNG\r\n\x1a\nimage", "a/b/../c.txt": "deep", "..": "dots", "naïve ü": "text", "%2F": "percent", "page.html": "<script>alert(1)</script>", "empty": ""}
	parts := []part{{"_metadata", "application/json", `[{"identifier":"walrus.jpg","tags":{"kind":"photo","n":7,"Content-Disposition":"attachment"}},{"identifier":"nobody","tags":{}}]`}}
	for name, body := range files {
		kind := ""
		if name == "page.html" {
			kind = "text/html"
		}
		parts = append(parts, part{name, kind, body})
	}
	a := g.putParts("?epochs=2", parts...)
	var r quiltResult
	a.json(t, &r)
	if a.StatusCode != 200 || len(r.Files) != len(files) || r.Blob.Created == nil {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	id := r.Blob.Created.Object.BlobID
	for i, f := range r.Files {
		if i > 0 && r.Files[i-1].Identifier >= f.Identifier {
			t.Error("the files are not sorted")
		}
		for _, path := range []string{"/v1/blobs/by-quilt-patch-id/" + f.Patch, "/v1/blobs/by-quilt-id/" + id + "/" + strings.ReplaceAll(encode(f.Identifier), "%2F", "/"), "/v1/blobs/by-quilt-id/" + id + "/" + encode(f.Identifier)} {
			if f.Identifier == "%2F" {
				path = strings.Replace(path, "%25/", "%252F", 1)
			}
			got := g.get(path)
			if got.StatusCode != 200 || string(got.body) != files[f.Identifier] || got.Header.Get("ETag") != `"`+f.Patch+`"` || got.Header.Get("X-Quilt-Patch-Identifier") == "" {
				t.Errorf("%s: %d %q %v", path, got.StatusCode, got.body, got.Header)
			}
			if strings.Contains(got.Header.Get("Content-Type"), "html") {
				t.Errorf("%s: %s", path, got.Header.Get("Content-Type"))
			}
		}
	}
	for i := range r.Files {
		if r.Files[i].Identifier != "walrus.jpg" {
			continue
		}
		got := g.get("/v1/blobs/by-quilt-patch-id/"+r.Files[i].Patch, "Range", "bytes=1-3")
		if got.StatusCode != 206 || string(got.body) != "PNG" || got.Header.Get("Content-Disposition") != "attachment" || got.Header.Get("Kind") != "" {
			t.Errorf("%d %q %v", got.StatusCode, got.body, got.Header)
		}
	}
	var list []patchInfo
	g.get("/v1/quilts/"+id+"/patches").json(t, &list)
	if len(list) != len(files) {
		t.Fatalf("%v", list)
	}
	for _, p := range list {
		if p.Identifier == "walrus.jpg" && (p.Tags["kind"] != "photo" || p.Tags["n"] != "7") {
			t.Errorf("%v", p.Tags)
		}
	}
	g.want(g.get("/v1/blobs/by-quilt-id/"+id+"/missing"), 404, "QUILT_PATCH_NOT_FOUND")
	g.want(g.get("/v1/blobs/by-quilt-patch-id/"+quilt.PatchID{Quilt: blob.ID{7}, Version: quilt.Version, End: 1}.String()), 404, "BLOB_NOT_FOUND")
	g.want(g.get("/v1/blobs/by-quilt-patch-id/short"), 400, "INVALID_ID_FORMAT")
	plain := g.stored([]byte("no quilt"))
	g.want(g.get("/v1/quilts/"+plain+"/patches"), 404, "QUILT_PATCH_NOT_FOUND")
	for what, parts := range map[string][]part{
		"none": nil, "twice": {{"a", "", "1"}, {"a", "", "2"}}, "only tags": {{"_metadata", "", "[]"}}, "unnamed": {{"", "", "x"}}, "a space at the end": {{"a ", "", "x"}},
		"no list": {{"a", "", "1"}, {"_metadata", "", "{}"}}, "tags twice": {{"a", "", "1"}, {"_metadata", "", `[{"identifier":"a","tags":{}},{"identifier":"a","tags":{}}]`}},
	} {
		if a := g.putParts("", parts...); a.StatusCode != 400 || a.reason() != "MALFORMED_REQUEST" {
			t.Errorf("%s: %d %s", what, a.StatusCode, a.body)
		}
	}
	r2 := g.request("PUT", "/v1/quilts", strings.NewReader("x"))
	r2.Header.Set("Content-Type", "text/plain")
	g.want(g.do(r2), 400, "MALFORMED_REQUEST")
}

func encode(s string) string {
	var out strings.Builder
	for _, c := range []byte(s) {
		fmt.Fprintf(&out, "%%%02X", c)
	}
	return out.String()
}

// What is beside Walrus's API: list, status, extend, price, delete.
func TestOwnersRoutes(t *testing.T) {
	g := newRig(t, func(o *Options) {
		o.Faucet = func(context.Context, token.Address) (token.Amount, error) { return 5 * token.WAL, nil }
	})
	var ids []string
	for i := range 3 {
		ids = append(ids, g.stored(random(1000, byte(i))))
	}
	var list, next ownedList
	g.get("/v1/blobs?limit=2").json(t, &list)
	g.get("/v1/blobs?limit=2&after="+list.Next).json(t, &next)
	if len(list.Blobs) != 2 || len(next.Blobs) != 1 || next.Next != "" || !list.Blobs[0].Deletable || list.Blobs[0].EndEpoch != 3 || list.Blobs[0].State != "certified" {
		t.Errorf("%+v %+v", list, next)
	}
	for _, q := range []string{"limit=0", "limit=1001", "owner=x", "after=x", "page=2", "limit=1&limit=2"} {
		if a := g.get("/v1/blobs?" + q); a.StatusCode != 400 {
			t.Errorf("%s: %d", q, a.StatusCode)
		}
	}
	var st struct{ State, Answer string }
	g.get("/v1/blobs/"+ids[0]+"/status").json(t, &st)
	if st.State != "certified" || st.Answer == "" {
		t.Errorf("%+v", st)
	}
	g.get("/v1/blobs/"+strings.Repeat("A", 43)+"/status").json(t, &st)
	if st.State != "unknown" {
		t.Errorf("%+v", st)
	}
	post := func(path, body string) answer {
		r := g.request("POST", path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		return g.do(r)
	}
	var longer extended
	post("/v1/blobs/"+ids[0]+"/extend", `{"epochs":2}`).json(t, &longer)
	if longer.EndEpoch != 5 || longer.Cost == 0 {
		t.Errorf("%+v", longer)
	}
	for _, body := range []string{`{"epochs":0}`, `{}`, `{"epochs":-1}`, `{"epochs":2,"x":1}`, `{"epochs":2} {}`, `null`, ``, `{"epochs":99999}`} {
		if a := post("/v1/blobs/"+ids[0]+"/extend", body); a.StatusCode != 400 {
			t.Errorf("%s: %d %s", body, a.StatusCode, a.body)
		}
	}
	var p price
	g.get("/v1/price?size=1000&epochs=3").json(t, &p)
	if p.Total == 0 || !p.Affordable || p.EndEpoch != 3 {
		t.Errorf("%+v", p)
	}
	g.want(g.get("/v1/price?size=x"), 400, "MALFORMED_REQUEST")
	var d deleted
	g.do(g.request("DELETE", "/v1/blobs/"+ids[0], nil)).json(t, &d)
	if !d.Gone || d.Refund == 0 {
		t.Errorf("%+v", d)
	}
	g.want(g.do(g.request("DELETE", "/v1/blobs/"+ids[0], nil)), 404, "BLOB_NOT_FOUND")
	g.want(g.get("/v1/blobs/"+ids[0]), 404, "BLOB_DELETED")
	g.want(g.put("/v1/blobs?epochs=3&permanent=true", random(1000, 9)), 200, "")
	g.want(post("/v1/faucet", `{"address":"x"}`), 400, "MALFORMED_REQUEST")
	g.want(post("/v1/faucet", `{"address":"`+g.w.Wallet.Address().String()+`"}`), 200, "")
	for _, path := range []string{"/status", "/healthz", "/readyz", "/metrics", "/v1/api", "/v1/api.json", "/v1/api.yaml"} {
		if a := g.get(path); a.StatusCode != 200 || len(a.body) == 0 {
			t.Errorf("%s: %d", path, a.StatusCode)
		}
	}
	var ready readiness
	g.get("/readyz").json(t, &ready)
	if !ready.Ready || ready.Days == nil || ready.Balance == nil {
		t.Errorf("%+v", ready)
	}
}

// Off the loopback interface: who pays is told by a key with limits, or a token that is good
// for one store. The reasons are those of publishers.
func TestKeysAndTokens(t *testing.T) {
	secret, lines, err := access.NewSecret("app")
	if err != nil {
		t.Fatal(err)
	}
	other, more, err := access.NewSecret("other")
	if err != nil {
		t.Fatal(err)
	}
	keys, err := access.ParseKeys([]byte(lines + "max_bytes = 5000\nmax_epochs = 4\nbytes_per_day = 12000\n" + more))
	if err != nil {
		t.Fatal(err)
	}
	g := newRig(t, func(o *Options) { o.Access = newControl(t, access.Options{Keys: keys, Tokens: tokenRules(t)}) })
	g.want(g.put("/v1/blobs", random(1000, 1)), 401, "MISSING_CREDENTIALS")
	g.key = "walrus_wrong"
	g.want(g.put("/v1/blobs", random(1000, 1)), 401, "MISSING_CREDENTIALS")
	g.key = secret
	id := g.stored(random(4000, 1))
	g.want(g.put("/v1/blobs", random(5001, 1)), 400, "INVALID_SIZE")
	g.want(g.put("/v1/blobs?epochs=5", random(1000, 1)), 400, "INVALID_EPOCHS")
	g.want(g.put("/v1/blobs", random(5000, 2)), 200, "")
	over := g.put("/v1/blobs", random(4000, 3))
	g.want(over, 429, "BUDGET_EXCEEDED")
	if n, _ := strconv.Atoi(over.Header.Get("Retry-After")); n < 1 {
		t.Error("it does not say when")
	}
	chunked := g.request("PUT", "/v1/blobs", io.MultiReader(bytes.NewReader(random(5001, 1))))
	g.want(g.do(chunked), 400, "INVALID_SIZE")
	g.key = other
	g.want(g.do(g.request("DELETE", "/v1/blobs/"+id, nil)), 403, "NOT_OWNER")
	g.key = secret
	g.want(g.get("/v1/blobs"), 200, "")
	g.key = ""
	g.want(g.get("/v1/blobs"), 401, "MISSING_CREDENTIALS")
	if a := g.get("/v1/blobs/" + id); a.StatusCode != 200 {
		t.Errorf("reading needs a key: %d", a.StatusCode)
	}
	now := time.Now()
	for _, c := range []struct {
		claims map[string]any
		query  string
		code   int
		reason string
	}{
		{map[string]any{"jti": "a", "exp": now.Add(time.Hour).Unix(), "epochs": 2, "max_size": 5000}, "?epochs=2", 200, ""},
		{map[string]any{"jti": "a", "exp": now.Add(time.Hour).Unix()}, "", 429, "TOKEN_ALREADY_USED"},
		{map[string]any{"jti": "b", "exp": now.Add(-time.Hour).Unix()}, "", 401, "EXPIRED_SIGNATURE"},
		{map[string]any{"jti": "b"}, "", 400, "INVALID_TOKEN"},
		{map[string]any{"exp": now.Add(time.Hour).Unix()}, "", 400, "INVALID_TOKEN"},
		{map[string]any{"jti": "b", "exp": now.Add(time.Hour).Unix(), "epochs": 3}, "?epochs=2", 400, "INVALID_EPOCHS"},
		{map[string]any{"jti": "b", "exp": now.Add(time.Hour).Unix(), "max_epochs": 3}, "?epochs=4", 400, "INVALID_EPOCHS"},
		{map[string]any{"jti": "b", "exp": now.Add(time.Hour).Unix(), "size": 7}, "", 400, "INVALID_SIZE"},
		{map[string]any{"jti": "b", "exp": now.Add(time.Hour).Unix(), "size": 7, "max_size": 8}, "", 400, "INCONSISTENT_TOKEN"},
		{map[string]any{"jti": "b", "exp": now.Add(time.Hour).Unix(), "send_object_to": g.w.Wallet.Address().String()}, "", 400, "INVALID_SEND_OBJECT_TO"},
		{map[string]any{"jti": "b", "exp": now.Add(time.Hour).Unix(), "iat": now.Add(time.Hour).Unix()}, "", 400, "INVALID_TIMESTAMP"},
		{map[string]any{"jti": "b", "exp": now.Add(1000 * time.Hour).Unix()}, "", 400, "INVALID_EXPIRATION"},
		{map[string]any{"jti": "b", "exp": now.Add(time.Hour).Unix()}, "", 200, ""},
	} {
		g.key = signed(t, c.claims)
		a := g.put("/v1/blobs"+c.query, random(1000, 9))
		g.want(a, c.code, c.reason)
		if c.code == 401 && a.Header.Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("%v", a.Header)
		}
	}
	g.key = signed(t, map[string]any{"jti": "c", "exp": now.Add(time.Hour).Unix()}) + "x"
	g.want(g.put("/v1/blobs", random(1000, 9)), 401, "INVALID_SIGNATURE")
	g.key = signed(t, map[string]any{"jti": "c", "exp": now.Add(time.Hour).Unix()})
	g.want(g.do(g.request("DELETE", "/v1/blobs/"+id, nil)), 401, "MISSING_CREDENTIALS")
}

// A page of another origin may send every request, with its key, and read what it needs.
func TestPagesOfOtherOrigins(t *testing.T) {
	g := newRig(t, nil)
	for _, path := range []string{"/v1/blobs", "/v1/blobs/x", "/v1/quilts", "/v1/uploads/", "/v1/nothing"} {
		r := g.request("OPTIONS", path, nil)
		r.Header.Set("Origin", "https://app.example")
		r.Header.Set("Access-Control-Request-Method", "PUT")
		r.Header.Set("Access-Control-Request-Headers", "authorization,content-type")
		a := g.do(r)
		if a.StatusCode != 204 || a.Header.Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(strings.ToLower(a.Header.Get("Access-Control-Allow-Headers")), "authorization") {
			t.Errorf("%s: %d %v", path, a.StatusCode, a.Header)
		}
	}
	a := g.get("/status", "Origin", "https://app.example")
	if !strings.Contains(strings.ToLower(a.Header.Get("Access-Control-Expose-Headers")), "etag") {
		t.Errorf("%v", a.Header)
	}
}

// Behind a prefix all routes are there, and what they name lies behind it too.
func TestABasePath(t *testing.T) {
	g := newRig(t, func(o *Options) { o.BasePath = "/walrus/" })
	body := random(1000, 1)
	var r storeResult
	g.put("/v1/blobs", body).json(t, &r)
	if r.Created == nil || !strings.HasPrefix(r.Walrus.Receipt, "/walrus/v1/blobs/") {
		t.Fatalf("%+v", r)
	}
	if a := g.get("/v1/blobs/" + r.Created.Object.BlobID); !bytes.Equal(a.body, body) {
		t.Errorf("%d", a.StatusCode)
	}
	resp, err := http.Get(strings.TrimSuffix(g.url, "/walrus") + "/v1/blobs/x")
	if err != nil || resp.StatusCode != 404 {
		t.Errorf("%v %v", resp, err)
	}
	resp.Body.Close()
}

// A form that is cut off between two parts, or right after a boundary, is no quilt of those
// that came.
func TestAFormThatIsCutOff(t *testing.T) {
	g := newRig(t, nil)
	whole := "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none\r\n--B\r\nContent-Disposition: form-data; name=\"b\"\r\n\r\ntwo\r\n--B--\r\n"
	for _, at := range []int{len(whole), len(whole) - 2, strings.LastIndex(whole, "--B--"), strings.LastIndex(whole, "--B--") + 3, strings.Index(whole, "--B\r\nContent-Disposition: form-data; name=\"b") + 5, 40} {
		r := g.request("PUT", "/v1/quilts", strings.NewReader(whole[:at]))
		r.Header.Set("Content-Type", "multipart/form-data; boundary=B")
		a := g.do(r)
		if good := at >= len(whole)-2; good != (a.StatusCode == 200) || !good && a.reason() != "MALFORMED_REQUEST" {
			t.Errorf("%q: %d %s", whole[:at], a.StatusCode, a.body)
		}
	}
}

// A client that announces a body and sends none gets its answer, and keeps no place.
func TestABodyThatNeverComes(t *testing.T) {
	g := newRig(t, func(o *Options) { o.StallLimit = 300 * time.Millisecond })
	id := g.stored(random(1000, 1))
	for _, head := range []string{"GET /v1/blobs/" + id, "HEAD /v1/blobs/" + id, "GET /status", "PUT /v1/blobs?epoch=5", "POST /v1/blobs/" + id + "/extend", "DELETE /v1/blobs/" + strings.Repeat("A", 43)} {
		c, err := net.Dial("tcp", strings.TrimPrefix(g.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(c, "%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n", head)
		c.SetReadDeadline(time.Now().Add(10 * time.Second))
		if b, err := io.ReadAll(c); err != nil {
			t.Errorf("%s: the connection stays open: %v after %q", head, err, b)
		}
		c.Close()
	}
	if n := len(g.s.reads); n != 0 {
		t.Errorf("%d reads are under way", n)
	}
}

// A body that ends too early, and a client that hangs up, pay nothing and leave nothing.
func TestABodyThatBreaksOff(t *testing.T) {
	g := newRig(t, nil)
	ctx, hangUp := context.WithCancel(t.Context())
	in, out := io.Pipe()
	r, err := http.NewRequestWithContext(ctx, "PUT", g.url+"/v1/blobs", in)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		resp, err := http.DefaultClient.Do(r)
		if err == nil {
			resp.Body.Close()
		}
		done <- err
	}()
	out.Write(random(2<<20, 1))
	hangUp()
	out.CloseWithError(context.Canceled) // else the client may wait for what it would send next
	if <-done == nil {
		t.Error("it was answered")
	}
	for range 100 {
		if g.s.o.Spool.Used() == 0 {
			break
		}
		time.Sleep(20 * time.Millisecond) // for the server to see that the client is gone
	}
	if used := g.s.o.Spool.Used(); used != 0 {
		t.Errorf("%d bytes are left in the spool", used)
	}
	g.want(g.put("/v1/blobs", random(33<<20, 1)), 413, "BLOB_TOO_LARGE")
	if a := g.get("/v1/blobs"); string(a.body) != "{\"blobs\":[]}\n" {
		t.Errorf("%s", a.body)
	}
}

// slowLedger takes its time with each transaction.
type slowLedger struct{ world.Ledger }

func (l slowLedger) Submit(ctx context.Context, tx []byte) (ledger.TxReceipt, error) {
	time.Sleep(600 * time.Millisecond) // longer than a client may stand still
	return l.Ledger.Submit(ctx, tx)
}

func (l slowLedger) View(ctx context.Context) (ledger.View, error) {
	if err := ctx.Err(); err != nil {
		return ledger.View{}, err
	}
	return l.Ledger.View(ctx)
}

// A client may stand still for a while only while it sends or takes bytes: not while its body
// is stored, however long that takes, nor between two answers on one connection.
func TestTimeThatIsNotTheClients(t *testing.T) {
	w := world.New(t, 4, 10)
	g := &rig{t: t, w: w, c: w.ClientOf(slowLedger{w.Ledger}), dir: t.TempDir()}
	g.start(func(o *Options) { o.StallLimit = 200 * time.Millisecond })
	const step = 8 << 20 // after so much the body is asked once more, whether there is more
	id := g.stored(random(step, 1))
	c, err := net.Dial("tcp", strings.TrimPrefix(g.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	in := bufio.NewReader(c)
	for i, method := range []string{"GET", "HEAD", "GET"} {
		fmt.Fprintf(c, "%s /v1/blobs/%s HTTP/1.1\r\nHost: localhost\r\n\r\n", method, id)
		resp, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			t.Fatalf("answer %d on the connection: %v", i, err)
		}
		if b, err := io.ReadAll(resp.Body); err != nil || len(b) != step && method == "GET" {
			t.Fatalf("answer %d: %d bytes, %v", i, len(b), err)
		}
		time.Sleep(300 * time.Millisecond) // longer than a client may stand still
	}
}

// A gateway that only reads says so to what would cost.
func TestAReadOnlyGateway(t *testing.T) {
	g := newRig(t, nil)
	id := g.stored(random(1000, 1))
	g.start(func(o *Options) { o.Writer, o.Spool, o.UploadDir = nil, nil, "" })
	if a := g.get("/v1/blobs/" + id); a.StatusCode != 200 {
		t.Errorf("%d", a.StatusCode)
	}
	g.want(g.put("/v1/blobs", random(1000, 2)), 405, "READ_ONLY")
	g.want(g.get("/v1/blobs"), 405, "READ_ONLY")
	g.want(g.do(g.request("DELETE", "/v1/blobs/"+id, nil)), 405, "READ_ONLY")
	g.want(g.do(g.request("POST", "/v1/uploads/", nil)), 404, "NO_UPLOADS")
	if a := g.get("/readyz"); a.StatusCode != 200 {
		t.Errorf("%s", a.body)
	}
}

// Without keys no page of another site spends from the wallet, under whatever name it reaches
// this machine; pages of this machine and those that were named may, and all may read.
func TestPagesOfOtherSitesDoNotSpend(t *testing.T) {
	g := newRig(t, func(o *Options) { o.Origins = []string{"https://mine.example"} })
	id := g.stored(random(1000, 1))
	for _, c := range []struct {
		origin, host string
		code         int
		reason       string
	}{
		{"https://app.example", "", 403, "FOREIGN_ORIGIN"}, {"null", "", 403, "FOREIGN_ORIGIN"}, {"", "rebound.example:31415", 403, "FOREIGN_HOST"}, {"proxy", "", 403, "FOREIGN_HOST"}, {"http://localhost.example", "", 403, "FOREIGN_ORIGIN"},
		{"http://localhost:5173", "", 200, ""}, {"http://127.0.0.1:8080", "", 200, ""}, {"http://[::1]:8080", "", 200, ""}, {"https://mine.example", "", 200, ""}, {"", "localhost:31415", 200, ""},
	} {
		for _, method := range []string{"PUT", "GET", "DELETE"} {
			path, body := "/v1/blobs", []byte("x")
			if method == "DELETE" {
				path = "/v1/blobs/" + strings.Repeat("A", 43)
			}
			r := g.request(method, path, bytes.NewReader(body))
			r.Header.Set("Origin", c.origin)
			switch c.origin {
			case "":
				r.Header.Del("Origin")
			case "proxy":
				r.Header.Del("Origin")
				r.Header.Set("X-Forwarded-For", "203.0.113.7")
			}
			if c.host != "" {
				r.Host = c.host
			}
			a := g.do(r)
			if c.code == 403 || method != "DELETE" {
				g.want(a, c.code, c.reason)
			}
		}
		r := g.request("GET", "/v1/blobs/"+id, nil)
		r.Header.Set("Origin", c.origin)
		if a := g.do(r); a.StatusCode != 200 || a.Header.Get("Access-Control-Allow-Origin") != "*" && c.origin != "" {
			t.Errorf("%s cannot read: %d %v", c.origin, a.StatusCode, a.Header)
		}
	}
}

// A blob in which another door's object lies is not deleted over HTTP.
func TestADeleteThatAnotherDoorNeeds(t *testing.T) {
	relied := true
	g := newRig(t, func(o *Options) { o.Relied = func(blob.ID) bool { return relied } })
	id := g.stored(random(1000, 1))
	g.want(g.do(g.request("DELETE", "/v1/blobs/"+id, nil)), 409, "RELIED_ON")
	relied = false
	g.want(g.do(g.request("DELETE", "/v1/blobs/"+id, nil)), 200, "")
}
