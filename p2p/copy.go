package p2p

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/walrus-network/walrus/canon"
)

// CopyProtocol moves bytes that mean nothing from disk to disk: the limit that
// measurements of storing and reading are held against. Nodes do not serve it.
const CopyProtocol protocol.ID = "/walrus/copy/1"

const (
	kindCopyIn   kind = 1 // caller -> file, synced
	kindCopyOut  kind = 2 // file -> caller
	kindCopyDone kind = 3

	copyChunk = 1 << 20
	maxCopy   = 64 << 30
)

type copyFrame struct {
	_     struct{} `cbor:",toarray"`
	Bytes uint64
}

// ServeCopy takes and gives bytes of a file.
func (h *Host) ServeCopy(path string) {
	h.serve(CopyProtocol, func(_ context.Context, s *session) error {
		k, f, err := s.receiveCopy()
		if err != nil {
			return err
		}
		switch k {
		case kindCopyIn:
			err = copyIn(s, path, int64(f.Bytes))
		case kindCopyOut:
			err = copyOut(s, path, int64(f.Bytes))
		default:
			err = Refuse(CodeBadRequest, "unknown request %d", k)
		}
		if err != nil {
			return errors.Join(err, s.refuse(err))
		}
		if err := s.send(kindCopyDone, f); err != nil {
			return err
		}
		return s.flush()
	})
}

func (s *session) receiveCopy() (kind, copyFrame, error) {
	var f copyFrame
	k, body, err := s.receive(idleLimit)
	if err == nil {
		err = canon.Decode(body, &f)
	}
	if err == nil && f.Bytes > maxCopy {
		err = fmt.Errorf("copy of %d bytes: at most %d", f.Bytes, int64(maxCopy))
	}
	return k, f, err
}

func copyIn(s *session, path string, n int64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for left := n; left > 0; {
		b, err := s.payload(int(min(left, copyChunk)))
		if err != nil {
			return err
		}
		if _, err := f.Write(b); err != nil {
			return err
		}
		left -= int64(len(b))
	}
	return f.Sync()
}

func copyOut(s *session, path string, n int64) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	b := make([]byte, copyChunk)
	for left := n; left > 0; {
		part := b[:min(left, copyChunk)]
		if _, err := io.ReadFull(f, part); err != nil {
			return err
		}
		if err := s.write(part); err != nil {
			return err
		}
		left -= int64(len(part))
	}
	return s.flush()
}

// openCopy opens a stream to the host that serves copies at addr, which ends in /p2p/<peer ID>.
func (h *Host) openCopy(ctx context.Context, addr string) (*session, error) {
	info, err := peer.AddrInfoFromString(addr)
	if err != nil {
		return nil, err
	}
	return h.open(ctx, info.ID, []string{addr}, CopyProtocol)
}

// CopyTo sends n bytes to addr and returns when they are synced there.
func (h *Host) CopyTo(ctx context.Context, addr string, n int64) error {
	s, err := h.openCopy(ctx, addr)
	if err != nil {
		return err
	}
	b := make([]byte, copyChunk)
	err = s.send(kindCopyIn, copyFrame{Bytes: uint64(n)})
	for left := n; err == nil && left > 0; left -= min(left, copyChunk) {
		err = s.write(b[:min(left, copyChunk)])
	}
	if err == nil {
		err = s.flush()
	}
	if err == nil {
		err = s.expect(kindCopyDone, new(copyFrame), confirmLimit)
	}
	s.close(err)
	return err
}

// CopyFrom takes n bytes of what was copied to addr.
func (h *Host) CopyFrom(ctx context.Context, addr string, n int64) error {
	s, err := h.openCopy(ctx, addr)
	if err != nil {
		return err
	}
	if err = s.send(kindCopyOut, copyFrame{Bytes: uint64(n)}); err == nil {
		err = s.flush()
	}
	for left := n; err == nil && left > 0; left -= min(left, copyChunk) {
		_, err = s.payload(int(min(left, copyChunk)))
	}
	if err == nil {
		err = s.expect(kindCopyDone, new(copyFrame), idleLimit)
	}
	s.close(err)
	return err
}
