package token

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"math/big"
	"math/rand"
	"testing"
)

func TestAmountsReadBackAndAreNeverGuessed(t *testing.T) {
	for text, want := range map[string]Amount{
		"1.5WAL": 1_500_000_000, "0WAL": 0, "0.000000001WAL": 1, "7FROST": 7, "3wal": 3 * WAL, "18446744073.709551615WAL": math.MaxUint64,
	} {
		got, err := ParseAmount(text)
		if err != nil || got != want {
			t.Errorf("%s: got %d, %v", text, got, err)
		}
		if back, err := ParseAmount(got.String()); err != nil || back != got {
			t.Errorf("%s: %s reads back as %d, %v", text, got, back, err)
		}
	}
	for _, bad := range []string{"", "5", "1.5", "-1WAL", "1.0000000001WAL", "1.5FROST", "18446744074WAL", "1.WAL", "WAL", "1e3WAL", "1,5WAL", "0x1FROST", "3 WAL", " 3WAL", "3WAL ", "+3WAL", "03WAL", "1_0WAL", ".5WAL", "1.-5WAL", "٣WAL", "7FROſT"} {
		if a, err := ParseAmount(bad); err == nil {
			t.Errorf("%q accepted as %d", bad, a)
		}
	}
}

func TestArithmeticAgreesWithBigIntegers(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	pick := func() uint64 { return r.Uint64() >> r.Intn(64) }
	for range 20000 {
		a, n, d := pick(), pick(), pick()
		if d == 0 {
			d = 1
		}
		prod := new(big.Int).Mul(new(big.Int).SetUint64(a), new(big.Int).SetUint64(n))
		down, rest := new(big.Int).QuoRem(prod, new(big.Int).SetUint64(d), new(big.Int))
		up := new(big.Int).Set(down)
		if rest.Sign() > 0 {
			up.Add(up, big.NewInt(1))
		}
		for _, c := range []struct {
			want *big.Int
			f    func(Amount, uint64, uint64) (Amount, error)
		}{{down, Amount.MulDiv}, {up, Amount.MulDivUp}} {
			got, err := c.f(Amount(a), n, d)
			if !c.want.IsUint64() {
				if !errors.Is(err, ErrOverflow) {
					t.Fatalf("%d*%d/%d = %d, %v; want overflow", a, n, d, got, err)
				}
			} else if err != nil || uint64(got) != c.want.Uint64() {
				t.Fatalf("%d*%d/%d = %d, %v; want %s", a, n, d, got, err, c.want)
			}
		}
	}
	if _, err := Amount(1).MulDiv(1, 0); err == nil {
		t.Error("division by zero")
	}
	if _, err := Amount(math.MaxUint64).Add(1); err == nil {
		t.Error("sum wraps")
	}
	if _, err := Amount(1).Sub(2); err == nil {
		t.Error("difference wraps")
	}
	if _, err := Amount(1 << 63).Mul(2); err == nil {
		t.Error("product wraps")
	}
}

func TestAddressesKeepTheirForm(t *testing.T) {
	k := KeyFromSeed([32]byte{1, 2, 3})
	const want = "wal108mpr8jygeegp2k9zsszvl5z9z305ngce7dtpu"
	if got := k.Address().String(); got != want {
		t.Errorf("address of the fixed key: got %s, want %s", got, want)
	}
	a, err := ParseAddress(k.Address().String())
	if err != nil || a != k.Address() {
		t.Fatal(a, err)
	}
	wrong := []byte(want)
	wrong[10] ^= 1
	for _, bad := range []string{"", "wal1", string(wrong), "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", want + "q"} {
		if _, err := ParseAddress(bad); err == nil {
			t.Errorf("%q accepted", bad)
		}
	}
}

