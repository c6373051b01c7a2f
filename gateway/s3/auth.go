package s3

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Signature Version 4, as "Authenticating Requests (AWS Signature Version 4)" of the S3 API
// reference defines it.
const (
	algorithm  = "AWS4-HMAC-SHA256"
	timeFormat = "20060102T150405Z"
	dateFormat = "20060102"
	maxSkew    = 15 * time.Minute
	maxExpires = 7 * 24 * time.Hour

	unsignedPayload = "UNSIGNED-PAYLOAD"
)

// caller is the sender of a request: a key, or no known one.
type caller struct {
	key       *Key
	presigned bool
	payload   string // x-amz-content-sha256 as it was signed
	chunks    *chunkSigner
}

// credential is the scope of a signature.
type credential struct {
	access, date, region string
}

func (c credential) scope() string { return c.date + "/" + c.region + "/s3/aws4_request" }

// parseCredential reads a credential; malformed and its prefix are how a mistake is told.
func parseCredential(s string, malformed *failure, prefix string) (credential, error) {
	parts := strings.Split(s, "/")
	if len(parts) != 5 || parts[0] == "" {
		return credential{}, malformed.with("%s; the Credential is mal-formed; expecting \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".", prefix)
	}
	if _, err := time.Parse(dateFormat, parts[1]); err != nil {
		return credential{}, malformed.with("%s; incorrect date format %q. This date in the credential must be in the format \"yyyyMMdd\".", prefix, parts[1])
	}
	if parts[3] != "s3" {
		return credential{}, malformed.with("%s; incorrect service %q. This endpoint belongs to \"s3\".", prefix, parts[3])
	}
	if parts[4] != "aws4_request" {
		return credential{}, malformed.with("%s; incorrect terminal %q. This endpoint uses \"aws4_request\".", prefix, parts[4])
	}
	return credential{parts[0], parts[1], parts[2]}, nil
}

// signature is what a request says about how it was signed.
type signature struct {
	credential
	at      time.Time
	headers []string // names, in lower case, sorted
	hex     string
	expires time.Duration // of a presigned URL
}

// parseAuthorization reads the header of that name.
func parseAuthorization(h http.Header) (signature, error) {
	var s signature
	const prefix = "The authorization header is malformed"
	kind, rest, ok := strings.Cut(h.Get("Authorization"), " ")
	if !ok {
		return s, errInvalidArgument.with("Authorization header is invalid -- one and only one ' ' (space) required.")
	}
	if kind != algorithm {
		return s, errInvalidArgument.with("Unsupported Authorization Type")
	}
	fields := strings.Split(rest, ",")
	if len(fields) != 3 {
		return s, errAuthMalformed.with("%s; the authorization header requires three components: Credential, SignedHeaders, and Signature.", prefix)
	}
	values := map[string]string{}
	for _, field := range fields {
		name, value, ok := strings.Cut(strings.TrimSpace(field), "=")
		if !ok {
			return s, errAuthMalformed.with("%s; the authorization component %q is malformed.", prefix, strings.TrimSpace(field))
		}
		values[name] = value
	}
	for _, name := range []string{"Credential", "SignedHeaders", "Signature"} {
		if values[name] == "" {
			return s, errAuthMalformed.with("%s; missing %s.", prefix, name)
		}
	}
	var err error
	if s.credential, err = parseCredential(values["Credential"], errAuthMalformed, prefix); err != nil {
		return s, err
	}
	s.headers, s.hex = strings.Split(values["SignedHeaders"], ";"), values["Signature"]
	at := h.Get("X-Amz-Date")
	if at != "" {
		s.at, err = time.Parse(timeFormat, at)
	} else {
		s.at, err = http.ParseTime(h.Get("Date"))
	}
	if err != nil {
		return s, errAccessDenied.with("AWS authentication requires a valid Date or x-amz-date header.")
	}
	return s, nil
}

// parsePresigned reads the query of a presigned URL.
func parsePresigned(q url.Values) (signature, error) {
	var s signature
	for _, name := range []string{"Algorithm", "Credential", "Signature", "Date", "SignedHeaders", "Expires"} {
		if q.Get("X-Amz-"+name) == "" {
			return s, errQueryMalformed.with("Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.")
		}
	}
	if q.Get("X-Amz-Algorithm") != algorithm {
		return s, errQueryMalformed.with("X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\"")
	}
	var err error
	if s.credential, err = parseCredential(q.Get("X-Amz-Credential"), errQueryMalformed, "Error parsing the X-Amz-Credential parameter"); err != nil {
		return s, err
	}
	if s.at, err = time.Parse(timeFormat, q.Get("X-Amz-Date")); err != nil {
		return s, errQueryMalformed.with("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"")
	}
	seconds, err := strconv.ParseInt(q.Get("X-Amz-Expires"), 10, 64)
	switch {
	case err != nil:
		return s, errQueryMalformed.with("X-Amz-Expires should be a number")
	case seconds < 0:
		return s, errQueryMalformed.with("X-Amz-Expires must be non-negative")
	case seconds > int64(maxExpires/time.Second):
		return s, errQueryMalformed.with("X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds")
	}
	s.expires = time.Duration(seconds) * time.Second
	s.headers, s.hex = strings.Split(q.Get("X-Amz-SignedHeaders"), ";"), q.Get("X-Amz-Signature")
	return s, nil
}

// authenticate finds out who sends a request. Without a signature the caller has no key.
func (s *Server) authenticate(r *http.Request, q url.Values) (caller, error) {
	var sig signature
	var c caller
	var err error
	c.payload = r.Header.Get(headerSha256)
	switch {
	case q.Has("X-Amz-Signature") || q.Has("X-Amz-Algorithm"):
		if r.Header.Get("Authorization") != "" {
			return c, errInvalidArgument.with("Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter or the Authorization header should be specified")
		}
		sig, err = parsePresigned(q)
		c.presigned = true
		if c.payload == "" || !slices.Contains(sig.headers, strings.ToLower(headerSha256)) {
			c.payload = unsignedPayload
			if q.Has(headerSha256) {
				c.payload = q.Get(headerSha256)
			}
		}
	case r.Header.Get("Authorization") != "":
		sig, err = parseAuthorization(r.Header)
	case q.Has("Signature") && q.Has("AWSAccessKeyId"):
		err = errUnsupportedSignature
	default:
		return c, nil
	}
	if err != nil {
		return c, err
	}
	if q.Get("X-Amz-Security-Token") != "" || r.Header.Get("X-Amz-Security-Token") != "" {
		return c, errToken // which only temporary credentials have
	}
	key := s.keys.find(sig.access)
	if key == nil {
		return c, errForeignKey.telling("AWSAccessKeyId", sig.access)
	}
	if err := sig.current(s.now(), c.presigned); err != nil {
		return c, err
	}
	if c.payload == "" {
		return c, errBadRequest.with("Missing required header for this request: x-amz-content-sha256")
	}
	if !payloadOK(c.payload) {
		return c, errInvalidArgument.with("x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.")
	}
	if !slices.Contains(sig.headers, "host") {
		return c, errAccessDenied.with("The Host header must be signed")
	}
	if err := sig.coversAmz(r.Header); err != nil {
		return c, err
	}
	canonical, err := canonicalRequest(r, sig.headers, c.payload)
	if err != nil {
		return c, err
	}
	sum := sha256.Sum256([]byte(canonical))
	text := algorithm + "\n" + sig.at.UTC().Format(timeFormat) + "\n" + sig.scope() + "\n" + hex.EncodeToString(sum[:])
	signing := signingKey(key.Secret, sig.credential)
	if !sameHex(hmacSha256(signing, text), sig.hex) {
		return c, errSignature
	}
	if r.ContentLength == 0 && len(c.payload) == len(emptySha256) && !strings.EqualFold(c.payload, emptySha256) {
		return c, errSha256 // of a body that nothing reads
	}
	c.key = key
	c.chunks = &chunkSigner{key: signing, at: sig.at.UTC().Format(timeFormat), scope: sig.scope(), previous: sig.hex}
	return c, nil
}

// current refuses a signature that is too old or not valid yet.
func (s signature) current(now time.Time, presigned bool) error {
	if s.at.UTC().Format(dateFormat) != s.date {
		if presigned {
			return errQueryMalformed.with("Invalid credential date %q. This date is not the same as X-Amz-Date: %q.", s.date, s.at.UTC().Format(dateFormat))
		}
		return errAuthMalformed.with("The authorization header is malformed; the credential's date is not the date of x-amz-date")
	}
	if !presigned {
		if skew := now.Sub(s.at); skew > maxSkew || skew < -maxSkew {
			return errSkewed.telling("RequestTime", s.at.UTC().Format(timeFormat), "ServerTime", now.UTC().Format(time.RFC3339), "MaxAllowedSkewMilliseconds", strconv.FormatInt(maxSkew.Milliseconds(), 10))
		}
		return nil
	}
	if s.at.Sub(now) > maxSkew {
		return errAccessDenied.with("Request is not valid yet")
	}
	if now.After(s.at.Add(s.expires)) {
		return errExpired.telling("X-Amz-Expires", strconv.Itoa(int(s.expires/time.Second)), "Expires", s.at.Add(s.expires).UTC().Format(time.RFC3339), "ServerTime", now.UTC().Format(time.RFC3339))
	}
	return nil
}

// coversAmz refuses headers of the protocol that were not signed: a relay of the
// request could have put them there.
func (s signature) coversAmz(h http.Header) error {
	var left []string
	for name := range h {
		name = strings.ToLower(name)
		if strings.HasPrefix(name, "x-amz-") && name != "x-amz-content-sha256" && !slices.Contains(s.headers, name) {
			left = append(left, name)
		}
	}
	if len(left) == 0 {
		return nil
	}
	slices.Sort(left)
	return errAccessDenied.with("There were headers present in the request which were not signed").telling("HeadersNotSigned", strings.Join(left, ", "))
}

// canonicalRequest is the text whose hash is signed.
func canonicalRequest(r *http.Request, headers []string, payload string) (string, error) {
	query, err := canonicalQuery(r.URL.RawQuery)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString(r.Method + "\n" + escape(r.URL.Path, true) + "\n" + query + "\n")
	for _, name := range headers {
		var values []string
		switch name {
		case "host":
			values = []string{r.Host}
		case "content-length":
			values = []string{strconv.FormatInt(r.ContentLength, 10)}
		case "transfer-encoding":
			values = r.TransferEncoding
		default:
			values = r.Header.Values(name)
		}
		b.WriteString(name + ":")
		for i, v := range values {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(strings.Join(strings.Fields(v), " "))
		}
		b.WriteByte('\n')
	}
	b.WriteString("\n" + strings.Join(headers, ";") + "\n" + payload)
	return b.String(), nil
}

// canonicalQuery sorts and escapes a query, the signature left out.
func canonicalQuery(raw string) (string, error) {
	var pairs []string
	for _, field := range strings.Split(raw, "&") {
		if field == "" {
			continue
		}
		name, value, _ := strings.Cut(field, "=")
		name, err := url.QueryUnescape(name)
		if err != nil {
			return "", errURI
		}
		if value, err = url.QueryUnescape(value); err != nil {
			return "", errURI
		}
		if name == "X-Amz-Signature" {
			continue
		}
		pairs = append(pairs, escape(name, false)+"="+escape(value, false))
	}
	slices.SortFunc(pairs, func(a, b string) int {
		an, av, _ := strings.Cut(a, "=")
		bn, bv, _ := strings.Cut(b, "=")
		if c := strings.Compare(an, bn); c != 0 {
			return c
		}
		return strings.Compare(av, bv)
	})
	return strings.Join(pairs, "&"), nil
}

// escape is the URI encoding of the specification: all but unreserved characters, and the
// slash in paths.
func escape(s string, path bool) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.', c == '_', c == '~', path && c == '/':
			b.WriteByte(c)
		default:
			b.Write([]byte{'%', digits[c>>4], digits[c&15]})
		}
	}
	return b.String()
}

func signingKey(secret string, c credential) []byte {
	key := hmacSha256([]byte("AWS4"+secret), c.date)
	key = hmacSha256(key, c.region)
	key = hmacSha256(key, "s3")
	return hmacSha256(key, "aws4_request")
}

func hmacSha256(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

func sameHex(mac []byte, text string) bool {
	return subtle.ConstantTimeCompare([]byte(hex.EncodeToString(mac)), []byte(text)) == 1
}
