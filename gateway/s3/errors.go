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

// Failures by the codes of the S3 API.
var (
	errAccessDenied         = &failure{403, "AccessDenied", "The access key may not do this with this bucket."}
	errAuthMalformed        = &failure{400, "AuthorizationHeaderMalformed", "The authorization header is malformed."}
	errQueryMalformed       = &failure{400, "AuthorizationQueryParametersError", "The query parameters of a presigned URL are malformed."}
	errBadDigest            = &failure{400, "BadDigest", "The Content-MD5 or checksum value that you specified did not match what the server received."}
	errBadRequest           = &failure{400, "InvalidRequest", "The request is not valid."}
	errBucketExists         = &failure{409, "BucketAlreadyExists", "The bucket exists, and this access key may not use it. Choose another name."}
	errBucketOwned          = &failure{409, "BucketAlreadyOwnedByYou", "The bucket exists already and is yours."}
	errBucketNotEmpty       = &failure{409, "BucketNotEmpty", "The bucket that you tried to delete is not empty."}
	errBusy                 = &failure{503, "SlowDown", "The gateway has as many requests as it takes. Try again."}
	errEntityTooLarge       = &failure{400, "EntityTooLarge", "The body is larger than a single upload may be."}
	errEntityTooSmall       = &failure{400, "EntityTooSmall", "A part that is not the last has less than 5 MiB."}
	errExpired              = &failure{403, "AccessDenied", "Request has expired"}
	errForeignKey           = &failure{403, "InvalidAccessKeyId", "The access key is not known to this gateway."}
	errIncomplete           = &failure{400, "IncompleteBody", "The body has another length than the request says."}
	errInternal             = &failure{500, "InternalError", "The gateway could not do it; its log says why."}
	errInvalidArgument      = &failure{400, "InvalidArgument", "Invalid argument."}
	errInvalidBucketName    = &failure{400, "InvalidBucketName", "The bucket's name is not valid."}
	errInvalidDigest        = &failure{400, "InvalidDigest", "The Content-MD5 that you specified is not valid."}
	errInvalidPart          = &failure{400, "InvalidPart", "A part was not uploaded, or its entity tag is another one."}
	errInvalidPartOrder     = &failure{400, "InvalidPartOrder", "The list of parts must be in ascending order."}
	errInvalidRange         = &failure{416, "InvalidRange", "The requested range is not satisfiable."}
	errKeyTooLong           = &failure{400, "KeyTooLongError", "Your key is too long: at most 1024 bytes."}
	errLength               = &failure{411, "MissingContentLength", "You must provide the Content-Length HTTP header."}
	errMalformedXML         = &failure{400, "MalformedXML", "The XML that you provided was not well-formed or is not what this operation takes."}
	errMetadataTooLarge     = &failure{400, "MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size of 2 KB."}
	errMethod               = &failure{405, "MethodNotAllowed", "The specified method is not allowed against this resource."}
	errNoBucket             = &failure{404, "NoSuchBucket", "The specified bucket does not exist."}
	errNoFunds              = &failure{503, "ServiceUnavailable", "The gateway's wallet cannot pay for it: its operator must fund the wallet."}
	errNoKey                = &failure{404, "NoSuchKey", "The specified key does not exist."}
	errNoRoom               = &failure{503, "ServiceUnavailable", "The network has no room for it at the moment."}
	errNoUpload             = &failure{404, "NoSuchUpload", "The upload does not exist: the ID is wrong, or the upload was completed or aborted."}
	errNoVersion            = &failure{404, "NoSuchVersion", "There is no such version: this gateway keeps one version of a key."}
	errNotImplemented       = &failure{501, "NotImplemented", "This gateway does not implement this: doc/s3.md says what it does."}
	errNotModified          = &failure{304, "NotModified", ""}
	errPrecondition         = &failure{412, "PreconditionFailed", "At least one of the preconditions you specified did not hold."}
	errSha256               = &failure{400, "XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed."}
	errSignature            = &failure{403, "SignatureDoesNotMatch", "The request signature that was calculated does not match the signature you provided. Check your secret access key and signing method."}
	errSkewed               = &failure{403, "RequestTimeTooSkewed", "The difference between the request time and the server's time is too large."}
	errSpoolFull            = &failure{503, "SlowDown", "The gateway's spool is full. Try again."}
	errTimeout              = &failure{400, "RequestTimeout", "Your socket connection to the server was not read from or written to within the timeout period."}
	errTooManyBuckets       = &failure{400, "TooManyBuckets", "The gateway has as many buckets as it takes."}
	errUnavailable          = &failure{503, "ServiceUnavailable", "The network did not give the object's bytes. Try again."}
	errURI                  = &failure{400, "InvalidURI", "Couldn't parse the specified URI."}
	errUnsupportedSignature = &failure{400, "InvalidRequest", "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."}
)

// errorBody is the XML of a failure.
type errorBody struct {
	XMLName   xml.Name `xml:"Error"`
	Code      string
	Message   string
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
	s.reply(w, r, f.status, errorBody{Code: f.code, Message: f.message, Resource: r.URL.Path, RequestID: h.Get(headerRequestID)})
}
