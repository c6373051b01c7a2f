package gateway

import (
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/walrus-network/walrus/gateway/access"
	"github.com/walrus-network/walrus/kv"
)

const tokenSecret = "0123456789abcdef0123456789abcdef"

func tokenRules(t *testing.T) *access.TokenRules {
	t.Helper()
	r, err := access.ParseTokenRules([]byte(tokenSecret), "HS256", 0)
	if err != nil {
		t.Fatal(err)
	}
	return &r
}

func newControl(t *testing.T, o access.Options) *access.Control {
	t.Helper()
	db, err := kv.Open(kv.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	o.DB = db
	return access.NewControl(o)
}

func signed(t *testing.T, claims jwt.MapClaims) string {
	t.Helper()
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(tokenSecret))
	if err != nil {
		t.Fatal(err)
	}
	return text
}
