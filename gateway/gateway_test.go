package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"mime/multipart"
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
	"github.com/walrus-network/walrus/internal/leak"
	"github.com/walrus-network/walrus/internal/world"
	"github.com/walrus-network/walrus/kv"
	"github.com/walrus-network/walrus/quilt"
	"github.com/walrus-network/walrus/token"
)

func TestMain(m *testing.M) {
	leak.Main(m,
		// Background routines of dependencies that end with the process.
		goleak.IgnoreAnyFunction("github.com/libp2p/go-libp2p/p2p/net/connmgr.(*BasicConnMgr).background"),
		goleak.IgnoreAnyFunction("go.opencensus.io/stats/view.(*worker).start"),
		// It ends ten seconds after its request, whatever came of that.
		goleak.IgnoreAnyFunction("github.com/tus/tusd/v2/pkg/handler.newDelayedContext.func1"),
	)
}

// rig is a gateway on a network.
type rig struct {
	t      *testing.T
	w      *world.World
	c      *client.Client
	s      *Server
	url    string
	dir    string
	owners *access.Owners
	key    string // is sent with each request, if not empty
}

// waitLimit ends a test that waits in vain.
const waitLimit = 2 * time.Minute

// becomes waits for what comes of real connections and goroutines.
func (g *rig) becomes(what string, true func() bool) {
	g.t.Helper()
	for end := time.Now().Add(waitLimit); !true(); time.Sleep(10 * time.Millisecond) { // nothing tells
		if time.Now().After(end) {
			g.t.Fatalf("it does not come about that %s", what)
		}
	}
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
	if g.c.Shape, err = g.w.Genesis.Params.Shape(); err != nil {
		g.t.Fatal(err)
	}
	spool.Client = g.c
	wo := blobs.DefaultWriter()
	wo.Reader = r
	o := Defaults()
	o.Reader, o.Writer, o.Spool, o.MaxBody, o.UploadDir = r, blobs.NewWriter(g.c, g.w.Wallet, wo), spool, 32<<20, g.dir+"/uploads"
	o.RepeatDir = g.dir + "/requests"
	if g.owners == nil { // else another server of this rig has opened them
		db, err := kv.Open(kv.Options{Dir: g.t.TempDir()})
		if err != nil {
			g.t.Fatal(err)
		}
		g.t.Cleanup(func() { db.Close() })
		g.owners = access.NewOwners(db)
	}
	o.Owners = g.owners
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
	parts := []part{{"_metadata", "application/json", `[{"identifier":"walrus.jpg","tags":{"kind":"photo","n":7,"Content-Disposition":"attachment"}},{"identifier":"absent","tags":{}}]`}}
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
