//! Prints the documentation of all metrics: `deploy/METRICS.md` is this.

use std::io::{self, Write};

use telemetry::Metrics;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let table = Metrics::new()?.table()?;
    io::stdout().write_all(table.as_bytes())?;
    Ok(())
}
