//! The form of requests: escaping, and headers whose values somebody else chose.

use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use recording::{Fault, ParkReason};

/// What AWS leaves unescaped in a path, besides the slash: the unreserved characters. Azure takes
/// any escaping.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
const KEY: &AsciiSet = &VALUE.remove(b'/');

/// Escapes a query value as AWS does before it signs.
pub(crate) fn encode(value: &str) -> String {
    utf8_percent_encode(value, VALUE).to_string()
}

/// Escapes a key for a path, its slashes excepted.
pub(crate) fn encode_key(key: &str) -> String {
    utf8_percent_encode(key, KEY).to_string()
}

/// A request that cannot be made as the destination wants it.
pub(crate) fn unusable(what: &str) -> Fault {
    Fault::new(ParkReason::DestinationRefused, what)
}

/// Adds a header whose value somebody else chose.
pub(crate) fn put_header(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), Fault> {
    let cannot = || unusable(&format!("the value of {name} cannot be sent in a header"));
    let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| cannot())?;
    let value = HeaderValue::from_str(value).map_err(|_| cannot())?;
    headers.insert(header, value);
    Ok(())
}
