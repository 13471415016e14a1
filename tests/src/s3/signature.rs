//! The signature of a form that is posted to `/`, for services that the `s3s` library does not
//! know. Version 4, by headers.

use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use sha2::{Digest, Sha256};

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn field<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let value = text(headers, "authorization")?;
    let value = value.strip_prefix("AWS4-HMAC-SHA256")?;
    let mut fields = value.split(',').map(str::trim);
    fields.find_map(|field| field.strip_prefix(name))
}

/// `KEY/DATE/REGION/SERVICE/aws4_request`, in parts.
fn credential(headers: &HeaderMap) -> Option<[&str; 5]> {
    let parts: Vec<_> = field(headers, "Credential=")?.split('/').collect();
    parts.try_into().ok()
}

/// The service that the signature is for.
pub(super) fn service(headers: &HeaderMap) -> Option<&str> {
    credential(headers).map(|[_, _, _, service, _]| service)
}

/// The access key that the request says it was signed with.
pub(super) fn key(headers: &HeaderMap) -> Option<&str> {
    credential(headers).map(|[key, ..]| key)
}

fn mac(key: &[u8], message: &str) -> Option<Vec<u8>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(message.as_bytes());
    Some(mac.finalize().into_bytes().to_vec())
}

/// Whether the signature is that of this secret over this form.
pub(super) fn is_right(headers: &HeaderMap, form: &[u8], secret: &str) -> bool {
    expected(headers, form, secret).is_some_and(|it| field(headers, "Signature=") == Some(&it))
}

fn expected(headers: &HeaderMap, form: &[u8], secret: &str) -> Option<String> {
    let [_, date, region, service, end] = credential(headers)?;
    let signed = field(headers, "SignedHeaders=")?;
    let mut canonical = String::from("POST\n/\n\n");
    for name in signed.split(';') {
        canonical.push_str(&format!("{name}:{}\n", text(headers, name)?.trim()));
    }
    let body = hex::encode(Sha256::digest(form));
    canonical.push_str(&format!("\n{signed}\n{body}"));
    let time = text(headers, "x-amz-date")?;
    let scope = format!("{date}/{region}/{service}/{end}");
    let hash = hex::encode(Sha256::digest(canonical.as_bytes()));
    let message = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{hash}");
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in [date, region, service, end] {
        key = mac(&key, part)?;
    }
    mac(&key, &message).map(hex::encode)
}
