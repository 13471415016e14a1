//! What a command works with.

use anyhow::Result;
use catalog::Catalog;

use crate::config::Config;
use crate::output::Output;
use crate::wiring;

/// The configuration and the way to answer.
#[derive(Debug)]
pub(crate) struct Context {
    /// The configuration.
    pub(crate) config: Config,
    /// How answers are written.
    pub(crate) output: Output,
}

impl Context {
    /// The ledger, with a schema this release knows.
    pub(crate) async fn ledger(&self) -> Result<Catalog> {
        let catalog = wiring::catalog(&self.config, &wiring::clock(), &wiring::no_meter())?;
        wiring::expect_schema(&catalog).await?;
        Ok(catalog)
    }
}
