//! Credentials: our own base identity, a session of a customer's role for each purpose, narrowed to
//! what that purpose needs below one prefix, and Entra's tokens: of an application in the
//! customer's directory, or of the machine that we run on.
//!
//! A session is fetched once and shared. Reading it is a lock held for a pointer's copy. Past
//! three quarters of its life the first asker renews it while all others go on with the old one;
//! close to its end everybody waits for one renewal. A refusal of STS is remembered for a while,
//! so that a customer's broken role costs STS one call in 30 s and not one for each recording.

mod assume;
mod base;
mod caller;
mod entra;
mod policy;
mod service;
mod session;

pub use base::BaseIdentity;
pub use caller::CallerIdentity;

pub(crate) use assume::{Role, Sts};
pub(crate) use base::Base;
pub(crate) use entra::{Application, Entra, Machine};
pub(crate) use policy::{session_name, session_policy, statements};
pub(crate) use session::{Issued, Session, Source};
