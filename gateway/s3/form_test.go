package s3

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// filled is a form that a key has signed, with conditions for each of its fields unless
// conditions are given.
type filled struct {
	key        Key
	at         time.Time
	expires    time.Duration
	fields     map[string]string
	conditions []any // nil: one for each field
	file       string
	change     func(fields map[string]string) // after it was signed
}

func (w *world) form(bucket string, f filled) *http.Request {
	w.Helper()
	if f.key.Access == "" {
		f.key = w.key
	}
	if f.at.IsZero() {
		f.at = time.Now()
	}
	if f.expires == 0 {
		f.expires = time.Minute
	}
	at := f.at.UTC()
	c := credential{f.key.Access, at.Format(dateFormat), region}
	fields := map[string]string{"key": "one", "x-amz-algorithm": algorithm, "x-amz-credential": f.key.Access + "/" + c.scope(), "x-amz-date": at.Format(timeFormat)}
	for name, value := range f.fields {
		fields[name] = value
	}
	conditions := f.conditions
	if conditions == nil {
		conditions = []any{map[string]string{"bucket": bucket}}
		for name, value := range fields {
			if name == "key" {
				conditions = append(conditions, []string{"starts-with", "$key", ""})
			} else {
				conditions = append(conditions, []string{"eq", "$" + name, value})
			}
		}
	}
	b, err := json.Marshal(map[string]any{"expiration": at.Add(f.expires).Format(time.RFC3339), "conditions": conditions})
	if err != nil {
		w.Fatal(err)
	}
	fields["policy"] = base64.StdEncoding.EncodeToString(b)
	fields["x-amz-signature"] = hex.EncodeToString(hmacSha256(signingKey(f.key.Secret, c), fields["policy"]))
	if f.change != nil {
		f.change(fields)
	}
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for name, value := range fields {
		if err := form.WriteField(name, value); err != nil {
			w.Fatal(err)
		}
	}
	file, err := form.CreateFormFile("file", `C:\photos\cat.jpg`)
	if err != nil {
		w.Fatal(err)
	}
	file.Write([]byte(f.file))
	form.WriteField("key", "a field behind the file")
	form.Close()
	r, err := http.NewRequest("POST", w.http.URL+"/"+bucket, &body)
	if err != nil {
		w.Fatal(err)
	}
	r.Header.Set("Content-Type", form.FormDataContentType())
	return r
}

