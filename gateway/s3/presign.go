package s3

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"time"
)

// Presign signs the URL of a request with a key, so that who has the URL may send the request
// until it expires.
func Presign(r *http.Request, k Key, at time.Time, expires time.Duration) error {
	at = at.UTC()
	c := credential{k.Access, at.Format(dateFormat), region}
	if r.Host == "" {
		r.Host = r.URL.Host
	}
	q := r.URL.Query()
	for name, value := range map[string]string{"Algorithm": algorithm, "Credential": k.Access + "/" + c.scope(), "Date": at.Format(timeFormat),
		"Expires": strconv.Itoa(int(expires / time.Second)), "SignedHeaders": "host"} {
		q.Set("X-Amz-"+name, value)
	}
	r.URL.RawQuery = q.Encode()
	canonical, err := canonicalRequest(r, []string{"host"}, unsignedPayload)
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(canonical))
	signature := hmacSha256(signingKey(k.Secret, c), algorithm+"\n"+at.Format(timeFormat)+"\n"+c.scope()+"\n"+hex.EncodeToString(sum[:]))
	q.Set("X-Amz-Signature", hex.EncodeToString(signature))
	r.URL.RawQuery = q.Encode()
	return nil
}
