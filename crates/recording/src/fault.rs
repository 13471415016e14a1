//! Faults: what went wrong, by who can make the next attempt succeed, and the one function that
//! turns a fault into what happens next.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::rung;

/// Who can make the next attempt succeed. Unknown is transient, never permanent, never success.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Time.
    Transient,
    /// The customer, by repairing the destination.
    Destination,
    /// Nobody without looking: a person decides.
    Permanent,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident $word:literal $class:ident $hint:literal,)+) => {
        /// Why a recording is parked, or why its release is refused: a closed set, the same
        /// words in the ledger, in events, on the command line and in metrics.
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
        )]
        #[serde(rename_all = "snake_case")]
        pub enum ParkReason {
            $($(#[$doc])* $name,)+
        }

        impl ParkReason {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The word.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }

            /// Who can make the next attempt succeed.
            #[must_use]
            pub fn class(self) -> Class {
                match self { $(Self::$name => Class::$class,)+ }
            }

            /// What the person who reads it can do.
            #[must_use]
            pub fn hint(self) -> &'static str {
                match self { $(Self::$name => $hint,)+ }
            }
        }
    };
}

reasons! {
    /// No revision covers it: neither the account nor the platform has a destination.
    NoDestination "no_destination" Destination
        "set a destination for the account or a default one",
    /// The role cannot be assumed: gone, wrong trust policy, or wrong external id.
    RoleNotAssumable "role_not_assumable" Destination
        "the role's trust policy must name our identity and the account's external id",
    /// The destination does not accept our key, SAS or secret: wrong, expired or revoked.
    CredentialRefused "credential_refused" Destination
        "set the destination anew with a valid key, SAS or secret; what waits then goes on by \
         itself",
    /// A secret of the destination cannot be decrypted here.
    SecretLocked "secret_locked" Transient
        "put the key named in the detail back into the key ring of every process",
    /// The destination denied the request.
    AccessDenied "access_denied" Destination
        "the role or bucket policy must allow the request named in the detail",
    /// The bucket does not exist.
    BucketMissing "bucket_missing" Destination
        "create the bucket, or set another destination and `recording reroute`",
    /// The bucket belongs to somebody else now.
    OwnerMismatch "owner_mismatch" Destination
        "the bucket's owner is not the expected account: set the destination anew, then `recording \
         reroute`",
    /// The bucket is in another region, or the endpoint redirects.
    WrongRegion "wrong_region" Destination
        "set the destination with the bucket's region",
    /// The encryption key cannot be used.
    KmsKeyUnusable "kms_key_unusable" Destination
        "enable the key and allow the role kms:GenerateDataKey and kms:Decrypt",
    /// The destination refuses requests as we must make them.
    DestinationRefused "destination_refused" Destination
        "see the detail: the store refused a request that we cannot make otherwise",
    /// A check found that it works and is not safe: strangers could assume the role, others write
    /// among its keys, or an object could be overwritten. Nothing is parked for it.
    DestinationUnsafe "destination_unsafe" Destination
        "recordings go on; repair what the findings name: `callferry destination show` has them",
    /// The endpoint's address is one that customer traffic may not reach.
    AddressRefused "address_refused" Destination
        "the endpoint resolves to a private or reserved address",
    /// The account's share of this process is in use.
    AccountBusy "account_busy" Transient "it goes on by itself",
    /// The destination could not be reached, or answered that it is busy or broken.
    DestinationUnreachable "destination_unreachable" Transient "it is tried again by itself",
    /// The destination asked us to slow down.
    Throttled "throttled" Transient "it is tried again by itself",
    /// It is not known whether the copy arrived, and looking did not tell.
    OutcomeUnknown "outcome_unknown" Transient "it is tried again by itself",
    /// The store said yes and a look finds nothing.
    CopyAbsent "copy_absent" Transient "it is tried again by itself; watch the store if it recurs",
    /// The lease could not be held long enough.
    Interrupted "interrupted" Transient "it is tried again by itself",
    /// The original is not there yet, or is smaller than announced.
    StillGrowing "still_growing" Transient "the recorder should publish after the file is complete",
    /// Staging answers, and yet this one original cannot be read, moved or deleted.
    OriginalUnreadable "original_unreadable" Transient
        "see the detail: permissions of the file or its folder, or the disk; it is tried again",
    /// The original changed while it was read.
    ChangedWhileRead "changed_while_read" Transient "the recorder must not write after publishing",
    /// The copy is provably gone while the original is intact: it is copied again.
    CopyLost "copy_lost" Transient "find out who deleted the copy from the bucket",
    /// The original is not there, an hour after it was announced.
    OriginalMissing "original_missing" Permanent
        "put the file back and run `callferry parked retry`",
    /// Something that is not a plain file with one link is at the path.
    NotAPlainFile "not_a_plain_file" Permanent
        "find out who put a link or special file there; it is never followed",
    /// The original is not as large as announced.
    SizeMismatch "size_mismatch" Permanent "compare the file with what the recorder announced",
    /// The original's SHA-256 is not the announced one.
    DigestMismatch "digest_mismatch" Permanent
        "compare the file with what the recorder announced",
    /// Other bytes, or somebody else's object, are at the key; never overwritten.
    ForeignObject "foreign_object" Permanent
        "move the object away and run `callferry parked retry`",
    /// The original is no longer the file that was copied.
    OriginalReplaced "original_replaced" Permanent
        "the path was reused before release: keep both files and look",
    /// The ledger's row and the copy contradict each other.
    CopyDiffers "copy_differs" Permanent
        "the object at the key is not the recording that was stored; the original is kept",
    /// Three processes died while working on it.
    KillsWorker "kills_worker" Permanent "look at the file before it is retried",
}

