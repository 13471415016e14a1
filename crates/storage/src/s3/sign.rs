//! Signed URLs: a GET of one object, or of one of its versions, by signature version 4 in the
//! query. Ranges are not signed, so that a player may seek. Where the destination says whose the
//! bucket must be, the URL reads out of nobody else's.

use std::time::Duration;

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use object_store::aws::AwsCredential;
use recording::Fault;
use sha2::{Digest, Sha256};

use super::bucket::Bucket;
use super::place::{EXPECTED_OWNER, encode};
use crate::exchange::unusable;
use crate::signed::{LIFE_MAX, Overrides, SignedUrl};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

impl Bucket {
    /// A URL that reads the object for `life`, or for as long as our session there is good if
    /// that is less; a session that ends sooner is renewed first.
    pub(crate) async fn signed_get(
        &self,
        key: &str,
        version: Option<&str>,
        life: Duration,
        overrides: &Overrides,
    ) -> Result<SignedUrl, Fault> {
        overrides.check()?;
        let (issued, left) = self.session.lasting(life.min(LIFE_MAX)).await?;
        // S3 counts whole seconds, and none is no life.
        let seconds = life.min(left).min(LIFE_MAX).as_secs().max(1);
        let mut query = Vec::new();
        let mut add = |name, value: Option<&str>| {
            query.extend(value.map(|value| (name, value.to_owned())));
        };
        add("response-cache-control", overrides.cache_control.as_deref());
        add(
            "response-content-disposition",
            overrides.content_disposition.as_deref(),
        );
        add("response-content-type", overrides.content_type.as_deref());
        add("versionId", version);
        // Whoever follows the URL sends no header of ours. S3 takes the owner from a signed query
        // too, but only where its name is in small letters (aws-sdk-go-v2 issue 2508).
        let owner = self.place.standing.get(EXPECTED_OWNER);
        add(EXPECTED_OWNER, owner.and_then(|owner| owner.to_str().ok()));
        let url = self.presigned(key, query, &issued.credential, seconds)?;
        Ok(SignedUrl::new(url, Duration::from_secs(seconds)))
    }

    /// Forgets the session that signs URLs, after the store refused what was signed with it.
    pub(crate) fn forget_signer(&self) {
        self.session.forget();
    }

    fn presigned(
        &self,
        key: &str,
        mut query: Vec<(&'static str, String)>,
        credential: &AwsCredential,
        seconds: u64,
    ) -> Result<String, Fault> {
        let scope = Scope {
            now: self.session.now(),
            region: &self.place.region,
        };
        query.extend([
            ("X-Amz-Algorithm", ALGORITHM.to_owned()),
            (
                "X-Amz-Credential",
                format!("{}/{}", credential.key_id, scope.text()),
            ),
            ("X-Amz-Date", scope.date_time()),
            ("X-Amz-Expires", seconds.to_string()),
            ("X-Amz-SignedHeaders", "host".to_owned()),
        ]);
        if let Some(token) = &credential.token {
            query.push(("X-Amz-Security-Token", token.clone()));
        }
        query.sort_unstable();
        let pairs = query.iter().map(|(name, value)| {
            let value = encode(value);
            format!("{name}={value}")
        });
        let query = pairs.collect::<Vec<_>>().join("&");
        let url = self.place.url(Some(key), &query)?;
        let host = url.authority().map(http::uri::Authority::as_str);
        let host = host.ok_or_else(|| unusable("the endpoint has no host"))?;
        let request = format!(
            "GET\n{}\n{query}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD",
            url.path()
        );
        let signature = scope.sign(&credential.secret_key, &request)?;
        Ok(format!("{url}&X-Amz-Signature={signature}"))
    }
}

/// What a signature is good for.
struct Scope<'a> {
    now: DateTime<Utc>,
    region: &'a str,
}

impl Scope<'_> {
    fn date_time(&self) -> String {
        self.now.format("%Y%m%dT%H%M%SZ").to_string()
    }

    fn date(&self) -> String {
        self.now.format("%Y%m%d").to_string()
    }

    fn text(&self) -> String {
        format!("{}/{}/s3/aws4_request", self.date(), self.region)
    }

    fn sign(&self, secret_key: &str, request: &str) -> Result<String, Fault> {
        let text = format!(
            "{ALGORITHM}\n{}\n{}\n{}",
            self.date_time(),
            self.text(),
            hex::encode(Sha256::digest(request))
        );
        let mut key = hmac(format!("AWS4{secret_key}").as_bytes(), &self.date())?;
        for step in [self.region, "s3", "aws4_request", &text] {
            key = hmac(&key, step)?;
        }
        Ok(hex::encode(key))
    }
}

fn hmac(key: &[u8], text: &str) -> Result<Vec<u8>, Fault> {
    let mac = Hmac::<Sha256>::new_from_slice(key);
    let mut mac = mac.map_err(|_| unusable("the URL cannot be signed"))?;
    mac.update(text.as_bytes());
    Ok(mac.finalize().into_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of AWS's documentation of signed URLs ("Authenticating Requests: Using Query
    /// Parameters"), with its published key pair put together from its halves.
    #[test]
    fn the_signature_is_the_one_of_awss_documentation() {
        let secret = ["wJalrXUtnFEMI/K7MDENG", "/bPxRfiCYEXAMPLEKEY"].concat();
        let scope = Scope {
            now: "2013-05-24T00:00:00Z".parse().unwrap(),
            region: "us-east-1",
        };
        let request = "GET\n/test.txt\nX-Amz-Algorithm=AWS4-HMAC-SHA256&\
            X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&\
            X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\n\
            host:examplebucket.s3.amazonaws.com\n\nhost\nUNSIGNED-PAYLOAD";
        let expected = "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
        assert_eq!(scope.sign(&secret, request).unwrap(), expected);
    }
}
