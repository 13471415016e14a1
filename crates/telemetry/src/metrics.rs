//! The metrics of one process, on a registry of their own.
//!
//! Each part of the path has a file: what it counts is declared there, once, with its unit and
//! help, and the methods that count are beside it. This file puts them together.

mod cleanup;
mod closed;
mod family;
mod housekeeping;
pub(crate) mod http;
mod ledger;
pub(crate) mod outcome;
mod outcomes;
mod outside;
mod process;
pub(crate) mod readings;
mod retention;
pub(crate) mod stages;
pub(crate) mod statement;
mod table;
mod transfer;
pub(crate) mod words;

use std::sync::Arc;

use prometheus::{Encoder, Registry, TextEncoder};

use family::{Builder, Declared};

/// The metrics of one process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    declared: Vec<Declared>,
    outcomes: outcomes::Outcomes,
    way: stages::Stages,
    transfer: transfer::Transfer,
    cleanup: cleanup::Cleanup,
    housekeeping: housekeeping::Housekeeping,
    retention: retention::Retention,
    http: http::Http,
    ledger: ledger::LastReading,
    outside: outside::Outside,
    watched: readings::Watched,
}

impl Metrics {
    /// Registers every family, so that each is scraped as zero from the first moment.
    ///
    /// # Errors
    /// Two families share a name, or a name is malformed: a defect found by any test.
    pub fn new() -> prometheus::Result<Arc<Self>> {
        let mut build = Builder::new()?;
        let outcomes = outcomes::Outcomes::new(&mut build)?;
        let way = stages::Stages::new(&mut build)?;
        let transfer = transfer::Transfer::new(&mut build)?;
        let cleanup = cleanup::Cleanup::new(&mut build)?;
        let housekeeping = housekeeping::Housekeeping::new(&mut build)?;
        let retention = retention::Retention::new(&mut build)?;
        let http = http::Http::new(&mut build)?;
        let ledger = ledger::LastReading::new(&mut build)?;
        let outside = outside::Outside::new(&mut build)?;
        let watched = readings::Watched::new(&mut build)?;
        process::register(&mut build)?;
        let Builder {
            registry, declared, ..
        } = build;
        Ok(Arc::new(Self {
            registry,
            declared,
            outcomes,
            way,
            transfer,
            cleanup,
            housekeeping,
            retention,
            http,
            ledger,
            outside,
            watched,
        }))
    }

    /// Everything, in Prometheus' text format.
    ///
    /// # Errors
    /// A family could not be written: a defect found by any test.
    pub fn text(&self) -> prometheus::Result<String> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        String::from_utf8(text).map_err(|error| prometheus::Error::Msg(error.to_string()))
    }

    /// The documentation of every family, as the Markdown of `deploy/METRICS.md`.
    ///
    /// # Errors
    /// It could not be written: a defect found by any test.
    pub fn table(&self) -> prometheus::Result<String> {
        let made = table::markdown(&self.declared);
        made.map_err(|error| prometheus::Error::Msg(error.to_string()))
    }
}

#[cfg(test)]
mod tests;
