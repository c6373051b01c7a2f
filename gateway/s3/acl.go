package s3

import (
	"encoding/xml"
	"net/http"
	"strings"
)

// getACL answers that the owner has full control, and that no other has any.
func (s *Server) getACL(w http.ResponseWriter, q *request) error {
	if q.key != "" {
		if _, err := s.object(q.bucket, q.key); err != nil {
			return err
		}
	}
	type grantee struct {
		Space string `xml:"xmlns:xsi,attr"`
		Type  string `xml:"xsi:type,attr"`
		owner
	}
	type grant struct {
		Grantee    grantee
		Permission string
	}
	var out struct {
		XMLName           xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ AccessControlPolicy"`
		Owner             owner
		AccessControlList struct{ Grant []grant }
	}
	out.Owner = account
	out.AccessControlList.Grant = []grant{{grantee{"http://www.w3.org/2001/XMLSchema-instance", "CanonicalUser", account}, "FULL_CONTROL"}}
	return s.reply(w, q.Request, http.StatusOK, out)
}

// putACL takes the ACL that there is.
func (s *Server) putACL(w http.ResponseWriter, q *request) error {
	if err := aclOK(q.Header); err != nil {
		return err
	}
	if q.Header.Get("X-Amz-Acl") == "" {
		return errNotImplemented.with("This gateway knows the canned ACL private; buckets that everybody may read are named by its operator.")
	}
	if q.key != "" {
		if _, err := s.object(q.bucket, q.key); err != nil {
			return err
		}
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// aclOK refuses all ACLs but the one that every object has.
func aclOK(h http.Header) error {
	switch acl := h.Get("X-Amz-Acl"); acl {
	case "", "private", "bucket-owner-full-control", "bucket-owner-read":
	case "public-read", "public-read-write", "authenticated-read", "aws-exec-read", "log-delivery-write":
		return errNotImplemented.with("This gateway does not take the ACL %s: buckets that everybody may read are named by its operator.", acl)
	default:
		return errInvalidArgument.with("%s is no canned ACL.", acl)
	}
	for name := range h {
		if strings.HasPrefix(name, "X-Amz-Grant-") {
			return errNotImplemented.with("This gateway does not take grants.")
		}
	}
	return nil
}
