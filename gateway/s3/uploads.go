package s3

import (
	"encoding/base64"
	"encoding/xml"
	"hash"
	"net/http"
	"slices"
	"strings"
)

// both is a hash and a checksum that see the same bytes.
type both struct{ a, b hash.Hash }

func (t both) Write(p []byte) (int, error) {
	t.a.Write(p) // a hash never fails
	return t.b.Write(p)
}

func encode64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

type xmlPart struct {
	PartNumber   int
	LastModified string `xml:",omitempty"`
	ETag         string `xml:",omitempty"`
	Size         int64
	xmlChecksum
}

func (s *Server) listParts(w http.ResponseWriter, q *request) error {
	u, err := q.upload(s.index.db)
	if err != nil {
		return err
	}
	most, err := q.count("max-parts", maxList)
	if err != nil {
		return err
	}
	after, err := q.count("part-number-marker", maxParts)
	if err != nil {
		return err
	}
	if q.query.Get("part-number-marker") == "" {
		after = 0
	}
	id := q.query.Get("uploadId")
	var out struct {
		XMLName              xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListPartsResult"`
		Bucket               string
		Key                  string
		UploadID             string `xml:"UploadId"`
		Initiator            owner
		Owner                owner
		StorageClass         string
		PartNumberMarker     int
		NextPartNumberMarker int
		MaxParts             int
		IsTruncated          bool
		ChecksumAlgorithm    string `xml:",omitempty"`
		ChecksumType         string `xml:",omitempty"`
		Part                 []xmlPart
	}
	out.Bucket, out.Key, out.UploadID, out.Initiator, out.Owner = q.bucket, q.key, id, account, account
	out.StorageClass, out.PartNumberMarker, out.MaxParts = "STANDARD", after, most
	out.ChecksumAlgorithm, out.ChecksumType = u.Sum, u.SumType
	c := newChange(s.index.db)
	numbers, err := c.partNumbers(id)
	if err != nil {
		return err
	}
	slices.Sort(numbers)
	for _, n := range numbers {
		if n <= after {
			continue
		}
		if len(out.Part) == most {
			out.IsTruncated = most > 0
			break
		}
		p, there, err := read[uploaded](s.index.db, partKey(id, n))
		if err != nil {
			return err
		}
		if !there {
			continue
		}
		x := xmlPart{PartNumber: n, LastModified: xmlTime(p.Modified), ETag: quote + p.Content.ETag + quote, Size: p.Content.Size}
		if u.Sum != "" {
			x.xmlChecksum = checksumXML(p.Content.Sum)
			x.ChecksumType = ""
		}
		out.Part, out.NextPartNumberMarker = append(out.Part, x), n
	}
	return s.reply(w, q.Request, http.StatusOK, out)
}

// listUploads lists uploads that are neither complete nor aborted, in the order of their
// keys and IDs.
func (s *Server) listUploads(w http.ResponseWriter, q *request) error {
	l, err := listingOf(q)
	if err != nil {
		return err
	}
	if l.most, err = q.count("max-uploads", maxList); err != nil {
		return err
	}
	marker, idMarker := q.query.Get("key-marker"), q.query.Get("upload-id-marker")
	switch {
	case marker != "" && idMarker != "":
		l.after = marker + "\x00" + idMarker
	case marker != "":
		l.after = marker + "\x01" // behind all uploads of the key, whose byte behind it is 0
	}
	if marker == "" {
		idMarker = "" // which means nothing alone
	}
	if idMarker != "" && !uploadIDOK(idMarker) {
		return errInvalidArgument.with("Invalid uploadId marker")
	}
	encode := coder(q)
	type xmlUpload struct {
		Key               string
		UploadID          string `xml:"UploadId"`
		Initiator         owner
		Owner             owner
		StorageClass      string
		Initiated         string
		ChecksumAlgorithm string `xml:",omitempty"`
		ChecksumType      string `xml:",omitempty"`
	}
	var out struct {
		XMLName            xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListMultipartUploadsResult"`
		Bucket             string
		KeyMarker          string
		UploadIDMarker     string `xml:"UploadIdMarker"`
		NextKeyMarker      string
		NextUploadIDMarker string `xml:"NextUploadIdMarker"`
		Prefix             string
		Delimiter          string `xml:",omitempty"`
		EncodingType       string `xml:",omitempty"`
		MaxUploads         int
		IsTruncated        bool
		Upload             []xmlUpload
		CommonPrefixes     []commonPrefix
	}
	out.Bucket, out.KeyMarker, out.UploadIDMarker, out.Prefix, out.Delimiter = q.bucket, encode(marker), idMarker, encode(l.prefix), encode(l.delimiter)
	out.EncodingType, out.MaxUploads = q.query.Get("encoding-type"), l.most
	found, more, err := walk(l, s.index.db, uploadsOf(q.bucket), func(value []byte) (u upload, err error) { return u, decode(value, &u) })
	if err != nil {
		return err
	}
	out.IsTruncated = more
	for _, f := range found {
		if f.common {
			out.CommonPrefixes = append(out.CommonPrefixes, commonPrefix{encode(f.name)})
			out.NextKeyMarker, out.NextUploadIDMarker = encode(f.name), ""
			continue
		}
		key, id, _ := strings.Cut(f.name, "\x00")
		u := f.value
		out.Upload = append(out.Upload, xmlUpload{encode(key), id, account, account, "STANDARD", xmlTime(u.Initiated), u.Sum, u.SumType})
		out.NextKeyMarker, out.NextUploadIDMarker = encode(key), id
	}
	return s.reply(w, q.Request, http.StatusOK, out)
}

