//! What a shared access signature says about itself, read without a network. Only its own parts
//! are judged; whether Azure accepts it, a look at the destination tells.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use percent_encoding::percent_decode_str;

use crate::admin::AdminFault;

const MAKE_ONE: &str = "make one for the container with an expiry of its own and permissions to \
                        read, create and list: `az storage container generate-sas --permissions \
                        rcl --expiry …`";

fn refuse(why: &str) -> AdminFault {
    AdminFault::refused(why, MAKE_ONE)
}

/// Checks the query string of a SAS. What is refused is told without quoting it.
pub(crate) fn check(sas: &str, now: DateTime<Utc>) -> Result<(), AdminFault> {
    if sas.starts_with('?') || sas.contains("://") {
        return Err(refuse(
            "the SAS is not only the query string, without a question mark",
        ));
    }
    let mut parts = BTreeMap::new();
    for pair in sas.split('&') {
        let Some((name, value)) = pair.split_once('=') else {
            return Err(refuse("the SAS is not a query string"));
        };
        let value = percent_decode_str(value).decode_utf8();
        let value = value.map_err(|_| refuse("the SAS is not a query string"))?;
        if parts.insert(name, value).is_some() {
            return Err(refuse("the SAS says something twice"));
        }
    }
    let of = |name: &str| parts.get(name).map(AsRef::as_ref).unwrap_or_default();
    for (name, what) in [
        ("sig", "signature (sig)"),
        ("se", "expiry (se)"),
        ("sp", "permissions (sp)"),
    ] {
        if of(name).is_empty() {
            return Err(refuse(&format!("the SAS has no {what}")));
        }
    }
    let ends = instant(of("se")).ok_or_else(|| refuse("the expiry of the SAS is not a time"))?;
    if ends <= now {
        return Err(refuse(&format!("the SAS expired at {ends}")));
    }
    let allowed = of("sp");
    if !allowed.contains('r') || !allowed.contains(['c', 'w']) {
        return Err(refuse("the SAS does not permit both reading and creating"));
    }
    // `sr` is a service SAS's; an account SAS names services in `ss`.
    let (resource, services) = (of("sr"), of("ss"));
    if resource.starts_with('b') || !(services.is_empty() || services.contains('b')) {
        return Err(refuse("the SAS is not one for a container of blobs"));
    }
    Ok(())
}

/// When a SAS ends; `None` if it does not say so in a way that can be read.
pub(crate) fn expiry(sas: &str) -> Option<DateTime<Utc>> {
    let (_, end) = sas
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(name, _)| *name == "se")?;
    instant(&percent_decode_str(end).decode_utf8().ok()?)
}

/// A time as SAS writes it: a day, or to the minute, or finer.
fn instant(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(instant) = DateTime::parse_from_rfc3339(text) {
        return Some(instant.to_utc());
    }
    if let Ok(minute) = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%MZ") {
        return Some(minute.and_utc());
    }
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    Some(day.and_hms_opt(0, 0, 0)?.and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(sas: &str) -> Option<String> {
        let now = "2024-05-01T12:00:00Z".parse().unwrap();
        check(sas, now).err().map(|refused| {
            assert!(refused.hint().contains("generate-sas"));
            let why = refused.to_string();
            assert!(!why.contains("S3CRET"), "{why}");
            why
        })
    }

    #[test]
    fn a_sas_that_can_read_and_create_until_later_is_taken() {
        for good in [
            "sv=2023-11-03&sr=c&sp=rcl&se=2024-05-01T12%3A00%3A01Z&sig=S3CRET%3D",
            "sv=2023-11-03&ss=bf&srt=o&sp=rwdlac&se=2024-05-01T12:01Z&sig=S3CRET%3D",
            "se=2024-05-02&sp=rw&sig=S3CRET",
            "se=2024-05-01T14:00:01%2B01:00&sp=rc&sig=S3CRET",
            "se=2024-06-01T00:00:00.0000000Z&sp=rc&sig=S3CRET",
        ] {
            assert_eq!(why(good), None, "{good}");
        }
    }

    #[test]
    fn a_sas_that_cannot_serve_is_refused_without_being_quoted() {
        for (bad, names) in [
            ("?se=2024-05-02&sp=rc&sig=S3CRET", "question mark"),
            ("https://a.test/c?se=2024-05-02&sp=rc&sig=S3CRET", "only"),
            ("S3CRET", "query string"),
            ("se=2024-05-02&sp=rc&sig=%FF", "query string"),
            ("se=2024-05-02&sp=rc", "signature"),
            ("se=2024-05-02&sp=rc&sig=", "signature"),
            ("sp=rc&sig=S3CRET", "expiry"),
            ("se=S3CRET&sp=rc&sig=S3CRET", "not a time"),
            ("se=2024-05-01T12:00:00Z&sp=rc&sig=S3CRET", "expired"),
            ("se=2024-05-01&sp=rc&sig=S3CRET", "expired"),
            ("se=2024-05-02&sig=S3CRET", "permissions"),
            ("se=2024-05-02&sp=cwl&sig=S3CRET", "reading"),
            ("se=2024-05-02&sp=rl&sig=S3CRET", "creating"),
            ("se=2024-05-02&se=2030-05-02&sp=rc&sig=S3CRET", "twice"),
            ("se=2024-05-02&sp=rc&sr=b&sig=S3CRET", "container"),
            ("se=2024-05-02&sp=rc&ss=qt&sig=S3CRET", "container"),
        ] {
            let why = why(bad);
            assert!(
                why.as_ref().is_some_and(|why| why.contains(names)),
                "{bad}: {why:?}"
            );
        }
    }
}
