//! Storage: originals in staging and copies in customers' buckets. The only crate that knows
//! `object_store`, STS and request signing.
//!
//! | file | knows |
//! |---|---|
//! | `staging` | files: opening beneath a folder, the marker, the trash |
//! | `connector` | the two HTTP clients, TLS, which addresses may be reached |
//! | `credentials` | our identity, sessions of customers' roles, what they are narrowed to |
//! | `s3` | requests: their form, repeating them, what their answers mean |
//! | `stores` | all of it, as the ports [`recording::Writers`] and [`recording::Lookers`] |
//!
//! **Architecture invariant.** A write is never followed by the conclusion "not there": it ends in
//! "sent", in "unclear: look", or in a refusal by somebody who may refuse. Nothing here deletes or
//! overwrites an object.

mod budget;
mod connector;
mod credentials;
mod deadline;
mod digest;
mod s3;
mod staging;
mod stores;

pub use connector::ConnectorFault;
pub use credentials::BaseIdentity;
pub use staging::{LocalStaging, LocalTrash, MarkerFault, read_marker, write_marker};
pub use stores::{S3Lookers, S3Writers, StoreSettings, Stores, permits_address};
