package blob

import (
	"errors"
	"fmt"

	"github.com/walrus-network/walrus/canon"
)

// manifestVersion is the version of the format of this package.
const manifestVersion = 1

// Manifest is the small record whose hash is the blob ID. All but the root follow
// from (Size, N).
type Manifest struct {
	_       struct{} `cbor:",toarray"`
	Version uint8
	Codec   Codec
	N       uint16
	Size    uint64
	Seg     uint32
	Root    Hash // Merkle root over the stripe roots
}

// ErrManifest is returned for a manifest that is not the one for its size and shards.
var ErrManifest = errors.New("not the manifest for its size and shards")

// NewManifest is the manifest of a blob cut by l whose stripes lead to root.
func NewManifest(l Layout, root Hash) Manifest {
	return Manifest{Version: manifestVersion, Codec: l.Codec(), N: uint16(l.N), Size: uint64(l.Size), Seg: uint32(l.Seg), Root: root}
}

// DecodeManifest reads and checks a manifest from outside.
func DecodeManifest(b []byte) (Manifest, error) {
	var m Manifest
	if err := canon.Decode(b, &m); err != nil {
		return Manifest{}, err
	}
	if _, err := m.Layout(); err != nil {
		return Manifest{}, err
	}
	return m, nil
}

// Encode is the canonical bytes, about 50.
func (m Manifest) Encode() []byte { return canon.Encode(m) }

// ID is the hash of the canonical bytes.
func (m Manifest) ID() ID { return ID(Leaf(m.Encode())) }

// Layout is the only layout the manifest may have; any other is refused.
func (m Manifest) Layout() (Layout, error) {
	shape, err := NewShape(int(m.N))
	if err != nil {
		return Layout{}, err
	}
	if m.Size > 1<<62 {
		return Layout{}, fmt.Errorf("blob of %d bytes: %w", m.Size, ErrManifest)
	}
	l, err := shape.Layout(int64(m.Size))
	if err != nil {
		return Layout{}, err
	}
	if want := NewManifest(l, m.Root); m != want {
		return Layout{}, fmt.Errorf("version %d codec %d symbol %d for %d bytes over %d shards: %w", m.Version, m.Codec, m.Seg, m.Size, m.N, ErrManifest)
	}
	return l, nil
}
