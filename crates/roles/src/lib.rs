//! The roles: transfer, cleanup and housekeeping, each one spine in terms of ports. They see
//! neither the broker nor the database; what they return is the settlement.
//!
//! **Architecture invariant.** Roles decide, adapters act. Every `match` on a state, a claim or a
//! look names every variant, so that a redelivery, a late duplicate or a race is an arm and not
//! an accident.

mod announce;
mod cleanup;
mod housekeeping;
mod intake;
mod keeper;
mod outage;
mod prove;
mod reroute;
mod transfer;
mod tuning;

pub use cleanup::{Cleanup, CleanupPorts, ErasurePorts, Erasures};
pub use housekeeping::{Clocks, Housekeeping, HousekeepingPorts, Retention, RetentionPorts};
pub use intake::{
    DETAIL_HEADER, FIRST_SEEN_HEADER, Intake, IntakePorts, QUEUE_HEADER, REASON_HEADER,
};
pub use reroute::{Move, Reroute, ReroutePorts, RerouteRefusal, RerouteWish, Rerouted};
pub use transfer::{Transfer, TransferPorts};
pub use tuning::Tuning;
