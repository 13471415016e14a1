//! A picture of the dashboard, drawn by Grafana's own panels from what Prometheus holds.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Prometheus;
use crate::child::Launch;
use crate::environment::repository;

/// Bundling, starting a browser and drawing take about ten seconds on a quiet machine.
const DRAWN: Duration = Duration::from_secs(180);

/// What to draw.
#[derive(Clone, Debug)]
pub struct Picture {
    /// How far it looks back.
    pub span: Duration,
    /// How many headed rows of panels it has below the top.
    pub rows: u32,
    /// Where it goes: a PNG.
    pub file: PathBuf,
}

impl Prometheus {
    /// Draws the dashboard as it is now.
    ///
    /// # Errors
    /// When the renderer is not installed (`deploy/local/install.sh dashboard`), fails, or finds a
    /// panel without data: a picture of nothing shows nothing.
    pub async fn draw(&self, dir: &Path, picture: &Picture) -> Result<()> {
        let tool = repository().join("tests/tools/grafana/render");
        ensure!(
            tool.join("node_modules/esbuild").exists(),
            "the renderer is not installed: run deploy/local/install.sh dashboard"
        );
        let now = self.value("time()").await?;
        let now = now.context("Prometheus has no time")?;
        let (from, rows) = (now - picture.span.as_secs_f64(), picture.rows.to_string());
        let file = std::path::absolute(&picture.file)?;
        let log = dir.join("render.log");
        let launch = Launch::new("the renderer", "node", &log)
            .args([tool.join("render.mjs")])
            .args(["--prometheus", &self.url(), "--rows", &rows])
            .args(["--from", &from.to_string(), "--to", &now.to_string()])
            // Rates are taken over four of these: of every second they would be all noise.
            .args(["--scrape", "4"])
            .args([Path::new("--out"), &file])
            // The browser keeps its state there.
            .envs([("HOME", dir.as_os_str())]);
        let mut running = launch.start()?;
        let status = running.wait(DRAWN).await?;
        ensure!(status.success(), "not drawn: {}", running.log_text()?);
        Ok(())
    }
}
