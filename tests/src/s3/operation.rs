//! Which operation a request asks for, read from its first line before anything else is done.
//!
//! Faults and the history need the answer also for requests that are then refused, so it cannot be
//! left to the library, which decides only after the signature was found right.

use http::{HeaderMap, Method, Uri};
use percent_encoding::percent_decode_str;
use url::form_urlencoded;

/// What was asked of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// STS: temporary credentials for a role.
    AssumeRole,
    /// Gives a multipart upload up.
    AbortMultipartUpload,
    /// Makes the object out of the parts.
    CompleteMultipartUpload,
    /// Opens a multipart upload.
    CreateMultipartUpload,
    /// Deletes one object or version.
    DeleteObject,
    /// Deletes a list of objects.
    DeleteObjects,
    /// Where the bucket is.
    GetBucketLocation,
    /// Reads an object, or a range of it.
    GetObject,
    /// Whether the bucket is there.
    HeadBucket,
    /// What is known about an object.
    HeadObject,
    /// The open uploads of a bucket.
    ListMultipartUploads,
    /// All versions and delete markers.
    ListObjectVersions,
    /// The objects of a bucket.
    ListObjectsV2,
    /// The parts of an open upload.
    ListParts,
    /// Stores an object in one request.
    PutObject,
    /// Stores one part.
    UploadPart,
    /// Anything this server does not do.
    Other,
}

/// A request's aim.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// What is asked.
    pub(crate) operation: Operation,
    /// The bucket, if the path names one.
    pub(crate) bucket: Option<String>,
    /// The object key; for STS the role's ARN, once the body was read.
    pub(crate) key: Option<String>,
    /// The number of the part sent, if it is a number.
    pub(crate) part: Option<u32>,
}

impl Target {
    /// Reads method, path and query.
    pub(crate) fn read(method: &Method, uri: &Uri, headers: &HeaderMap) -> Self {
        let path = percent_decode_str(uri.path()).decode_utf8_lossy();
        let path = path.strip_prefix('/').unwrap_or(&path);
        let (bucket, key) = match path.split_once('/') {
            Some((bucket, key)) => (bucket, key),
            None => (path, ""),
        };
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let asks = |name: &str| query(uri, name).is_some();
        let operation = if bucket.is_empty() {
            Operation::Other
        } else if key.is_empty() {
            of_bucket(method, &asks)
        } else if headers.contains_key("x-amz-copy-source") {
            Operation::Other
        } else {
            of_object(method, &asks)
        };
        let part = query(uri, "partNumber").filter(|_| operation == Operation::UploadPart);
        Self {
            operation,
            bucket: some(bucket),
            key: some(key),
            part: part.and_then(|number| number.parse().ok()),
        }
    }
}

/// The first value of a query parameter.
pub(crate) fn query(uri: &Uri, name: &str) -> Option<String> {
    let pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    pairs
        .into_iter()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

fn of_bucket(method: &Method, asks: &dyn Fn(&str) -> bool) -> Operation {
    if method == Method::HEAD {
        return Operation::HeadBucket;
    }
    if method == Method::POST && asks("delete") {
        return Operation::DeleteObjects;
    }
    if method != Method::GET {
        return Operation::Other;
    }
    let known = [
        ("location", Operation::GetBucketLocation),
        ("uploads", Operation::ListMultipartUploads),
        ("versions", Operation::ListObjectVersions),
        ("list-type", Operation::ListObjectsV2),
    ];
    let found = known.into_iter().find(|(name, _)| asks(name));
    found.map_or(Operation::Other, |(_, operation)| operation)
}

fn of_object(method: &Method, asks: &dyn Fn(&str) -> bool) -> Operation {
    let elsewhere = ["acl", "tagging", "retention", "legal-hold", "attributes"];
    if elsewhere.into_iter().any(asks) {
        return Operation::Other;
    }
    let upload = asks("uploadId");
    match method.as_str() {
        "PUT" if upload => Operation::UploadPart,
        "PUT" => Operation::PutObject,
        "POST" if upload => Operation::CompleteMultipartUpload,
        "POST" if asks("uploads") => Operation::CreateMultipartUpload,
        "DELETE" if upload => Operation::AbortMultipartUpload,
        "DELETE" => Operation::DeleteObject,
        "GET" if upload => Operation::ListParts,
        "GET" => Operation::GetObject,
        "HEAD" => Operation::HeadObject,
        _ => Operation::Other,
    }
}