// getAttributes answers with what the index knows of an object.
func (s *Server) getAttributes(w http.ResponseWriter, q *request) error {
	wanted := map[string]bool{}
	for _, text := range q.Header.Values("X-Amz-Object-Attributes") {
		for _, name := range strings.Split(text, ",") {
			if name = strings.TrimSpace(name); name != "" {
				wanted[name] = true
			}
		}
	}
	if len(wanted) == 0 {
		return errBadRequest.with("The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty")
	}
	for name := range wanted {
		switch name {
		case "ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize":
		default:
			return errInvalidArgument.with("Invalid attribute name specified.")
		}
	}
	o, err := s.object(q.bucket, q.key)
	if err != nil {
		return err
	}
	type parts struct {
		TotalPartsCount int `xml:"PartsCount"`
		PartNumberMark  int `xml:"PartNumberMarker"`
		NextPartNumber  int `xml:"NextPartNumberMarker"`
		MaxParts        int
		IsTruncated     bool
		Part            []xmlPart
	}
	var out struct {
		XMLName      xml.Name     `xml:"http://s3.amazonaws.com/doc/2006-03-01/ GetObjectAttributesResponse"`
		ETag         string       `xml:",omitempty"`
		Checksum     *xmlChecksum `xml:",omitempty"`
		ObjectParts  *parts       `xml:",omitempty"`
		StorageClass string       `xml:",omitempty"`
		ObjectSize   *int64       `xml:",omitempty"`
	}
	if wanted["ETag"] {
		out.ETag = o.Content.ETag
	}
	if wanted["Checksum"] && o.Content.Sum.Kind != "" {
		sum := o.Content.Sum
		sum.Value, _, _ = strings.Cut(sum.Value, "-") // the number of parts is told beside it
		x := checksumXML(sum)
		out.Checksum = &x
	}
	if wanted["StorageClass"] {
		out.StorageClass = "STANDARD"
	}
	if wanted["ObjectSize"] {
		out.ObjectSize = &o.Content.Size
	}
	if wanted["ObjectParts"] && len(o.Parts) > 0 {
		out.ObjectParts = &parts{TotalPartsCount: len(o.Parts), MaxParts: maxList}
		for _, p := range o.Parts[:min(len(o.Parts), maxList)] {
			x := xmlPart{PartNumber: p.Number, Size: p.Size, xmlChecksum: checksumXML(p.Sum)}
			x.ChecksumType = ""
			out.ObjectParts.Part = append(out.ObjectParts.Part, x)
			out.ObjectParts.NextPartNumber = p.Number
		}
		out.ObjectParts.IsTruncated = len(o.Parts) > maxList
	}
	w.Header().Set("Last-Modified", httpTime(o.Modified))
	return s.reply(w, q.Request, http.StatusOK, out)
}