func TestABrowsersFormIsStored(t *testing.T) {
	w := newWorld(t)
	w.must("PUT", "/photos", nil)
	a := w.send(w.form("photos", filled{file: "meow", fields: map[string]string{"key": "cats/${filename}", "content-type": "image/jpeg", "x-amz-meta-name": "Tom",
		"tagging": "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>", "success_action_status": "201"}}))
	if a.status != 201 || !strings.Contains(a.body, "<Bucket>photos</Bucket>") || a.header.Get("Location") != w.http.URL+"/photos/"+escape(`cats/C:\photos\cat.jpg`, true) && a.header.Get("Location") != w.http.URL+"/photos/cats/cat.jpg" {
		t.Fatal(a)
	}
	u, err := url.Parse(a.header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	got := w.must("GET", u.EscapedPath(), nil)
	if got.body != "meow" || got.header.Get("Content-Type") != "image/jpeg" || got.header.Get("X-Amz-Meta-Name") != "Tom" || got.header.Get("X-Amz-Tagging-Count") != "1" {
		t.Error(got)
	}
	if a := w.send(w.form("photos", filled{file: "two"})); a.status != 204 || a.header.Get("ETag") == "" {
		t.Error(a)
	}
	http.DefaultClient.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	defer func() { http.DefaultClient.CheckRedirect = nil }()
	a = w.send(w.form("photos", filled{file: "two", fields: map[string]string{"success_action_redirect": "https://site.example/done?x=1"}}))
	if a.status != 303 || a.header.Get("Location") != `https://site.example/done?bucket=photos&etag=%22b8a9f715dbb64fd5c56e7783c6820a61%22&key=one&x=1` {
		t.Error(a)
	}
	if a := w.send(w.form("photos", filled{file: "two", fields: map[string]string{"redirect": "javascript:alert(1)"}})); a.status != 204 {
		t.Error(a)
	}
}

func TestAFormIsHeldAgainstItsPolicy(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Keys = append(o.Keys, bob) })
	w.must("PUT", "/photos", nil)
	all := func(more ...any) []any {
		out := []any{map[string]string{"bucket": "photos"}}
		for _, name := range []string{"key", "x-amz-algorithm", "x-amz-credential", "x-amz-date"} {
			out = append(out, []string{"starts-with", "$" + name, ""})
		}
		return append(out, more...)
	}
	set := func(name, value string) func(map[string]string) {
		return func(f map[string]string) { f[name] = value }
	}
	for name, c := range map[string]struct {
		form   filled
		status int
		code   string
		says   string
	}{
		"expired":            {filled{at: time.Now().Add(-time.Hour)}, 403, "AccessDenied", "expired"},
		"of tomorrow":        {filled{at: time.Now().Add(24 * time.Hour)}, 403, "AccessDenied", "expired"},
		"changed policy":     {filled{change: set("policy", "e30=")}, 403, "SignatureDoesNotMatch", ""},
		"another signature":  {filled{change: set("x-amz-signature", strings.Repeat("0", 64))}, 403, "SignatureDoesNotMatch", ""},
		"unknown key":        {filled{key: Key{Access: "NOBODY", Secret: "0123456789abcdef"}}, 403, "InvalidAccessKeyId", ""},
		"a key that reads":   {filled{key: viewer}, 403, "AccessDenied", ""},
		"another's bucket":   {filled{key: bob}, 403, "AccessDenied", ""},
		"a field more":       {filled{change: set("x-amz-meta-more", "x")}, 403, "AccessDenied", "Extra input fields: x-amz-meta-more"},
		"another key":        {filled{conditions: all([]string{"eq", "$key", "two"})}, 403, "AccessDenied", `["eq","$key","two"]`},
		"another prefix":     {filled{conditions: all([]string{"starts-with", "$key", "mine/"})}, 403, "AccessDenied", "starts-with"},
		"another bucket":     {filled{conditions: all(map[string]string{"bucket": "music"})}, 403, "AccessDenied", `$bucket`},
		"not named":          {filled{conditions: []any{}}, 403, "AccessDenied", "Extra input fields: bucket, key"},
		"too large":          {filled{file: "12345", conditions: all([]any{"content-length-range", 1, 4})}, 400, "EntityTooLarge", ""},
		"too small":          {filled{file: "12345", conditions: all([]any{"content-length-range", 6, 10})}, 400, "EntityTooSmall", ""},
		"a wrong checksum":   {filled{fields: map[string]string{"x-amz-checksum-crc32": "AAAAAA=="}, file: "12345"}, 400, "BadDigest", ""},
		"a public ACL":       {filled{fields: map[string]string{"acl": "public-read"}}, 501, "NotImplemented", ""},
		"encryption":         {filled{fields: map[string]string{"x-amz-server-side-encryption": "AES256"}}, 501, "NotImplemented", ""},
		"no key":             {filled{fields: map[string]string{"key": ""}}, 400, "InvalidArgument", "a field named"},
		"tags that are none": {filled{fields: map[string]string{"tagging": "x"}}, 400, "MalformedXML", ""},
		"no signature":       {filled{change: func(f map[string]string) { delete(f, "x-amz-signature") }}, 400, "InvalidArgument", "x-amz-signature"},
		"a long field":       {filled{fields: map[string]string{"x-ignore-this": strings.Repeat("x", maxForm)}}, 400, "MaxPostPreDataLengthExceeded", ""},
	} {
		a := w.send(w.form("photos", c.form))
		if a.status != c.status || a.code() != c.code || !strings.Contains(strings.ReplaceAll(a.body, "&#34;", `"`), c.says) {
			t.Errorf("%s: %d %s %s", name, a.status, a.code(), a.body)
		}
	}
	if l, _ := w.list("photos"); len(l.Contents) > 0 {
		t.Errorf("%+v", l)
	}
	w.leases(0)
	// A form that is cut off leaves nothing.
	r := w.form("photos", filled{file: strings.Repeat("x", 1000)})
	var whole bytes.Buffer
	whole.ReadFrom(r.Body)
	for _, n := range []int{whole.Len() - 300, 100, 0} {
		cut, err := http.NewRequest("POST", r.URL.String(), bytes.NewReader(whole.Bytes()[:n]))
		if err != nil {
			t.Fatal(err)
		}
		cut.Header = r.Header
		if a := w.send(cut); a.status != 400 {
			t.Errorf("%d bytes of it: %d %s", n, a.status, a.body)
		}
	}
	r.Header.Set("Content-Type", "text/plain")
	if a := w.send(r); a.code() != "PreconditionFailed" {
		t.Error(a)
	}
	w.leases(0)
}

