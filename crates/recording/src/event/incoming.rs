//! Reading events. Every byte string ends in an [`Incoming`] or in one [`Refusal`] that names the
//! field and what it must be.

use std::collections::BTreeMap;
use std::str::FromStr;

use chrono::{DateTime, Datelike, Utc};
use serde_json::{Map, Value};

use super::{
    Announced, AnnouncedOriginal, CLEANUP_DUE, COMPLETED, Due, Incoming, MAX_EVENT_BYTES, STORED,
    StoredAnnouncement, TRANSFER_DUE,
};
use crate::strict_json::{DUPLICATE, TOO_DEEP};
use crate::{
    Delivery, Receipt, RecordingKey, Refusal, RefusalReason, StagingPath, UnsafePath, strict_json,
};

/// The largest integer that every JSON reader keeps exactly.
const MAX_SAFE_INTEGER: u64 = 1 << 53;
/// All attributes together, keys and values.
const MAX_ATTRIBUTE_BYTES: usize = 2048;
/// Any other text.
const MAX_TEXT_BYTES: usize = 1024;

type Object = Map<String, Value>;

/// Reads one delivery.
///
/// # Errors
/// The refusal with which it goes to quarantine.
pub fn parse(delivery: &Delivery) -> Result<Incoming, Refusal> {
    check_properties(delivery)?;
    let value = strict_json::parse(&delivery.body).map_err(|error| not_json(&error))?;
    let Value::Object(event) = value else {
        return Err(wrong("(top)", "must be an object"));
    };
    match text(&event, "specversion")? {
        "1.0" => {}
        _ => return Err(wrong("specversion", "must be \"1.0\"")),
    }
    text(&event, "id")?;
    text(&event, "source")?;
    let said_at = optional_text(&event, "time")?
        .map(|time| instant("time", time))
        .transpose()?;
    let kind = text(&event, "type")?.to_owned();
    let data = match event.get("data") {
        Some(Value::Object(data)) => data,
        Some(_) => return Err(wrong("data", "must be an object")),
        None => return Err(missing("data")),
    };
    match kind.as_str() {
        COMPLETED => {
            let announced = completed(data)?;
            if let Some(subject) = optional_text(&event, "subject")?
                && subject != announced.key.recording_id.as_str()
            {
                return Err(wrong("subject", "must be data.recording_id"));
            }
            Ok(Incoming::Completed(Box::new(announced), said_at))
        }
        STORED => Ok(Incoming::Stored(Box::new(stored(data)?))),
        TRANSFER_DUE => Ok(Incoming::TransferDue(Due { key: key(data)? })),
        CLEANUP_DUE => Ok(Incoming::CleanupDue(Due { key: key(data)? })),
        _ => Err(Refusal::new(
            RefusalReason::UnknownType,
            "type: not an event, or not a version of one, that this release knows",
        )),
    }
}

fn check_properties(delivery: &Delivery) -> Result<(), Refusal> {
    if delivery.body.len() > MAX_EVENT_BYTES {
        let detail = format!("{} bytes; at most {MAX_EVENT_BYTES}", delivery.body.len());
        return Err(Refusal::new(RefusalReason::TooLarge, detail));
    }
    let refuse = |detail| Err(Refusal::new(RefusalReason::ContentType, detail));
    if let Some(encoding) = &delivery.content_encoding
        && !matches!(
            encoding.to_ascii_lowercase().as_str(),
            "" | "utf-8" | "utf8" | "identity"
        )
    {
        return refuse("content_encoding: must be absent; nothing is decompressed");
    }
    let Some(content_type) = &delivery.content_type else {
        return Ok(());
    };
    let mut parts = content_type
        .split(';')
        .map(|part| part.trim().to_ascii_lowercase());
    let essence = parts.next().unwrap_or_default();
    let charset_fits = parts.all(|p| !p.starts_with("charset=") || p == "charset=utf-8");
    if matches!(
        essence.as_str(),
        "application/cloudevents+json" | "application/json"
    ) && charset_fits
    {
        Ok(())
    } else {
        refuse("content_type: must be application/cloudevents+json in UTF-8")
    }
}

