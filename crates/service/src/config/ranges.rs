//! Address ranges: a list in the file, words with commas in the environment.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, de};

/// Ranges of addresses, as CIDRs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ranges(Vec<IpNet>);

impl Ranges {
    /// The ranges.
    pub(crate) fn as_slice(&self) -> &[IpNet] {
        &self.0
    }

    fn read<'a>(words: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        let words = words.map(str::trim).filter(|word| !word.is_empty());
        let read = |word: &str| {
            // A single address is the range of just that one.
            let single = word.parse::<IpAddr>().map(IpNet::from);
            let range = single.or_else(|_| word.parse::<IpNet>());
            range.map_err(|_| format!("`{word}` is not a range such as 10.0.0.0/8"))
        };
        words.map(read).collect::<Result<_, _>>().map(Self)
    }
}

impl<'de> Deserialize<'de> for Ranges {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            List(Vec<String>),
            Text(String),
        }
        let ranges = match Written::deserialize(deserializer)? {
            Written::List(words) => Self::read(words.iter().map(String::as_str)),
            Written::Text(text) => Self::read(text.split(',')),
        };
        ranges.map_err(de::Error::custom)
    }
}
