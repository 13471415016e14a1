//! The few XML documents of S3 and STS that matter here.

use percent_encoding::percent_decode_str;
use quick_xml::Reader;
use quick_xml::events::Event;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// `<Error>`, S3's refusal, or what is inside of STS's `<ErrorResponse>`.
#[derive(Debug, Deserialize)]
struct ErrorDocument {
    #[serde(rename = "Code")]
    code: Option<String>,
    #[serde(rename = "Error")]
    inner: Option<InnerError>,
    /// Older services, and emulators, wrap it once more.
    #[serde(rename = "Errors")]
    several: Option<InnerErrors>,
}

#[derive(Debug, Deserialize)]
struct InnerErrors {
    #[serde(rename = "Error")]
    inner: Option<InnerError>,
}

#[derive(Debug, Deserialize)]
struct InnerError {
    #[serde(rename = "Code")]
    code: Option<String>,
}

/// `<InitiateMultipartUploadResult>`.
#[derive(Debug, Deserialize)]
pub(super) struct UploadCreated {
    #[serde(rename = "UploadId")]
    pub(super) upload_id: String,
}

/// `<ListBucketResult>`.
#[derive(Debug, Deserialize)]
pub(super) struct Listed {
    #[serde(rename = "IsTruncated")]
    pub(super) is_truncated: bool,
    #[serde(rename = "Contents", default)]
    pub(super) contents: Vec<ListedObject>,
}

/// One object of a listing.
#[derive(Debug, Deserialize)]
pub(super) struct ListedObject {
    #[serde(rename = "Key")]
    pub(super) key: String,
}

/// `<AssumeRoleResponse>`.
#[derive(Deserialize)]
pub(crate) struct AssumedRole {
    #[serde(rename = "AssumeRoleResult")]
    pub(crate) result: AssumedRoleResult,
}

/// `<AssumeRoleResult>`.
#[derive(Deserialize)]
pub(crate) struct AssumedRoleResult {
    #[serde(rename = "Credentials")]
    pub(crate) credentials: AssumedCredentials,
}

/// `<Credentials>`. Not `Debug`: it is secret.
#[derive(Deserialize)]
pub(crate) struct AssumedCredentials {
    #[serde(rename = "AccessKeyId")]
    pub(crate) access_key_id: String,
    #[serde(rename = "SecretAccessKey")]
    pub(crate) secret_access_key: String,
    #[serde(rename = "SessionToken")]
    pub(crate) session_token: String,
    #[serde(rename = "Expiration")]
    pub(crate) expiration: String,
}

/// The name of a document's root element.
pub(super) fn root(body: &[u8]) -> Option<String> {
    let mut reader = Reader::from_reader(body);
    loop {
        match reader.read_event() {
            Ok(Event::Start(start) | Event::Empty(start)) => {
                let name = start.local_name();
                return Some(name.as_ref().to_owned());
            }
            Ok(Event::Eof) | Err(_) => return None,
            Ok(
                Event::Decl(_)
                | Event::Comment(_)
                | Event::Text(_)
                | Event::PI(_)
                | Event::DocType(_)
                | Event::CData(_)
                | Event::End(_)
                | Event::GeneralRef(_),
            ) => {}
        }
    }
}

/// Elements within elements at most. The documents of S3 and STS have six.
const DEPTH_MAX: usize = 32;

/// Whether a document is no deeper than any that means something, and brings no definitions of its
/// own: neither an element nor an entity is ever expanded into more than was sent.
fn is_flat(text: &str) -> bool {
    let mut reader = Reader::from_str(text);
    let mut depth: usize = 0;
    loop {
        match reader.read_event() {
            Ok(Event::Start(_)) => depth = depth.saturating_add(1),
            Ok(Event::End(_)) => depth = depth.saturating_sub(1),
            Ok(Event::Eof) => return true,
            Ok(Event::DocType(_)) | Err(_) => return false,
            Ok(
                Event::Empty(_)
                | Event::Decl(_)
                | Event::Comment(_)
                | Event::Text(_)
                | Event::PI(_)
                | Event::CData(_)
                | Event::GeneralRef(_),
            ) => {}
        }
        if depth > DEPTH_MAX {
            return false;
        }
    }
}

