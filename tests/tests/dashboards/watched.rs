//! A platform with a fleet that Prometheus scrapes and judges, and Alertmanager hears of.

use std::time::Duration;

use anyhow::{Context, Result};
use callferry_tests::fleet::Member;
use callferry_tests::load::{self, Load};
use callferry_tests::patience;
use callferry_tests::platform::Platform;
use callferry_tests::s3::Policy;
use callferry_tests::scratch::Scratch;
use callferry_tests::servers::prometheus::shortened_rules;
use callferry_tests::servers::{Alertmanager, Prometheus};

/// Bounds every wait; nothing is judged by how long it took.
pub(crate) const LONG: Duration = Duration::from_secs(240);

/// Everything. Dropped from the top: members end before their servers, files go last.
pub(crate) struct Watched {
    pub(crate) members: Vec<Member>,
    pub(crate) prometheus: Prometheus,
    alertmanager: Alertmanager,
    pub(crate) platform: Platform,
    started: u32,
    _scratch: Scratch,
}

impl Watched {
    /// Servers of our own, accounts acme and globex, rules with shorter times; no member yet.
    /// `None`, said loudly, where Prometheus or Alertmanager is not installed.
    pub(crate) async fn new(name: &str) -> Result<Option<Self>> {
        let scratch = Scratch::new(name)?;
        let dir = scratch.path();
        let Some(alertmanager) = Alertmanager::start(&dir.join("alertmanager")).await? else {
            return Ok(None);
        };
        let rules = [shortened_rules(&dir.join("rules"))?];
        let told = Some(alertmanager.address());
        let prometheus = Prometheus::start(&dir.join("prometheus"), &rules, told).await?;
        let Some(prometheus) = prometheus else {
            return Ok(None);
        };
        let mut platform = Platform::private(dir).await?;
        for (key, value) in [
            ("UNACKNOWLEDGED_S", "5"),
            ("UNRELEASED_S", "10"),
            ("REDRIVE_S", "5"),
            ("READING_EVERY_S", "1"),
        ] {
            platform.fleet.set(&format!("CALLFERRY_DRIVE_{key}"), value);
        }
        for account in ["acme", "globex"] {
            platform.account(account).await?;
        }
        Ok(Some(Self {
            members: Vec::new(),
            prometheus,
            alertmanager,
            platform,
            started: 0,
            _scratch: scratch,
        }))
    }

    /// Starts members, one for each role named, and has all of them scraped.
    pub(crate) async fn start(&mut self, roles: &[&str]) -> Result<()> {
        for role in roles {
            self.begin(role, &[])?;
        }
        self.scraped().await
    }

    /// Starts a member with variables of its own, and has it scraped.
    pub(crate) async fn start_with(&mut self, role: &str, own: &[(&str, &str)]) -> Result<()> {
        self.begin(role, own)?;
        self.scraped().await
    }

    fn begin(&mut self, role: &str, own: &[(&str, &str)]) -> Result<()> {
        self.started += 1;
        let name = format!("{role}-{}", self.started);
        let member = self.platform.fleet.start_with(&name, &[role], own)?;
        self.members.push(member);
        Ok(())
    }

    async fn scraped(&mut self) -> Result<()> {
        for member in &mut self.members {
            member.ready(Duration::from_secs(120)).await?;
        }
        self.prometheus.watch(&self.members).await
    }

    /// The first member of a role.
    pub(crate) fn member(&mut self, role: &str) -> Result<&mut Member> {
        let mut members = self.members.iter_mut();
        let found = members.find(|member| member.name().starts_with(role));
        found.with_context(|| format!("no {role} runs"))
    }

    /// Stops every member of a role in order, and scrapes them no more.
    pub(crate) async fn stop(&mut self, role: &str) -> Result<()> {
        for member in &mut self.members {
            if member.name().starts_with(role) {
                member.stop(Duration::from_secs(60)).await?;
            }
        }
        self.members
            .retain(|member| !member.name().starts_with(role));
        self.prometheus.watch(&self.members).await
    }

