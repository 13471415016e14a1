//! JSON as a cautious reader takes it: no duplicate keys (two parsers would disagree on which one
//! counts), no deep nesting, no trailing bytes. Serde's own parser allows all but the last.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// The deepest nesting an event may have.
const MAX_DEPTH: u32 = 16;
/// Words by which the two conditions are told from a syntax error in serde's error text.
pub(crate) const DUPLICATE: &str = "duplicate key";
pub(crate) const TOO_DEEP: &str = "nested deeper than 16";

/// Parses one document strictly.
///
/// # Errors
/// Serde's error; its text holds [`DUPLICATE`] or [`TOO_DEEP`] where those are the reason.
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Strict { depth: 0 }.deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

struct Strict {
    depth: u32,
}

impl Strict {
    fn below<E: Error>(&self) -> Result<Self, E> {
        if self.depth >= MAX_DEPTH {
            return Err(E::custom(TOO_DEEP));
        }
        Ok(Self {
            depth: self.depth.saturating_add(1),
        })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }
    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(self.below()?)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(self.below()?)?;
            if object.contains_key(&key) {
                return Err(A::Error::custom(DUPLICATE));
            }
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicate_keys_deep_nesting_and_trailing_bytes_are_refused() {
        assert!(parse(br#"{"a":1,"b":[1,2,{"c":null}]}"#).is_ok());
        let text = |bytes: &[u8]| parse(bytes).unwrap_err().to_string();
        assert!(text(br#"{"a":1,"a":2}"#).contains(DUPLICATE));
        assert!(text(br#"{"x":{"a":1,"a":1}}"#).contains(DUPLICATE));
        let deep = format!("{}1{}", "[".repeat(17), "]".repeat(17));
        assert!(text(deep.as_bytes()).contains(TOO_DEEP));
        assert!(parse(b"{} x").is_err());
        assert!(parse(b"\xef\xbb\xbf{}").is_err());
    }
}
