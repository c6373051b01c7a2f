package s3

import (
	"encoding/xml"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/walrus-network/walrus/canon"
)

// Bounds of a bucket's CORS configuration.
const (
	maxCORSRules = 100
	maxCORS      = 64 << 10 // bytes of the record
)

// cors is which pages of other sites a browser lets use a bucket. It permits nothing: a
// request must be signed all the same.
type cors struct {
	_     struct{} `cbor:",toarray"`
	Rules []corsRule
}

// corsRule is one of them. A * in an origin or a header stands for any text.
type corsRule struct {
	_       struct{} `cbor:",toarray"`
	ID      string
	Origins []string
	Methods []string
	Headers []string // of requests
	Expose  []string // of answers
	MaxAge  *int64   // seconds; nil: it is not said
}

type xmlCORSRule struct {
	ID            string   `xml:",omitempty"`
	AllowedOrigin []string `xml:",omitempty"`
	AllowedMethod []string `xml:",omitempty"`
	AllowedHeader []string `xml:",omitempty"`
	ExposeHeader  []string `xml:",omitempty"`
	MaxAgeSeconds *int64   `xml:",omitempty"`
	Other         []other  `xml:",any"`
}

// rule checks a rule of a document.
func (x xmlCORSRule) rule() (corsRule, error) {
	r := corsRule{ID: x.ID, Origins: x.AllowedOrigin, Methods: x.AllowedMethod, Headers: x.AllowedHeader, Expose: x.ExposeHeader, MaxAge: x.MaxAgeSeconds}
	if len(x.Other) > 0 || len(r.Origins) == 0 || len(r.Methods) == 0 || len(r.ID) > 255 {
		return r, errMalformedXML
	}
	for _, m := range r.Methods {
		switch m {
		case "GET", "PUT", "POST", "DELETE", "HEAD":
		default:
			return r, errBadRequest.with("Found unsupported HTTP method in CORS config. Unsupported method is %s", m)
		}
	}
	for _, o := range r.Origins {
		if strings.Count(o, "*") > 1 {
			return r, errBadRequest.with("AllowedOrigin \"%s\" can not have more than one wildcard.", o)
		}
	}
	for _, h := range r.Headers {
		if strings.Count(h, "*") > 1 {
			return r, errBadRequest.with("AllowedHeader \"%s\" can not have more than one wildcard.", h)
		}
	}
	for _, h := range slices.Concat(r.Headers, r.Expose) {
		if strings.ContainsFunc(h, func(c rune) bool { return c <= ' ' || c >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, c) }) {
			return r, errBadRequest.with("AllowedHeader \"%s\" contains invalid character.", h)
		}
	}
	return r, nil
}

// wild says whether a text is what a pattern with at most one * stands for.
func wild(pattern, text string) bool {
	begin, end, any := strings.Cut(pattern, "*")
	if !any {
		return pattern == text
	}
	return len(text) >= len(begin)+len(end) && strings.HasPrefix(text, begin) && strings.HasSuffix(text, end)
}

// find is the rule for a page's request; headers are those that it wants to send.
func (c cors) find(origin, method string, headers []string) (corsRule, bool) {
	for _, r := range c.Rules {
		if !slices.Contains(r.Methods, method) || !slices.ContainsFunc(r.Origins, func(o string) bool { return wild(o, origin) }) {
			continue
		}
		if !slices.ContainsFunc(headers, func(h string) bool {
			return !slices.ContainsFunc(r.Headers, func(p string) bool { return wild(strings.ToLower(p), strings.ToLower(h)) })
		}) {
			return r, true
		}
	}
	return corsRule{}, false
}

