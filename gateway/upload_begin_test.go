package gateway

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/walrus-network/walrus/gateway/access"
)

// keyedRig is a gateway with keys of these names, whose limits follow, and tokens.
func keyedRig(t *testing.T, limits map[string]string) (g *rig, secrets map[string]string) {
	t.Helper()
	var file strings.Builder
	secrets = map[string]string{}
	for name, more := range limits {
		secret, lines, err := access.NewSecret(name)
		if err != nil {
			t.Fatal(err)
		}
		file.WriteString(lines + more + "\n")
		secrets[name] = secret
	}
	keys, err := access.ParseKeys([]byte(file.String()))
	if err != nil {
		t.Fatal(err)
	}
	return newRig(t, func(o *Options) { o.Access = newControl(t, access.Options{Keys: keys, Tokens: tokenRules(t)}) }), secrets
}

// A token stores once: not the parts of uploads, of which nothing would count the bytes. A key
// that is called token has its owner and its limits as others have.
func TestATokenStoresNoParts(t *testing.T) {
	g, secrets := keyedRig(t, map[string]string{"token": "max_epochs = 3", "app": ""})
	g.key = signed(t, map[string]any{"jti": "p", "exp": time.Now().Add(time.Hour).Unix(), "max_size": 1000})
	g.want(g.tus("POST", "/v1/uploads/?epochs=1", nil, "Upload-Length", "10", "Upload-Concat", "partial"), 400, "MALFORMED_REQUEST")
	whole := g.begin("", 10) // the token is not used up by what was refused
	g.tus("PATCH", whole, random(10, 1), "Upload-Offset", "0")

	g.key = secrets["app"]
	part := g.begin("?epochs=1", 10, "Upload-Concat", "partial")
	g.tus("PATCH", part, random(10, 1), "Upload-Offset", "0")
	g.want(g.do(g.request("POST", part+"/store", nil)), 409, "UPLOAD_PARTIAL")
	g.want(g.tus("POST", "/v1/uploads/?epochs=1", nil, "Upload-Concat", "final;"+whole), 400, "MALFORMED_REQUEST")

	g.key = secrets["token"]
	g.want(g.tus("POST", "/v1/uploads/?epochs=1", nil, "Upload-Concat", "final;"+part), 400, "MALFORMED_REQUEST")
	at := g.begin("", 10)
	g.tus("PATCH", at, random(10, 2), "Upload-Offset", "0")
	g.key = ""
	g.want(g.do(g.request("POST", at+"/store", nil)), 401, "MISSING_CREDENTIALS")
	g.key = secrets["token"]
	g.want(g.tus("POST", "/v1/uploads/?epochs=4", nil, "Upload-Length", "10"), 400, "INVALID_EPOCHS")
	g.do(g.request("POST", at+"/store", nil))
	if r := g.became(at); r.State != certified {
		t.Errorf("%+v %+v", r, r.Error)
	}
}

// A length is digits, and nothing gets past the limits by being written in another way, by
// being too large to be added, or by being in parts.
func TestTheLengthOfAnUpload(t *testing.T) {
	g, secrets := keyedRig(t, map[string]string{"app": "max_bytes = 5000"})
	g.key = secrets["app"]
	for _, length := range []string{"+5001", "+10", "-1", "", "0x10", "1e3", "9223372036854775808"} {
		g.want(g.tus("POST", "/v1/uploads/?epochs=1", nil, "Upload-Length", length), 400, "MALFORMED_REQUEST")
	}
	g.want(g.tus("POST", "/v1/uploads/?epochs=1", nil, "Upload-Defer-Length", "2"), 400, "MALFORMED_REQUEST")
	for _, concat := range []string{"", "partial"} {
		g.want(g.tus("POST", "/v1/uploads/", nil, "Upload-Length", "9223372036854775807", "Upload-Concat", concat), 413, "BLOB_TOO_LARGE")
	}
	g.want(g.tus("POST", "/v1/uploads/", nil, "Upload-Length", "5001", "Upload-Concat", "partial"), 400, "INVALID_SIZE")
	var parts []string
	for range 2 {
		at := g.begin("", 2501, "Upload-Concat", "partial")
		g.tus("PATCH", at, random(2501, 1), "Upload-Offset", "0")
		parts = append(parts, at)
	}
	g.want(g.tus("POST", "/v1/uploads/?epochs=1", nil, "Upload-Concat", "final;"+strings.Join(parts, " ")), 400, "INVALID_SIZE")
	if n := g.s.o.Spool.Used(); n != 5002 {
		t.Errorf("%d bytes are reserved", n)
	}
}

