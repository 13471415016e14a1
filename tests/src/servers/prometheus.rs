//! A private Prometheus that scrapes members of a fleet, judges by rules and answers queries: the
//! same program that operators run, so that dashboard and alerts are asked of the real thing.

mod picture;
mod shortened;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use url::Url;

pub use picture::Picture;
pub use shortened::{rules, shortened_rules};

use crate::child::{Launch, Supervised};
use crate::fleet::Member;
use crate::ports::free_port;
use crate::{environment, patience, scratch};

/// It answers within a second, and many times that on a busy machine.
const READY: Duration = Duration::from_secs(60);
/// Its service discovery passes changes on every 5 s.
const SCRAPED: Duration = Duration::from_secs(60);
/// Between two scrapes, and between two looks at the rules.
pub const SCRAPE: Duration = Duration::from_secs(1);
/// The job of every member: one installation.
pub const JOB: &str = "callferry";

/// A running Prometheus.
#[derive(Debug)]
pub struct Prometheus {
    /// Its process.
    server: Supervised,
    /// Where it listens.
    port: u16,
    /// Where it reads whom to scrape.
    targets: PathBuf,
    /// Asks it.
    client: reqwest::Client,
}

/// An alert that is pending or firing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Its name.
    pub name: String,
    /// `page` or `warn`.
    pub severity: String,
    /// Whether it fires; otherwise its condition has not held for long enough yet.
    pub firing: bool,
    /// Every label, the name and the severity included.
    pub labels: Value,
}

/// Whether a program of Debian's packages is on `PATH`.
#[must_use]
pub fn is_installed(program: &str) -> bool {
    std::env::split_paths(&environment::path()).any(|folder| folder.join(program).is_file())
}

impl Prometheus {
    /// Starts it with its state in `dir`, judging by `rules`, telling `alertmanager` (its
    /// `host:port`) if there is one. When it is not installed that is said loudly and `None`
    /// returned: the test is then skipped, not passed.
    ///
    /// # Errors
    /// When it is installed and does not come up: with the end of its log.
    pub async fn start(
        dir: &Path,
        rules: &[PathBuf],
        alertmanager: Option<&str>,
    ) -> Result<Option<Self>> {
        if !is_installed("prometheus") {
            let why = "not installed; deploy/local/install.sh prometheus gets it";
            scratch::skip("prometheus", why)?;
            return Ok(None);
        }
        fs::create_dir_all(dir)?;
        let port = free_port()?;
        let (config, targets) = (dir.join("prometheus.yml"), dir.join("targets.json"));
        let managers: Vec<_> = alertmanager
            .iter()
            .map(|address| json!({"static_configs": [{"targets": [address]}]}))
            .collect();
        let every = format!("{}s", SCRAPE.as_secs());
        // JSON is YAML, too.
        let written = json!({
            "global": {"scrape_interval": every, "evaluation_interval": every},
            "rule_files": rules,
            "alerting": {"alertmanagers": managers},
            "scrape_configs": [{"job_name": JOB, "file_sd_configs": [
                {"files": [&targets], "refresh_interval": "1s"}
            ]}],
        });
        fs::write(&config, written.to_string())?;
        fs::write(&targets, "[]")?;
        let launch = Launch::new("prometheus", "prometheus", &dir.join("prometheus.log"));
        let server = launch.args([
            format!("--config.file={}", config.display()),
            format!("--storage.tsdb.path={}", dir.join("data").display()),
            format!("--web.listen-address=127.0.0.1:{port}"),
            // An alert is sent anew this often, which is also how soon its end is known.
            "--rules.alert.resend-delay=1s".to_owned(),
            "--log.level=warn".to_owned(),
        ]);
        let mut prometheus = Self {
            server: server.start()?,
            port,
            targets,
            client: reqwest::Client::builder().no_proxy().build()?,
        };
        let ready = format!("{}/-/ready", prometheus.url());
        patience::until("Prometheus is ready", READY, async || {
            prometheus.server.must_run()?;
            let answer = prometheus.client.get(&ready).send().await;
            Ok(answer
                .is_ok_and(|answer| answer.status().is_success())
                .then_some(()))
        })
        .await?;
        Ok(Some(prometheus))
    }

