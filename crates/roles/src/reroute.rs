//! Rerouting: gives a recording that is not stored yet another revision of the destination, after
//! proving that nothing of it lies where it would have gone.
//!
//! **What it does.** Reads the row → looks at the old key, with a session of the old revision →
//! moves the pin by compare-and-set → aborts the upload in parts that was open there.
//!
//! **What is proof.** Only an absence that the old destination itself told: no object at the key,
//! or no such bucket. A denial, a role that is gone and silence are not; then a person may insist.
//! Where the key and the bucket stay the same there is nothing to prove.
//!
//! **Races.** A transfer that claims in between wins: the move is refused. One that claims after
//! it goes to the new place. Nothing is moved while a lease is live, nor for some minutes after
//! one was ([`recording::REROUTE_QUIET`]), unless a person insists.
//!
//! **The worst that can happen.** A second copy of the same bytes in a bucket of the same
//! customer: after insisting, or when a process that froze between signing and sending wakes
//! later than that. Nothing can be lost by it, because nothing is deleted here, and a release
//! needs a look at the copy that was recorded.
//!
//! **Crashes.** Before the move nothing happened. After it the upload may be left open, which the
//! sweep of leftovers finds: the statement that moves the pin asks for it.

use std::sync::Arc;
use std::time::Duration;

use recording::{
    Advance, Clock, Destination, Fault, Leftovers, Location, Look, Lookers, Observed, OpenUpload,
    ParkReason, RecordingKey, Reroutable, RerouteCandidate, RerouteLedger, Rerouting, State,
};

/// What rerouting reaches the outside through. It can write and delete nothing but uploads that
/// were never completed.
#[derive(Clone)]
pub struct ReroutePorts {
    /// The ledger.
    pub ledger: Arc<dyn RerouteLedger>,
    /// Buckets, for looking.
    pub lookers: Arc<dyn Lookers>,
    /// Buckets, for aborting an upload.
    pub leftovers: Arc<dyn Leftovers>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// What a person wishes.
#[derive(Debug, Clone, Default)]
pub struct RerouteWish {
    /// The revision to go to; `None` is the one in force now.
    pub to: Option<i64>,
    /// A person insists although nothing is proven, and says why.
    pub unproven: Option<String>,
    /// Look, and change nothing.
    pub dry_run: bool,
}

/// From where to where, and what speaks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// The revision it had.
    pub from: i64,
    /// The revision it has now.
    pub to: i64,
    /// Where its copy would have been.
    pub old_location: Location,
    /// What was seen there.
    pub proof: String,
    /// Whether that proves that nothing is there.
    pub proven: bool,
    /// What became of an upload in parts that may have been open there.
    pub upload: Option<String>,
}

/// What became of one recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rerouted {
    /// It goes to the other revision, and is due.
    Moved(Move),
    /// It would, were this no dry run.
    WouldMove(Move),
    /// A copy of ours is at the old key: it stays, and is due, so that transfer finds it.
    CopyFound(Location),
    /// Nothing was changed.
    Refused(RerouteRefusal),
}

/// Why nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RerouteRefusal {
    /// It is not there.
    #[error("there is no such recording")]
    Unknown,
    /// Its copy is proven.
    #[error("it is {}: its copy stays where it is", .0.as_str())]
    Beyond(State),
    /// Setting a destination is what helps.
    #[error("it waits for a destination: set one, and it goes on by itself")]
    Unpinned,
    /// There is nowhere to go.
    #[error("the account has no such revision, and neither has the platform")]
    NoTarget,
    /// It has that revision.
    #[error("it is pinned to revision {0} already")]
    AlreadyThere(i64),
    /// A transfer has it.
    #[error("a transfer works on it now")]
    Leased,
    /// A write may still be on its way.
    #[error(
        "a transfer worked on it {} s ago and a write of its may still be on its way: in {} s it \
         can be told",
        .0.as_secs(), .1.as_secs().saturating_add(1)
    )]
    TooFresh(Duration, Duration),
    /// Neither present nor absent.
    #[error("what is at {0} cannot be seen: {1}")]
    Unseen(String, String),
    /// Something that is not this recording.
    #[error("something else is at {0}")]
    Occupied(String),
    /// Somebody else was faster.
    #[error("a transfer was faster: see where it stands now")]
    Overtaken,
}

