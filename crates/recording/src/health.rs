//! The health of a destination: what one fault says about the whole of it, what a check says, and
//! what others are told when it changes.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use crate::{
    AccountId, Capability, CheckReport, Class, Destination, DestinationOwner, Finding, Need,
    ParkReason, Verdict,
};

/// How a destination is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// Recordings go there.
    Healthy,
    /// They are held back, or a check found what must be repaired.
    Unhealthy,
}

impl Health {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Healthy, Self::Unhealthy];

    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What one recording's fault says about its destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Blame {
    /// It is the same for every recording.
    Destination,
    /// It may be this key's alone: believed when several recordings in a row meet it.
    Suspect,
    /// Nothing.
    Nobody,
}

/// How many different recordings in a row make a suspicion certain.
pub const CONFIRMED_BY: u32 = 3;

/// Reasons that no other recording would escape.
const OF_THE_WHOLE: &[ParkReason] = &[
    ParkReason::RoleNotAssumable,
    ParkReason::CredentialRefused,
    ParkReason::BucketMissing,
    ParkReason::OwnerMismatch,
    ParkReason::WrongRegion,
    ParkReason::KmsKeyUnusable,
    ParkReason::AddressRefused,
];

impl ParkReason {
    /// What it says about the destination that it was met at. Time's and nobody's faults say
    /// nothing: an unreachable store is tried again by itself.
    #[must_use]
    pub fn blame(self) -> Blame {
        match self.class() {
            Class::Transient | Class::Permanent => Blame::Nobody,
            Class::Destination if self == Self::NoDestination => Blame::Nobody,
            // A check's word, which no work says.
            Class::Destination if self == Self::DestinationUnsafe => Blame::Nobody,
            Class::Destination if OF_THE_WHOLE.contains(&self) => Blame::Destination,
            Class::Destination => Blame::Suspect,
        }
    }
}

/// What a check says about the health of a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Diagnosis {
    /// Recordings may be sent there.
    Healthy,
    /// They may not.
    Unhealthy {
        /// What a recording would be parked with.
        reason: ParkReason,
        /// What was seen, for people.
        detail: String,
        /// Whether work would meet it too, so that recordings are held back. It would not meet a
        /// role that strangers could assume, or a store that overwrites.
        holds: bool,
    },
    /// The destination was not reached, or said that it is busy: nothing is known.
    Unknown,
}

/// What work never notices, and a person must all the same repair.
const UNNOTICED: &[Capability] = &[
    Capability::ExternalIdRequired,
    Capability::ExternalIdExact,
    Capability::Overlap,
    Capability::CreateOnly,
    Capability::CreateOnlyMultipart,
];

impl CheckReport {
    /// Whether something that work needs was not tried.
    fn is_unfinished(&self) -> bool {
        self.findings.iter().any(|finding| {
            finding.verdict == Verdict::Skipped
                && finding.capability.need() == Need::Storing
                && !UNNOTICED.contains(&finding.capability)
        })
    }

    /// What of it stands whatever work does: the first thing that work never notices.
    #[must_use]
    pub fn standing(&self) -> Option<(ParkReason, String)> {
        let mut known = self.known();
        let found = known.find(|finding| UNNOTICED.contains(&finding.capability))?;
        Some((ParkReason::DestinationUnsafe, seen(found)))
    }

    /// What blocks, and was answered: what passes by itself says nothing.
    fn known(&self) -> impl Iterator<Item = &Finding> {
        self.blocking()
            .filter(|finding| finding.reason.map(ParkReason::class) != Some(Class::Transient))
    }

    /// What it says about the health of the destination. What holds recordings back weighs more
    /// than what does not; the first of each kind is told.
    #[must_use]
    pub fn diagnosis(&self) -> Diagnosis {
        let mut known = self.known();
        if let Some(finding) = known.find(|finding| !UNNOTICED.contains(&finding.capability)) {
            return Diagnosis::Unhealthy {
                reason: finding.reason.unwrap_or(ParkReason::DestinationRefused),
                detail: seen(finding),
                holds: true,
            };
        }
        match self.standing() {
            Some((reason, detail)) => Diagnosis::Unhealthy {
                reason,
                detail,
                holds: false,
            },
            None if self.is_usable() && !self.is_unfinished() => Diagnosis::Healthy,
            None => Diagnosis::Unknown,
        }
    }
}

