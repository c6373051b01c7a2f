// Stores and reads with the AWS SDK for JavaScript: trailing checksums, a multipart upload,
// presigned URLs.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import { S3Client, CreateBucketCommand, PutObjectCommand, GetObjectCommand, HeadObjectCommand, ListObjectsV2Command, DeleteObjectsCommand, DeleteBucketCommand } from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";

const [endpoint, accessKeyId, secretAccessKey] = process.argv.slice(2);
const c = new S3Client({ endpoint, region: "us-east-1", forcePathStyle: true, credentials: { accessKeyId, secretAccessKey } });
const Bucket = "jssdk";
const content = randomBytes(11 << 20);
const bytes = async (out) => Buffer.from(await out.Body.transformToByteArray());

await c.send(new CreateBucketCommand({ Bucket }));
const up = await new Upload({ client: c, partSize: 5 << 20, params: { Bucket, Key: "a folder/big", Body: Readable.from([content]), ContentType: "video/mp4" } }).done();
assert.match(up.ETag, /-3"$/);
const head = await c.send(new HeadObjectCommand({ Bucket, Key: "a folder/big" }));
assert.equal(head.ContentLength, content.length);
assert.equal(head.ContentType, "video/mp4");
assert.ok((await bytes(await c.send(new GetObjectCommand({ Bucket, Key: "a folder/big" })))).equals(content));
const part = await bytes(await c.send(new GetObjectCommand({ Bucket, Key: "a folder/big", Range: "bytes=5242878-5242882" })));
assert.ok(part.equals(content.subarray(5242878, 5242883)));

for (const ChecksumAlgorithm of ["CRC32", "CRC32C", "SHA1", "SHA256"]) {
  const Key = "sum " + ChecksumAlgorithm;
  await c.send(new PutObjectCommand({ Bucket, Key, Body: content.subarray(0, 99), ChecksumAlgorithm, Metadata: { a: "b" } }));
  const got = await c.send(new GetObjectCommand({ Bucket, Key, ChecksumMode: "ENABLED" }));
  assert.ok((await bytes(got)).equals(content.subarray(0, 99)));
  assert.equal(got.Metadata.a, "b");
}
const put = await getSignedUrl(c, new PutObjectCommand({ Bucket, Key: "presigned" }), { expiresIn: 60 });
const sent = await fetch(put, { method: "PUT", body: content.subarray(0, 1000) });
assert.equal(sent.status, 200, await sent.text());
const get = await fetch(await getSignedUrl(c, new GetObjectCommand({ Bucket, Key: "presigned" })));
assert.ok(Buffer.from(await get.arrayBuffer()).equals(content.subarray(0, 1000)));

const list = await c.send(new ListObjectsV2Command({ Bucket }));
assert.equal(list.KeyCount, 6);
await c.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects: list.Contents.map(({ Key }) => ({ Key })) } }));
await c.send(new DeleteBucketCommand({ Bucket }));
console.log("ok");