    /// Where it answers.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Scrapes these members and no others from now on, and waits until each was scraped.
    ///
    /// # Errors
    /// When one of them does not answer in time.
    pub async fn watch(&self, members: impl IntoIterator<Item = &Member>) -> Result<()> {
        let members = members.into_iter().map(Member::ops_addr);
        let addresses: Vec<_> = members.collect();
        let whole = json!([{"targets": addresses}]).to_string();
        // Renamed into place: half a file would be read as none.
        let fresh = self.targets.with_extension("new");
        fs::write(&fresh, whole)?;
        fs::rename(&fresh, &self.targets)?;
        let (all, up) = (format!("count(up{{job={JOB:?}}})"), "sum(up)".to_owned());
        let wanted = f64::from(u32::try_from(addresses.len())?);
        patience::until("every member is scraped", SCRAPED, async || {
            let (all, up) = (self.value(&all).await?, self.value(&up).await?);
            Ok((all == Some(wanted) && up == Some(wanted)).then_some(()))
        })
        .await
    }

    /// The series that an expression gives now.
    ///
    /// # Errors
    /// When Prometheus refuses the expression.
    pub async fn query(&self, expr: &str) -> Result<Vec<Value>> {
        self.ask("query", &[("query", expr)]).await
    }

    /// The series that an expression gives over the last `span`, a point each second.
    ///
    /// # Errors
    /// As [`Prometheus::query`].
    pub async fn range(&self, expr: &str, span: Duration) -> Result<Vec<Value>> {
        // Its own clock, so that no other is needed.
        let now = self
            .value("time()")
            .await?
            .context("Prometheus has no time")?;
        let (from, to) = ((now - span.as_secs_f64()).to_string(), now.to_string());
        let asked = [("query", expr), ("start", &from), ("end", &to)];
        let step = [("step", "1")];
        self.ask("query_range", &[&asked[..], &step[..]].concat())
            .await
    }

    /// The first value that an expression gives now.
    ///
    /// # Errors
    /// As [`Prometheus::query`].
    pub async fn value(&self, expr: &str) -> Result<Option<f64>> {
        let series = self.query(expr).await?;
        let value = series.first().and_then(|one| one.pointer("/value/1"));
        Ok(value.and_then(Value::as_str).and_then(|v| v.parse().ok()))
    }

    /// Every alert that is pending or firing.
    ///
    /// # Errors
    /// When Prometheus does not answer.
    pub async fn alerts(&self) -> Result<Vec<Alert>> {
        let answer = self.data("alerts", &[]).await?;
        let alerts = answer.get("alerts").and_then(Value::as_array);
        let alerts = alerts.context("Prometheus answers without alerts")?;
        let label = |alert: &Value, name: &str| {
            let text = alert.pointer(&format!("/labels/{name}"));
            text.and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let one = |alert: &Value| Alert {
            name: label(alert, "alertname"),
            severity: label(alert, "severity"),
            firing: alert.get("state").and_then(Value::as_str) == Some("firing"),
            labels: alert.get("labels").cloned().unwrap_or_default(),
        };
        Ok(alerts.iter().map(one).collect())
    }

    /// The rules as Prometheus holds them, with the health of each.
    ///
    /// # Errors
    /// When Prometheus does not answer.
    pub async fn rules(&self) -> Result<Value> {
        self.data("rules", &[]).await
    }

    async fn ask(&self, path: &str, asked: &[(&str, &str)]) -> Result<Vec<Value>> {
        let data = self.data(path, asked).await?;
        // A scalar is a pair of its time and its value, not a list of series.
        if data.get("resultType").and_then(Value::as_str) == Some("scalar") {
            return Ok(vec![json!({"metric": {}, "value": data.get("result")})]);
        }
        let series = data.get("result").and_then(Value::as_array).cloned();
        series.with_context(|| format!("an answer without a result: {data}"))
    }

    async fn data(&self, path: &str, asked: &[(&str, &str)]) -> Result<Value> {
        let url = format!("{}/api/v1/{path}", self.url());
        let url = Url::parse_with_params(&url, asked)?;
        let answer = self.client.get(url).send().await?.text().await?;
        let answer: Value = serde_json::from_str(&answer)?;
        if answer.get("status").and_then(Value::as_str) != Some("success") {
            bail!("Prometheus refuses {asked:?}: {answer}");
        }
        Ok(answer.get("data").cloned().unwrap_or_default())
    }
}
