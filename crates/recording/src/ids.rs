//! Identifiers: who owns a recording and which one it is. They become file names, object keys and
//! header values, so the alphabet is narrow and nothing is folded, trimmed or normalised.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest identifier, in bytes.
const MAX_ID_BYTES: usize = 128;

/// Why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not an identifier: 1 to 128 characters of A-Z a-z 0-9 . _ - that begin with a letter or digit"
)]
pub struct MalformedId;

fn check(text: &str) -> Result<(), MalformedId> {
    let head = text
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_alphanumeric());
    let body = text
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if head && body && text.len() <= MAX_ID_BYTES {
        Ok(())
    } else {
        Err(MalformedId)
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The identifier as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = MalformedId;
            fn from_str(text: &str) -> Result<Self, MalformedId> {
                check(text).map(|()| Self(text.to_owned()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = MalformedId;
            fn try_from(text: String) -> Result<Self, MalformedId> {
                check(&text).map(|()| Self(text))
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// The platform's customer, who owns destinations, retention policies and recordings.
    AccountId
);
impl AccountId {
    /// The account as which the platform's own destination is checked. No customer has it.
    #[must_use]
    pub fn of_checks() -> Self {
        Self("callferry-check".to_owned())
    }
}

id!(
    /// One recording, unique within its account.
    RecordingId
);
id!(
    /// The interaction (a call, say) that a recording belongs to.
    InteractionId
);

/// What identifies a recording everywhere: ledger key, object key, messages, HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RecordingKey {
    /// The owner.
    pub account_id: AccountId,
    /// The recording within the owner's.
    pub recording_id: RecordingId,
}

impl fmt::Display for RecordingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.account_id, self.recording_id)
    }
}

/// What was recorded. It leads the object key and chooses the retention policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A conversation.
    Call,
    /// A message left for somebody.
    Voicemail,
    /// A capture of an agent's screen.
    Screen,
}

impl Kind {
    /// Every kind, for tables and prompts.
    pub const ALL: [Self; 3] = [Self::Call, Self::Voicemail, Self::Screen];

    /// The word used in events, keys and the ledger.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Voicemail => "voicemail",
            Self::Screen => "screen",
        }
    }
}

impl FromStr for Kind {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| "is not a kind: must be call, voicemail or screen".to_owned())
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_keep_to_the_narrow_alphabet() {
        for good in ["a", "rec-7f3a", "A.b_c-9", "0"] {
            assert_eq!(good.parse::<AccountId>().unwrap().as_str(), good);
        }
        let long = "x".repeat(129);
        for bad in [
            "",
            ".",
            "..",
            "-a",
            "_a",
            "a b",
            "a/b",
            "ä",
            "a\n",
            " a",
            long.as_str(),
        ] {
            assert_eq!(bad.parse::<AccountId>(), Err(MalformedId), "{bad:?}");
        }
    }

    #[test]
    fn every_kind_reads_back_as_itself() {
        for kind in Kind::ALL {
            assert_eq!(kind.as_str().parse::<Kind>(), Ok(kind));
        }
        assert!("Call".parse::<Kind>().is_err());
    }
}
