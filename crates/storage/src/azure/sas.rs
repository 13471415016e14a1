//! Shared access signatures: made from an account key for one blob, or the customer's own.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use chrono::{DateTime, NaiveDate, SecondsFormat, TimeDelta, Utc};
use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::percent_decode_str;
use recording::{Fault, ParkReason, Secret};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::place::Place;
use crate::exchange::encode;

/// The version of the service that we speak, and that the signature is made for.
pub(super) const VERSION: &str = "2023-11-03";
/// How long a signature is good: longer than any request may wait to be repeated, and than clocks
/// differ. The service judges it when the request arrives, not while bytes come in.
const LIFE: TimeDelta = TimeDelta::minutes(50);
/// The same for a deletion: little longer than the lease it is made under, so that the service
/// itself refuses one that a frozen process sends when it wakes.
const LIFE_TO_DELETE: TimeDelta = TimeDelta::minutes(5);

/// What may be done to the blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grant {
    /// Creating it, and nothing to one that is there.
    Create,
    /// Sending blocks and committing them.
    Blocks,
    /// Looking at it and reading it.
    Read,
    /// Deleting it.
    Delete,
    /// Deleting it and its earlier versions.
    DeleteVersion,
    /// Listing the container: the only grant that is not for one blob.
    List,
}

impl Grant {
    /// In the order that the service wants.
    fn as_str(self) -> &'static str {
        match self {
            Self::Create => "c",
            Self::Blocks => "cw",
            Self::Read => "r",
            Self::Delete => "d",
            Self::DeleteVersion => "dx",
            Self::List => "l",
        }
    }
}

/// Makes a service SAS for one blob, or for listing. It has no beginning: ours may be ahead of the
/// service's clock.
pub(super) fn mint(
    place: &Place,
    key: &str,
    grant: Grant,
    access_key: &str,
    now: DateTime<Utc>,
) -> Result<Secret, Fault> {
    let malformed = || {
        let detail = "the access key is not one: it must be base64";
        Fault::new(ParkReason::CredentialRefused, detail)
    };
    let raw = BASE64_STANDARD
        .decode(access_key)
        .map_err(|_| malformed())?;
    let raw = Zeroizing::new(raw);
    let mut mac = Hmac::<Sha256>::new_from_slice(&raw).map_err(|_| malformed())?;
    let life = match grant {
        Grant::Delete | Grant::DeleteVersion => LIFE_TO_DELETE,
        Grant::Create | Grant::Blocks | Grant::Read | Grant::List => LIFE,
    };
    let expiry = now.checked_add_signed(life).unwrap_or(now);
    let expiry = expiry.to_rfc3339_opts(SecondsFormat::Secs, true);
    let protocol = match place.plain_http {
        true => "https,http",
        false => "https",
    };
    let Place {
        storage_account,
        container,
        ..
    } = place;
    let permissions = grant.as_str();
    let (path, kind) = match grant {
        Grant::List => (String::new(), 'c'),
        Grant::Create | Grant::Blocks | Grant::Read | Grant::Delete | Grant::DeleteVersion => {
            (format!("/{key}"), 'b')
        }
    };
    // Permissions, start, expiry, resource, policy, addresses, protocol, version, kind of resource,
    // snapshot, encryption scope, and five headers of answers.
    let text = format!(
        "{permissions}\n\n{expiry}\n/blob/{storage_account}/{container}{path}\n\n\n\
         {protocol}\n{VERSION}\n{kind}\n\n\n\n\n\n\n"
    );
    mac.update(text.as_bytes());
    let signature = BASE64_STANDARD.encode(mac.finalize().into_bytes());
    Ok(Secret::new(format!(
        "sv={VERSION}&spr={}&se={}&sr={kind}&sp={permissions}&sig={}",
        encode(protocol),
        encode(&expiry),
        encode(&signature),
    )))
}

/// The customer's own, without a leading question mark.
///
/// # Errors
/// It is none, or it holds words that would change what a request does.
pub(super) fn given(token: &str) -> Result<&str, Fault> {
    let refused = |why: &str| Err(Fault::new(ParkReason::CredentialRefused, why));
    let token = token.trim().trim_start_matches('?');
    let mut signed = false;
    for pair in token.split('&') {
        let name = pair.split('=').next().unwrap_or_default();
        match name.to_ascii_lowercase().as_str() {
            "sig" => signed = true,
            "comp" | "restype" | "blockid" | "blocklisttype" | "snapshot" | "versionid"
            | "timeout" => {
                return refused("the SAS holds words of a request and is not used");
            }
            // An escaped name could be any of those.
            name if name.contains('%') => return refused("the SAS has an escaped name"),
            _ => {}
        }
    }
    let plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b'#' | b'?');
    if !signed || !token.bytes().all(plain) {
        return refused("the SAS is none: it must be a query with a signature");
    }
    Ok(token)
}

/// When a SAS ends, if it says so.
pub(crate) fn expiry(token: &str) -> Option<DateTime<Utc>> {
    let mut pairs = token.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(name, _)| *name == "se")?;
    let text = percent_decode_str(value).decode_utf8().ok()?;
    if let Ok(time) = DateTime::parse_from_rfc3339(&text) {
        return Some(time.with_timezone(&Utc));
    }
    let with_seconds = format!("{}:00Z", text.trim_end_matches('Z'));
    if let Ok(time) = DateTime::parse_from_rfc3339(&with_seconds) {
        return Some(time.with_timezone(&Utc));
    }
    let day = text.parse::<NaiveDate>().ok()?;
    Some(day.and_hms_opt(0, 0, 0)?.and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_sas_is_read_in_each_form_that_azure_takes() {
        let end = |token| expiry(token).map(|time| time.to_rfc3339());
        let noon = Some("2026-11-22T12:00:00+00:00".to_owned());
        assert_eq!(end("sv=x&se=2026-11-22T12%3A00%3A00Z&sig=y"), noon);
        assert_eq!(end("se=2026-11-22T12:00Z"), noon);
        let midnight = Some("2026-11-22T00:00:00+00:00".to_owned());
        assert_eq!(end("se=2026-11-22"), midnight);
        assert_eq!(end("sv=x&si=policy&sig=y"), None);
        assert_eq!(end("se=soon"), None);
    }

    #[test]
    fn a_sas_of_the_customer_cannot_change_what_a_request_does() {
        assert_eq!(given("?sv=x&sig=a%2Bb%3D").unwrap(), "sv=x&sig=a%2Bb%3D");
        assert_eq!(given(" sv=x&sig=y\n").unwrap(), "sv=x&sig=y");
        for bad in [
            "",
            "sv=x",
            "sig=y&comp=metadata",
            "sig=y&versionId=3",
            "sig=y&%63omp=metadata",
            "sig=y z",
            "sig=y#",
        ] {
            let fault = given(bad).unwrap_err();
            assert_eq!(fault.reason, ParkReason::CredentialRefused, "{bad}");
            assert!(bad.is_empty() || !fault.detail.contains(bad));
        }
    }
}