fn seen(finding: &Finding) -> String {
    format!("{}: {}", finding.capability, finding.detail)
}

/// A destination whose daily check is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueCheck {
    /// The revision.
    pub destination: Destination,
    /// As whom it is checked.
    pub account: AccountId,
}

/// A destination changed its health, and others are owed the news.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthAnnouncement {
    /// The event's id, stable over repetitions.
    pub id: Uuid,
    /// When it changed.
    pub at: DateTime<Utc>,
    /// Whose destination.
    pub owner: DestinationOwner,
    /// Which revision.
    pub revision: i64,
    /// Where it is, as the beginning of a URL that carries no credential.
    pub location: String,
    /// Why it is unhealthy; `None`: it is healthy.
    pub reason: Option<ParkReason>,
    /// How many of its recordings are parked now, counted up to 10,000.
    pub recordings_waiting: u64,
    /// What the last check found failed.
    pub findings: Vec<Finding>,
    /// When our secret there ends, where it says so itself.
    pub secret_expires_at: Option<DateTime<Utc>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(capability: Capability, reason: Option<ParkReason>) -> Finding {
        Finding {
            capability,
            verdict: Verdict::Failed,
            detail: "seen so".to_owned(),
            reason,
            missing: Vec::new(),
            remedy: None,
        }
    }

    fn report(findings: Vec<Finding>) -> CheckReport {
        CheckReport {
            at: DateTime::UNIX_EPOCH,
            findings,
        }
    }

    #[test]
    fn only_what_every_recording_would_meet_speaks_for_the_whole_destination() {
        for reason in ParkReason::ALL {
            let blame = reason.blame();
            match reason.class() {
                Class::Transient | Class::Permanent => assert_eq!(blame, Blame::Nobody, "{reason}"),
                Class::Destination => {}
            }
        }
        assert_eq!(ParkReason::NoDestination.blame(), Blame::Nobody);
        assert_eq!(ParkReason::BucketMissing.blame(), Blame::Destination);
        assert_eq!(ParkReason::AccessDenied.blame(), Blame::Suspect);
        assert_eq!(ParkReason::DestinationRefused.blame(), Blame::Suspect);
        assert_eq!(ParkReason::SecretLocked.blame(), Blame::Nobody);
        assert_eq!(ParkReason::DestinationUnsafe.blame(), Blame::Nobody);
    }

    #[test]
    fn a_check_says_what_its_findings_say_and_nothing_where_it_was_not_answered() {
        let denied = Some(ParkReason::AccessDenied);
        assert_eq!(report(Vec::new()).diagnosis(), Diagnosis::Healthy);
        let unreachable = failed(Capability::Reach, Some(ParkReason::DestinationUnreachable));
        let unreached = report(vec![unreachable]);
        assert_eq!(unreached.diagnosis(), Diagnosis::Unknown);
        let skipped = Finding {
            verdict: Verdict::Skipped,
            ..failed(Capability::Put, None)
        };
        assert_eq!(report(vec![skipped]).diagnosis(), Diagnosis::Unknown);
        // What playback or tidiness lacks does not stop recordings.
        let untidy = report(vec![failed(Capability::SweepUploads, denied)]);
        assert_eq!(untidy.diagnosis(), Diagnosis::Healthy);
        let open_role = failed(Capability::ExternalIdRequired, None);
        assert_eq!(report(Vec::new()).standing(), None);
        let both = report(vec![failed(Capability::Put, denied), open_role.clone()]);
        let stands = "external_id_required: seen so".to_owned();
        assert_eq!(
            both.standing(),
            Some((ParkReason::DestinationUnsafe, stands))
        );
        assert_eq!(
            report(vec![open_role.clone()]).diagnosis(),
            Diagnosis::Unhealthy {
                reason: ParkReason::DestinationUnsafe,
                detail: "external_id_required: seen so".to_owned(),
                holds: false,
            }
        );
        assert_eq!(
            report(vec![open_role, failed(Capability::Put, denied)]).diagnosis(),
            Diagnosis::Unhealthy {
                reason: ParkReason::AccessDenied,
                detail: "put: seen so".to_owned(),
                holds: true,
            }
        );
    }
}
