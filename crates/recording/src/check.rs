//! What a check of a destination finds: each thing the fleet needs of it with a verdict of its
//! own, and what the customer's administrator can do.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{AccountId, DestinationOwner, Need, ParkReason, Permission};

macro_rules! capabilities {
    ($($name:ident $word:literal $need:ident $title:literal,)+) => {
        /// What is checked: a closed set, the same words in the ledger, on the command line, in
        /// the API and in metrics.
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
        )]
        #[serde(rename_all = "snake_case")]
        pub enum Capability {
            $(
                #[doc = concat!($title, ".")]
                $name,
            )+
        }

        impl Capability {
            /// Every one, in the order in which they are checked.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The word.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }

            /// What it is, for people.
            #[must_use]
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)+ }
            }

            /// What stops where it is missing.
            #[must_use]
            pub fn need(self) -> Need {
                match self { $(Self::$name => Need::$need,)+ }
            }
        }
    };
}

capabilities! {
    Reach "reach" Storing "the endpoint is reached, by TLS, at an address that is allowed",
    Clock "clock" Storing "our clock and the store's agree well enough for signatures",
    Session "session" Storing "a session is granted for every purpose: role, token, key or SAS",
    ExternalIdRequired "external_id_required" Storing
        "the role cannot be assumed without an external id",
    ExternalIdExact "external_id_exact" Storing
        "the role cannot be assumed with somebody else's external id",
    Owner "owner" Storing "the bucket is there, in its region, and belongs to the expected account",
    Overlap "overlap" Storing "no other account writes among these keys",
    Put "put" Storing "an object can be stored",
    Look "look" Storing "a stored object can be looked at, with its size and metadata",
    List "list" Storing "a missing object can be told from one that may not be seen",
    Read "read" Storing "a stored object can be read back",
    Checksum "checksum" Storing "the store proves what it took: by checksums, or by reading back",
    CreateOnly "create_only" Storing "an object that is there is never overwritten",
    Multipart "multipart" Storing "large objects can be stored in parts",
    CreateOnlyMultipart "create_only_multipart" Storing
        "neither is one overwritten by an upload in parts",
    Encryption "encryption" Storing "objects are encrypted as the destination says",
    SignedRead "signed_read" Playback "a signed URL plays a part of a stored object",
    Delete "delete" Retention "an object can be deleted when its retention has ended",
    DeleteVersion "delete_version" Retention "and so can each of its versions",
    Versioning "versioning" Tidiness "whether the bucket keeps versions",
    Lock "lock" Tidiness "whether the bucket locks what is stored",
    SweepUploads "sweep_uploads" Tidiness "leftover uploads in parts can be found and aborted",
    SecretExpiry "secret_expiry" Tidiness "our secret there will be good for a while",
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What was found of one capability.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is there.
    Passed,
    /// It does not apply to this destination.
    NotApplicable,
    /// It could not be tried, because something before it failed.
    Skipped,
    /// It works, and somebody should look at it.
    Warned,
    /// It is not there.
    Failed,
}

impl Verdict {
    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::NotApplicable => "not_applicable",
            Self::Skipped => "skipped",
            Self::Warned => "warned",
            Self::Failed => "failed",
        }
    }
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Of what.
    pub capability: Capability,
    /// What.
    pub verdict: Verdict,
    /// What was seen, for people; never a secret, a URL with a signature, or a token.
    pub detail: String,
    /// For a failure: what a recording would be parked with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<ParkReason>,
    /// The permissions that are missing, where that is what is wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Permission>,
    /// What the customer's administrator can do: the line to add, the command to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReport {
    /// When it ended.
    pub at: DateTime<Utc>,
    /// One finding for each capability, in their order.
    pub findings: Vec<Finding>,
}

impl CheckReport {
    /// Whether recordings may be sent there: nothing that storing needs has failed.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.blocking().next().is_none()
    }

    /// What keeps recordings from being sent there. A check that could not be finished says so
    /// by what failed before it.
    pub fn blocking(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| {
            finding.verdict == Verdict::Failed && finding.capability.need() == Need::Storing
        })
    }

    /// What somebody should look at, beside what blocks.
    pub fn concerns(&self) -> impl Iterator<Item = &Finding> {
        self.findings
            .iter()
            .filter(|finding| match finding.verdict {
                Verdict::Warned => true,
                Verdict::Failed => finding.capability.need() != Need::Storing,
                Verdict::Passed | Verdict::NotApplicable | Verdict::Skipped => false,
            })
    }

    /// Puts a finding in the place of the one of the same capability: what only the caller knows.
    pub fn put(&mut self, finding: Finding) {
        let mut findings = self.findings.iter_mut();
        match findings.find(|known| known.capability == finding.capability) {
            Some(known) => *known = finding,
            None => self.findings.push(finding),
        }
    }

    /// The finding of one capability.
    #[must_use]
    pub fn of(&self, capability: Capability) -> Option<&Finding> {
        let mut findings = self.findings.iter();
        findings.find(|finding| finding.capability == capability)
    }
}

impl DestinationOwner {
    /// The account among whose keys a destination of this owner is checked.
    #[must_use]
    pub fn checked_as(&self) -> AccountId {
        match self {
            Self::Account(account) => account.clone(),
            Self::Default => AccountId::of_checks(),
        }
    }
}

/// Why a destination may become active.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Approval {
    /// A check of it found nothing that blocks.
    Checked(CheckReport),
    /// A person insisted; what a check found, if one was made, is kept with it.
    Forced(Option<CheckReport>),
}
