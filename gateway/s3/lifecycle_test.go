package s3

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// rulesOf is a document of rules.
func rulesOf(rules ...string) []byte {
	return []byte("<LifecycleConfiguration><Rule>" + strings.Join(rules, "</Rule><Rule>") + "</Rule></LifecycleConfiguration>")
}

// expiring is a rule that ends objects of a prefix after days.
func expiring(prefix string, days int) string {
	return fmt.Sprintf("<ID>%s</ID><Status>Enabled</Status><Filter><Prefix>%s</Prefix></Filter><Expiration><Days>%d</Days></Expiration>", strings.Trim(prefix, "/"), prefix, days)
}

// inTime is a world whose machine and ledger have the same clock, which ahead moves.
func inTime(t *testing.T, change ...func(*Options)) (w *world, ahead func(days int)) {
	now := time.Date(2026, 11, 28, 10, 30, 0, 0, time.UTC) // in the epoch of the double
	w = newWorld(t, append(change, func(o *Options) { o.Now = func() time.Time { return now } })...)
	w.at = func() time.Time { return now }
	return w, func(days int) {
		now = now.Add(time.Duration(days) * day)
		w.double.mu.Lock()
		w.double.epoch = w.double.epoch.Plus(uint64(24 * days))
		w.double.mu.Unlock()
		w.door.mu.Lock()
		w.door.seenAt = time.Time{}
		w.door.mu.Unlock()
	}
}

func (w *world) expire() {
	w.Helper()
	if err := w.door.Expire(w.Context()); err != nil {
		w.Fatal(err)
	}
	if err := w.door.AbortUploads(w.Context()); err != nil {
		w.Fatal(err)
	}
}

func (w *world) keys(bucket string) string {
	w.Helper()
	var keys []string
	for _, part := range strings.Split(w.must("GET", "/"+bucket, nil).body, "<Key>")[1:] {
		key, _, _ := strings.Cut(part, "<")
		keys = append(keys, key)
	}
	return strings.Join(keys, " ")
}

// Objects and uploads end on the day that the rules say, not before, and their leases come
// back.
func TestALifecycleEndsObjects(t *testing.T) {
	w, ahead := inTime(t)
	w.must("PUT", "/photos", nil)
	w.must("PUT", "/photos?lifecycle", rulesOf(
		expiring("logs/", 2),
		`<ID>tagged</ID><Status>Enabled</Status><Filter><And><Prefix>t/</Prefix><Tag><Key>keep</Key><Value>no</Value></Tag><ObjectSizeGreaterThan>3</ObjectSizeGreaterThan></And></Filter><Expiration><Date>2026-12-03T00:00:00Z</Date></Expiration>`,
		`<ID>off</ID><Status>Disabled</Status><Prefix>kept/</Prefix><Expiration><Days>1</Days></Expiration>`,
		`<ID>parts</ID><Status>Enabled</Status><Filter/><AbortIncompleteMultipartUpload><DaysAfterInitiation>3</DaysAfterInitiation></AbortIncompleteMultipartUpload>`,
	))
	put := w.must("PUT", "/photos/logs/a", []byte("log"))
	if got, want := put.header.Get("X-Amz-Expiration"), `expiry-date="Tue, 01 Dec 2026 00:00:00 GMT", rule-id="logs"`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	w.must("PUT", "/photos/kept/a", []byte("kept"))
	w.must("PUT", "/photos/t/a", []byte("long enough"), "X-Amz-Tagging", "keep=no")
	w.must("PUT", "/photos/t/b", []byte("two"), "X-Amz-Tagging", "keep=no")
	w.must("PUT", "/photos/t/c", []byte("long enough, too"), "X-Amz-Tagging", "keep=yes")
	begun := w.must("POST", "/photos/big?uploads", nil)
	if begun.header.Get("X-Amz-Abort-Date") != "Wed, 02 Dec 2026 00:00:00 GMT" || begun.header.Get("X-Amz-Abort-Rule-Id") != "parts" {
		t.Error(begun.header)
	}
	_, id, _ := strings.Cut(begun.body, "<UploadId>")
	id, _, _ = strings.Cut(id, "<")
	w.must("PUT", "/photos/big?partNumber=1&uploadId="+id, []byte("a part"))
	w.leases(6)
	for _, c := range []struct {
		days   int
		keys   string
		leases int
	}{
		{0, "kept/a logs/a t/a t/b t/c", 6},
		{2, "kept/a logs/a t/a t/b t/c", 6},
		{1, "kept/a t/a t/b t/c", 5},
		{1, "kept/a t/a t/b t/c", 4}, // the upload
		{1, "kept/a t/b t/c", 3},
		{300, "kept/a t/b t/c", 3},
	} {
		ahead(c.days)
		w.expire()
		if got := w.keys("photos"); got != c.keys {
			t.Errorf("%s: %s, want %s", w.at(), got, c.keys)
		}
		w.leases(c.leases)
	}
	w.refused(404, "NoSuchUpload", "GET", "/photos/big?uploadId="+id, nil)

	// A new rule counts at once, and what is written later is of its own age.
	w.must("PUT", "/photos?lifecycle", rulesOf(expiring("", 1)))
	w.expire()
	if got := w.keys("photos"); got != "" {
		t.Error(got)
	}
	w.must("PUT", "/photos/new", []byte("new"))
	w.must("DELETE", "/photos?lifecycle", nil)
	w.refused(404, "NoSuchLifecycleConfiguration", "GET", "/photos?lifecycle", nil)
	ahead(10)
	w.expire()
	if got := w.keys("photos"); got != "new" {
		t.Error(got)
	}
	w.must("PUT", "/photos?lifecycle", rulesOf(expiring("", 1)))
	w.must("DELETE", "/photos/new", nil)
	w.must("DELETE", "/photos", nil)
	w.must("PUT", "/photos", nil)
	w.refused(404, "NoSuchLifecycleConfiguration", "GET", "/photos?lifecycle", nil)
}