// tell tells a browser what a rule lets the page of origin do.
func (r corsRule) tell(h http.Header, origin string) {
	if slices.Contains(r.Origins, "*") {
		origin = "*"
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Allow-Methods", strings.Join(r.Methods, ", "))
	if len(r.Expose) > 0 {
		h.Set("Access-Control-Expose-Headers", strings.Join(r.Expose, ", "))
	}
	if r.MaxAge != nil && *r.MaxAge >= 0 {
		h.Set("Access-Control-Max-Age", strconv.FormatInt(*r.MaxAge, 10))
	}
}

const varyCORS = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"

// tellCORS adds to an answer what a browser must know to give it to the page that asked.
func (s *Server) tellCORS(h http.Header, q *request) error {
	origin := q.Header.Get("Origin")
	if origin == "" || q.bucket == "" {
		return nil
	}
	c, there, err := read[cors](s.index.db, corsKey(q.bucket))
	if err != nil || !there {
		return err
	}
	h.Set("Vary", varyCORS)
	if r, ok := c.find(origin, q.Method, nil); ok {
		r.tell(h, origin)
	}
	return nil
}

// preflight answers a browser's question whether a page may send a request.
func (s *Server) preflight(w http.ResponseWriter, q *request) error {
	origin, method := q.Header.Get("Origin"), q.Header.Get("Access-Control-Request-Method")
	if origin == "" || method == "" || q.bucket == "" {
		return errBadRequest.with("Insufficient information. Origin request header and Access-Control-Request-Method are needed.")
	}
	var headers []string
	for _, name := range strings.Split(q.Header.Get("Access-Control-Request-Headers"), ",") {
		if name = strings.TrimSpace(name); name != "" {
			headers = append(headers, name)
		}
	}
	forbidden := &failure{http.StatusForbidden, "AccessForbidden", "CORSResponse: CORS is not enabled for this bucket."}
	c, there, err := read[cors](s.index.db, corsKey(q.bucket))
	if err != nil || !there {
		return errorOr(err, forbidden)
	}
	r, ok := c.find(origin, method, headers)
	if !ok {
		return forbidden.with("CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec.")
	}
	h := w.Header()
	r.tell(h, origin)
	h.Set("Vary", varyCORS)
	if len(headers) > 0 {
		h.Set("Access-Control-Allow-Headers", strings.Join(headers, ", "))
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// errorOr is err, or f where there is none.
func errorOr(err error, f *failure) error {
	if err != nil {
		return err
	}
	return f
}

func (s *Server) putCORS(w http.ResponseWriter, q *request) error {
	var doc struct {
		XMLName  xml.Name `xml:"CORSConfiguration"`
		CORSRule []xmlCORSRule
		Other    []other `xml:",any"`
	}
	if err := s.xmlBody(w, q, &doc, false); err != nil {
		return err
	}
	if len(doc.Other) > 0 || len(doc.CORSRule) == 0 || len(doc.CORSRule) > maxCORSRules {
		return errMalformedXML
	}
	var c cors
	for _, x := range doc.CORSRule {
		r, err := x.rule()
		if err != nil {
			return err
		}
		c.Rules = append(c.Rules, r)
	}
	if n := len(canon.Encode(c)); n > maxCORS {
		return errBadRequest.with("The rules have %d bytes, at most %d are taken.", n, maxCORS)
	}
	err := s.index.change(q.Context(), func(ch *change) error {
		ch.put(corsKey(q.bucket), c)
		return ensureBucket(ch, q.bucket)
	})
	if err == nil {
		w.WriteHeader(http.StatusOK)
	}
	return err
}

func (s *Server) getCORS(w http.ResponseWriter, q *request) error {
	c, there, err := read[cors](s.index.db, corsKey(q.bucket))
	if err != nil || !there {
		return errorOr(err, &failure{http.StatusNotFound, "NoSuchCORSConfiguration", "The CORS configuration does not exist"})
	}
	var out struct {
		XMLName  xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ CORSConfiguration"`
		CORSRule []xmlCORSRule
	}
	for _, r := range c.Rules {
		out.CORSRule = append(out.CORSRule, xmlCORSRule{r.ID, r.Origins, r.Methods, r.Headers, r.Expose, r.MaxAge, nil})
	}
	return s.reply(w, q.Request, http.StatusOK, out)
}

func (s *Server) deleteCORS(w http.ResponseWriter, q *request) error {
	return s.dropSetting(w, q, corsKey(q.bucket))
}

// dropSetting deletes a record of a bucket that need not be there.
func (s *Server) dropSetting(w http.ResponseWriter, q *request, key []byte) error {
	err := s.index.change(q.Context(), func(c *change) error {
		_, there, err := c.Get(key)
		if there {
			c.drop(key)
		}
		return err
	})
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
	}
	return err
}
