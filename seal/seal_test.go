package seal_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"filippo.io/age"

	"github.com/walrus-network/walrus/internal/golden"
	"github.com/walrus-network/walrus/seal"
)

func key(t testing.TB) *age.X25519Identity {
	t.Helper()
	k, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func sealed(t testing.TB, b []byte, to ...seal.Recipient) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := seal.Seal(&out, bytes.NewReader(b), int64(len(b)), to); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// remote is a blob that is read by ranges, which it notes.
type remote struct {
	b     []byte
	mu    sync.Mutex // guards reads
	reads [][2]int64
}

func (r *remote) read(offset, length int64, w io.Writer) error {
	r.mu.Lock()
	r.reads = append(r.reads, [2]int64{offset, length})
	r.mu.Unlock()
	if offset < 0 || length < 0 || offset+length > int64(len(r.b)) {
		return fmt.Errorf("%d bytes at %d of %d", length, offset, len(r.b))
	}
	for b := r.b[offset : offset+length]; len(b) > 0; { // in pieces, as stripes come
		n := min(len(b), 10_000)
		if _, err := w.Write(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

func open(b []byte, keys ...seal.Identity) (*seal.Opened, *remote, error) {
	r := &remote{b: b}
	o, err := seal.Open(int64(len(b)), r.read, keys)
	return o, r, err
}

// sizes are those of files that fill, begin or end a chunk, with header and padding.
var sizes = []int{0, 1, 20, 43, 44, 65515, 65516, 65536, 65537, 100_000, 131_072, 131_053, 200_000, 1_000_000, 1_048_556}

func TestWhatIsSealedIsOpened(t *testing.T) {
	k := key(t)
	for _, size := range sizes {
		b := golden.Content(size)
		o, r, err := open(sealed(t, b, k.Recipient()), k)
		if err != nil || o.Size() != int64(size) {
			t.Fatalf("%d bytes: %v", size, err)
		}
		for _, from := range []int{0, 1, 65535, 65536, 65537, 131_072, size / 2, size - 1, size} {
			for _, to := range []int{0, 1, 65535, 65536, 65537, 131_072, size/2 + 10, size - 1, size} {
				if from < 0 || to < from || to > size {
					continue
				}
				var out bytes.Buffer
				if err := o.Write(int64(from), int64(to), r.read, &out); err != nil || !bytes.Equal(out.Bytes(), b[from:to]) {
					t.Errorf("%d bytes, %d to %d: %d came, %v", size, from, to, out.Len(), err)
				}
			}
		}
		for _, span := range [][2]int64{{-1, 0}, {1, 0}, {0, int64(size) + 1}} {
			if err := o.Write(span[0], span[1], r.read, io.Discard); err == nil {
				t.Errorf("%d bytes: %v was read", size, span)
			}
		}
	}
}

// Opening takes two reads at the same time, a range one more, of the chunks that it covers.
func TestARangeCostsItsChunks(t *testing.T) {
	k := key(t)
	b := golden.Content(3_000_000)
	all := sealed(t, b, k.Recipient())
	_, r, err := open(all, k)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(r.reads, func(a, b [2]int64) int { return int(a[0] - b[0]) })
	if want := [][2]int64{{0, 65536}, {int64(len(all)) - 65552, 65552}}; !slices.Equal(r.reads, want) {
		t.Errorf("opening read %v, want %v", r.reads, want)
	}
	for _, test := range []struct {
		from, to     int64
		reads, bytes int64
	}{
		{0, 3_000_000, 1, 45 * 65552}, // and the last chunk, which is here
		{1_000_000, 1_000_001, 1, 65552},
		{1_000_000, 1_200_000, 1, 4 * 65552},
		{2_999_990, 3_000_000, 0, 0},
	} {
		o, r, err := open(all, k)
		if err != nil {
			t.Fatal(err)
		}
		r.reads = nil
		if err := o.Write(test.from, test.to, r.read, io.Discard); err != nil {
			t.Fatal(err)
		}
		var sum int64
		for _, x := range r.reads {
			sum += x[1]
		}
		if int64(len(r.reads)) != test.reads || sum != test.bytes {
			t.Errorf("%d to %d: %v, want %d reads of %d bytes", test.from, test.to, r.reads, test.reads, test.bytes)
		}
	}
}

func TestASizeTellsOnlyAClass(t *testing.T) {
	classes := map[int64]bool{}
	last := int64(0)
	for size := int64(0); size < 1<<40; size += 1 + size/997 {
		p := seal.PaddedSize(size)
		classes[p] = true
		if p < size+20 || float64(p) > 1.12*float64(size+20) {
			t.Fatalf("%d bytes are padded to %d", size, p)
		}
		if p < last {
			t.Fatalf("%d bytes are padded to %d, fewer bytes to %d", size, p, last)
		}
		last = p
	}
	if len(classes) > 1200 {
		t.Errorf("%d classes of sizes below 2^40", len(classes))
	}
	g := golden.File{Name: "padding.txt"}
	for _, size := range []int64{0, 1, 12, 1000, 65516, 1_000_000, 5_033_165, 1 << 30, 1 << 40, seal.MaxSize} {
		g.Add(fmt.Sprintf("padded(%d)", size), seal.PaddedSize(size))
	}
	g.Check(t)
	k := key(t)
	if a, b := sealed(t, golden.Content(99_000), k.Recipient()), sealed(t, golden.Content(100_000), k.Recipient()); len(a) != len(b) {
		t.Errorf("99,000 and 100,000 bytes became %d and %d", len(a), len(b))
	}
}

func TestKeys(t *testing.T) {
	k, other := key(t), key(t)
	word, err := seal.PassphraseRecipient("correct horse")
	if err != nil {
		t.Fatal(err)
	}
	word.(*age.ScryptRecipient).SetWorkFactor(10)
	byWord := sealed(t, []byte("secret"), word)
	byKeys := sealed(t, []byte("secret"), k.Recipient(), other.Recipient())
	opens := func(word string) seal.Identity {
		i, err := seal.PassphraseIdentity(word)
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	for name, test := range map[string]struct {
		b    []byte
		keys []seal.Identity
		want error
	}{
		"first key":          {byKeys, []seal.Identity{k}, nil},
		"second key":         {byKeys, []seal.Identity{key(t), other}, nil},
		"another key":        {byKeys, []seal.Identity{key(t)}, seal.ErrKey},
		"passphrase":         {byWord, []seal.Identity{opens("correct horse")}, nil},
		"wrong passphrase":   {byWord, []seal.Identity{opens("correct mule")}, seal.ErrKey},
		"key for a word":     {byWord, []seal.Identity{k}, seal.ErrKey},
		"word for a key":     {byKeys, []seal.Identity{opens("correct horse")}, seal.ErrKey},
		"not encrypted":      {[]byte("plain text, not encrypted"), []seal.Identity{k}, seal.ErrNotSealed},
		"empty":              {nil, []seal.Identity{k}, seal.ErrNotSealed},
		"cut header":         {byKeys[:100], []seal.Identity{k}, seal.ErrBroken},
		"cut end":            {byKeys[:len(byKeys)-1], []seal.Identity{k}, seal.ErrBroken},
		"endless header":     {append([]byte("age-encryption.org/v1\n"), bytes.Repeat([]byte("-> x "+strings.Repeat("y", 40)+"\n\n"), 100_000)...), []seal.Identity{k}, seal.ErrBroken},
		"work without end":   {bytes.Replace(byWord, []byte(" 10\n"), []byte(" 30\n"), 1), []seal.Identity{opens("correct horse")}, seal.ErrBroken},
		"not padded":         {foreign(t, []byte("an age file of another program"), k.Recipient()), []seal.Identity{k}, seal.ErrPadding},
		"short, not padded":  {foreign(t, []byte("x"), k.Recipient()), []seal.Identity{k}, seal.ErrPadding},
		"padded otherwise":   {foreign(t, fmt.Appendf(nil, "hello%30d", 5), k.Recipient()), []seal.Identity{k}, seal.ErrPadding},
		"length with a zero": {foreign(t, []byte("hello"+"\x00"+strings.Repeat(" ", 18)+"05"), k.Recipient()), []seal.Identity{k}, seal.ErrPadding},
		"length over chunks": {foreign(t, append(make([]byte, 131_072), "12345"...), k.Recipient()), []seal.Identity{k}, seal.ErrPadding},
	} {
		o, r, err := open(test.b, test.keys...)
		if !errors.Is(err, test.want) || test.want == nil && err != nil {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
		if err == nil {
			var out bytes.Buffer
			if err := o.Write(0, o.Size(), r.read, &out); err != nil || out.String() != "secret" {
				t.Errorf("%s: %q, %v", name, out.String(), err)
			}
		}
	}
	if !seal.Sealed(byKeys) || seal.Passphrase(byKeys) || !seal.Sealed(byWord) || !seal.Passphrase(byWord[:seal.HeadBytes]) || seal.Sealed([]byte("age")) {
		t.Error("what is encrypted to what is not told")
	}
}

// foreign is an age file without our padding.
func foreign(t *testing.T, b []byte, to ...age.Recipient) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := age.Encrypt(&out, to...)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(b)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestAChangedByteIsNeverWritten(t *testing.T) {
	k := key(t)
	b := golden.Content(400_000)
	all := sealed(t, b, k.Recipient())
	for _, at := range []int{10, 150, 400, 70_000, 200_000, len(all) - 10} {
		broken := bytes.Clone(all)
		broken[at] ^= 1
		o, r, err := open(broken, k)
		var out bytes.Buffer
		if err == nil {
			err = o.Write(0, o.Size(), r.read, &out)
		}
		if err == nil || !bytes.HasPrefix(b, out.Bytes()) {
			t.Errorf("byte %d changed: %d bytes came out, %v", at, out.Len(), err)
		}
	}
}

func TestErrorsAreThoseOfTheirSide(t *testing.T) {
	k := key(t)
	all := sealed(t, golden.Content(400_000), k.Recipient())
	away, full := errors.New("no node answers"), errors.New("disk full")
	if _, err := seal.Open(int64(len(all)), func(int64, int64, io.Writer) error { return away }, []seal.Identity{k}); !errors.Is(err, away) {
		t.Error(err)
	}
	o, r, err := open(all, k)
	if err != nil {
		t.Fatal(err)
	}
	half := func(offset, length int64, w io.Writer) error {
		if err := r.read(offset, length/2, w); err != nil {
			return err
		}
		return away
	}
	var out bytes.Buffer
	if err := o.Write(0, o.Size(), half, &out); !errors.Is(err, away) || errors.Is(err, seal.ErrBroken) || out.Len() == 0 {
		t.Errorf("%d bytes, %v", out.Len(), err)
	}
	if err := o.Write(0, o.Size(), r.read, writerOf(func([]byte) (int, error) { return 0, full })); !errors.Is(err, full) || errors.Is(err, seal.ErrBroken) {
		t.Error(err)
	}
	out.Reset()
	if err := o.Write(0, o.Size(), r.read, &out); err != nil || out.Len() != 400_000 {
		t.Errorf("after errors: %d bytes, %v", out.Len(), err)
	}
}

type writerOf func([]byte) (int, error)

func (w writerOf) Write(p []byte) (int, error) { return w(p) }

func TestAFileOfAnotherLengthIsNotSealed(t *testing.T) {
	k := key(t)
	for _, n := range []int64{4, 6} {
		if err := seal.Seal(io.Discard, strings.NewReader("hello"), n, []seal.Recipient{k.Recipient()}); !errors.Is(err, seal.ErrSize) {
			t.Errorf("%d: %v", n, err)
		}
	}
	if err := seal.Seal(io.Discard, strings.NewReader(""), 0, nil); err == nil {
		t.Error("sealed to nobody")
	}
}

func TestTextsOfKeys(t *testing.T) {
	k := key(t)
	if _, err := seal.ParseRecipient(k.Recipient().String()); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"", "age1", "ssh-ed25519 AAAA", k.Recipient().String() + "\n" + k.Recipient().String(), "# note"} {
		if _, err := seal.ParseRecipient(bad); err == nil {
			t.Errorf("%q is a recipient", bad)
		}
	}
	if _, err := seal.ParseRecipient(k.String()); err == nil || strings.Contains(err.Error(), k.String()) {
		t.Errorf("a secret key as a recipient: %v", err)
	}
	if keys, err := seal.ParseIdentities([]byte("# created: today\n" + k.String() + "\n")); err != nil || len(keys) != 1 {
		t.Error(err)
	}
	secret := "AGE-SECRET-KEY-1OOPS"
	for _, bad := range []string{"", secret, k.Recipient().String(), string(sealed(t, []byte(k.String()), k.Recipient()))} {
		if _, err := seal.ParseIdentities([]byte(bad)); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%.30q: %v", bad, err)
		}
	}
}

// The program age, which others wrote, decrypts what Seal makes, and standard tools cut the
// file out of it.
func TestTheProgramAgeDecrypts(t *testing.T) {
	program, err := exec.LookPath("age")
	if err != nil {
		t.Skip("the program age is not here: apt-get install age")
	}
	dir := t.TempDir()
	k := key(t)
	write := func(name string, b []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("key", []byte(k.String()+"\n"))
	for _, size := range sizes {
		b := golden.Content(size)
		write("raw", sealed(t, b, k.Recipient()))
		// As doc/formats.md says.
		script := program + ` --decrypt -i key raw > padded && head -c $(tail -c 20 padded) padded > file`
		c := exec.Command("sh", "-c", script)
		c.Dir = dir
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if got, err := os.ReadFile(filepath.Join(dir, "file")); err != nil || !bytes.Equal(got, b) {
			t.Errorf("%d bytes: %d came back, %v", size, len(got), err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	k := key(f)
	f.Add(sealed(f, []byte("hello"), k.Recipient()))
	f.Add(sealed(f, golden.Content(70_000), k.Recipient()))
	f.Add([]byte("age-encryption.org/v1\n-> X25519 "))
	long := make([]byte, 200_000)
	rand.Read(long)
	f.Add(append([]byte("age-encryption.org/v1\n"), long...))
	f.Fuzz(func(t *testing.T, b []byte) {
		o, r, err := open(b, k)
		if err == nil {
			_ = o.Write(0, o.Size(), r.read, io.Discard)
		}
	})
}

func FuzzParseIdentities(f *testing.F) {
	f.Add([]byte("AGE-SECRET-KEY-1"))
	f.Fuzz(func(t *testing.T, b []byte) { seal.ParseIdentities(b) })
}