fn not_json(error: &serde_json::Error) -> Refusal {
    let text = error.to_string();
    let place = format!("at line {} column {}", error.line(), error.column());
    if text.contains(DUPLICATE) {
        Refusal::new(
            RefusalReason::DuplicateKey,
            format!("a key stands twice {place}"),
        )
    } else if text.contains(TOO_DEEP) || text.contains("recursion limit") {
        Refusal::new(
            RefusalReason::TooDeep,
            format!("nested deeper than 16 {place}"),
        )
    } else {
        Refusal::new(
            RefusalReason::NotJson,
            format!("not one JSON document: wrong {place}"),
        )
    }
}

fn missing(field: &str) -> Refusal {
    Refusal::new(RefusalReason::MissingField, format!("{field}: is missing"))
}

fn wrong(field: &str, must: &str) -> Refusal {
    Refusal::new(RefusalReason::WrongField, format!("{field}: {must}"))
}

fn optional_text<'a>(object: &'a Object, field: &str) -> Result<Option<&'a str>, Refusal> {
    match object.get(field) {
        None => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Err(wrong(field, "must not be empty")),
        Some(Value::String(text)) if text.len() > MAX_TEXT_BYTES => {
            Err(wrong(field, "must have at most 1024 bytes"))
        }
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(wrong(field, "must be a text")),
    }
}

fn text<'a>(object: &'a Object, field: &str) -> Result<&'a str, Refusal> {
    optional_text(object, field)?.ok_or_else(|| missing(field))
}

fn word<T: FromStr<Err: std::fmt::Display>>(object: &Object, field: &str) -> Result<T, Refusal> {
    text(object, field)?
        .parse()
        .map_err(|error: T::Err| wrong(field, &error.to_string()))
}

fn integer(object: &Object, field: &str) -> Result<Option<u64>, Refusal> {
    match object.get(field) {
        None => Ok(None),
        Some(value) => match value.as_u64() {
            Some(number) if number <= MAX_SAFE_INTEGER => Ok(Some(number)),
            Some(_) | None => Err(wrong(field, "must be a whole number from 0 to 2^53")),
        },
    }
}

/// RFC 3339 with an offset, in a year that a recording can be from. Leap seconds are refused:
/// neither the ledger nor the key can keep them.
fn instant(field: &str, text: &str) -> Result<DateTime<Utc>, Refusal> {
    let must = "must be an RFC 3339 time with offset, year 1990 to 2200";
    let at = DateTime::parse_from_rfc3339(text)
        .map_err(|_| wrong(field, must))?
        .to_utc();
    let leap = at.timestamp_subsec_nanos() >= 1_000_000_000;
    if (1990..=2200).contains(&at.year()) && !leap {
        Ok(at)
    } else {
        Err(wrong(field, must))
    }
}

fn key(data: &Object) -> Result<RecordingKey, Refusal> {
    Ok(RecordingKey {
        account_id: word(data, "account_id")?,
        recording_id: word(data, "recording_id")?,
    })
}

fn completed(data: &Object) -> Result<Announced, Refusal> {
    let key = key(data)?;
    let started_at = instant("started_at", text(data, "started_at")?)?;
    let completed_at = instant("completed_at", text(data, "completed_at")?)?;
    if started_at > completed_at {
        return Err(wrong("started_at", "must not be after completed_at"));
    }
    let media_type = text(data, "media_type")?;
    let plain = media_type
        .bytes()
        .all(|b| b.is_ascii_graphic() || b == b' ');
    if !plain || !media_type.contains('/') || media_type.len() > 127 {
        return Err(wrong(
            "media_type",
            "must be a media type such as audio/wav",
        ));
    }
    let original = match data.get("original") {
        Some(Value::Object(original)) => self::original(&key, original)?,
        Some(_) => return Err(wrong("original", "must be an object")),
        None => return Err(missing("original")),
    };
    Ok(Announced {
        interaction_id: word(data, "interaction_id")?,
        kind: word(data, "kind")?,
        media_type: media_type.to_owned(),
        started_at,
        completed_at,
        duration_ms: integer(data, "duration_ms")?,
        original,
        attributes: attributes(data)?,
        key,
    })
}

