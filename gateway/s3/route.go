package s3

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"unicode/utf8"
)

// request is an HTTP request and what it is about.
type request struct {
	*http.Request
	query       url.Values
	bucket, key string
	caller      caller
}

// parse finds bucket and key, in the path or in the host, and checks both.
func parse(r *http.Request, domains []string) (*request, error) {
	q := &request{Request: r}
	var err error
	if q.query, err = url.ParseQuery(r.URL.RawQuery); err != nil {
		return nil, errURI
	}
	path, ok := strings.CutPrefix(r.URL.Path, "/")
	if !ok {
		return nil, errURI
	}
	if q.bucket = bucketOfHost(r.Host, domains); q.bucket != "" {
		q.key = path
	} else {
		q.bucket, q.key, _ = strings.Cut(path, "/")
	}
	if q.bucket != "" && !bucketNameOK(q.bucket) {
		return nil, errInvalidBucketName
	}
	if q.bucket == "" && q.key != "" {
		return nil, errURI
	}
	return q, keyOK(q.key)
}

// keyOK checks an object's key. A key is a name and no path: dots mean nothing in it.
func keyOK(key string) error {
	switch {
	case len(key) > maxKey:
		return errKeyTooLong
	case strings.Contains(key, "\x00") || !utf8.ValidString(key):
		return errURI.with("A key must be UTF-8 without the byte 0.")
	}
	return nil
}

func bucketOfHost(host string, domains []string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	for _, d := range domains {
		if bucket, ok := strings.CutSuffix(host, "."+d); ok {
			return bucket
		}
	}
	return ""
}

// bucketNameOK is the rule for names of general purpose buckets.
func bucketNameOK(name string) bool {
	if len(name) < 3 || len(name) > 63 || strings.Contains(name, "..") {
		return false
	}
	for i := range len(name) {
		c := name[i]
		inner := i > 0 && i < len(name)-1
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || inner && (c == '-' || c == '.')) {
			return false
		}
	}
	_, err := netip.ParseAddr(name)
	return err != nil
}

// operation is what a request asks for.
type operation struct {
	do          func(*Server, http.ResponseWriter, *request) error
	writes      bool
	public      bool // a request without a signature may do it with a public bucket
	needsBucket bool
	creates     bool // the bucket
	form        bool // its body says which key has signed it
}

// plan is an operation by the subresource that a query names and the method.
type plan map[string]map[string]operation

func reads(do func(*Server, http.ResponseWriter, *request) error) operation {
	return operation{do: do, needsBucket: true}
}

func everybody(do func(*Server, http.ResponseWriter, *request) error) operation {
	return operation{do: do, needsBucket: true, public: true}
}

func writes(do func(*Server, http.ResponseWriter, *request) error) operation {
	return operation{do: do, needsBucket: true, writes: true}
}

// subresources are looked for in this order.
var subresources = []string{
	"uploadId", "uploads", "delete", "versions", "versioning", "location", "acl", "tagging", "attributes", "policy", "policyStatus",
	"cors", "lifecycle", "encryption", "object-lock", "website", "ownershipControls", "publicAccessBlock", "notification", "logging",
	"requestPayment", "replication", "accelerate", "legal-hold", "retention", "torrent", "restore", "select", "inventory", "metrics",
	"analytics", "intelligent-tiering", "session", "append",
}

