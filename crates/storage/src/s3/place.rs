//! Where a destination's bucket is and which headers every request to it carries.

use http::{HeaderMap, Uri};
use recording::{Encryption, Fault, S3Bucket, S3Options};
use url::Url;

use crate::exchange::{encode_key, unusable};

pub(super) use crate::exchange::{encode, put_header as put};

/// A bucket's place.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// URL of the bucket, without a slash at its end.
    bucket_url: String,
    /// Whether it is AWS's own endpoint, which is known to honour conditions.
    pub(super) is_aws: bool,
    /// Region for the signature.
    pub(super) region: String,
    /// Headers of every request.
    pub(super) standing: HeaderMap,
    /// Headers of every request that begins an object.
    pub(super) creating: HeaderMap,
}

impl Place {
    /// Reads a destination's S3 part.
    pub(crate) fn new(s3: &S3Bucket, allow_http: bool) -> Result<Self, Fault> {
        let mut standing = HeaderMap::new();
        if let Some(owner) = &s3.expected_owner {
            put(&mut standing, EXPECTED_OWNER, owner)?;
        }
        Ok(Self {
            bucket_url: bucket_url(s3, allow_http)?,
            is_aws: s3.endpoint.is_none(),
            region: s3.region.clone(),
            standing,
            creating: creating(s3)?,
        })
    }

    /// The URL of a key, or of the bucket itself, with a query that is escaped already.
    pub(super) fn url(&self, key: Option<&str>, query: &str) -> Result<Uri, Fault> {
        let mut url = String::with_capacity(self.bucket_url.len().saturating_add(160));
        url.push_str(&self.bucket_url);
        url.push('/');
        if let Some(key) = key {
            url.push_str(&encode_key(key));
        }
        if !query.is_empty() {
            url.push('?');
            url.push_str(query);
        }
        Uri::try_from(url).map_err(|_| unusable("no URL can be made for the key"))
    }
}

/// Says whose the bucket must be, as a header or in a signed query.
pub(super) const EXPECTED_OWNER: &str = "x-amz-expected-bucket-owner";

/// What a destination wants every new object to be given.
fn creating(s3: &S3Bucket) -> Result<HeaderMap, Fault> {
    const ENCRYPTION: &str = "x-amz-server-side-encryption";
    let mut creating = HeaderMap::new();
    match s3.encryption() {
        Some(Encryption::S3) => put(&mut creating, ENCRYPTION, "AES256")?,
        Some(Encryption::Kms) => put(&mut creating, ENCRYPTION, "aws:kms")?,
        None => {}
    }
    if let Some(key) = &s3.kms_key {
        put(&mut creating, &format!("{ENCRYPTION}-aws-kms-key-id"), key)?;
    }
    let S3Options {
        sse: _,
        bucket_key,
        tags,
        bucket_owner_full_control,
    } = &s3.options;
    if *bucket_key {
        let name = format!("{ENCRYPTION}-bucket-key-enabled");
        put(&mut creating, &name, "true")?;
    }
    if !tags.is_empty() {
        let pairs = tags.iter().map(|(key, value)| {
            let (key, value) = (encode(key), encode(value));
            format!("{key}={value}")
        });
        let pairs: Vec<String> = pairs.collect();
        put(&mut creating, "x-amz-tagging", &pairs.join("&"))?;
    }
    if *bucket_owner_full_control {
        put(&mut creating, "x-amz-acl", "bucket-owner-full-control")?;
    }
    if let Some(class) = &s3.storage_class {
        put(&mut creating, "x-amz-storage-class", class)?;
    }
    Ok(creating)
}

