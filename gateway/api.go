package gateway

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"
	"golang.org/x/exp/slog"
)

//go:embed openapi.yaml
var document []byte

//go:embed api.html
var pageText string

var page = template.Must(template.New("api").Parse(pageText))

// apiPage is what the page shows.
type apiPage struct {
	Title, Summary, Description string
	Routes                      []apiRoute
}

type apiRoute struct {
	Method, Path, Summary, Description string
	Query                              []string
}

// documents are the document in its forms, made once.
var documents = sync.OnceValues(func() (map[string][]byte, error) {
	var tree yaml.Node
	if err := yaml.Unmarshal(document, &tree); err != nil {
		return nil, fmt.Errorf("openapi.yaml: %w", err)
	}
	var any any
	if err := tree.Decode(&any); err != nil {
		return nil, err
	}
	asJSON, err := json.MarshalIndent(any, "", " ")
	if err != nil {
		return nil, err
	}
	var html bytes.Buffer
	err = page.Execute(&html, pageOf(tree.Content[0]))
	return map[string][]byte{".yaml": document, ".json": asJSON, "": html.Bytes()}, err
})

// pageOf lists the routes in the document's order.
func pageOf(doc *yaml.Node) apiPage {
	info := child(doc, "info")
	p := apiPage{Title: value(info, "title"), Summary: value(info, "summary"), Description: value(info, "description")}
	each(child(doc, "paths"), func(path string, item *yaml.Node) {
		each(item, func(method string, op *yaml.Node) {
			if method == "parameters" {
				return
			}
			r := apiRoute{strings.ToUpper(method), path, value(op, "summary"), value(op, "description"), nil}
			if list := child(op, "parameters"); list != nil {
				for _, one := range list.Content {
					if ref := value(one, "$ref"); ref != "" {
						one = child(child(child(doc, "components"), "parameters"), ref[strings.LastIndex(ref, "/")+1:])
					}
					if value(one, "in") == "query" {
						r.Query = append(r.Query, value(one, "name"))
					}
				}
			}
			p.Routes = append(p.Routes, r)
		})
	})
	return p
}

func each(n *yaml.Node, fn func(string, *yaml.Node)) {
	for i := 0; n != nil && i+1 < len(n.Content); i += 2 {
		fn(n.Content[i].Value, n.Content[i+1])
	}
}

func child(n *yaml.Node, name string) (found *yaml.Node) {
	each(n, func(key string, v *yaml.Node) {
		if key == name {
			found = v
		}
	})
	return found
}

func value(n *yaml.Node, name string) string {
	if c := child(n, name); c != nil && c.Kind == yaml.ScalarNode {
		return strings.TrimSpace(c.Value)
	}
	return ""
}

func (s *Server) getAPI(w http.ResponseWriter, r *http.Request) error {
	all, err := documents()
	if err != nil {
		return err
	}
	form := strings.TrimPrefix(r.URL.Path, "/v1/api")
	h := w.Header()
	h.Set("Content-Type", map[string]string{"": "text/html; charset=utf-8", ".json": "application/json", ".yaml": "application/yaml"}[form])
	h.Set("Content-Length", strconv.Itoa(len(all[form])))
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(all[form]) // a client that is gone is told nothing
	}
	return nil
}

// quietly is for the library of uploads: what it logs, the gateway counts or logs itself.
func quietly() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }
