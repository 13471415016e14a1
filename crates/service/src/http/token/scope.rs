//! What a token can allow.

use std::collections::BTreeSet;

macro_rules! scopes {
    ($($(#[$doc:meta])* $name:ident $word:literal,)+) => {
        /// One scope: a closed set, the same words in tokens and in the OpenAPI document.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Scope {
            $($(#[$doc])* $name,)+
        }

        impl Scope {
            /// Every one.
            const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The word.
            pub(crate) fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }
        }
    };
}

scopes! {
    /// See accounts.
    AccountsRead "accounts:read",
    /// Make accounts.
    AccountsWrite "accounts:write",
    /// See destinations.
    DestinationsRead "destinations:read",
    /// Set and check destinations.
    DestinationsWrite "destinations:write",
    /// See recordings and their stories.
    RecordingsRead "recordings:read",
    /// Listen to recordings.
    RecordingsPlay "recordings:play",
    /// See what is parked.
    ParkedRead "parked:read",
    /// Have it tried again.
    ParkedWrite "parked:write",
    /// See quarantined messages, with what strangers wrote into them.
    QuarantineRead "quarantine:read",
    /// Return them or drop them.
    QuarantineWrite "quarantine:write",
    /// Have recordings erased, before their time and for good.
    RecordingsErase "recordings:erase",
    /// See legal holds.
    HoldsRead "holds:read",
    /// Place and release them.
    HoldsWrite "holds:write",
    /// See how long copies are kept, what goes when, and what stopped.
    RetentionRead "retention:read",
    /// Set how long they are kept, and confirm that what stopped goes on.
    RetentionWrite "retention:write",
    /// See how much is where.
    StatusRead "status:read",
    /// See what was done through this interface.
    AuditRead "audit:read",
}

impl Scope {
    /// The scopes that a claim names. Words that we do not know allow nothing.
    pub(super) fn of(claim: &str) -> BTreeSet<Self> {
        let words: BTreeSet<_> = claim.split(' ').collect();
        let known = Self::ALL.iter().copied();
        known
            .filter(|scope| words.contains(scope.as_str()))
            .collect()
    }
}
