//! Ports: the traits through which roles reach the outside.

pub(crate) mod bucket;
pub(crate) mod check;
pub(crate) mod clock;
pub(crate) mod erasure;
pub(crate) mod isolation;
pub(crate) mod ledger;
pub(crate) mod meter;
pub(crate) mod publisher;
pub(crate) mod reading;
pub(crate) mod reroute;
pub(crate) mod retention;
pub(crate) mod staging;
