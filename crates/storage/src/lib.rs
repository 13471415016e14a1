//! Storage: originals in staging and copies in customers' buckets. The only crate that knows
//! `object_store`, STS, Entra and request signing.
//!
//! | file | knows |
//! |---|---|
//! | `staging` | originals: files beneath a folder, the marker, the trash; or objects of a bucket |
//! | `connector` | the two HTTP clients, TLS, which addresses may be reached |
//! | `credentials` | our identity, sessions of customers' roles, tokens of their applications |
//! | `exchange` | one request and its answer: repeating, patience, limits, counting |
//! | `whole`, `parts` | originals read once, hashed, within the byte budget |
//! | `s3`, `azure` | requests: their form, their signature, what their answers mean |
//! | `signed` | URLs that read one object for a while |
//! | `stores` | all of it, as the ports of [`recording`] for buckets |
//! | `check` | trying all of it out at one destination, with a finding for each capability |
//!
//! **Architecture invariant.** A write is never followed by the conclusion "not there": it ends in
//! "sent", in "unclear: look", or in a refusal by somebody who may refuse. Nothing here overwrites
//! an object. An original in staging is deleted on the condition that it still is the one that was
//! copied, and a copy only by whoever was granted its deletion: by its version, or under its tag.

mod azure;
mod budget;
mod check;
mod connector;
mod credentials;
mod deadline;
mod digest;
mod exchange;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod parts;
mod s3;
mod shown;
mod signed;
mod staging;
mod stores;
mod whole;

pub use azure::may_see_our_identity;
pub use check::BucketChecker;
pub use connector::ConnectorFault;
pub use connector::address::permits_port;
#[cfg(feature = "resolver")]
pub use connector::resolver::Lookup;
pub use credentials::{BaseIdentity, CallerIdentity};
pub use signed::{Overrides, SignedUrl};
pub use staging::{
    BucketOriginals, BucketStaging, BucketTrash, ListedOriginal, LocalStaging, LocalTrash,
    MarkerFault, Unproven, read_marker, write_marker,
};
pub use stores::{
    BucketLeftovers, BucketLookers, BucketPlayers, BucketRemovers, BucketWriters, Judged,
    KeySetFault, KeySetSource, ManagedIdentity, Reading, StagingPlace, StagingStore, StoreSettings,
    Stores, judge_address, permits_address,
};