impl fmt::Display for ParkReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ParkReason {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL
            .iter()
            .copied()
            .find(|reason| reason.as_str() == text);
        known.ok_or_else(|| format!("`{text}` is not a reason that this version knows"))
    }
}

/// What went wrong with one recording.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {detail}")]
pub struct Fault {
    /// Why, as a closed set.
    pub reason: ParkReason,
    /// What was seen, for people; never holds a secret or a signed URL.
    pub detail: String,
    /// How long the other side asked us to wait, if it did.
    pub retry_after: Option<Duration>,
}

impl Fault {
    /// A fault without a wish of the other side.
    #[must_use]
    pub fn new(reason: ParkReason, detail: impl Into<String>) -> Self {
        Self {
            reason,
            detail: detail.into(),
            retry_after: None,
        }
    }

    /// Who can make the next attempt succeed.
    #[must_use]
    pub fn class(&self) -> Class {
        self.reason.class()
    }
}

/// The ledger cannot answer. Never a settlement: the delivery is kept and the handler waits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LedgerFault {
    /// It cannot be reached, is starting, refused for now, or the answer was lost: the outcome
    /// of a write is unknown and must be looked up.
    #[error("the ledger cannot be reached: {0}")]
    Unavailable(String),
    /// It answered something that this version cannot understand: a defect, not weather.
    #[error("the ledger holds something unexpected: {0}")]
    Corrupt(String),
}

/// Staging cannot answer, or something is wrong with one original.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StagingFault {
    /// Staging itself is unusable (unmounted, read error, marker missing). Never a settlement:
    /// the delivery is kept and the handler waits.
    #[error("staging cannot be used: {0}")]
    Unavailable(String),
    /// Nothing is at the path. Believed only together with the root's marker, seen after it.
    #[error("no file at the path")]
    Absent,
    /// What is at the path is not a plain file with one link, or lies behind a link.
    #[error("not a plain file: {0}")]
    NotAPlainFile(String),
    /// Staging answers, and yet this one file cannot be read, moved or deleted: its permissions,
    /// its folder's, or the disk beneath it.
    #[error("the file cannot be handled: {0}")]
    Unreadable(String),
    /// The file changed, or ended early, while it was read.
    #[error("the file changed while it was read")]
    Changed,
}

