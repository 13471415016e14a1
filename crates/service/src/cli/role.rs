//! The words for roles.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// One role of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// Original to copy, proof, acknowledgment.
    Transfer,
    /// Second look, then the original is deleted.
    Cleanup,
    /// Drives on what is due, takes quarantined messages in.
    Housekeeping,
    /// Serves the HTTP interface.
    Playback,
}

impl Role {
    /// Every role of this release.
    pub(crate) const ALL: [Self; 4] = [
        Self::Transfer,
        Self::Cleanup,
        Self::Housekeeping,
        Self::Playback,
    ];

    /// The word.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Transfer => "transfer",
            Self::Cleanup => "cleanup",
            Self::Housekeeping => "housekeeping",
            Self::Playback => "playback",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What stands on the command line: a role, or all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RoleWord {
    /// One.
    One(Role),
    /// All.
    All,
}

impl FromStr for RoleWord {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "all" => Ok(Self::All),
            _ => Role::ALL
                .into_iter()
                .find(|role| role.as_str() == text)
                .map(Self::One)
                .ok_or_else(|| "use transfer, cleanup, housekeeping, playback or all".to_owned()),
        }
    }
}

/// The set of roles that some words name. Playback is one of `all` only where it is configured
/// whose tokens it may believe: the small installation begins without.
pub(crate) fn roles(words: &[RoleWord], believes_tokens: bool) -> BTreeSet<Role> {
    let each = words.iter().flat_map(|word| match word {
        RoleWord::One(role) => vec![*role],
        RoleWord::All => {
            let all = Role::ALL.into_iter();
            all.filter(|role| *role != Role::Playback || believes_tokens)
                .collect()
        }
    });
    each.collect()
}
