package gateway

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"
)

// deferred begins an upload whose length is not known, and gives its path.
func (g *rig) deferred(query string) string {
	g.t.Helper()
	a := g.tus("POST", "/v1/uploads/"+query, nil, "Upload-Defer-Length", "1")
	if a.StatusCode != 201 {
		g.t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	return strings.TrimPrefix(a.Header.Get("Location"), g.url)
}

// chunk sends bytes of an upload without saying how many they are.
func (g *rig) chunk(at string, body []byte, header ...string) answer {
	g.t.Helper()
	r := g.request("PATCH", at, io.MultiReader(bytes.NewReader(body)))
	r.Header.Set("Tus-Resumable", "1.0.0")
	r.Header.Set("Content-Type", "application/offset+octet-stream")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return g.do(r)
}

// The length of a stream is said with its last bytes, also after a restart; it is stored then.
func TestTheLengthOfAnUploadIsSaidLater(t *testing.T) {
	g := newRig(t, nil)
	body := random(3<<20, 1)
	at := g.deferred("?epochs=2")
	if a := g.tus("HEAD", at, nil); a.Header.Get("Upload-Defer-Length") != "1" {
		t.Errorf("%v", a.Header)
	}
	if a := g.chunk(at, body[:2<<20], "Upload-Offset", "0"); a.StatusCode != 204 {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	var r uploadResult
	g.get(at+"/result").json(t, &r)
	if used := g.s.o.Spool.Used(); r.State != receiving || used < 2<<20 || used > 3<<20 {
		t.Errorf("%+v, %d bytes are reserved", r, used)
	}
	g.s.Close()
	g.start(nil)
	if used := g.s.o.Spool.Used(); used != 2<<20 {
		t.Errorf("%d bytes are reserved after a restart", used)
	}
	if a := g.tus("PATCH", at, body[2<<20:], "Upload-Offset", "2097152", "Upload-Length", "3145728"); a.StatusCode != 204 {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	if r = g.became(at); r.State != certified {
		t.Fatalf("%+v", r)
	}
	g.usedBecomes(0)
	if a := g.get("/v1/blobs/" + r.Result.Created.Object.BlobID); !bytes.Equal(a.body, body) {
		t.Error("other bytes come back")
	}
	empty := g.deferred("?epochs=2") // nothing came, and it was the whole
	g.get(empty+"/result").json(t, &r)
	if r.State != receiving {
		t.Errorf("%+v", r)
	}
	if a := g.tus("PATCH", empty, nil, "Upload-Offset", "0", "Upload-Length", "0"); a.StatusCode != 204 || g.became(empty).State != certified {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
}

// An upload of unknown length gets no longer than its key may store and pay for, than its part
// of the spool, and than there is room for; whatever it says, and however its bytes come.
func TestAnUploadOfUnknownLengthIsBounded(t *testing.T) {
	g, secrets := keyedRig(t, map[string]string{"small": "max_bytes = 5000", "day": "bytes_per_day = 2000000", "app": ""})
	long := random(6000, 1)
	g.key = secrets["small"]
	at := g.deferred("?epochs=1")
	g.want(g.chunk(at, long, "Upload-Offset", "0"), 400, "INVALID_SIZE")
	g.want(g.tus("PATCH", at, long, "Upload-Offset", "0"), 400, "INVALID_SIZE")
	for _, length := range []string{"5001", "9223372036854775807", "+1", "x"} {
		if a := g.tus("PATCH", at, nil, "Upload-Offset", "0", "Upload-Length", length); a.StatusCode != 400 {
			t.Errorf("%s: %d %s", length, a.StatusCode, a.body)
		}
	}
	if used := g.s.o.Spool.Used(); used > 5000 {
		t.Errorf("%d bytes are reserved", used)
	}

	g.key = secrets["day"]
	at = g.deferred("?epochs=1")
	g.want(g.chunk(at, random(2<<20, 2), "Upload-Offset", "0"), 429, "BUDGET_EXCEEDED")
	g.want(g.tus("PATCH", at, random(2<<20, 2), "Upload-Offset", "0"), 429, "BUDGET_EXCEEDED")

	g.key = secrets["app"]
	g.begin("", 30<<20) // of its 32 MiB
	at = g.deferred("?epochs=1")
	g.want(g.chunk(at, random(4<<20, 3), "Upload-Offset", "0"), 429, "UPLOAD_QUOTA")
	g.want(g.tus("PATCH", at, nil, "Upload-Offset", "0", "Upload-Length", "33554433"), 413, "BLOB_TOO_LARGE")
	a := g.tus("HEAD", at, nil)
	if a.Header.Get("Upload-Offset") == "4194304" {
		t.Errorf("%v", a.Header)
	}

	for _, header := range [][]string{{"Upload-Concat", "partial"}, {"Upload-Length", "5"}} {
		g.want(g.tus("POST", "/v1/uploads/", nil, append(header, "Upload-Defer-Length", "1")...), 400, "MALFORMED_REQUEST")
	}
	g.want(g.tus("POST", "/v1/uploads/", []byte("x"), "Upload-Defer-Length", "1", "Content-Type", "application/offset+octet-stream"), 400, "MALFORMED_REQUEST")
	g.key = signed(t, map[string]any{"jti": "d", "exp": time.Now().Add(time.Hour).Unix(), "max_size": 1000})
	g.want(g.tus("POST", "/v1/uploads/", nil, "Upload-Defer-Length", "1"), 400, "MALFORMED_REQUEST")
}
