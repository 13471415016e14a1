//! What new objects are given in an S3 bucket besides their bytes: encryption, tags, an owner.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The most tags that S3 keeps for an object.
const TAGS_MAX: usize = 10;
/// The longest key of a tag, in characters.
const KEY_CHARS_MAX: usize = 128;
/// The longest value of one, in characters.
const VALUE_CHARS_MAX: usize = 256;

/// How S3 encrypts new objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encryption {
    /// Under keys that S3 manages (SSE-S3).
    S3,
    /// Under a KMS key (SSE-KMS): the destination's, or else the one that AWS manages.
    Kms,
}

impl Encryption {
    /// The word in the ledger and on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Kms => "kms",
        }
    }
}

impl FromStr for Encryption {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "s3" => Ok(Self::S3),
            "kms" => Ok(Self::Kms),
            other => Err(format!("`{other}` is no encryption of S3: `s3` or `kms`")),
        }
    }
}

/// What new objects are given besides their bytes. The default leaves all of it to the bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct S3Options {
    /// How S3 encrypts them; `None` leaves it to the bucket, unless the destination names a key.
    pub sse: Option<Encryption>,
    /// Whether one key of the bucket's serves many objects, which saves calls of KMS. It means
    /// nothing without KMS.
    pub bucket_key: bool,
    /// Their tags.
    pub tags: ObjectTags,
    /// Whether the bucket's owner is given every right to them: for buckets that leave objects to
    /// whoever writes them.
    pub bucket_owner_full_control: bool,
}

/// Tags as S3 takes them: at most ten, of the characters that every service of AWS takes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(
    try_from = "BTreeMap<String, String>",
    into = "BTreeMap<String, String>"
)]
pub struct ObjectTags(BTreeMap<String, String>);

/// Why tags are none. It repeats nothing that could be taken for a terminal's commands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MalformedTags {
    /// There are too many.
    #[error("S3 keeps at most {TAGS_MAX} tags for an object")]
    TooMany,
    /// A key is empty, too long, or has characters that S3 does not take.
    #[error("a tag's key has 1 to {KEY_CHARS_MAX} letters, digits, spaces and + - = . _ : / @")]
    Key,
    /// A key begins as AWS's own do.
    #[error("a tag's key must not begin with `aws:`, which AWS keeps for itself")]
    Reserved,
    /// A value is too long, or has characters that S3 does not take.
    #[error(
        "a tag's value has at most {VALUE_CHARS_MAX} letters, digits, spaces and + - = . _ : / @"
    )]
    Value,
    /// One key has two values.
    #[error("a tag's key is there twice")]
    Twice,
}

impl ObjectTags {
    /// Tags, if S3 would take them.
    ///
    /// # Errors
    /// What S3 would not take.
    pub fn new(tags: impl IntoIterator<Item = (String, String)>) -> Result<Self, MalformedTags> {
        let mut known = BTreeMap::new();
        for (key, value) in tags {
            if key.is_empty() || !fits(&key, KEY_CHARS_MAX) {
                return Err(MalformedTags::Key);
            }
            if key.to_ascii_lowercase().starts_with("aws:") {
                return Err(MalformedTags::Reserved);
            }
            if !fits(&value, VALUE_CHARS_MAX) {
                return Err(MalformedTags::Value);
            }
            if known.insert(key, value).is_some() {
                return Err(MalformedTags::Twice);
            }
        }
        if known.len() > TAGS_MAX {
            return Err(MalformedTags::TooMany);
        }
        Ok(Self(known))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keys and values, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

fn fits(text: &str, chars_max: usize) -> bool {
    let taken = |c: char| c.is_alphanumeric() || c == ' ' || "+-=._:/@".contains(c);
    text.chars().count() <= chars_max && text.chars().all(taken)
}

impl TryFrom<BTreeMap<String, String>> for ObjectTags {
    type Error = MalformedTags;
    fn try_from(tags: BTreeMap<String, String>) -> Result<Self, MalformedTags> {
        Self::new(tags)
    }
}

impl From<ObjectTags> for BTreeMap<String, String> {
    fn from(tags: ObjectTags) -> Self {
        tags.0
    }
}

impl fmt::Display for ObjectTags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (key, value)) in self.iter().enumerate() {
            let between = if number == 0 { "" } else { ", " };
            write!(f, "{between}{key}={value}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(pairs: &[(&str, &str)]) -> Result<ObjectTags, MalformedTags> {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        ObjectTags::new(pairs.iter().map(owned))
    }

    #[test]
    fn tags_are_what_s3_takes() {
        let good = [
            ("team", "sales"),
            ("Büro", "größe 1"),
            ("a:b/c@d", "+-=._:/@"),
            ("empty", ""),
        ];
        let good = tags(&good).unwrap();
        let shown = "Büro=größe 1, a:b/c@d=+-=._:/@, empty=, team=sales";
        assert_eq!(good.to_string(), shown);
        let json = serde_json::to_string(&good).unwrap();
        assert_eq!(serde_json::from_str::<ObjectTags>(&json).unwrap(), good);
        let (long_key, long_value) = ("k".repeat(129), "v".repeat(257));
        for (bad, why) in [
            (("", "v"), MalformedTags::Key),
            (("a&b", "v"), MalformedTags::Key),
            (("a\nb", "v"), MalformedTags::Key),
            ((&long_key, "v"), MalformedTags::Key),
            (("AWS:x", "v"), MalformedTags::Reserved),
            (("k", "v?"), MalformedTags::Value),
            (("k", &long_value), MalformedTags::Value),
        ] {
            assert_eq!(tags(&[bad]), Err(why), "{bad:?}");
        }
        assert_eq!(tags(&[("k", "1"), ("k", "2")]), Err(MalformedTags::Twice));
        let many: Vec<String> = (0..11).map(|number| number.to_string()).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|key| (key.as_str(), "")).collect();
        assert_eq!(tags(&many), Err(MalformedTags::TooMany));
        assert!(tags(&many[1..]).is_ok());
        assert!(serde_json::from_str::<ObjectTags>(r#"{"aws:x":""}"#).is_err());
    }
}
