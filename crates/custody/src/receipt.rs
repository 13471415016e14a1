//! A receipt outside: signing one, finding one in a document, verifying it.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use recording::{MAX_EVENT_BYTES, SignedReceipt, Statement, strict_document};
use serde_json::{Value, json};

use crate::key::SigningKey;
use crate::trusted::TrustedKeys;

/// The only algorithm.
const ALG: &str = "EdDSA";
/// What keeps a receipt from being taken for anything else that is signed in this way.
const TYP: &str = "callferry-receipt+jwt";

/// A receipt that was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// What it states.
    pub statement: Statement,
    /// The key that signed it.
    pub key_id: String,
}

/// Why something is no valid receipt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// It is neither a receipt nor an event.
    #[error("it is neither a receipt nor an event of callferry: {0}")]
    NotAReceipt(&'static str),
    /// An event that was published without one.
    #[error("the event carries no signed receipt: it was published without a key")]
    Unsigned,
    /// Its header is not the one that receipts have.
    #[error("its header is not a receipt's: {0}")]
    Header(&'static str),
    /// None of the keys signed it, or none that is there.
    #[error("key {0} is not among the public keys")]
    UnknownKey(String),
    /// It is not what was signed.
    #[error("its signature is not the key's: it was changed, or never signed")]
    Signature,
    /// The signed bytes are no statement of this release's.
    #[error("what was signed is no statement: {0}")]
    Statement(recording::MalformedStatement),
    /// The event around it tells something else.
    #[error("the event says otherwise than its receipt: `{0}`")]
    Differs(String),
}

/// Signs a statement. `None`: it cannot be written, or the library fails.
pub(crate) fn sign(statement: &Statement, key: &SigningKey) -> Option<SignedReceipt> {
    let header = json!({ "alg": ALG, "kid": key.public().id(), "typ": TYP });
    let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let payload = statement.payload().ok()?;
    let header = encode(header.to_string().as_bytes());
    let message = format!("{header}.{}", encode(&payload));
    let signature = key.sign(message.as_bytes())?;
    Some(SignedReceipt::new(format!(
        "{message}.{}",
        encode(&signature)
    )))
}

/// Verifies a receipt by itself.
///
/// # Errors
/// See [`Invalid`]; nothing of an invalid one is told.
pub fn verify(receipt: &str, keys: &TrustedKeys) -> Result<Receipt, Invalid> {
    let not = Invalid::NotAReceipt;
    if receipt.len() > MAX_EVENT_BYTES {
        return Err(not("it is larger than 256 KiB"));
    }
    let (message, signature) = receipt.rsplit_once('.').ok_or(not("it has no signature"))?;
    let (header, payload) = message.split_once('.').ok_or(not("it has no header"))?;
    let decode = |part: &str| {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(part);
        bytes.map_err(|_| not("a part of it is not base64url"))
    };
    let (header, payload, signature) = (decode(header)?, decode(payload)?, decode(signature)?);
    let key_id = key_id(&header)?;
    let key = keys.find(&key_id);
    let key = key.ok_or_else(|| Invalid::UnknownKey(shown(&key_id)))?;
    if !key.signed(message.as_bytes(), &signature) {
        return Err(Invalid::Signature);
    }
    let statement = Statement::read(&payload).map_err(Invalid::Statement)?;
    Ok(Receipt { statement, key_id })
}

/// Reads a header: exactly the three fields that there are. Whatever else could stand in one (a
/// key, a place of keys, an extension that must be understood) is refused, not ignored.
fn key_id(header: &[u8]) -> Result<String, Invalid> {
    let document = strict_document(header).ok_or(Invalid::Header("it is not strict JSON"))?;
    let fields = document.as_object();
    let fields = fields.ok_or(Invalid::Header("it is no object"))?;
    let text = |name: &str| fields.get(name).and_then(Value::as_str);
    if text("alg") != Some(ALG) {
        return Err(Invalid::Header("its `alg` is not EdDSA"));
    }
    if text("typ") != Some(TYP) {
        return Err(Invalid::Header("its `typ` is not callferry-receipt+jwt"));
    }
    let key_id = text("kid").ok_or(Invalid::Header("it has no `kid`"))?;
    if fields.len() == 3 {
        Ok(key_id.to_owned())
    } else {
        Err(Invalid::Header("it has a field that receipts do not have"))
    }
}

/// A name that a stranger wrote, short enough to be repeated.
fn shown(key_id: &str) -> String {
    let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    key_id.chars().filter(plain).take(64).collect()
}

/// Verifies what is in a document: an event that carries a receipt, a JSON text, or the bare
/// receipt. What an event says besides must be what was signed.
///
/// # Errors
/// See [`Invalid`].
pub fn found_in(document: &[u8], keys: &TrustedKeys) -> Result<Receipt, Invalid> {
    let not = Invalid::NotAReceipt;
    if document.len() > MAX_EVENT_BYTES {
        return Err(not("it is larger than 256 KiB"));
    }
    let text = std::str::from_utf8(document).map_err(|_| not("it is not UTF-8"))?;
    let text = text.trim();
    if !text.starts_with(['{', '"']) {
        return verify(text, keys);
    }
    let event = strict_document(text.as_bytes());
    let event = event.ok_or(not("it is not strict JSON: one document, and no key twice"))?;
    if let Value::String(receipt) = &event {
        return verify(receipt, keys);
    }
    let kind = event.get("type").and_then(Value::as_str);
    let kind = kind.and_then(|kind| kind.strip_prefix("callferry."));
    let kind = kind.ok_or(not("its `type` is none of callferry's"))?;
    let data = event.get("data").ok_or(not("it has no `data`"))?;
    let signed = match data.get("signed_receipt") {
        Some(Value::String(signed)) => signed,
        Some(_) => return Err(not("`data.signed_receipt` is no text")),
        None => return Err(Invalid::Unsigned),
    };
    let receipt = verify(signed, keys)?;
    same(&receipt.statement, kind, &event, data)?;
    Ok(receipt)
}

/// Whether an event says what its receipt states.
fn same(statement: &Statement, kind: &str, event: &Value, data: &Value) -> Result<(), Invalid> {
    if statement.name() != kind {
        return Err(Invalid::Differs("type".to_owned()));
    }
    let stated = statement.payload().ok();
    let stated = stated.and_then(|payload| strict_document(&payload));
    let stated = stated.ok_or(Invalid::Statement(recording::MalformedStatement::Fields))?;
    let id = match statement {
        Statement::Stored(_) => "acknowledgment_id",
        Statement::Expired(_) => "expiry_id",
    };
    if event.get("id") != stated.get(id) {
        return Err(Invalid::Differs("id".to_owned()));
    }
    for name in ["account_id", "recording_id"] {
        if data.get(name).is_none() {
            return Err(Invalid::Differs(format!("data.{name}")));
        }
    }
    for (name, fact) in stated.as_object().into_iter().flatten() {
        if data.get(name).is_some_and(|told| told != fact) {
            return Err(Invalid::Differs(format!("data.{name}")));
        }
    }
    match statement {
        Statement::Stored(_) => evidence(&stated, data),
        // The event's word for it is `why`.
        Statement::Expired(expired) if data.get("why") == Some(&json!(expired.reason)) => Ok(()),
        Statement::Expired(_) => Err(Invalid::Differs("data.why".to_owned())),
    }
}

/// The evidence of an acknowledgment, as its data has it beside the signed receipt. What is null
/// there may also be left out.
fn evidence(stated: &Value, data: &Value) -> Result<(), Invalid> {
    if data.get("location").is_none() {
        return Err(Invalid::Differs("data.location".to_owned()));
    }
    let receipt = data.get("receipt").unwrap_or(&Value::Null);
    for name in [
        "size_bytes",
        "sha256",
        "etag",
        "version_id",
        "checksum",
        "content_md5",
        "method",
        "stored_at",
    ] {
        let told = receipt.get(name).unwrap_or(&Value::Null);
        if told != stated.get(name).unwrap_or(&Value::Null) {
            return Err(Invalid::Differs(format!("data.receipt.{name}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
