//! The laboratory S3 and STS server, asked by a client that shares no code with it: `reqwest` and a
//! `SigV4` signer written here from AWS's description.

#[cfg(test)]
#[path = "s3_lab/access.rs"]
mod access;
#[cfg(test)]
#[path = "s3_lab/client.rs"]
mod client;
#[cfg(test)]
#[path = "s3_lab/faults.rs"]
mod faults;
#[cfg(test)]
#[path = "s3_lab/fixture.rs"]
mod fixture;
#[cfg(test)]
#[path = "s3_lab/iam.rs"]
mod iam;
#[cfg(test)]
#[path = "s3_lab/lifecycle.rs"]
mod lifecycle;
#[cfg(test)]
#[path = "s3_lab/multipart.rs"]
mod multipart;
#[cfg(test)]
#[path = "s3_lab/objects.rs"]
mod objects;
#[cfg(test)]
#[path = "s3_lab/sts.rs"]
mod sts;

#[cfg(test)]
use fixture::{BUCKET, EXTERNAL_ID, Fixture, OWNER, ROLE, noise, register};
