package s3

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
)

// world is a door in front of a storage, and a program that signs requests.
type world struct {
	*testing.T
	double  *double
	storage Storage // the double, or a network
	o       Options
	door    *Server
	http    *httptest.Server
	key     Key
	at      func() time.Time // of signatures; nil: time.Now
}

var (
	full   = Key{"FULL", "a secret of many characters", []string{"*"}, true, ""}
	viewer = Key{"VIEWER", "another secret of characters", []string{"photos"}, false, ""}
)

func newWorld(t *testing.T, change ...func(*Options)) *world {
	t.Helper()
	w := &world{T: t, double: newDouble(), o: Default(t.TempDir()), key: full}
	w.storage = w.double
	w.o.Keys = []Key{full, viewer}
	w.o.Gather, w.o.Sweep, w.o.Grace = 5*time.Millisecond, time.Hour, 0
	for _, c := range change {
		c(&w.o)
	}
	w.start()
	t.Cleanup(w.close)
	return w
}

// over is a world in front of another storage.
func over(t *testing.T, storage Storage, change ...func(*Options)) *world {
	t.Helper()
	w := newWorld(t, change...)
	w.close()
	w.storage = storage
	w.start()
	return w
}

func (w *world) start() {
	w.Helper()
	var err error
	if w.door, err = New(w.storage, w.o); err != nil {
		w.Fatal(err)
	}
	w.http = httptest.NewServer(w.door)
}

func (w *world) close() {
	if w.http != nil {
		w.http.Close()
		if err := w.door.Close(); err != nil {
			w.Error(err)
		}
		w.http = nil
	}
}

// restart is a process that ends and begins anew.
func (w *world) restart() {
	w.Helper()
	w.close()
	w.start()
}

type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) code() string {
	var e struct{ Code string }
	_ = xml.Unmarshal([]byte(a.body), &e)
	return e.Code
}

// request makes a signed request; target is path and query.
func (w *world) request(method, target string, body []byte, h ...string) *http.Request {
	w.Helper()
	r, err := http.NewRequest(method, w.http.URL+target, bytes.NewReader(body))
	if err != nil {
		w.Fatal(err)
	}
	for i := 0; i < len(h); i += 2 {
		r.Header.Set(h[i], h[i+1])
	}
	if r.Header.Get(headerSha256) == "" {
		sum := sha256.Sum256(body)
		r.Header.Set(headerSha256, hex.EncodeToString(sum[:]))
	}
	now := time.Now()
	if w.at != nil {
		now = w.at()
	}
	sign(r, w.key, now, r.Header.Get(headerSha256))
	return r
}

// sign is the client's side of Signature Version 4. Vectors of the specification check that
// it is that, and not only what the server takes.
func sign(r *http.Request, k Key, at time.Time, payload string) credential {
	at = at.UTC()
	r.Header.Set("X-Amz-Date", at.Format(timeFormat))
	names := []string{"host"}
	for name := range r.Header {
		if strings.HasPrefix(name, "X-Amz-") || name == "Content-Md5" || name == "Content-Type" || name == "Range" {
			names = append(names, strings.ToLower(name))
		}
	}
	slices.Sort(names)
	if r.Host == "" {
		r.Host = r.URL.Host
	}
	c := credential{k.Access, at.Format(dateFormat), region}
	r.Header.Set("Authorization", algorithm+" Credential="+k.Access+"/"+c.scope()+", SignedHeaders="+strings.Join(names, ";")+", Signature="+signatureOf(r, k, c, at, names, payload))
	return c
}

func signatureOf(r *http.Request, k Key, c credential, at time.Time, names []string, payload string) string {
	canonical, err := canonicalRequest(r, names, payload)
	if err != nil {
		panic(err)
	}
	sum := sha256.Sum256([]byte(canonical))
	return hex.EncodeToString(hmacSha256(signingKey(k.Secret, c), algorithm+"\n"+at.Format(timeFormat)+"\n"+c.scope()+"\n"+hex.EncodeToString(sum[:])))
}

func presign(r *http.Request, k Key, at time.Time, expires time.Duration) {
	at = at.UTC()
	c := credential{k.Access, at.Format(dateFormat), region}
	q := r.URL.Query()
	q.Set("X-Amz-Algorithm", algorithm)
	q.Set("X-Amz-Credential", k.Access+"/"+c.scope())
	q.Set("X-Amz-Date", at.Format(timeFormat))
	q.Set("X-Amz-Expires", fmt.Sprint(int(expires/time.Second)))
	q.Set("X-Amz-SignedHeaders", "host")
	r.URL.RawQuery = q.Encode()
	if r.Host == "" {
		r.Host = r.URL.Host
	}
	q.Set("X-Amz-Signature", signatureOf(r, k, c, at, []string{"host"}, unsignedPayload))
	r.URL.RawQuery = q.Encode()
}

func (w *world) send(r *http.Request) answer {
	w.Helper()
	a, err := w.tries(r)
	if err != nil {
		w.Fatal(err)
	}
	return a
}

// tries is send of a request that may get no answer.
func (w *world) tries(r *http.Request) (answer, error) {
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(b)}, err
}

// textLog is a log that writes to w.
func textLog(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

func (w *world) do(method, target string, body []byte, h ...string) answer {
	w.Helper()
	return w.send(w.request(method, target, body, h...))
}

// must makes a request that succeeds.
func (w *world) must(method, target string, body []byte, h ...string) answer {
	w.Helper()
	a := w.do(method, target, body, h...)
	if a.status >= 300 {
		w.Fatalf("%s %s: %d %s", method, target, a.status, a.body)
	}
	return a
}

// refused makes a request that fails with a code.
func (w *world) refused(status int, code, method, target string, body []byte, h ...string) answer {
	w.Helper()
	a := w.do(method, target, body, h...)
	if a.status != status || a.code() != code {
		w.Fatalf("%s %s: %d %s (%s), want %d %s", method, target, a.status, a.code(), a.body, status, code)
	}
	return a
}

// settles waits until nothing is left to be given back.
func (w *world) settles() {
	w.Helper()
	if err := w.door.GiveBack(context.Background()); err != nil {
		w.Fatal(err)
	}
}

// leases waits until there are so many leases and no body is in the spool. A request gives its
// body back after its answer.
func (w *world) leases(want int) {
	w.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		w.settles()
		leases, spools, _ := w.double.state()
		if leases == want && spools == 0 {
			return
		}
		if time.Now().After(end) {
			w.Fatalf("%d leases and %d bodies in the spool, want %d and 0", leases, spools, want)
		}
	}
}

func withSnapshots(t *testing.T) (*age.X25519Identity, func(*Options)) {
	t.Helper()
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return key, func(o *Options) { o.Sealer, o.Snapshot = key.Recipient(), time.Hour }
}

func query(pairs ...string) string {
	q := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return q.Encode()
}

// packed is records as a snapshot of version 1 has them.
func packed(records []byte) (io.Reader, error) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(append(append([]byte(snapshotMagic1), make([]byte, 16)...), records...))
	return &b, errors.Join(err, w.Close())
}