/// Why an event is not known to be in a queue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishFault {
    /// The broker returned it: no queue is bound for it.
    #[error("no queue is bound for it: run `callferry topology check`")]
    Unroutable,
    /// The broker refused it.
    #[error("the broker refused it")]
    Refused,
    /// No confirm in time, or the broker blocks publishing. Its outcome is unknown.
    #[error("no confirm in time")]
    Unconfirmed,
    /// There is no live session, or it ended while waiting. Its outcome is unknown.
    #[error("no live session with the broker")]
    Disconnected,
}

/// What happens after a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The same process tries again after about this long (full jitter).
    RetryHere(Duration),
    /// Parked; the ladder or the customer's repair brings it back after this long.
    Park(Duration),
    /// Parked for a person.
    ParkForPerson,
}

/// In-process attempts at most, the first included.
const ATTEMPTS_HERE: u32 = 3;
/// No in-process attempt begins later than this after the first.
const PATIENCE_HERE: Duration = Duration::from_secs(20);

/// The one place where a fault becomes what happens next: `tried` in-process attempts have
/// failed (≥ 1) in `elapsed`, and the recording was parked `rungs` times in a row before.
#[must_use]
pub fn decide(fault: &Fault, tried: u32, elapsed: Duration, rungs: u32) -> Next {
    // A stranger's endpoint may wish for anything; it gets no more than the ladder's longest wait.
    let longest = rung(u32::MAX);
    let wish = fault.retry_after.unwrap_or(Duration::ZERO).min(longest);
    let climb = rung(rungs.saturating_add(1)).max(wish);
    match (fault.class(), fault.reason) {
        (Class::Permanent, _) => Next::ParkForPerson,
        // Waiting a second does not make a recorder finish its file.
        (Class::Destination, _) | (Class::Transient, ParkReason::StillGrowing) => Next::Park(climb),
        (Class::Transient, _) => {
            let wait = Duration::from_millis(500)
                .saturating_mul(1 << tried.min(6))
                .max(wish);
            if tried < ATTEMPTS_HERE && elapsed.saturating_add(wait) <= PATIENCE_HERE {
                Next::RetryHere(wait)
            } else {
                Next::Park(climb)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_reads_back_as_itself_and_has_a_hint() {
        for reason in ParkReason::ALL {
            assert_eq!(reason.as_str().parse::<ParkReason>(), Ok(*reason));
            assert!(!reason.hint().is_empty());
        }
    }

    #[test]
    fn faults_become_what_their_class_says() {
        let fault = |reason| Fault::new(reason, "");
        let now = Duration::ZERO;
        let unreachable = fault(ParkReason::DestinationUnreachable);
        assert_eq!(
            decide(&unreachable, 1, now, 0),
            Next::RetryHere(Duration::from_secs(1))
        );
        assert_eq!(
            decide(&unreachable, 3, now, 0),
            Next::Park(Duration::from_secs(30))
        );
        let late = Duration::from_secs(20);
        assert_eq!(
            decide(&unreachable, 1, late, 2),
            Next::Park(Duration::from_secs(600))
        );
        let denied = fault(ParkReason::AccessDenied);
        assert_eq!(
            decide(&denied, 1, now, 0),
            Next::Park(Duration::from_secs(30))
        );
        let foreign = fault(ParkReason::ForeignObject);
        assert_eq!(decide(&foreign, 1, now, 0), Next::ParkForPerson);
        let asked = Fault {
            retry_after: Some(Duration::from_secs(90)),
            ..unreachable
        };
        assert_eq!(
            decide(&asked, 1, now, 0),
            Next::Park(Duration::from_secs(90))
        );
        let absurd = Fault {
            retry_after: Some(Duration::MAX),
            ..asked
        };
        let longest = Duration::from_secs(6 * 3600);
        assert_eq!(decide(&absurd, 1, now, 0), Next::Park(longest));
    }
}
