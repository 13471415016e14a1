//! An S3 and STS server for the laboratory: real HTTP, real signatures, real files, on loopback.
//!
//! **It is an emulator.** What passes here has been checked against our reading of AWS's
//! documentation, not against AWS. It exists because the demo and the end-to-end tests need a
//! customer's bucket that can be started in milliseconds, that enforces who may do what, and that
//! can be told to misbehave in every way the protocol has to survive.
//!
//! The HTTP and XML of S3 and the signature check are the `s3s` library's. Written here: the
//! objects on disk (`store`), the operations over them (`emulator`), identities, roles, sessions
//! and their policies (`identity`, `policy`, `trust`, `sts`, `iam`, `access`), misbehaviour
//! (`faults`, `front`) and the record of every request (`history`).
//!
//! What it does as S3 does: conditional writes, also on complete; full-object CRC64NVME; `ETags`;
//! part sizes and part `ETags` at complete; 403 in place of 404 for those who may not list (the key
//! stands for `s3:prefix` in that decision); expected bucket owner; every `x-amz-` header must be
//! signed; a default retention of Object Lock, which never ends here; an object sent with
//! another checksum algorithm reports that one and no CRC64NVME.
//!
//! Zeros take no room on its disk, and it never has a whole body in memory, so that huge sparse
//! objects are cheap.
//!
//! What it leaves out: bucket policies and ACLs (kept, not evaluated), object lock by request,
//! SSE-C, copies,
//! reading tags back, KMS permissions, regions (any is accepted), eventual 409 answers, role
//! chaining, more than one policy of a role, settings of buckets other than versioning (taken, not
//! heeded), durability against power loss (nothing is fsynced; a killed process loses nothing).

mod access;
mod checksum;
mod clock;
mod emulator;
mod faults;
mod front;
mod history;
mod iam;
mod identity;
mod lab;
mod operation;
mod oracle;
mod pace;
mod policy;
mod server;
mod signature;
mod store;
mod sts;
mod trust;

pub use faults::{Fault, FaultId, FaultRule};
pub use history::{Caller, Seen};
pub use identity::{Identity, Role};
pub use lab::{Arranged, LabOptions, Quirks, S3Lab};
pub use operation::Operation;
pub use oracle::{OpenUpload, StoredBytes, StoredObject};
pub use policy::{MalformedPolicy, Policy};