    /// Crashes the first member of a role, and starts another in its place.
    pub(crate) async fn crash(&mut self, role: &str) -> Result<()> {
        self.member(role)?.sigkill()?;
        let at = self.members.iter().position(|m| m.name().starts_with(role));
        self.members.remove(at.context("it was there")?);
        self.start(&[role]).await
    }

    /// Stages and publishes recordings of `accounts`.
    pub(crate) async fn announce(&self, accounts: &[&str], n: usize, seed: u64) -> Result<()> {
        let load = Load {
            accounts: accounts.iter().map(|name| (*name).to_owned()).collect(),
            recordings: n,
            size_bytes: 20_000,
            seed,
        };
        load.stage(&self.platform)?;
        load.publish(&self.platform).await
    }

    /// Waits until as many recordings are in a state.
    pub(crate) async fn until(&self, state: &str, n: u64) -> Result<()> {
        let what = format!("{n} recordings are {state}");
        patience::until(&what, LONG, async || {
            let states = load::states(&self.platform).await?;
            tokio::time::sleep(Duration::from_millis(200)).await;
            Ok((states.get(state).copied().unwrap_or(0) >= n).then_some(()))
        })
        .await
    }

    /// Waits until an alert fires and Alertmanager has been told of it.
    pub(crate) async fn fires(&self, name: &str, severity: &str) -> Result<()> {
        self.judged(name, severity, true).await
    }

    /// Waits until an alert has ended and Alertmanager has been told of that.
    pub(crate) async fn ends(&self, name: &str, severity: &str) -> Result<()> {
        self.judged(name, severity, false).await
    }

    async fn judged(&self, name: &str, severity: &str, firing: bool) -> Result<()> {
        let what = format!(
            "{name} ({severity}) {}",
            if firing { "fires" } else { "ends" }
        );
        let mut last = String::new();
        let judged = patience::until(&what, LONG, async || {
            let alerts = self.prometheus.alerts().await?;
            let mut mine = alerts
                .iter()
                .filter(|a| a.name == name && a.severity == severity);
            let fires = mine.any(|alert| alert.firing);
            let told = self.alertmanager.alerts().await?;
            let told = told.iter().any(|alert| {
                alert["labels"]["alertname"] == name && alert["labels"]["severity"] == severity
            });
            last = format!("{alerts:?}; Alertmanager was told: {told}");
            tokio::time::sleep(Duration::from_millis(200)).await;
            Ok((fires == firing && told == firing).then_some(()))
        })
        .await;
        judged.with_context(|| format!("last seen: {last}"))
    }

    /// Changes what the role of an account may do in its bucket.
    pub(crate) async fn allow(&self, account: &str, actions: &[&str]) -> Result<()> {
        let listed = self
            .platform
            .json(&["destination", "list", account])
            .await?;
        let listed = listed.to_string();
        let arn = listed.split("\"role_arn\":\"").nth(1);
        let arn = arn
            .and_then(|rest| rest.split('"').next())
            .context("no role")?;
        let policy = Policy::bucket(&Platform::bucket(account), "", actions);
        self.platform
            .lab
            .change_role(arn, |role| role.permissions = policy);
        Ok(())
    }

    /// Makes everything that is parked, or refused a release, due now.
    pub(crate) async fn retry(&self) -> Result<()> {
        let retry = ["parked", "retry", "--all"];
        self.platform.fleet.must(&retry).await.map(drop)
    }

    /// The key of a recording's copy in its account's bucket.
    pub(crate) fn key(&self, account: &str, id: &str) -> Result<String> {
        let objects = self.platform.lab.objects(&Platform::bucket(account));
        let mut keys = objects.into_iter().map(|object| object.key);
        let key = keys.find(|key| key.contains(id));
        key.with_context(|| format!("no copy of {account}/{id}"))
    }
}
