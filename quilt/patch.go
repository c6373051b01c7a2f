package quilt

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/walrus-network/walrus/blob"
)

// ErrPatchID is returned for text that is not the patch ID of a file.
var ErrPatchID = errors.New("not a quilt patch ID")

// patchBytes is the length of a patch ID; patchText that of its text.
const (
	patchBytes = len(blob.ID{}) + 1 + 2 + 2
	patchText  = 50
)

// PatchID names one file of a quilt by its number in the index.
type PatchID struct {
	Quilt   blob.ID
	Version byte   // of the quilt's format
	Start   uint16 // number of the file, from 0
	End     uint16 // Start + 1
}

// Patch is the patch ID of file n of the quilt id.
func (i Index) Patch(id blob.ID, n int) PatchID {
	if n < 0 || n >= len(i.Entries) {
		panic("quilt: a patch ID is that of a file")
	}
	return PatchID{Quilt: id, Version: Version, Start: uint16(n), End: uint16(n) + 1}
}

// ParsePatchID reads the text of a patch ID of this version.
func ParsePatchID(s string) (PatchID, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if len(s) != patchText || err != nil || len(b) != patchBytes {
		return PatchID{}, fmt.Errorf("%w: %.80q: it has %d characters of base64url", ErrPatchID, s, patchText)
	}
	p := PatchID{
		Quilt: blob.ID(b[:len(blob.ID{})]), Version: b[len(blob.ID{})],
		Start: binary.LittleEndian.Uint16(b[patchBytes-4:]), End: binary.LittleEndian.Uint16(b[patchBytes-2:]),
	}
	if p.Version != Version {
		return PatchID{}, fmt.Errorf("%w of version %d: %s has version %d", ErrPatchID, Version, s, p.Version)
	}
	if p.Start == 0xffff || p.End != p.Start+1 {
		return PatchID{}, fmt.Errorf("%w: %s names %d to %d, and not one file", ErrPatchID, s, p.Start, p.End)
	}
	return p, nil
}

// String is the 50 characters of base64url, without padding, of quilt ‖ version ‖ start ‖
// end; the numbers are little endian, as in the patch IDs that Walrus applications know.
func (p PatchID) String() string {
	b := append(p.Quilt[:], p.Version)
	b = binary.LittleEndian.AppendUint16(b, p.Start)
	b = binary.LittleEndian.AppendUint16(b, p.End)
	return base64.RawURLEncoding.EncodeToString(b)
}

// MarshalText and UnmarshalText make a patch ID its text in JSON.
func (p PatchID) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads the text form.
func (p *PatchID) UnmarshalText(b []byte) (err error) {
	*p, err = ParsePatchID(string(b))
	return err
}