func FuzzPolicy(f *testing.F) {
	f.Add(`{"expiration":"2144-01-01T00:00:00Z","conditions":[{"bucket":"photos"},["eq","$key","one"],["content-length-range",1,"2"]]}`)
	f.Add(`{"expiration":"2144-01-01T00:00:00Z","conditions":[["starts-with","$key",""],["",1],{"a":1}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parsePolicy(base64.StdEncoding.EncodeToString([]byte(text)))
		if err != nil {
			return
		}
		if p.check(map[string]string{"no condition names": "x"}, time.Unix(0, 0)) == nil && !strings.Contains(strings.ToLower(text), "no condition names") {
			t.Errorf("%s lets a field pass that it does not name", text)
		}
	})
}

// A page of another site learns what the bucket's owner lets it do; it needs a signature all
// the same.
func TestCORS(t *testing.T) {
	w := newWorld(t)
	w.must("PUT", "/photos", nil)
	w.must("PUT", "/photos/one", []byte("one"))
	ask := func(bucket, origin, method, headers string) answer {
		t.Helper()
		r, err := http.NewRequest("OPTIONS", w.http.URL+"/"+bucket+"/one", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Origin", origin)
		r.Header.Set("Access-Control-Request-Method", method)
		r.Header.Set("Access-Control-Request-Headers", headers)
		return w.send(r)
	}
	if a := ask("photos", "https://a.example", "PUT", ""); a.status != 403 || a.code() != "AccessForbidden" {
		t.Error(a)
	}
	w.refused(404, "NoSuchCORSConfiguration", "GET", "/photos?cors", nil)
	doc := `<CORSRule><ID>pages</ID><AllowedOrigin>https://*.example</AllowedOrigin><AllowedMethod>PUT</AllowedMethod><AllowedHeader>x-amz-*</AllowedHeader><AllowedHeader>Content-Type</AllowedHeader><ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>60</MaxAgeSeconds></CORSRule><CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>`
	w.must("PUT", "/photos?cors", []byte("<CORSConfiguration>"+doc))
	if got := w.must("GET", "/photos?cors", nil).body; !strings.HasSuffix(got, doc) {
		t.Error(got)
	}
	a := ask("photos", "https://a.example", "PUT", "content-type, X-Amz-Date")
	for name, want := range map[string]string{"Allow-Origin": "https://a.example", "Allow-Methods": "PUT", "Allow-Headers": "content-type, X-Amz-Date", "Expose-Headers": "ETag", "Max-Age": "60", "Allow-Credentials": ""} {
		if got := a.header.Get("Access-Control-" + name); a.status != 200 || got != want {
			t.Errorf("%s: %d %q, want %q", name, a.status, got, want)
		}
	}
	for _, c := range [][3]string{{"https://a.example", "DELETE", ""}, {"https://b.test", "PUT", ""}, {"https://a.example", "PUT", "authorization"}, {"https://b.test", "GET", "x-amz-date"}} {
		if a := ask("photos", c[0], c[1], c[2]); a.status != 403 || a.header.Get("Access-Control-Allow-Origin") != "" {
			t.Error(c, a)
		}
	}
	if a := ask("another", "https://a.example", "GET", ""); a.status != 403 {
		t.Error(a)
	}
	if a := w.must("GET", "/photos/one", nil, "Origin", "https://b.test"); a.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Error(a.header)
	}
	if a := w.must("HEAD", "/photos/one", nil, "Origin", "https://b.test"); a.header.Get("Access-Control-Allow-Origin") != "" {
		t.Error(a.header)
	}
	r, err := http.NewRequest("GET", w.http.URL+"/photos/one", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Origin", "https://b.test")
	if a := w.send(r); a.status != 403 {
		t.Error("a page needs no signature", a)
	}
	for rule, code := range map[string]string{
		"": "MalformedXML", "<CORSRule/>": "MalformedXML",
		"<CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>OPTIONS</AllowedMethod></CORSRule>":                                      "InvalidRequest",
		"<CORSRule><AllowedOrigin>*.*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule>":                                        "InvalidRequest",
		"<CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod><AllowedHeader>a b</AllowedHeader></CORSRule>":        "InvalidRequest",
		"<CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod><ExposeHeader>a&#13;&#10;b</ExposeHeader></CORSRule>": "InvalidRequest",
	} {
		if a := w.do("PUT", "/photos?cors", []byte("<CORSConfiguration>"+rule+"</CORSConfiguration>")); a.code() != code {
			t.Errorf("%s: %s %s", rule, a.code(), a.body)
		}
	}
	w.must("DELETE", "/photos?cors", nil)
	if a := ask("photos", "https://a.example", "GET", ""); a.status != 403 {
		t.Error(a)
	}
}