// One key leaves room to the others, and all share one bound with the bodies of PUT.
func TestAKeyDoesNotFillTheSpool(t *testing.T) {
	g, secrets := keyedRig(t, map[string]string{"app": "", "other": ""})
	g.key = secrets["app"]
	large := g.begin("", 30<<20) // of 64 MiB
	g.want(g.tus("POST", "/v1/uploads/", nil, "Upload-Length", "3000000"), 429, "UPLOAD_QUOTA")
	for range mostOfKey - 1 {
		g.begin("", 1)
	}
	g.want(g.tus("POST", "/v1/uploads/", nil, "Upload-Length", "1"), 429, "UPLOAD_QUOTA")
	g.key = secrets["other"]
	g.begin("", 30<<20)
	g.want(g.put("/v1/blobs?epochs=1", random(5<<20, 1)), 503, "SPOOL_FULL")
	if a := g.tus("DELETE", large, nil); a.StatusCode != 204 {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	g.usedBecomes(30<<20 + mostOfKey - 1) // after the answer of a DELETE
	if a := g.put("/v1/blobs?epochs=1", random(1<<20, 1)); a.StatusCode != 200 {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	if files, _ := filepath.Glob(g.dir + "/uploads/" + filepath.Base(large) + "*"); len(files) != 0 {
		t.Errorf("%v", files)
	}
}

// usedBecomes waits until the spool has so many bytes.
func (g *rig) usedBecomes(n int64) {
	g.t.Helper()
	g.becomes(fmt.Sprintf("%d bytes are in the spool", n), func() bool { return g.s.o.Spool.Used() == n })
}

// An upload whose last byte came just before the process was killed is stored by the next one,
// and what an earlier process had reserved is counted.
func TestACompleteUploadIsStoredAfterAKill(t *testing.T) {
	g := newRig(t, nil)
	body := random(4000, 1)
	at := g.begin("?epochs=2", len(body))
	part := g.begin("?epochs=2", 10, "Upload-Concat", "partial")
	g.tus("PATCH", part, random(10, 3), "Upload-Offset", "0")
	g.s.Close()
	if err := os.WriteFile(filepath.Join(g.dir, "uploads", filepath.Base(at)), body, 0o600); err != nil {
		t.Fatal(err)
	}
	g.start(nil)
	if r := g.became(at); r.State != certified {
		t.Fatalf("%+v %+v", r, r.Error)
	}
	swept := g.begin("?epochs=2", len(body))
	if err := os.WriteFile(filepath.Join(g.dir, "uploads", filepath.Base(swept)), random(4000, 2), 0o600); err != nil {
		t.Fatal(err)
	}
	g.s.uploads.sweep(time.Now())
	if r := g.became(swept); r.State != certified {
		t.Fatalf("%+v %+v", r, r.Error)
	}
	g.usedBecomes(10) // of a part
	var r uploadResult
	if g.get(part+"/result").json(t, &r); r.State != received {
		t.Errorf("a part: %+v", r)
	}
}

// No header gives a request another method than the one that was looked at.
func TestAnUploadIsNotRemovedByAnotherName(t *testing.T) {
	g := newRig(t, nil)
	at := g.begin("", 10)
	a := g.tus("POST", at, nil, "X-HTTP-Method-Override", "DELETE")
	if a.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	if a := g.tus("HEAD", at, nil); a.StatusCode != 200 {
		t.Errorf("the upload is gone: %d", a.StatusCode)
	}
	if a := g.tus("POST", "/v1/uploads/?epochs=1", nil, "Upload-Length", "5", "X-HTTP-Method-Override", "PATCH"); a.StatusCode != 201 {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
}

// What the gateway keeps of an upload is not shown: neither its key and terms, nor where it is.
func TestAnUploadShowsOnlyItsOwnMetadata(t *testing.T) {
	g, secrets := keyedRig(t, map[string]string{"app": ""})
	g.key = secrets["app"]
	mine := "filename " + base64.StdEncoding.EncodeToString([]byte("a"))
	at := g.begin("?epochs=2", 10, "Upload-Metadata", mine)
	g.key = ""
	if got := g.tus("HEAD", at, nil).Header.Get("Upload-Metadata"); got != mine {
		t.Errorf("%q", got)
	}
	if a := g.get(at + "/result"); strings.Contains(string(a.body), "app") || strings.Contains(string(a.body), "epochs") {
		t.Errorf("%s", a.body)
	}
	path := filepath.Join(g.dir, "uploads", filepath.Base(at)+infoName)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil { // it cannot be read
		t.Fatal(err)
	}
	a := g.tus("PATCH", at, []byte("x"), "Upload-Offset", "0")
	g.want(a, 500, "INTERNAL_ERROR")
	if strings.Contains(string(a.body), g.dir) {
		t.Errorf("%s", a.body)
	}
	if err := os.RemoveAll(g.dir + "/spool"); err != nil {
		t.Fatal(err)
	}
	g.key = secrets["app"]
	a = g.put("/v1/blobs?epochs=1", []byte("x"))
	g.want(a, 500, "INTERNAL_ERROR")
	if strings.Contains(string(a.body), g.dir) {
		t.Errorf("%s", a.body)
	}
}
