//! What administrators do, whichever way they ask: the command line and the HTTP interface give
//! the same answers because they are made here.

pub(crate) mod accounts;
pub(crate) mod destinations;
pub(crate) mod parked;
pub(crate) mod quarantine;
pub(crate) mod retention;
pub(crate) mod status;
pub(crate) mod words;
