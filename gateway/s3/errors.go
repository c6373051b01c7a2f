package s3

import (
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
)

// failure is an answer that is not a success: a code of the S3 API, its HTTP status, and
// what the caller can do.
type failure struct {
	status  int
	code    string
	message string
}

func (f *failure) Error() string { return f.code + ": " + f.message }

// with is the failure with another message.
func (f *failure) with(format string, args ...any) *failure {
	return &failure{f.status, f.code, fmt.Sprintf(format, args...)}
}

// detailed is a failure with fields beside its code and its message.
type detailed struct {
	*failure
	fields []xmlField
}

// xmlField is an element of an error.
type xmlField struct {
	XMLName xml.Name
	Value   string `xml:",chardata"`
}

func (d *detailed) Unwrap() error { return d.failure }

// telling is the failure with fields, a name and a value each.
func (f *failure) telling(fields ...string) error {
	d := &detailed{failure: f}
	for i := 0; i < len(fields); i += 2 {
		d.fields = append(d.fields, xmlField{xml.Name{Local: fields[i]}, fields[i+1]})
	}
	return d
}

// Failures by the codes of the S3 API.
var (
	errAccessDenied         = &failure{403, "AccessDenied", "The access key may not do this with this bucket."}
	errAuthMalformed        = &failure{400, "AuthorizationHeaderMalformed", "The authorization header is malformed."}
	errQueryMalformed       = &failure{400, "AuthorizationQueryParametersError", "The query parameters of a presigned URL are malformed."}
	errBadDigest            = &failure{400, "BadDigest", "The Content-MD5 you specified did not match what we received."}
	errBadRequest           = &failure{400, "InvalidRequest", "The request is not valid."}
	errBucketExists         = &failure{409, "BucketAlreadyExists", "The requested bucket name is not available. Select a different name."}
	errBucketOwned          = &failure{409, "BucketAlreadyOwnedByYou", "Your previous request to create the named bucket succeeded and you already own it."}
	errBucketNotEmpty       = &failure{409, "BucketNotEmpty", "The bucket you tried to delete is not empty."}
	errBusy                 = &failure{503, "SlowDown", "The gateway has as many requests as it takes. Try again."}
	errEntityTooLarge       = &failure{400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed object size."}
	errEntityTooSmall       = &failure{400, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size"}
	errExpired              = &failure{403, "AccessDenied", "Request has expired."}
	errForeignKey           = &failure{403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records."}
	errIncomplete           = &failure{400, "IncompleteBody", "You did not provide the number of bytes specified by the Content-Length HTTP header"}
	errInternal             = &failure{500, "InternalError", "The gateway could not do it; its log says why."}
	errInvalidArgument      = &failure{400, "InvalidArgument", "Invalid argument."}
	errInvalidBucketName    = &failure{400, "InvalidBucketName", "The specified bucket is not valid."}
	errInvalidDigest        = &failure{400, "InvalidDigest", "The Content-Md5 you specified is not valid."}
	errInvalidPart          = &failure{400, "InvalidPart", "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity tag may not match the part's entity tag."}
	errInvalidPartOrder     = &failure{400, "InvalidPartOrder", "The list of parts was not in ascending order. Parts must be ordered by part number."}
	errInvalidRange         = &failure{416, "InvalidRange", "The requested range is not satisfiable"}
	errKeyTooLong           = &failure{400, "KeyTooLongError", "Your key is too long."}
	errLength               = &failure{411, "MissingContentLength", "You must provide the Content-Length HTTP header."}
	errLost                 = &failure{410, "ObjectLost", "The object's lease ended before it was renewed: its bytes are gone. Upload it again, or delete the key."}
	errMalformedXML         = &failure{400, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema."}
	errMetadataTooLarge     = &failure{400, "MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size"}
	errMethod               = &failure{405, "MethodNotAllowed", "The specified method is not allowed against this resource."}
	errNoBucket             = &failure{404, "NoSuchBucket", "The specified bucket does not exist."}
	errNoFunds              = &failure{503, "ServiceUnavailable", "The gateway's wallet cannot pay for it: its operator must fund the wallet."}
	errNoKey                = &failure{404, "NoSuchKey", "The specified key does not exist."}
	errNoRoom               = &failure{503, "ServiceUnavailable", "The network has no room for it at the moment."}
	errNoUpload             = &failure{404, "NoSuchUpload", "The specified multipart upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."}
	errNoVersion            = &failure{404, "NoSuchVersion", "The specified version does not exist."}
	errNotImplemented       = &failure{501, "NotImplemented", "A header you provided implies functionality that is not implemented."}
	errNotModified          = &failure{304, "NotModified", ""}
	errPrecondition         = &failure{412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold."}
	errSha256               = &failure{400, "XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed."}
	errSignature            = &failure{403, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided. Check your key and signing method."}
	errSkewed               = &failure{403, "RequestTimeTooSkewed", "The difference between the request time and the current time is too large."}
	errSpoolFull            = &failure{503, "SlowDown", "The gateway's spool is full. Try again."}
	errTimeout              = &failure{400, "RequestTimeout", "Your socket connection to the server was not read from or written to within the timeout period."}
	errTooManyUploads       = &failure{503, "SlowDown", "The bucket has as many uploads in parts as it takes: complete or abort some."}
	errTooManyXML           = &failure{503, "SlowDown", "The gateway reads as many long documents as it takes. Try again."}
	errTooManyBuckets       = &failure{400, "TooManyBuckets", "The gateway has as many buckets as it takes."}
	errUnavailable          = &failure{503, "ServiceUnavailable", "The network did not give the object's bytes. Try again."}
	errTagCount             = &failure{400, "BadRequest", "Object tags cannot be greater than 10"}
	errToken                = &failure{400, "InvalidToken", "The provided token is malformed or otherwise invalid."}
	errURI                  = &failure{400, "InvalidURI", "The specified URI couldn't be parsed."}
	errUnsupportedSignature = &failure{400, "InvalidRequest", "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."}
)

// errorBody is the XML of a failure.
type errorBody struct {
	XMLName   xml.Name `xml:"Error"`
	Code      string
	Message   string
	Fields    []xmlField
	Resource  string
	RequestID string `xml:"RequestId"`
}

// fail answers with err. What is not a failure of the API is logged, and told as an
// internal error: the text may name paths of this machine.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	var f *failure
	if !errors.As(err, &f) {
		if r.Context().Err() != nil {
			return // the client has gone
		}
		f = errInternal
		s.log.Error("S3 request failed", "method", r.Method, "path", r.URL.Path, "err", err)
	}
	h := w.Header()
	for _, name := range []string{"Content-Length", "Content-Encoding", "Content-Disposition", "Content-Language", "Expires", "X-Amz-Expiration"} {
		h.Del(name)
	}
	if f.status == 503 {
		h.Set("Retry-After", "3")
	}
	if f.status == http.StatusNotModified {
		w.WriteHeader(f.status)
		return
	}
	h.Set("Cache-Control", "no-store")
	var d *detailed
	var fields []xmlField
	if errors.As(err, &d) {
		fields = d.fields
	}
	s.reply(w, r, f.status, errorBody{Code: f.code, Message: f.message, Fields: fields, Resource: r.URL.Path, RequestID: h.Get(headerRequestID)})
}
