//! What an account key signs, written from Azure's documentation and apart from the service's own
//! code, so that each checks the other through Azurite.

use anyhow::{Context, Result};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use chrono::{DateTime, SecondsFormat, Utc};
use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{AUTHORIZATION, HeaderValue};
use sha2::Sha256;

use crate::entra::now;

const VERSION: &str = "2023-11-03";

/// Signs a request by "Shared Key".
pub(super) fn sign(request: &mut reqwest::Request, account: &str, key: &str) -> Result<()> {
    let date = now().format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let headers = request.headers_mut();
    headers.insert("x-ms-date", HeaderValue::from_str(&date)?);
    headers.insert("x-ms-version", HeaderValue::from_static(VERSION));
    let length = request.body().and_then(reqwest::Body::as_bytes);
    let length = match length.map_or(0, <[u8]>::len) {
        0 => String::new(),
        length => length.to_string(),
    };
    let mut named: Vec<String> = request
        .headers()
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("x-ms-"))
        .map(|(name, value)| format!("{name}:{}\n", String::from_utf8_lossy(value.as_bytes())))
        .collect();
    named.sort();
    let mut query: Vec<String> = request
        .url()
        .query_pairs()
        .map(|(name, value)| format!("\n{name}:{value}"))
        .collect();
    query.sort();
    // Method, encoding, language, length, MD5, type, date, four conditions, range.
    let text = format!(
        "{}\n\n\n{length}\n\n\n\n\n\n\n\n\n{}/{account}{}{}",
        request.method(),
        named.concat(),
        request.url().path(),
        query.concat()
    );
    let value = format!("SharedKey {account}:{}", signature(key, &text)?);
    request
        .headers_mut()
        .insert(AUTHORIZATION, HeaderValue::from_str(&value)?);
    Ok(())
}

/// A service SAS for a container.
pub(super) fn container_sas(
    account: &str,
    key: &str,
    container: &str,
    (permissions, expiry): (&str, DateTime<Utc>),
) -> String {
    let expiry = expiry.to_rfc3339_opts(SecondsFormat::Secs, true);
    let resource = format!("/blob/{account}/{container}");
    let fields = [
        permissions,
        "",
        &expiry,
        &resource,
        "",
        "",
        "",
        VERSION,
        "c",
        "",
        "",
        "",
        "",
        "",
        "",
        "",
    ];
    let signature = signature(key, &fields.join("\n")).unwrap_or_default();
    let escape = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    format!(
        "sv={VERSION}&se={}&sr=c&sp={permissions}&sig={}",
        escape(&expiry),
        escape(&signature)
    )
}

fn signature(key: &str, text: &str) -> Result<String> {
    let key = BASE64_STANDARD
        .decode(key)
        .context("the key is no base64")?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).context("no key for an HMAC")?;
    mac.update(text.as_bytes());
    Ok(BASE64_STANDARD.encode(mac.finalize().into_bytes()))
}
