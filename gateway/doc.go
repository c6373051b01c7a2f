// Package gateway is HTTP in front of a client: the API that applications of Walrus speak,
// of its publishers and its aggregators, and what their users ask for beside it.
//
// The promise: an application that was written for that API works when it is given this
// gateway's address. 200 to a PUT means that the blob is certified and that every gateway
// reads it; a GET gives verified bytes, or an error before the first of them, or a connection
// that breaks off, never a short 200. What a stranger can make grow is bounded: requests,
// bodies, memory, the cache. Bytes of users never run in the gateway's origin.
//
// The document of the API is openapi.yaml, which the gateway serves at /v1/api.
//
// Left to others: reading and storing (package gateway/blobs), who may spend how much
// (package gateway/access), S3 (package gateway/s3).
package gateway
