package gateway

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/walrus-network/walrus/gateway/access"
)

// tusRequest sends a request of the protocol.
func (g *rig) tus(method, path string, body []byte, header ...string) answer {
	g.t.Helper()
	r := g.request(method, path, bytes.NewReader(body))
	r.Header.Set("Tus-Resumable", "1.0.0")
	if method == "PATCH" {
		r.Header.Set("Content-Type", "application/offset+octet-stream")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return g.do(r)
}

// begin begins an upload and gives its path.
func (g *rig) begin(query string, size int, header ...string) string {
	g.t.Helper()
	a := g.tus("POST", "/v1/uploads/"+query, nil, append(header, "Upload-Length", strconv.Itoa(size))...)
	at := a.Header.Get("Location")
	if a.StatusCode != 201 || !strings.HasPrefix(at, g.url) {
		g.t.Fatalf("%d %s %s", a.StatusCode, at, a.body)
	}
	return strings.TrimPrefix(at, g.url)
}

// became waits until an upload is stored or has failed.
func (g *rig) became(path string) uploadResult {
	g.t.Helper()
	var r uploadResult
	g.becomes(path+" is stored or has failed", func() bool {
		r = uploadResult{}
		g.get(path+"/result").json(g.t, &r)
		return r.State == certified || r.State == failed
	})
	return r
}

// An upload comes in parts and is stored when it is complete; its result is there as often
// as it is asked for, and its body is gone.
func TestAnUploadInParts(t *testing.T) {
	g := newRig(t, nil)
	body := random(300_000, 1)
	at := g.begin("?epochs=2", len(body))
	g.tus("PATCH", at, body[:100_000], "Upload-Offset", "0")
	if a := g.tus("HEAD", at, nil); a.Header.Get("Upload-Offset") != "100000" {
		t.Errorf("%v", a.Header)
	}
	if a := g.tus("PATCH", at, body, "Upload-Offset", "7"); a.StatusCode != 409 {
		t.Errorf("a part at the wrong offset: %d", a.StatusCode)
	}
	var r uploadResult
	g.get(at+"/result").json(t, &r)
	if r.State != receiving {
		t.Errorf("%+v", r)
	}
	g.want(g.do(g.request("POST", at+"/store", nil)), 409, "UPLOAD_INCOMPLETE")
	g.tus("PATCH", at, body[100_000:], "Upload-Offset", "100000")
	r = g.became(at)
	if r.State != certified || r.Result.Created == nil || r.Result.Created.Object.Storage.EndEpoch != 2 {
		t.Fatalf("%+v", r)
	}
	if a := g.get("/v1/blobs/" + r.Result.Created.Object.BlobID); !bytes.Equal(a.body, body) {
		t.Error("other bytes come back")
	}
	for range 2 {
		if a := g.do(g.request("POST", at+"/store", nil)); a.StatusCode != 202 || !strings.Contains(string(a.body), certified) {
			t.Errorf("%d %s", a.StatusCode, a.body)
		}
	}
	if files, _ := filepath.Glob(g.dir + "/uploads/*"); len(files) != 2 {
		t.Errorf("%v", files)
	}
	g.want(g.tus("PATCH", at, []byte("x"), "Upload-Offset", "300000"), 409, "UPLOAD_STORED")
}

// Terms come with the metadata too; without any, a client says when to store.
func TestTheTermsOfAnUpload(t *testing.T) {
	g := newRig(t, nil)
	body := random(1000, 2)
	at := g.begin("", len(body), "Upload-Metadata", "filename "+base64.StdEncoding.EncodeToString([]byte("a b.txt"))+",epochs "+base64.StdEncoding.EncodeToString([]byte("3")))
	g.tus("PATCH", at, body, "Upload-Offset", "0")
	if r := g.became(at); r.State != certified || r.Result.Created.Object.Storage.EndEpoch != 3 {
		t.Errorf("%+v", r)
	}
	body = random(1000, 3)
	at = g.begin("", len(body))
	g.tus("PATCH", at, body, "Upload-Offset", "0")
	var r uploadResult
	g.get(at+"/result").json(t, &r)
	if r.State != received {
		t.Errorf("%+v", r)
	}
	g.want(g.do(g.request("POST", at+"/store?epoch=3", nil)), 400, "MALFORMED_REQUEST")
	g.do(g.request("POST", at+"/store?epochs=4", nil))
	if r := g.became(at); r.State != certified || r.Result.Created.Object.Storage.EndEpoch != 4 {
		t.Errorf("%+v", r)
	}
	g.want(g.tus("POST", "/v1/uploads/?epoch=3", nil, "Upload-Length", "5"), 400, "MALFORMED_REQUEST")
	if a := g.tus("POST", "/v1/uploads/", nil, "Upload-Length", "99999999999"); a.StatusCode != 413 {
		t.Errorf("%d", a.StatusCode)
	}
	for range 2 { // 30 MiB each, of 64
		g.begin("", 30<<20)
	}
	g.want(g.tus("POST", "/v1/uploads/", nil, "Upload-Length", "30000000"), 503, "SPOOL_FULL")
	g.want(g.get("/v1/uploads/"+strings.Repeat("0", 32)+"/result"), 404, "NO_SUCH_UPLOAD")
	g.want(g.get("/v1/uploads/..%2f..%2fx/result"), 404, "NO_SUCH_UPLOAD")
	g.want(g.tus("POST", "/v1/uploads/", nil, "Upload-Concat", "final;/v1/uploads/../../etc/passwd"), 400, "MALFORMED_REQUEST")
}

// Two parts that were sent side by side become one upload.
func TestUploadsAreJoined(t *testing.T) {
	g := newRig(t, nil)
	body := random(5000, 4)
	var parts []string
	for i := range 2 {
		at := g.begin("", 2500, "Upload-Concat", "partial")
		g.tus("PATCH", at, body[2500*i:2500*(i+1)], "Upload-Offset", "0")
		parts = append(parts, at)
	}
	a := g.tus("POST", "/v1/uploads/?epochs=2", nil, "Upload-Concat", "final;"+strings.Join(parts, " "))
	if a.StatusCode != 201 {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	r := g.became(strings.TrimPrefix(a.Header.Get("Location"), g.url))
	if r.State != certified {
		t.Fatalf("%+v", r)
	}
	if a := g.get("/v1/blobs/" + r.Result.Created.Object.BlobID); !bytes.Equal(a.body, body) {
		t.Error("other bytes come back")
	}
}

// After a restart uploads go on: one that was being received, and one whose store had begun.
func TestUploadsSurviveARestart(t *testing.T) {
	g := newRig(t, nil)
	body := random(4000, 5)
	half := g.begin("?epochs=2", len(body))
	g.tus("PATCH", half, body[:2000], "Upload-Offset", "0")
	begun := g.begin("", len(body))
	g.tus("PATCH", begun, body, "Upload-Offset", "0")
	id := filepath.Base(begun)
	g.s.Close()
	if err := os.WriteFile(g.dir+"/uploads/"+id+resultName, []byte(`{"state":"storing","terms":"epochs=2"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	g.start(nil)
	if r := g.became(begun); r.State != certified {
		t.Errorf("%+v", r)
	}
	g.tus("PATCH", half, body[2000:], "Upload-Offset", "2000")
	if r := g.became(half); r.State != certified {
		t.Errorf("%+v", r)
	}
	// What is old goes, and its room is free again.
	g.s.uploads.sweep(time.Now().Add(48 * time.Hour))
	if files, _ := filepath.Glob(g.dir + "/uploads/*"); len(files) != 0 || g.s.uploads.count() != 0 {
		t.Errorf("%v, %d uploads", files, g.s.uploads.count())
	}
}

// An upload is stored for the key that began it, whose limits hold, and a token is good for
// one. A store that fails says why.
func TestUploadsHaveKeys(t *testing.T) {
	secret, lines, err := access.NewSecret("app")
	if err != nil {
		t.Fatal(err)
	}
	other, more, err := access.NewSecret("other")
	if err != nil {
		t.Fatal(err)
	}
	keys, err := access.ParseKeys([]byte(lines + "max_bytes = 5000\nwal_per_day = \"0.001WAL\"\n" + more))
	if err != nil {
		t.Fatal(err)
	}
	g := newRig(t, func(o *Options) { o.Access = newControl(t, access.Options{Keys: keys, Tokens: tokenRules(t)}) })
	g.want(g.tus("POST", "/v1/uploads/", nil, "Upload-Length", "5"), 401, "MISSING_CREDENTIALS")
	g.key = secret
	g.want(g.tus("POST", "/v1/uploads/", nil, "Upload-Length", "5001"), 400, "INVALID_SIZE")
	body := random(4000, 6)
	at := g.begin("", len(body))
	g.tus("PATCH", at, body, "Upload-Offset", "0")
	g.key = other
	g.want(g.do(g.request("POST", at+"/store?epochs=2", nil)), 403, "NOT_OWNER")
	g.key = secret
	g.do(g.request("POST", at+"/store?epochs=50", nil))
	if r := g.became(at); r.State != failed || r.Error == nil || r.Error.Code != 429 {
		t.Errorf("%+v", r)
	}
	g.do(g.request("POST", at+"/store?epochs=1", nil))
	if r := g.became(at); r.State != certified {
		t.Errorf("%+v %+v", r, r.Error)
	}
	claims := map[string]any{"jti": "u", "exp": time.Now().Add(time.Hour).Unix(), "size": 1000, "epochs": 2}
	g.key = signed(t, claims)
	at = g.begin("?epochs=2", 1000)
	g.want(g.tus("POST", "/v1/uploads/?epochs=2", nil, "Upload-Length", "1000"), 429, "TOKEN_ALREADY_USED")
	g.key = ""
	g.tus("PATCH", at, random(1000, 7), "Upload-Offset", "0")
	if r := g.became(at); r.State != certified {
		t.Errorf("%+v %+v", r, r.Error)
	}
}