impl RerouteRefusal {
    /// Whether a person may insist.
    #[must_use]
    pub fn can_be_insisted_on(&self) -> bool {
        match self {
            Self::TooFresh(..) | Self::Unseen(..) | Self::Occupied(_) => true,
            Self::Unknown
            | Self::Beyond(_)
            | Self::Unpinned
            | Self::NoTarget
            | Self::AlreadyThere(_)
            | Self::Leased
            | Self::Overtaken => false,
        }
    }

    /// The word for scripts.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Beyond(_) => "stored",
            Self::Unpinned => "no_destination",
            Self::NoTarget => "no_such_revision",
            Self::AlreadyThere(_) => "already_there",
            Self::Leased => "leased",
            Self::TooFresh(..) => "too_fresh",
            Self::Unseen(..) => "unseen",
            Self::Occupied(_) => "occupied",
            Self::Overtaken => "overtaken",
        }
    }
}

/// What speaks for moving a recording.
enum Sight {
    /// Proof, in words.
    Proven(String),
    /// None, and why not.
    Unproven(RerouteRefusal),
    /// The copy is there.
    Copy,
}

/// The role.
pub struct Reroute {
    ports: ReroutePorts,
    quiet: Duration,
}

impl Reroute {
    /// Rerouting over its ports. Nobody may have worked on a recording for `quiet`, which is
    /// [`recording::REROUTE_QUIET`] but in the simulation.
    #[must_use]
    pub fn new(ports: ReroutePorts, quiet: Duration) -> Self {
        Self { ports, quiet }
    }

    /// Moves one recording, or says why not.
    ///
    /// # Errors
    /// The ledger does not answer. Whether the pin was moved is then unknown; asking again tells.
    pub async fn one(
        &self,
        key: &RecordingKey,
        wish: &RerouteWish,
    ) -> Result<Rerouted, recording::LedgerFault> {
        let refused = |why| Ok(Rerouted::Refused(why));
        let candidate = match self.ports.ledger.reroutable(key, wish.to).await? {
            Reroutable::NoRow => return refused(RerouteRefusal::Unknown),
            Reroutable::Beyond(state) => return refused(RerouteRefusal::Beyond(state)),
            Reroutable::Unpinned => return refused(RerouteRefusal::Unpinned),
            Reroutable::NoTarget => return refused(RerouteRefusal::NoTarget),
            Reroutable::May(candidate) => *candidate,
        };
        if candidate.from.revision == candidate.to.revision {
            return refused(RerouteRefusal::AlreadyThere(candidate.to.revision));
        }
        if candidate.leased {
            return refused(RerouteRefusal::Leased);
        }
        let old_location = Location::new(&candidate.from, &candidate.old_key());
        let (proof, proven) = match (self.sight(&candidate).await, &wish.unproven) {
            (Sight::Copy, _) => return self.found(key, old_location, wish).await,
            (Sight::Proven(proof), _) => (proof, true),
            (Sight::Unproven(why), Some(insists)) => (format!("{why}; insisted: {insists}"), false),
            (Sight::Unproven(why), None) => return refused(why),
        };
        let quiet = if proven && !candidate.stays_in_place() {
            self.quiet
        } else {
            Duration::ZERO
        };
        let plan = Move {
            from: candidate.from.revision,
            to: candidate.to.revision,
            old_location,
            proof,
            proven,
            upload: None,
        };
        if wish.dry_run {
            return Ok(Rerouted::WouldMove(plan));
        }
        self.carry_out(&candidate, quiet, plan).await
    }

