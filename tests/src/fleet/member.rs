//! One process of the fleet.

use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use super::Readings;
use crate::child::Supervised;
use crate::patience;

/// A page of its operations port that takes longer is not served.
const PAGE: Duration = Duration::from_secs(5);

/// A running `callferry`. Dropping it kills the process.
#[derive(Debug)]
pub struct Member {
    /// What the test calls it.
    name: String,
    /// Its process.
    process: Supervised,
    /// Its operations address, `host:port`.
    ops: String,
}

impl Member {
    pub(super) fn new(name: &str, process: Supervised, ops: String) -> Self {
        Self {
            name: name.to_owned(),
            process,
            ops,
        }
    }

    /// What the test calls it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Its operations address, `host:port`.
    #[must_use]
    pub fn ops_addr(&self) -> &str {
        &self.ops
    }

    /// Fetches a page of the operations port: status and text.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn page(&self, path: &str) -> Result<(u16, String)> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(PAGE)
            .build()?;
        let response = client
            .get(format!("http://{}{path}", self.ops))
            .send()
            .await?;
        let status = response.status().as_u16();
        Ok((status, response.text().await?))
    }

    /// Waits until `/readyz` says yes.
    ///
    /// # Errors
    /// When the process ends or is not ready in time: with what `/readyz` last said.
    pub async fn ready(&mut self, limit: Duration) -> Result<()> {
        let mut last = "nothing".to_owned();
        let what = format!("{} is ready", self.name);
        let ready = patience::until(&what, limit, async || {
            self.process.must_run()?;
            match self.page("/readyz").await {
                Ok((200, _)) => return Ok(Some(())),
                Ok((status, text)) => last = format!("{status} {text}"),
                Err(error) => last = format!("{error:#}"),
            }
            Ok(None)
        });
        ready
            .await
            .with_context(|| format!("its /readyz last said: {last}"))
    }

    /// Waits until `/readyz` says no.
    ///
    /// # Errors
    /// When the process ends, or still says yes after `limit`.
    pub async fn unready(&mut self, limit: Duration) -> Result<()> {
        let what = format!("{} is no longer ready", self.name);
        patience::until(&what, limit, async || {
            self.process.must_run()?;
            let page = self.page("/readyz").await;
            Ok(page.is_ok_and(|(status, _)| status == 503).then_some(()))
        })
        .await
    }

    /// The text of `/metrics`.
    ///
    /// # Errors
    /// When it does not answer with success.
    pub async fn metrics(&self) -> Result<String> {
        match self.page("/metrics").await? {
            (200, text) => Ok(text),
            (status, text) => bail!("{} answered {status} to /metrics: {text}", self.name),
        }
    }

    /// The sum of a metric over those of its series whose labels contain `labels` (for instance
    /// `outcome="stored"`, or nothing for all). 0 when there is none.
    ///
    /// # Errors
    /// As [`Member::metrics`].
    pub async fn metric(&self, name: &str, labels: &str) -> Result<f64> {
        Ok(sum(&self.metrics().await?, name, labels))
    }

    /// Asks it to stop (SIGTERM).
    ///
    /// # Errors
    /// When it has ended.
    pub fn sigterm(&mut self) -> Result<()> {
        self.process.signal(Signal::TERM)
    }

    /// Crashes it (SIGKILL), with everything in its process group, and reaps it.
    ///
    /// # Errors
    /// When it cannot be reaped.
    pub fn sigkill(&mut self) -> Result<()> {
        self.process.kill9().map(drop)
    }

    /// Freezes it (SIGSTOP), as a machine that swaps or a paused virtual machine does.
    ///
    /// # Errors
    /// When it has ended.
    pub fn sigstop(&mut self) -> Result<()> {
        self.process.signal(Signal::STOP)
    }

    /// Ends [`Member::sigstop`].
    ///
    /// # Errors
    /// When it has ended.
    pub fn sigcont(&mut self) -> Result<()> {
        self.process.signal(Signal::CONT)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it still runs after `limit`.
    pub async fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        self.process.wait(limit).await
    }

    /// Asks it to stop and fails unless it ends by itself with exit code 0.
    ///
    /// # Errors
    /// When it does not stop in time, or not in order.
    pub async fn stop(&mut self, limit: Duration) -> Result<()> {
        self.sigterm()?;
        let status = self.wait(limit).await?;
        if !status.success() {
            bail!("{} stopped with {status}", self.name);
        }
        Ok(())
    }

    /// Whether it still runs.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn runs(&mut self) -> Result<bool> {
        Ok(self.process.ended()?.is_none())
    }

    /// What the kernel says it has used.
    ///
    /// # Errors
    /// When it has ended.
    pub fn readings(&self) -> Result<Readings> {
        Readings::of(self.pid())
    }

    /// Everything it has logged.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn log_text(&self) -> Result<String> {
        self.process.log_text()
    }
}

/// Sums a metric's series in Prometheus' text format.
fn sum(text: &str, name: &str, labels: &str) -> f64 {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let series = lines.filter_map(|line| line.rsplit_once(' '));
    let mine = series.filter(|(series, _)| {
        let (metric, rest) = series.split_once('{').unwrap_or((series, ""));
        metric == name && rest.contains(labels)
    });
    mine.filter_map(|(_, value)| value.parse::<f64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::sum;

    #[test]
    fn a_metric_is_summed_over_the_series_with_the_labels() {
        let text = "# TYPE a_total counter\na_total{x=\"1\"} 2\na_total{x=\"2\"} 3\nab_total 9\n";
        assert!((sum(text, "a_total", "") - 5.0).abs() < f64::EPSILON);
        assert!((sum(text, "a_total", "x=\"2\"") - 3.0).abs() < f64::EPSILON);
        assert!(sum(text, "none_total", "").abs() < f64::EPSILON);
    }
}