fn original(key: &RecordingKey, original: &Object) -> Result<AnnouncedOriginal, Refusal> {
    let path = text(original, "path").map_err(|refusal| below("original", refusal))?;
    let path = StagingPath::new(&key.account_id, path).map_err(|unsafe_path| {
        let reason = match unsafe_path {
            UnsafePath::OutsideAccount | UnsafePath::Malformed => RefusalReason::UnsafePath,
            UnsafePath::TooLong => RefusalReason::WrongField,
        };
        Refusal::new(reason, format!("original.path: {unsafe_path}"))
    })?;
    let size_bytes = integer(original, "size_bytes")
        .and_then(|size| size.ok_or_else(|| missing("size_bytes")))
        .map_err(|refusal| below("original", refusal))?;
    let sha256 = match original.get("sha256") {
        None => None,
        Some(_) => Some(word(original, "sha256").map_err(|refusal| below("original", refusal))?),
    };
    Ok(AnnouncedOriginal {
        path,
        size_bytes,
        sha256,
    })
}

fn below(parent: &str, refusal: Refusal) -> Refusal {
    Refusal {
        detail: format!("{parent}.{}", refusal.detail),
        ..refusal
    }
}

fn attributes(data: &Object) -> Result<BTreeMap<String, String>, Refusal> {
    let object = match data.get("attributes") {
        None => return Ok(BTreeMap::new()),
        Some(Value::Object(object)) => object,
        Some(_) => return Err(wrong("attributes", "must be an object of texts")),
    };
    let mut attributes = BTreeMap::new();
    let mut total = 0_usize;
    for (name, value) in object {
        let Value::String(value) = value else {
            return Err(wrong("attributes", "must hold texts only"));
        };
        if name.chars().chain(value.chars()).any(char::is_control) {
            return Err(wrong("attributes", "must not hold control characters"));
        }
        total = total.saturating_add(name.len()).saturating_add(value.len());
        attributes.insert(name.clone(), value.clone());
    }
    if total > MAX_ATTRIBUTE_BYTES {
        return Err(wrong("attributes", "must have at most 2048 bytes together"));
    }
    Ok(attributes)
}

/// Three parts in base64url, the last one 64 bytes long. Who signed it is no matter of cleanup's:
/// it acts on nothing but the row.
fn is_compact_jws(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    let whole = parts
        .iter()
        .all(|part| !part.is_empty() && part.bytes().all(plain));
    whole && parts.len() == 3 && parts.last().is_some_and(|last| last.len() == 86)
}

fn stored(data: &Object) -> Result<StoredAnnouncement, Refusal> {
    let receipt = data.get("receipt").ok_or_else(|| missing("receipt"))?;
    // Serde's own text would repeat the body.
    let receipt: Receipt = serde_json::from_value(receipt.clone())
        .map_err(|_| wrong("receipt", "must be a receipt as this service writes it"))?;
    // A year that the ledger cannot keep must not get as far as the ledger.
    if !(1..=9999).contains(&receipt.stored_at.year()) {
        return Err(wrong("receipt", "stored_at must be in the years 1 to 9999"));
    }
    let is_signed = |signed: &Value| signed.as_str().is_some_and(is_compact_jws);
    if !data.get("signed_receipt").is_none_or(is_signed) {
        return Err(wrong("signed_receipt", "must be a JWS in its compact form"));
    }
    Ok(StoredAnnouncement {
        key: key(data)?,
        receipt,
    })
}
