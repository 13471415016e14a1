//! S3 as we speak it: requests of our own, signed by `object_store`'s authorizer and sent by its
//! HTTP layer.
//!
//! **Decision.** Every request to a bucket is built here. **Because** `object_store`'s S3 client
//! cannot do what the protocol rests on: create-only and full-object checksums on complete, the
//! checksum and the metadata of a HEAD, the expected owner, a fence between the credential and
//! the signature, and an error's code (its errors hide status and code, and 409 and 412 are the
//! same to it). And it would compute a second CRC64NVME over bytes whose checksum is known.
//! **Instead of** half the requests through one client and half through another, there is one
//! path with one retry rule and one classifier.

mod bucket;
mod classify;
mod exchange;
mod look;
mod multipart;
mod place;
mod probe;
mod put;
mod read_back;
mod removal;
mod sign;
mod staged;
mod uploads;
mod xml;

pub(crate) use bucket::Bucket;
pub(crate) use classify::{is_throttling, refusal};
pub(crate) use multipart::{Trial, TrialEnd};
pub(crate) use place::Place;
pub(crate) use xml::{AssumedRole, code as error_code, parse, plain_code};