/// Reads a document. `None` for anything that it cannot be read from.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    let text = std::str::from_utf8(body).ok()?;
    if !is_flat(text) {
        return None;
    }
    quick_xml::de::from_str(text).ok()
}

/// The code of an error document, if the body is one.
pub(crate) fn code(body: &[u8]) -> Option<String> {
    let root = root(body)?;
    if root != "Error" && root != "ErrorResponse" {
        return None;
    }
    let document: ErrorDocument = parse(body)?;
    let several = document.several.and_then(|it| it.inner);
    let inner = document.inner.or(several).and_then(|it| it.code);
    let code = document.code.or(inner);
    code.and_then(plain_code)
}

/// A key as a listing has it: where it escapes, S3 writes a space as a plus sign, and a plus sign
/// never as itself. `None`: it is no text.
pub(super) fn listed_key(key: String, escaped: bool) -> Option<String> {
    if !escaped {
        return Some(key);
    }
    let spaced = key.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    decoded.ok().map(std::borrow::Cow::into_owned)
}

/// A code is a word; anything else is somebody's prose and belongs in no log.
pub(crate) fn plain_code(code: String) -> Option<String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    (code.len() <= 64 && code.bytes().all(plain)).then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_found_in_the_forms_of_s3_and_sts() {
        let s3 = br#"<?xml version="1.0"?>
            <Error><Code>SlowDown</Code><Message>a &amp; b</Message></Error>"#;
        assert_eq!(code(s3).as_deref(), Some("SlowDown"));
        let sts = br#"<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error>
            <Type>Sender</Type><Code>AccessDenied</Code></Error><RequestId>1</RequestId>
            </ErrorResponse>"#;
        assert_eq!(code(sts).as_deref(), Some("AccessDenied"));
        let wrapped =
            b"<ErrorResponse><Errors><Error><Code>No</Code></Error></Errors></ErrorResponse>";
        assert_eq!(code(wrapped).as_deref(), Some("No"));
        for none in [&b""[..], b"<html>no</html>", b"not xml", b"<Error></Error>"] {
            assert_eq!(code(none), None);
        }
        assert_eq!(code(b"<Error><Code>a b</Code></Error>"), None);
    }

    #[test]
    fn nothing_is_expanded_and_nothing_deep_is_read() {
        let nested = |depth: usize| {
            let (open, close) = ("<a>".repeat(depth), "</a>".repeat(depth));
            format!("<Error>{open}{close}<Code>SlowDown</Code></Error>")
        };
        assert_eq!(code(nested(20).as_bytes()).as_deref(), Some("SlowDown"));
        assert_eq!(code(nested(32).as_bytes()), None);
        // As deep as an answer can be long: the stack is not ours to lose.
        assert_eq!(code(nested(140_000).as_bytes()), None);
        let bomb = r#"<?xml version="1.0"?><!DOCTYPE Error [<!ENTITY a "SlowDown">
            <!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><Error><Code>&b;</Code></Error>"#;
        assert_eq!(code(bomb.as_bytes()), None);
        let outside = r#"<!DOCTYPE Error [<!ENTITY x SYSTEM "file:///etc/hostname">]>
            <Error><Code>&x;</Code></Error>"#;
        assert_eq!(code(outside.as_bytes()), None);
        assert_eq!(code(b"<Error><Code>&undefined;</Code></Error>"), None);
        assert_eq!(
            code(b"<Error><Code>Slow&#68;own</Code></Error>").as_deref(),
            Some("SlowDown")
        );
    }

    #[test]
    fn listings_with_and_without_objects_are_read() {
        let empty = br#"<ListBucketResult><Name>b</Name><KeyCount>0</KeyCount>
            <IsTruncated>false</IsTruncated></ListBucketResult>"#;
        let listed: Listed = parse(empty).unwrap();
        assert!(listed.contents.is_empty() && !listed.is_truncated);
        let one = br#"<ListBucketResult><IsTruncated>true</IsTruncated><Contents>
            <Key>a&amp;b</Key><Size>1</Size></Contents></ListBucketResult>"#;
        let listed: Listed = parse(one).unwrap();
        assert_eq!(listed.contents[0].key, "a&b");
        assert!(listed.is_truncated);
    }
}
