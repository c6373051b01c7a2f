package store

import (
	"bytes"
	"testing"

	"github.com/walrus-network/walrus/blob"
	"github.com/walrus-network/walrus/canon"
)

func TestKeysKeepTheirBytes(t *testing.T) {
	at := blob.Position{Blob: blob.ID{1, 2}, Place: 0x0304, Stripe: 0x05060708, Axis: blob.Column}
	a := blob.Address{9}
	entry := append(append([]byte{'e'}, at.Blob[:]...), 3, 4, 5, 6, 7, 8, 1)
	if got := entryKey(at); !bytes.Equal(got, entry) {
		t.Errorf("entry key %x", got)
	}
	back := append(append([]byte{'b'}, a[:]...), entry[1:]...)
	if got := backKey(a, at); !bytes.Equal(got, back) {
		t.Errorf("back key %x", got)
	}
	witness := append([]byte{'w'}, entry[1:len(entry)-1]...)
	if got := witnessKey(slotOf(at)); !bytes.Equal(got, witness) {
		t.Errorf("witness key %x", got)
	}
	for _, k := range [][]byte{entry, back} {
		if got, ok := parseEntry(k); !ok || got != at {
			t.Errorf("parsed %v, %v", got, ok)
		}
	}
}

func FuzzRecords(f *testing.F) {
	f.Add(canon.Encode(addressRecord{Len: 65280, Entries: 1}))
	f.Add(canon.Encode(blobRecord{Manifest: blob.Manifest{Version: 1, N: 7}, Since: 5}))
	f.Add(entry{address: blob.Address{1}, witness: 790}.encode())
	f.Add(entryKey(blob.Position{Stripe: 1, Place: 2, Axis: blob.Column}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if rec, err := parseAddressRecord(b); err == nil && !bytes.Equal(canon.Encode(rec), b) {
			t.Errorf("address record %+v", rec)
		}
		if rec, err := parseBlob(b); err == nil && !bytes.Equal(canon.Encode(rec), b) {
			t.Errorf("blob record %+v", rec)
		}
		if e, err := parseEntryRecord(b); err == nil && !bytes.Equal(e.encode(), b) {
			t.Errorf("entry %+v", e)
		}
		if at, ok := parseEntry(b); ok && !bytes.HasSuffix(b, entryKey(at)[1:]) {
			t.Errorf("position %v", at)
		}
	})
}
