//! Ports: the traits through which roles reach the outside.

pub(crate) mod bucket;
pub(crate) mod clock;
pub(crate) mod ledger;
pub(crate) mod publisher;
pub(crate) mod staging;
