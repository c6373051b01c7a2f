package main

import (
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"strings"

	"github.com/walrus-network/walrus/client"
)

// contentTypes are content types by the end of a file's name. The table of the machine is
// not asked: a directory has one quilt, and so one ID, wherever it is stored.
var contentTypes = map[string]string{
	".avif": "image/avif", ".css": "text/css; charset=utf-8", ".csv": "text/csv; charset=utf-8", ".gif": "image/gif", ".gz": "application/gzip",
	".htm": "text/html; charset=utf-8", ".html": "text/html; charset=utf-8", ".ico": "image/x-icon", ".jpeg": "image/jpeg", ".jpg": "image/jpeg",
	".js": "text/javascript; charset=utf-8", ".json": "application/json", ".m4a": "audio/mp4", ".md": "text/markdown; charset=utf-8", ".mjs": "text/javascript; charset=utf-8",
	".mp3": "audio/mpeg", ".mp4": "video/mp4", ".ogg": "audio/ogg", ".otf": "font/otf", ".pdf": "application/pdf", ".png": "image/png", ".svg": "image/svg+xml",
	".tar": "application/x-tar", ".ttf": "font/ttf", ".txt": "text/plain; charset=utf-8", ".wasm": "application/wasm", ".wav": "audio/wav", ".webm": "video/webm",
	".webp": "image/webp", ".woff": "font/woff", ".woff2": "font/woff2", ".xml": "text/xml; charset=utf-8", ".zip": "application/zip",
}

// contentType is the content type of a file: by its name, else by its first bytes.
func contentType(path string, src client.Source) (string, error) {
	if t, ok := contentTypes[strings.ToLower(filepath.Ext(path))]; ok {
		return t, nil
	}
	r, err := src.Open(0)
	if err != nil {
		return "", err
	}
	defer r.Close()
	const looksAt = 512 // bytes, as many as DetectContentType reads
	b := make([]byte, min(looksAt, src.Size()))
	if n, err := io.ReadFull(r, b); err == nil {
		return http.DetectContentType(b[:n]), nil
	} else if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "", client.ErrFileChanged
	} else {
		return "", err
	}
}
