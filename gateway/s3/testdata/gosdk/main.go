// Program gosdk stores and reads with the AWS SDK for Go: streams of signed and unsigned
// chunks, multipart uploads, presigned URLs. Its module is its own, so that ours does not
// depend on the SDK.
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/feature/s3/manager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

func main() {
	log.SetFlags(0)
	endpoint, access, secret := os.Args[1], os.Args[2], os.Args[3]
	ctx := context.Background()
	c := s3.New(s3.Options{
		BaseEndpoint: &endpoint, Region: "us-east-1", UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(access, secret, ""),
	})
	bucket, big := "gosdk", aws.String("a folder/big")
	must1(c.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &bucket}))

	content := make([]byte, 11<<20)
	rand.Read(content)
	uploader := manager.NewUploader(c, func(u *manager.Uploader) { u.PartSize = 5 << 20 })
	up := must1(uploader.Upload(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: big, Body: bytes.NewReader(content)}))
	if len(up.CompletedParts) != 3 {
		log.Fatal("not uploaded in 3 parts")
	}
	into := manager.NewWriteAtBuffer(nil)
	must1(manager.NewDownloader(c).Download(ctx, into, &s3.GetObjectInput{Bucket: &bucket, Key: big}))
	same("download", into.Bytes(), content)

	for _, algorithm := range types.ChecksumAlgorithm("").Values() {
		switch algorithm {
		case "CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256":
		default:
			continue
		}
		key := aws.String("sum " + string(algorithm))
		must1(c.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: key, Body: bytes.NewReader(content[:99]), ChecksumAlgorithm: algorithm, Metadata: map[string]string{"a": "b"}}))
		got := must1(c.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: key, ChecksumMode: types.ChecksumModeEnabled}))
		same(string(algorithm), must1(io.ReadAll(got.Body)), content[:99]) // which compares the checksum
		if got.Metadata["a"] != "b" {
			log.Fatal(got.Metadata)
		}
	}
	presigner := s3.NewPresignClient(c)
	put := must1(presigner.PresignPutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: aws.String("presigned")}, s3.WithPresignExpires(time.Minute)))
	r := must1(http.NewRequest(put.Method, put.URL, bytes.NewReader(content[:1000])))
	for name, values := range put.SignedHeader {
		r.Header[name] = values
	}
	resp := must1(http.DefaultClient.Do(r))
	if resp.StatusCode != 200 {
		log.Fatal(resp.Status, string(must1(io.ReadAll(resp.Body))))
	}
	get := must1(presigner.PresignGetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: aws.String("presigned")}))
	resp = must1(http.Get(get.URL))
	same("presigned", must1(io.ReadAll(resp.Body)), content[:1000])

	n := 0
	pages := s3.NewListObjectsV2Paginator(c, &s3.ListObjectsV2Input{Bucket: &bucket, MaxKeys: aws.Int32(2)})
	for pages.HasMorePages() {
		page := must1(pages.NextPage(ctx))
		var ids []types.ObjectIdentifier
		for _, o := range page.Contents {
			ids = append(ids, types.ObjectIdentifier{Key: o.Key})
			n++
		}
		must1(c.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: &bucket, Delete: &types.Delete{Objects: ids}}))
	}
	if n != 7 {
		log.Fatal("listed ", n)
	}
	must1(c.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &bucket}))
	fmt.Println("ok")
}

func must1[T any](v T, err error) T {
	if err != nil {
		log.Output(2, err.Error())
		os.Exit(1)
	}
	return v
}

func same(what string, a, b []byte) {
	if !bytes.Equal(a, b) {
		log.Fatalf("%s: %d bytes are not the %d that were stored", what, len(a), len(b))
	}
}