    async fn carry_out(
        &self,
        candidate: &RerouteCandidate,
        quiet: Duration,
        plan: Move,
    ) -> Result<Rerouted, recording::LedgerFault> {
        let rerouting = Rerouting {
            key: candidate.announced.key.clone(),
            from: plan.from,
            to: plan.to,
            claims: candidate.claims,
            quiet,
            why: format!("{}: {}", plan.old_location.as_str(), plan.proof),
            same_bucket: candidate.same_bucket,
        };
        match self.ports.ledger.reroute(&rerouting).await? {
            Advance::Overtaken => Ok(Rerouted::Refused(RerouteRefusal::Overtaken)),
            Advance::Done(()) => {
                let upload = self.give_up_upload(candidate).await;
                Ok(Rerouted::Moved(Move { upload, ..plan }))
            }
        }
    }

    async fn found(
        &self,
        key: &RecordingKey,
        location: Location,
        wish: &RerouteWish,
    ) -> Result<Rerouted, recording::LedgerFault> {
        if !wish.dry_run {
            // Staged rows are due by themselves.
            self.ports.ledger.due_now(key).await?;
        }
        Ok(Rerouted::CopyFound(location))
    }

    /// Proves that nothing is at the old key and nothing on its way there.
    async fn sight(&self, candidate: &RerouteCandidate) -> Sight {
        if candidate.stays_in_place() {
            return Sight::Proven("the copy's place stays the same".to_owned());
        }
        let place = Location::new(&candidate.from, &candidate.old_key());
        let account = &candidate.announced.key.account_id;
        let looked = self
            .ports
            .lookers
            .look(&candidate.from, account, &candidate.old_key())
            .await;
        let absence = match looked {
            Ok(Look::Absent) => "nothing is there",
            Ok(Look::Present(observed)) if is_the_copy(candidate, &observed) => return Sight::Copy,
            Ok(Look::Present(_)) => {
                return Sight::Unproven(RerouteRefusal::Occupied(place.as_str().to_owned()));
            }
            Err(fault) if fault.reason == ParkReason::BucketMissing => "there is no such bucket",
            Err(fault) => {
                return Sight::Unproven(RerouteRefusal::Unseen(
                    place.as_str().to_owned(),
                    fault.to_string(),
                ));
            }
        };
        // Only now: whoever finds the copy need not wait.
        match candidate.worked_on {
            Some(ago) if ago < self.quiet => {
                let left = self.quiet.saturating_sub(ago);
                Sight::Unproven(RerouteRefusal::TooFresh(ago, left))
            }
            Some(_) | None => Sight::Proven(absence.to_owned()),
        }
    }

    /// Nobody goes on with it. After the move, so that a transfer that was faster keeps its own.
    async fn give_up_upload(&self, candidate: &RerouteCandidate) -> Option<String> {
        let upload = OpenUpload {
            key: candidate.old_key(),
            upload_id: candidate.upload_id.clone()?,
            begun_at: self.ports.clock.now(),
        };
        // The new credential can do it too where the bucket is the same, and it is the one that
        // works.
        let through: &Destination = if candidate.same_bucket && candidate.stays_in_place() {
            &candidate.to
        } else {
            &candidate.from
        };
        let account = &candidate.announced.key.account_id;
        let aborted: Result<(), Fault> =
            self.ports.leftovers.abort(through, account, &upload).await;
        Some(match aborted {
            Ok(()) => "its open upload is aborted".to_owned(),
            Err(fault) => format!("its open upload is left to the sweep: {fault}"),
        })
    }
}

/// Whether what lies at the old key says that it is this recording, whole. The proof is
/// transfer's, which has the original; one that it has refused already is none.
fn is_the_copy(candidate: &RerouteCandidate, observed: &Observed) -> bool {
    candidate.parked != Some(ParkReason::ForeignObject)
        && observed.size_bytes == candidate.announced.original.size_bytes
        && observed.names(&candidate.announced)
}