func TestSignaturesAreBoundToPurposeAndChain(t *testing.T) {
	k := KeyFromSeed([32]byte{9})
	sig := k.Sign(Message(PurposeTransaction, "main-00000000", uint64(1)))
	for _, other := range [][]byte{
		Message(PurposeNode, "main-00000000", uint64(1)),
		Message(PurposeTransaction, "main-00000001", uint64(1)),
		Message(PurposeTransaction, "main-00000000", uint64(2)),
	} {
		if k.Public().Verify(other, sig) == nil {
			t.Error("signature accepted for another message")
		}
	}
	const golden = "837577616c7275732f7472616e73616374696f6e2f76316d6d61696e2d303030303030303001"
	if got := hex.EncodeToString(Message(PurposeTransaction, "main-00000000", uint64(1))); got != golden {
		t.Errorf("message bytes: got %s", got)
	}
}

// The vectors are those of the consensus layer of Ethereum, which uses this ciphersuite.
func TestBLSMatchesPublishedVectors(t *testing.T) {
	for _, v := range []struct{ private, public, message, signature string }{
		{
			"263dbd792f5b1be47ed85f8938c0f29586af0d3ac7b977f21c278fe1462040e3",
			"a491d1b0ecd9bb917989f0e74f0dea0422eac4a873e5e2644f368dffb9a6e20fd6e10c1b77654d067c0618f6e5a7f79a",
			"0000000000000000000000000000000000000000000000000000000000000000",
			"b6ed936746e01f8ecf281f020953fbf1f01debd5657c4a383940b020b26507f6076334f91e2366c96e9ab279fb5158090352ea1c5b0c9274504f4f0e7053af24802e51e4568d164fe986834f41e55c8e850ce1f98458c0cfc9ab380b55285a55",
		},
		{
			"263dbd792f5b1be47ed85f8938c0f29586af0d3ac7b977f21c278fe1462040e3",
			"a491d1b0ecd9bb917989f0e74f0dea0422eac4a873e5e2644f368dffb9a6e20fd6e10c1b77654d067c0618f6e5a7f79a",
			"5656565656565656565656565656565656565656565656565656565656565656",
			"882730e5d03f6b42c3abc26d3372625034e1d871b65a8a6b900a56dae22da98abbe1b68f85e49fe7652a55ec3d0591c20767677e33e5cbb1207315c41a9ac03be39c2e7668edc043d6cb1d9fd93033caa8a1c5b0e84bedaeb6c64972503a43eb",
		},
		{
			"263dbd792f5b1be47ed85f8938c0f29586af0d3ac7b977f21c278fe1462040e3",
			"a491d1b0ecd9bb917989f0e74f0dea0422eac4a873e5e2644f368dffb9a6e20fd6e10c1b77654d067c0618f6e5a7f79a",
			"abababababababababababababababababababababababababababababababab",
			"91347bccf740d859038fcdcaf233eeceb2a436bcaaee9b2aa3bfb70efe29dfb2677562ccbea1c8e061fb9971b0753c240622fab78489ce96768259fc01360346da5b9f579e5da0d941e4c6ba18a0e64906082375394f337fa1af2b7127b0d121",
		},
		{
			"47b8192d77bf871b62e87859d653922725724a5c031afeabc60bcef5ff665138",
			"b301803f8b5ac4a1133581fc676dfedc60d891dd5fa99028805e5ea5b08d3491af75d0707adab3b70c6a6a580217bf81",
			"0000000000000000000000000000000000000000000000000000000000000000",
			"b23c46be3a001c63ca711f87a005c200cc550b9429d5f4eb38d74322144f1b63926da3388979e5321012fb1a0526bcd100b5ef5fe72628ce4cd5e904aeaa3279527843fae5ca9ca675f4f51ed8f83bbf7155da9ecc9663100a885d5dc6df96d9",
		},
	} {
		unhex := func(s string) []byte {
			b, err := hex.DecodeString(s)
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		k := blsKeyFromScalar(new(big.Int).SetBytes(unhex(v.private)))
		if k.Public().String() != v.public {
			t.Errorf("public key %s, want %s", k.Public(), v.public)
		}
		sig := k.Sign(unhex(v.message))
		if !bytes.Equal(sig[:], unhex(v.signature)) {
			t.Errorf("signature %x, want %s", sig, v.signature)
		}
		if err := k.Public().Verify(unhex(v.message), sig); err != nil {
			t.Error(err)
		}
	}
}

func TestAggregateNeedsEverySigner(t *testing.T) {
	message := Message(PurposeConfirm, "t-00000000", uint64(3))
	var keys []BLSPublicKey
	var sigs []BLSSignature
	for i := range 5 {
		k := Secret{byte(i + 1)}.BLSKey()
		keys, sigs = append(keys, k.Public()), append(sigs, k.Sign(message))
	}
	all, err := AggregateBLS(sigs)
	if err != nil {
		t.Fatal(err)
	}
	if err := VerifyAggregate(keys, message, all); err != nil {
		t.Fatal(err)
	}
	four, _ := AggregateBLS(sigs[:4])
	if VerifyAggregate(keys, message, four) == nil {
		t.Error("a missing signer was not noticed")
	}
	if VerifyAggregate(keys[:4], message, all) == nil {
		t.Error("an extra signature was not noticed")
	}
	if VerifyAggregate(nil, message, all) == nil {
		t.Error("nobody signed")
	}
	pop := Secret{1}.BLSKey().ProvePossession(message)
	if keys[0].Verify(message, pop) == nil {
		t.Error("a proof of possession passed for a signature")
	}
	if err := keys[0].VerifyPossession(message, pop); err != nil {
		t.Error(err)
	}
	// What held once is remembered for its key, message and proof together.
	other := Message(PurposeConfirm, "t-00000000", uint64(4))
	if keys[1].VerifyPossession(message, pop) == nil || keys[0].VerifyPossession(other, pop) == nil || keys[0].VerifyPossession(message, sigs[0]) == nil {
		t.Error("a proof of possession that held passed for another one")
	}
	if err := keys[0].VerifyPossession(message, pop); err != nil {
		t.Error(err)
	}
}

func TestBadPointsAreRefused(t *testing.T) {
	infinity := BLSPublicKey{0xc0}
	var sigInfinity BLSSignature
	sigInfinity[0] = 0xc0
	for name, k := range map[string]BLSPublicKey{"infinity": infinity, "zero": {}, "ones": BLSPublicKey(bytes.Repeat([]byte{0xff}, 48))} {
		if k.Check() == nil {
			t.Errorf("key %s accepted", name)
		}
		if k.Verify([]byte("m"), sigInfinity) == nil {
			t.Errorf("key %s verifies the identity", name)
		}
	}
}

func TestDerivedKeysKeepTheirForm(t *testing.T) {
	s := Secret{1, 2, 3, 4}
	if got, want := s.Key().Public().String(), "31c642354a58f4d6a3d4e3a1d4c4fea10f73f1fc95475b1340a028f334f7572f"; got != want {
		t.Errorf("ed25519 key %s, want %s", got, want)
	}
	if got, want := s.BLSKey().Public().String(), "b1dc6b2aa74c8cf5dec5c81f7d3153329eabf6407aee72046ef724a05d6316882f4f721dbae141927943aec225aa369e"; got != want {
		t.Errorf("BLS key %s, want %s", got, want)
	}
}

func FuzzBLSPublicKey(f *testing.F) {
	k := Secret{1}.BLSKey().Public()
	f.Add(k[:])
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) != 48 {
			return
		}
		if k := BLSPublicKey(b); k.Check() == nil && k.Verify([]byte("m"), BLSSignature{}) == nil {
			t.Fatal("an empty signature verified")
		}
	})
}

func FuzzParseAmount(f *testing.F) {
	f.Add("1.5WAL")
	f.Add("7FROST")
	f.Fuzz(func(t *testing.T, s string) {
		if a, err := ParseAmount(s); err == nil {
			if b, err := ParseAmount(a.String()); err != nil || a != b {
				t.Fatalf("%q is %d, prints %s, reads %d, %v", s, a, a, b, err)
			}
		}
	})
}
