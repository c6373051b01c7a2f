package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/walrus-network/walrus/seal"
)

// Keys as age-keygen makes them, and the recipient of the first.
const (
	aliceKey = "AGE-SECRET-KEY-12HKHKJ9YPVFRU85VTAESGSLCZ6QRW9NG62TRA2JZFAHDY8RSKE8QHRZEAX"
	alice    = "age189u2kchkxne2vn9xe5euka5rme49j6yuyahufw9z6umaet6e9sesmhr026"
	bobKey   = "AGE-SECRET-KEY-1MFZURFHGGAYXAAJFYPCP6T0LVYGJLTGU850DFJDUSL62E0NJHN3SJKVVC6"
)

func keyFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key.txt")
	if err := os.WriteFile(path, []byte("# created: today\n"+text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWordsAboutKeys(t *testing.T) {
	home(t)
	file := write(t, filepath.Join(t.TempDir(), "file"), "x")
	for _, args := range []string{
		"store FILE -r " + alice, "store FILE --passphrase", "store FILE --recipients-file FILE", "store FILE --encrypt",
		"store FILE --encrypt --passphrase -r " + alice, "store FILE --encrypt -r age1nonsense", "store FILE --encrypt -r " + aliceKey,
		"read --raw -i FILE ID", "read --raw --passphrase ID", "list -i FILE",
	} {
		args = strings.NewReplacer("FILE", file, "ID", hyphenID.Base64()).Replace(args)
		got := walrus(t, strings.Fields(args)...)
		if got.code != exitUsage || strings.Contains(got.err, "AGE-SECRET") {
			t.Errorf("walrus %s: exit %d: %s", args, got.code, got.err)
		}
	}
	for words, args := range map[string]string{
		"no file of keys": "read -i FILE ID", "no such file": "read -i FILE.none ID", "recipients": "store FILE --encrypt --recipients-file FILE",
		"--passphrase=FILE": "store FILE --encrypt --passphrase", "a passphrase is needed": "read --passphrase ID",
	} {
		args = strings.NewReplacer("=FILE", "=FILE", "FILE", file, "ID", hyphenID.Base64()).Replace(args)
		if got := walrus(t, strings.Fields(args)...); got.code != exitFail || !strings.Contains(got.err, words) {
			t.Errorf("walrus %s: exit %d: %s", args, got.code, got.err)
		}
	}
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	if got := walrus(t, "read", "-i", file, hyphenID.Base64()); got.code == exitOK || !strings.Contains(got.err, "chmod") {
		t.Errorf("keys that all may read: exit %d: %s", got.code, got.err)
	}
}

func sealedTo(t *testing.T, b []byte, recipients ...string) []byte {
	t.Helper()
	var to []seal.Recipient
	for _, text := range recipients {
		r, err := seal.ParseRecipient(text)
		if err != nil {
			t.Fatal(err)
		}
		to = append(to, r)
	}
	var out bytes.Buffer
	if err := seal.Seal(&out, bytes.NewReader(b), int64(len(b)), to); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// Without a key nothing of an encrypted blob is written, whichever range is asked for.
func TestAnEncryptedBlobIsNotTakenForAPlainOne(t *testing.T) {
	all := sealedTo(t, bytes.Repeat([]byte("secret "), 50_000), alice)
	plain := bytes.Repeat([]byte("public "), 50_000)
	var d decryptFlags
	for _, span := range [][2]int64{{0, 350_000}, {0, 5}, {0, 100}, {5, 30}, {1000, 2000}} {
		for _, b := range [][]byte{all, plain} {
			c, err := d.opened(t.Context(), &countedBytes{b: b}, nil)
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			err = c.write(t.Context(), span[0], span[1], &out)
			if sealed := bytes.Equal(b, all); sealed != errors.Is(err, errSealed) || sealed != (out.Len() == 0) {
				t.Errorf("%v: %d bytes, %v", span, out.Len(), err)
			}
			if err == nil && !bytes.Equal(out.Bytes(), b[span[0]:span[1]]) {
				t.Errorf("%v: other bytes", span)
			}
		}
	}
	short, err := d.opened(t.Context(), &countedBytes{b: []byte("age")}, nil)
	var out bytes.Buffer
	if err == nil {
		err = short.write(t.Context(), 0, 3, &out)
	}
	if err != nil || out.String() != "age" {
		t.Errorf("%q, %v", out.String(), err)
	}
	d.raw = true
	raw, err := d.opened(t.Context(), &countedBytes{b: all}, nil)
	out.Reset()
	if err == nil {
		err = raw.write(t.Context(), 0, raw.size(), &out)
	}
	if err != nil || !bytes.Equal(out.Bytes(), all) {
		t.Errorf("raw: %d bytes, %v", out.Len(), err)
	}
}

// brokenBlob is one of which nothing can be read.
type brokenBlob struct{ err error }

func (brokenBlob) size() int64 { return 1000 }
func (b brokenBlob) write(context.Context, int64, int64, io.Writer) error {
	return b.err
}

func TestAnEncryptedBlobThatCannotBeReadSaysWhy(t *testing.T) {
	away := errors.New("no node answers")
	keys, err := seal.ParseIdentities([]byte(aliceKey))
	if err != nil {
		t.Fatal(err)
	}
	var d decryptFlags
	if _, err := d.opened(t.Context(), brokenBlob{away}, keys); !errors.Is(err, away) {
		t.Error(err)
	}
	c, err := d.opened(t.Context(), brokenBlob{away}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, from := range []int64{0, 100} {
		if err := c.write(t.Context(), from, 200, io.Discard); !errors.Is(err, away) {
			t.Error(err)
		}
	}
}

// secrets is a step of a developer's story.
func (d *developer) secrets() {
	path, text := d.file("diary", 300_000, 40)
	key, other := keyFile(d.T, aliceKey), keyFile(d.T, bobKey)
	out := filepath.Join(d.dir, "decrypted")
	one := d.store("--encrypt", "-r", alice, path)
	id := one.ID.String()
	if again := d.store("--encrypt", "-r", alice, path); again.ID == one.ID || again.Size != one.Size {
		d.Errorf("encrypted twice: %+v, %+v", one, again)
	}
	if got := ok(d.T, "read", "-i", key, id); got != string(text) {
		d.Errorf("%d bytes came back", len(got))
	}
	if got := ok(d.T, "read", "-i", other, "-i", key, id, "--range", "70000-200001"); got != string(text[70000:200001]) {
		d.Errorf("range: %d bytes came back", len(got))
	}
	refused(d.T, exitFail, []string{"range outside the blob"}, "read", "-i", key, id, "--range", "0-300001", "-o", out)
	refused(d.T, exitFail, []string{"encrypted", "-i KEYFILE", "--raw"}, "read", id, "-o", out)
	refused(d.T, exitFail, []string{"another key", "nothing was written"}, "read", "-i", other, id, "-o", out)
	if _, err := os.Stat(out); err == nil {
		d.Errorf("%s was written", out)
	}
	if program, err := exec.LookPath("age"); err != nil {
		d.Log("the program age is not here: apt-get install age")
	} else {
		raw := ok(d.T, "read", "--raw", id)
		c := exec.Command("sh", "-c", fmt.Sprintf("%s --decrypt -i %s > %[3]s.padded && head -c $(tail -c 20 %[3]s.padded) %[3]s.padded", program, key, out))
		c.Stdin = strings.NewReader(raw)
		if got, err := c.Output(); err != nil || !bytes.Equal(got, text) {
			d.Errorf("age gives %d bytes, %v", len(got), err)
		}
	}

	word := filepath.Join(d.T.TempDir(), "word")
	if err := os.WriteFile(word, []byte("correct horse\n"), 0o600); err != nil {
		d.Fatal(err)
	}
	files := map[string]string{"a/one.txt": "the first", "two": strings.Repeat("2", 200_000)}
	quilt := okJSON[storeResult](d.T, "store", "--quilt", tree(d.T, files), "--encrypt", "--passphrase="+word).Blobs[0]
	id = quilt.ID.Base64()
	refused(d.T, exitFail, []string{"encrypted", "--passphrase"}, "list", id)
	refused(d.T, exitFail, []string{"encrypted", "--passphrase"}, "read", id+"/two", "-o", out)
	if got := okJSON[quiltContents](d.T, "list", id, "--passphrase="+word); len(got.Files) != 2 || got.Files[0].Patch != quilt.Files[0].Patch {
		d.Errorf("%+v", got)
	}
	if got := ok(d.T, "read", "--passphrase="+word, id+"/two", "--range", "150000-150003"); got != "222" {
		d.Errorf("%q", got)
	}
	all := filepath.Join(d.dir, "decrypted")
	ok(d.T, "read", "--quilt", "--passphrase="+word, id, "-o", all)
	if got := filesUnder(d.T, all); !maps.Equal(got, files) {
		d.Errorf("%q", got)
	}
	plan := okJSON[storeResult](d.T, "store", "--encrypt", "-r", alice, path, "--dry-run").Blobs[0].DryRun
	if plan.Bytes != one.Size || !plan.Encrypted || plan.Price != one.Price {
		d.Errorf("planned %+v, stored %+v", plan, one)
	}
	plain, _ := d.file("plain", 1000, 41)
	refused(d.T, exitFail, []string{"not encrypted"}, "read", "-i", key, d.store(plain).ID.String(), "-o", out)
}