var ofBucket = plan{
	"": {
		"GET": everybody((*Server).listObjects), "HEAD": everybody((*Server).headBucket), "DELETE": writes((*Server).deleteBucket),
		"PUT": {do: (*Server).createBucket, writes: true, creates: true}, "POST": {do: (*Server).postObject, writes: true, form: true},
	},
	"uploads":    {"GET": reads((*Server).listUploads)},
	"delete":     {"POST": writes((*Server).deleteObjects)},
	"versions":   {"GET": reads((*Server).listVersions)},
	"versioning": {"GET": reads((*Server).getVersioning)},
	"location":   {"GET": reads((*Server).getLocation)},
	"acl":        {"GET": reads((*Server).getACL), "PUT": writes((*Server).putACL)},
	"tagging":    {"GET": reads((*Server).getBucketTags), "PUT": writes((*Server).putBucketTags), "DELETE": writes((*Server).deleteBucketTags)},

	"policy":            {"GET": absent("NoSuchBucketPolicy", "The bucket policy does not exist")},
	"policyStatus":      {"GET": absent("NoSuchBucketPolicy", "The bucket policy does not exist")},
	"cors":              {"GET": reads((*Server).getCORS), "PUT": writes((*Server).putCORS), "DELETE": writes((*Server).deleteCORS)},
	"lifecycle":         {"GET": reads((*Server).getLifecycle), "PUT": writes((*Server).putLifecycle), "DELETE": writes((*Server).deleteLifecycle)},
	"encryption":        {"GET": absent("ServerSideEncryptionConfigurationNotFoundError", "The server side encryption configuration was not found")},
	"object-lock":       {"GET": absent("ObjectLockConfigurationNotFoundError", "Object Lock configuration does not exist for this bucket")},
	"website":           {"GET": absent("NoSuchWebsiteConfiguration", "The specified bucket does not have a website configuration")},
	"ownershipControls": {"GET": absent("OwnershipControlsNotFoundError", "The bucket ownership controls were not found")},
	"publicAccessBlock": {"GET": absent("NoSuchPublicAccessBlockConfiguration", "The public access block configuration was not found")},
	"replication":       {"GET": absent("ReplicationConfigurationNotFoundError", "The replication configuration was not found")},
	"notification":      {"GET": empty("NotificationConfiguration")},
	"logging":           {"GET": empty("BucketLoggingStatus")},
	"accelerate":        {"GET": empty("AccelerateConfiguration")},
	"requestPayment":    {"GET": reads((*Server).getRequestPayment)},
}

var ofObject = plan{
	"": {
		"GET": everybody((*Server).getObject), "HEAD": everybody((*Server).getObject), "DELETE": writes((*Server).deleteObject),
		"PUT": writes((*Server).putObject),
	},
	"uploadId": {
		"PUT": writes((*Server).putPart), "POST": writes((*Server).completeUpload), "DELETE": writes((*Server).abortUpload),
		"GET": reads((*Server).listParts),
	},
	"uploads":    {"POST": writes((*Server).createUpload)},
	"acl":        {"GET": reads((*Server).getACL), "PUT": writes((*Server).putACL)},
	"tagging":    {"GET": reads((*Server).getObjectTags), "PUT": writes((*Server).putObjectTags), "DELETE": writes((*Server).deleteObjectTags)},
	"attributes": {"GET": reads((*Server).getAttributes)},
	"legal-hold": {"GET": absent("NoSuchObjectLockConfiguration", "The specified object does not have an ObjectLock configuration")},
	"retention":  {"GET": absent("NoSuchObjectLockConfiguration", "The specified object does not have an ObjectLock configuration")},
}

// operation finds what the request asks for. A subresource that is not known is no plain
// request: PUT ?policy must not make a bucket.
func (q *request) operation() (operation, error) {
	if q.bucket == "" {
		if q.Method == http.MethodGet {
			return operation{do: (*Server).listBuckets}, nil
		}
		return operation{}, errMethod
	}
	p := ofBucket
	if q.key != "" {
		p = ofObject
	}
	sub := ""
	for _, name := range subresources {
		if q.query.Has(name) {
			sub = name
			break
		}
	}
	methods, ok := p[sub]
	if !ok {
		return operation{}, errNotImplemented
	}
	op, ok := methods[q.Method]
	if !ok {
		if sub != "" && (q.Method == http.MethodPut || q.Method == http.MethodDelete) {
			return operation{}, errNotImplemented
		}
		return operation{}, errMethod
	}
	if v := q.query.Get("versionId"); q.query.Has("versionId") && v != "null" {
		return operation{}, errNoVersion
	}
	return op, nil
}