// Many objects end, and an object that was written anew stays.
func TestALifecycleEndsManyObjects(t *testing.T) {
	w, ahead := inTime(t)
	w.must("PUT", "/photos", nil)
	w.fill(0, 2500, nil) // of times that no rule ends
	err := w.door.index.change(t.Context(), func(c *change) error {
		for i := range 2500 {
			key := objectKey("photos", fmt.Sprintf("a key of usual length/%08d", i))
			c.put(key, object{Modified: w.at().UnixMilli()})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	w.must("PUT", "/photos?lifecycle", rulesOf(expiring("a key", 30)))
	ahead(31)
	w.must("PUT", "/photos/a%20key%20of%20usual%20length/00000007", []byte("anew"))
	w.expire()
	if got := w.keys("photos"); got != "a key of usual length/00000007" {
		t.Error(got)
	}
}

// A machine whose clock is wrong ends nothing.
func TestAWrongClockEndsNothing(t *testing.T) {
	w, ahead := inTime(t)
	w.must("PUT", "/photos", nil)
	w.must("PUT", "/photos/one", []byte("one"))
	w.must("PUT", "/photos?lifecycle", rulesOf(expiring("", 1)))
	ahead(100)
	w.double.epoch -= 24 * 90
	w.door.seenAt = time.Time{}
	if err := w.door.Expire(t.Context()); err == nil || !strings.Contains(err.Error(), "clock") {
		t.Error(err)
	}
	if got := w.keys("photos"); got != "one" {
		t.Error(got)
	}
}

func TestLifecyclesAreCheckedAndShown(t *testing.T) {
	w := newWorld(t)
	w.must("PUT", "/photos", nil)
	const on = "<Status>Enabled</Status>"
	const ends = "<Expiration><Days>1</Days></Expiration>"
	for _, c := range []struct {
		rule string
		code string
	}{
		{on + "<Filter/>" + "<Transition><Days>1</Days><StorageClass>GLACIER</StorageClass></Transition>", "NotImplemented"},
		{on + "<Filter/>" + ends + "<NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration>", "NotImplemented"},
		{on + "<Filter/>" + "<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>", "NotImplemented"},
		{on + "<Filter/>" + ends + "<Surprise/>", "MalformedXML"},
		{on + ends, "MalformedXML"},
		{on + "<Prefix/><Filter/>" + ends, "MalformedXML"},
		{"<Status>enabled</Status><Filter/>" + ends, "MalformedXML"},
		{on + "<Filter/>", "InvalidRequest"},
		{on + "<Filter/><Expiration><Days>0</Days></Expiration>", "InvalidArgument"},
		{on + "<Filter/><Expiration><Days>-1</Days></Expiration>", "InvalidArgument"},
		{on + "<Filter/><Expiration><Days>1</Days><Date>2027-01-01T00:00:00Z</Date></Expiration>", "MalformedXML"},
		{on + "<Filter/><Expiration><Date>2027-01-01T01:00:00Z</Date></Expiration>", "InvalidArgument"},
		{on + "<Filter/><Expiration><Date>tomorrow</Date></Expiration>", "MalformedXML"},
		{on + "<Filter><Prefix>a</Prefix><Tag><Key>b</Key><Value/></Tag></Filter>" + ends, "MalformedXML"},
		{on + "<Filter><Tag><Key>b</Key><Value/></Tag></Filter><AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload>", "InvalidRequest"},
		{on + "<Filter/><AbortIncompleteMultipartUpload><DaysAfterInitiation>0</DaysAfterInitiation></AbortIncompleteMultipartUpload>", "InvalidArgument"},
		{"<ID>" + strings.Repeat("x", 256) + "</ID>" + on + "<Filter/>" + ends, "InvalidArgument"},
	} {
		if a := w.do("PUT", "/photos?lifecycle", rulesOf(c.rule)); a.code() != c.code {
			t.Errorf("%s: %s %s, want %s", c.rule, a.code(), a.body, c.code)
		}
	}
	w.refused(400, "InvalidArgument", "PUT", "/photos?lifecycle", rulesOf(expiring("a", 1), expiring("a", 2)))
	w.refused(400, "MalformedXML", "PUT", "/photos?lifecycle", []byte("<LifecycleConfiguration/>"))
	w.refused(404, "NoSuchLifecycleConfiguration", "GET", "/photos?lifecycle", nil)
	w.refused(404, "NoSuchBucket", "PUT", "/another?lifecycle", rulesOf(expiring("a", 1)))
	w.must("PUT", "/photos?lifecycle", rulesOf(
		"<ID>old</ID>"+on+"<Prefix>a</Prefix>"+ends,
		"<ID>new</ID>"+on+"<Filter><And><Prefix>b</Prefix><ObjectSizeLessThan>10</ObjectSizeLessThan></And></Filter><Expiration><Date>2027-01-01T00:00:00Z</Date></Expiration>",
	))
	got := w.must("GET", "/photos?lifecycle", nil).body
	_, got, _ = strings.Cut(got, "<Rule>")
	want := `<ID>old</ID><Status>Enabled</Status><Prefix>a</Prefix><Expiration><Days>1</Days></Expiration></Rule><Rule><ID>new</ID><Status>Enabled</Status><Filter><And><Prefix>b</Prefix><ObjectSizeLessThan>10</ObjectSizeLessThan></And></Filter><Expiration><Date>2027-01-01T00:00:00.000Z</Date></Expiration></Rule></LifecycleConfiguration>`
	if got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}
