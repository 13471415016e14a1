//! Azure Blob storage as we speak it: requests of our own, as for S3 and for the same reasons (see
//! `s3`): checksums that the service verifies while it takes the bytes, create-only commits, the
//! error codes, a fence before the signature.
//!
//! **Decision.** An account key never signs a request. Each request gets a service SAS of its own
//! for one blob, one permission and less than an hour, made from the key on the spot. **Because**
//! the signature of a shared key covers all of a request's headers and would have to rebuild them,
//! and because a request that leaks (a proxy's log) then gives away one blob for an hour and not
//! the storage account. **Instead of** a cached SAS for the container: making one costs
//! microseconds.
//!
//! **Decision.** A blob that is sent whole is signed for with `create` only, which the service
//! itself refuses to whoever would overwrite; blocks need `write`. **Because** that is a second
//! lock on "created only if absent" besides `If-None-Match`. Its refusal means "taken".
//!
//! **What two writers do to each other.** Uncommitted blocks belong to the blob's name, not to a
//! writer, and any commit or Put Blob under the name drops all of them. A block's id is made of our
//! upload's id, the number and the checksum of the bytes, so that an id means the same bytes
//! whoever sent it, and a commit names its own ids only. Whoever commits first wins; the other's
//! commit is refused (`BlobAlreadyExists`, `InvalidBlockList`), which ends in a look. A successor
//! lists what is left of an upload before it goes on, and sends what was dropped again.

mod blocks;
mod classify;
mod container;
mod delegation;
mod look;
mod place;
mod probe;
mod put;
mod removal;
mod sas;
mod sign;
mod signing;
mod staged;

pub(crate) use classify::refusal;
pub(crate) use container::{Container, Identity};
pub(crate) use place::Place;
pub use place::may_see_our_identity;
pub(crate) use sas::expiry as sas_expiry;