/// Virtual-hosted style on AWS, where the certificate covers it; path style otherwise.
fn bucket_url(s3: &S3Bucket, allow_http: bool) -> Result<String, Fault> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    if s3.bucket.is_empty() || !s3.bucket.bytes().all(plain) {
        return Err(unusable("the bucket's name is none"));
    }
    if s3.region.is_empty() || !s3.region.bytes().all(plain) {
        return Err(unusable("the region's name is none"));
    }
    let Some(endpoint) = &s3.endpoint else {
        let domain = match s3.region.starts_with("cn-") {
            true => "amazonaws.com.cn",
            false => "amazonaws.com",
        };
        let (region, bucket) = (&s3.region, &s3.bucket);
        return Ok(match bucket.contains('.') {
            true => format!("https://s3.{region}.{domain}/{bucket}"),
            false => format!("https://{bucket}.s3.{region}.{domain}"),
        });
    };
    let url = Url::parse(endpoint).map_err(|_| unusable("the endpoint is no URL"))?;
    match url.scheme() {
        "https" => {}
        "http" if allow_http => {}
        "http" => {
            return Err(unusable(
                "the endpoint is plain http, which is not allowed here",
            ));
        }
        _ => return Err(unusable("the endpoint must begin with https://")),
    }
    let dotted = url.host_str().is_some_and(|host| host.ends_with('.'));
    let is_origin = url.path() == "/"
        && !dotted
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none()
        && url.has_host();
    if !is_origin {
        return Err(unusable(
            "the endpoint must be an origin, without path or user",
        ));
    }
    Ok(format!("{}{}", url.as_str(), s3.bucket))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s3(endpoint: Option<&str>, bucket: &str) -> S3Bucket {
        S3Bucket {
            bucket: bucket.to_owned(),
            region: "eu-west-1".to_owned(),
            role_arn: None,
            endpoint: endpoint.map(ToOwned::to_owned),
            prefix: String::new(),
            kms_key: None,
            storage_class: None,
            expected_owner: None,
            options: S3Options::default(),
        }
    }

    fn url(endpoint: Option<&str>, bucket: &str, key: Option<&str>) -> String {
        let place = Place::new(&s3(endpoint, bucket), true).unwrap();
        place.url(key, "").unwrap().to_string()
    }

    #[test]
    fn urls_are_virtual_hosted_on_aws_and_path_style_elsewhere() {
        let aws = "https://rec.s3.eu-west-1.amazonaws.com/a/b.wav";
        assert_eq!(url(None, "rec", Some("a/b.wav")), aws);
        let dotted = "https://s3.eu-west-1.amazonaws.com/rec.acme.com/a";
        assert_eq!(url(None, "rec.acme.com", Some("a")), dotted);
        let lab = "http://127.0.0.1:9000/rec/a%20b%2Bc%C3%BC";
        assert_eq!(
            url(Some("http://127.0.0.1:9000/"), "rec", Some("a b+cü")),
            lab
        );
        assert_eq!(
            url(Some("https://s3.example"), "rec", None),
            "https://s3.example/rec/"
        );
    }

    #[test]
    fn new_objects_are_given_what_the_destination_says() {
        let mut bucket = s3(None, "rec");
        let given = |bucket: &S3Bucket| {
            let place = Place::new(bucket, false).unwrap();
            let text = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
                format!("{name}: {}", value.to_str().unwrap())
            };
            let mut given: Vec<String> = place.creating.iter().map(text).collect();
            given.sort();
            given
        };
        assert_eq!(given(&bucket), Vec::<String>::new());
        bucket.options.sse = Some(Encryption::S3);
        assert_eq!(given(&bucket), ["x-amz-server-side-encryption: AES256"]);
        let tags = [("team a", "x/y"), ("Büro", "")];
        let tags = tags.map(|(key, value)| (key.to_owned(), value.to_owned()));
        bucket.options = S3Options {
            sse: None,
            bucket_key: true,
            tags: recording::ObjectTags::new(tags).unwrap(),
            bucket_owner_full_control: true,
        };
        bucket.kms_key = Some("alias/k".to_owned());
        assert_eq!(
            given(&bucket),
            [
                "x-amz-acl: bucket-owner-full-control",
                "x-amz-server-side-encryption-aws-kms-key-id: alias/k",
                "x-amz-server-side-encryption-bucket-key-enabled: true",
                "x-amz-server-side-encryption: aws:kms",
                "x-amz-tagging: B%C3%BCro=&team%20a=x%2Fy",
            ]
        );
    }

    #[test]
    fn endpoints_that_are_no_origin_and_plain_http_are_refused() {
        let refused = |endpoint, allow| Place::new(&s3(Some(endpoint), "rec"), allow).is_err();
        assert!(refused("http://s3.example", false));
        for bad in [
            "ftp://x",
            "s3.example",
            "https://u:p@x",
            "https://x/path",
            "https://x?q",
            "file:///x",
        ] {
            assert!(refused(bad, true), "{bad}");
        }
        assert!(Place::new(&s3(None, "a/b"), false).is_err());
        assert!(Place::new(&s3(None, ""), false).is_err());
    }
}
