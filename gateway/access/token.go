package access

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/walrus-network/walrus/token"
)

// TokenRules say which tokens are good.
type TokenRules struct {
	Algorithm string        // HS256, HS384, HS512, EdDSA, ES256, ES384, ES512, RS256… or PS256…
	Key       any           // of the algorithm, to verify
	Life      time.Duration // that a token must have, from iat to exp; 0: any
}

// leeway is how far the clocks of who signs a token and of the gateway may lie apart.
const leeway = time.Minute

// mostLife bounds how long a token may be good for: its use is remembered for so long.
const mostLife = 31 * 24 * time.Hour

// mostID bounds the length in bytes of a token's jti.
const mostID = 256

// ParseTokenRules reads the secret and the algorithm as operators write them: the secret is
// text, or hex digits after 0x; for algorithms with public keys it is the key in PEM.
func ParseTokenRules(secret []byte, algorithm string, life time.Duration) (r TokenRules, err error) {
	r = TokenRules{Algorithm: algorithm, Life: life}
	switch prefix := algorithm[:min(2, len(algorithm))]; {
	case jwt.GetSigningMethod(algorithm) == nil || algorithm == "none":
		return r, fmt.Errorf("algorithm %q is not known: HS256, HS384, HS512, EdDSA, or ES, RS or PS with 256, 384 or 512", algorithm)
	case prefix == "HS":
		key := []byte(strings.TrimSpace(string(secret)))
		if digits, ok := strings.CutPrefix(string(key), "0x"); ok {
			if key, err = hex.DecodeString(digits); err != nil {
				return r, fmt.Errorf("the secret begins with 0x and is not hex digits: %w", err)
			}
		}
		if len(key) < leastSecret {
			return r, fmt.Errorf("the secret has %d bytes, and %d are the least that cannot be guessed", len(key), leastSecret)
		}
		r.Key = key
	case prefix == "ES":
		r.Key, err = jwt.ParseECPublicKeyFromPEM(secret)
	case prefix == "RS" || prefix == "PS":
		r.Key, err = jwt.ParseRSAPublicKeyFromPEM(secret)
	default:
		r.Key, err = jwt.ParseEdPublicKeyFromPEM(secret)
	}
	if err != nil {
		return r, fmt.Errorf("the public key of %s: %w", algorithm, err)
	}
	return r, nil
}

// leastSecret is the length in bytes of the shortest secret of HMAC.
const leastSecret = 16

// claims are a token's, with the names that publishers of Walrus use.
type claims struct {
	jwt.RegisteredClaims
	SendObjectTo *string `json:"send_object_to,omitempty"`
	Epochs       *uint64 `json:"epochs,omitempty"`
	MaxEpochs    *uint64 `json:"max_epochs,omitempty"`
	Size         *int64  `json:"size,omitempty"`
	MaxSize      *int64  `json:"max_size,omitempty"`
}

// read checks a token's signature and its claims against each other and the clock.
func (r TokenRules) read(text string, now time.Time) (c claims, err error) {
	_, err = jwt.ParseWithClaims(text, &c, func(*jwt.Token) (any, error) { return r.Key, nil },
		jwt.WithValidMethods([]string{r.Algorithm}), jwt.WithLeeway(leeway), jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithTimeFunc(func() time.Time { return now }))
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return c, deny(Expired, "the token has expired: have a new one signed")
	case errors.Is(err, jwt.ErrTokenSignatureInvalid), errors.Is(err, jwt.ErrTokenUnverifiable):
		return c, deny(BadSignature, "the token is not signed as this gateway wants it (%s)", r.Algorithm)
	case errors.Is(err, jwt.ErrTokenUsedBeforeIssued), errors.Is(err, jwt.ErrTokenNotValidYet):
		return c, deny(BadTimestamp, "the token is of the future: is the clock of its signer right?")
	case err != nil:
		return c, deny(BadToken, "not a token: %v", err)
	case c.ID == "" || len(c.ID) > mostID:
		return c, deny(BadToken, "the token has no jti of 1 to %d bytes: it could be used twice", mostID)
	case c.ExpiresAt.Sub(now) > mostLife:
		return c, deny(BadExpiration, "the token is good for longer than %s", mostLife)
	case r.Life > 0 && (c.IssuedAt == nil || c.ExpiresAt.Sub(c.IssuedAt.Time) != r.Life):
		return c, deny(BadExpiration, "the token must be good for %s from its iat on", r.Life)
	case c.Epochs != nil && c.MaxEpochs != nil:
		return c, deny(Inconsistent, "the token has both epochs and max_epochs")
	case c.Size != nil && c.MaxSize != nil:
		return c, deny(Inconsistent, "the token has both size and max_size")
	}
	return c, nil
}

// allows checks a store against the claims.
func (c claims) allows(u Use) error {
	switch {
	case c.Epochs != nil && u.Epochs != *c.Epochs:
		return deny(BadEpochs, "the token is for %d epochs, the request for %d", *c.Epochs, u.Epochs)
	case c.MaxEpochs != nil && u.Epochs > *c.MaxEpochs:
		return deny(BadEpochs, "the token is for at most %d epochs, the request for %d", *c.MaxEpochs, u.Epochs)
	case c.Size != nil && u.Bytes >= 0 && u.Bytes != *c.Size:
		return deny(BadSize, "the token is for %d bytes, the body has %d", *c.Size, u.Bytes)
	case c.MaxSize != nil && u.Bytes > *c.MaxSize:
		return deny(BadSize, "the token is for at most %d bytes, the body has %d", *c.MaxSize, u.Bytes)
	}
	if c.SendObjectTo == nil {
		return nil
	}
	owner, err := token.ParseAddress(*c.SendObjectTo)
	if err != nil || owner != u.Owner {
		return deny(BadOwner, "the token is for send_object_to=%s", *c.SendObjectTo)
	}
	return nil
}
