//! The uploads that a bucket says are open below a prefix: what the sweep of leftovers works on.
//!
//! A listing is believed only whole. A page that cannot be understood, that names a key outside
//! of what was asked for, or that says there is more and not where, is an error and never "none".

use chrono::{DateTime, Utc};
use http::Method;
use recording::{Fault, ObjectKey, OpenUpload, Operation, ParkReason};
use serde::Deserialize;

use super::bucket::Bucket;
use super::multipart::is_plain;
use super::place::encode;
use super::xml;

const OPERATION: Operation = Operation::ListUploads;
/// Uploads in one page: with the longest keys and ids a page still fits into what is read of an
/// answer.
const PAGE: usize = 200;
/// Pages in one listing. What lies beyond is seen once some of these are gone.
const PAGES_MAX: usize = 25;

/// `<ListMultipartUploadsResult>`.
#[derive(Debug, Deserialize)]
struct Page {
    #[serde(rename = "IsTruncated")]
    is_truncated: bool,
    #[serde(rename = "EncodingType")]
    encoding_type: Option<String>,
    #[serde(rename = "NextKeyMarker")]
    next_key_marker: Option<String>,
    #[serde(rename = "NextUploadIdMarker")]
    next_upload_id_marker: Option<String>,
    #[serde(rename = "Upload", default)]
    uploads: Vec<Listed>,
}

/// One `<Upload>`.
#[derive(Debug, Deserialize)]
struct Listed {
    #[serde(rename = "Key")]
    key: String,
    #[serde(rename = "UploadId")]
    upload_id: String,
    #[serde(rename = "Initiated")]
    initiated: DateTime<Utc>,
}

/// Where a page ended, and the next one begins.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Marker {
    key: String,
    upload_id: String,
}

impl Bucket {
    /// The open uploads below a prefix, in the order of their keys: the first 5,000.
    pub(crate) async fn open_uploads(&self, prefix: &str) -> Result<Vec<OpenUpload>, Fault> {
        let mut uploads = Vec::new();
        let mut marker = None;
        for _ in 0..PAGES_MAX {
            let ask = self.ask(
                OPERATION,
                Method::GET,
                None,
                &query(prefix, marker.as_ref()),
            )?;
            let answer = self.exchange(&ask).await;
            let answer = answer.map_err(|trouble| trouble.fault(OPERATION))?;
            let (listed, next) = understood(&answer.body, prefix, marker.as_ref())?;
            uploads.extend(listed);
            marker = next;
            if marker.is_none() {
                return Ok(uploads);
            }
        }
        tracing::info!(
            uploads = uploads.len(),
            "more uploads are open than are listed"
        );
        Ok(uploads)
    }
}

fn query(prefix: &str, marker: Option<&Marker>) -> String {
    // In plain XML a key with control characters could not be read, nor anything listed with it.
    let mut query = format!(
        "encoding-type=url&max-uploads={PAGE}&prefix={}",
        encode(prefix)
    );
    if let Some(Marker { key, upload_id }) = marker {
        let (key, upload_id) = (encode(key), encode(upload_id));
        query = format!("{query}&key-marker={key}&upload-id-marker={upload_id}");
    }
    query.push_str("&uploads=");
    query
}

fn understood(
    body: &[u8],
    prefix: &str,
    before: Option<&Marker>,
) -> Result<(Vec<OpenUpload>, Option<Marker>), Fault> {
    let page: Option<Page> = match xml::root(body).as_deref() {
        Some("ListMultipartUploadsResult") => xml::parse(body),
        Some(_) | None => None,
    };
    let page = page.ok_or_else(|| cannot("the answer cannot be understood"))?;
    let escaped = match page.encoding_type.as_deref() {
        Some("url") => true,
        None | Some("") => false,
        Some(_) => return Err(cannot("the keys are in an unknown encoding")),
    };
    let mut uploads = Vec::with_capacity(page.uploads.len());
    for listed in page.uploads {
        let key = read_key(listed.key, escaped)?;
        if !key.starts_with(prefix) {
            return Err(cannot("a key outside of what was asked for is listed"));
        }
        if !is_plain(&listed.upload_id) {
            return Err(cannot("an upload's id is none"));
        }
        uploads.push(OpenUpload {
            key: ObjectKey::remembered(key),
            upload_id: listed.upload_id,
            begun_at: listed.initiated,
        });
    }
    if !page.is_truncated {
        return Ok((uploads, None));
    }
    let Some(key) = page.next_key_marker.filter(|key| !key.is_empty()) else {
        return Err(cannot("there is more, and the answer does not say where"));
    };
    let next = Marker {
        key: read_key(key, escaped)?,
        upload_id: page.next_upload_id_marker.unwrap_or_default(),
    };
    if uploads.is_empty() || before == Some(&next) {
        return Err(cannot("there is more, and the listing does not get on"));
    }
    Ok((uploads, Some(next)))
}

fn read_key(key: String, escaped: bool) -> Result<String, Fault> {
    xml::listed_key(key, escaped).ok_or_else(|| cannot("a key is no text"))
}

fn cannot(what: &str) -> Fault {
    Fault::new(
        ParkReason::OutcomeUnknown,
        format!("{}: {what}", OPERATION.as_str()),
    )
}

#[cfg(test)]
mod tests;
