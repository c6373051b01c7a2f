package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/walrus-network/walrus/internal/testlevel"
	"github.com/walrus-network/walrus/testnet"
)

// The page of the example stores a picture and shows it, in a real browser, from another
// origin than the gateway's. The page is served with a script that chooses the file, as a
// hand would.
func TestThePicturePage(t *testing.T) {
	testlevel.Whole(t, "shows a page in a browser, on a network of four nodes")
	program(t, "chromium")
	d := launch(t, "--nodes", "4", "--shards", "10", "--block-time", "300ms", "--gateway")
	raw, err := os.ReadFile(filepath.Join(d.net, "gateway.json"))
	if err != nil {
		t.Fatal(err)
	}
	var g testnet.Gateway
	if err := json.Unmarshal(raw, &g); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../examples/picture/index.html")
	if err != nil {
		t.Fatal(err)
	}
	picture := image.NewRGBA(image.Rect(0, 0, 64, 64))
	for i := range 64 {
		picture.Set(i, i, color.RGBA{200, 30, 30, 255})
	}
	var encoded bytes.Buffer
	if err := png.Encode(&encoded, picture); err != nil {
		t.Fatal(err)
	}
	hand := fmt.Sprintf(`<script>
		const bytes = Uint8Array.from(atob(%q), c => c.charCodeAt(0)), chosen = new DataTransfer();
		chosen.items.add(new File([bytes], 'dot.png', { type: 'image/png' }));
		form.picture.files = chosen.files;
		form.requestSubmit();
	</script>`, base64.StdEncoding.EncodeToString(encoded.Bytes()))
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Write(page)
		w.Write([]byte(hand))
	}))
	defer site.Close()
	ctx, cancel := context.WithTimeout(t.Context(), commandLimit)
	defer cancel()
	browser := exec.CommandContext(ctx, "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir="+t.TempDir(), "--virtual-time-budget=60000", "--dump-dom", site.URL+"/?gateway="+g.HTTP)
	var errs bytes.Buffer
	browser.Stderr = &errs
	dom, err := browser.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, errs.String())
	}
	shown := regexp.MustCompile(`<img id="shown"[^>]*src="` + regexp.QuoteMeta(g.HTTP) + `/v1/blobs/[A-Za-z0-9_-]{43}"`)
	if !strings.Contains(string(dom), `data-state="shown"`) || !shown.Match(dom) {
		t.Errorf("the picture is not shown:\n%s\n%s", dom, errs.String())
	}
}
