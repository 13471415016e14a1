//! The world of the table: one platform, one fleet, and every case in it.
//!
//! Transfer runs as root without the power to read what the permissions deny, or as whoever runs
//! the tests: either way there are files that it may not read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use callferry_tests::fleet::{Fleet, Member};
use callferry_tests::patience;
use callferry_tests::platform::Platform;
use serde_json::Value;

use super::case::{Case, End, Lying};
use super::floor;
use super::judge::{Seen, View, judge};
use super::wire;

/// Bounds every wait; nothing is judged by how long it took.
pub(crate) const LONG: Duration = Duration::from_secs(240);
/// The accounts that exist from the beginning and have a bucket.
pub(crate) const ACCOUNTS: [&str; 3] = ["acme", "globex", "linked"];

/// The platform with what runs in it.
pub(crate) struct World {
    pub(crate) platform: Platform,
    pub(crate) members: Vec<Member>,
    /// What was put into staging, by path.
    pub(crate) put: BTreeMap<String, Lying>,
    /// Details of quarantined messages, asked for once.
    shown: BTreeMap<i64, Value>,
    limited: Option<Fleet>,
}

impl World {
    /// Servers, accounts, an ear on the exchange; nothing runs yet.
    pub(crate) async fn new(dir: &Path) -> Result<Self> {
        let mut platform = Platform::start(dir).await?;
        for account in ACCOUNTS {
            platform.account(account).await?;
        }
        wire::listen(&platform).await?;
        Ok(Self {
            platform,
            members: Vec::new(),
            put: BTreeMap::new(),
            shown: BTreeMap::new(),
            limited: None,
        })
    }

    /// Puts everything into staging; what two cases share is put once.
    pub(crate) fn stage<'a>(&mut self, cases: impl Iterator<Item = &'a Case>) -> Result<()> {
        for (path, lying) in cases.flat_map(|case| &case.staged) {
            if !self.put.contains_key(path) {
                floor::put(&self.platform.staging, path, lying)?;
                self.put.insert(path.clone(), lying.clone());
            }
        }
        Ok(())
    }

    /// Starts a role.
    pub(crate) async fn start(&mut self, role: &str) -> Result<()> {
        let name = format!("{role}-{}", self.members.len());
        let mut member = match &self.limited {
            Some(limited) if role == "transfer" => limited.start(&name, &[role])?,
            Some(_) | None => self.platform.fleet.start(&name, &[role])?,
        };
        member.ready(Duration::from_secs(60)).await?;
        if self.limited.is_none() {
            self.limited = Some(self.limit(member.pid())?);
        }
        self.members.push(member);
        Ok(())
    }

    /// A fleet with the environment of a running member, whose binary is started without the
    /// power to pass over permissions. Only root has that power.
    fn limit(&self, pid: u32) -> Result<Fleet> {
        if !rustix::process::geteuid().is_root() {
            return Ok(self.platform.fleet.clone());
        }
        let logs = self.platform.staging.with_file_name("logs");
        let program = logs.join("limited-callferry");
        let powers = "-dac_override,-dac_read_search";
        let script = format!(
            "#!/bin/sh\nexec setpriv --bounding-set={powers} --inh-caps={powers} -- '{}' \"$@\"\n",
            self.platform.fleet.binary().display()
        );
        fs::write(&program, script)?;
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700))?;
        let environment = fs::read(format!("/proc/{pid}/environ"))?;
        let mut fleet = Fleet::of(&program, &logs);
        for variable in environment.split(|byte| *byte == 0) {
            let variable = std::str::from_utf8(variable)?;
            if let Some((name, value)) = variable.split_once('=')
                && name != "CALLFERRY_OPS_ADDR"
            {
                fleet.set(name, value);
            }
        }
        Ok(fleet)
    }

    /// Sets a variable for every member that is started from now on.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.platform.fleet.set(name, value);
        if let Some(limited) = &mut self.limited {
            limited.set(name, value);
        }
    }

    /// Ends every member in order.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        for member in &mut self.members {
            member.stop(Duration::from_secs(60)).await?;
        }
        self.members.clear();
        Ok(())
    }

    /// Sends what a wave sends.
    pub(crate) async fn send<'a>(
        &self,
        cases: impl Iterator<Item = &'a Case>,
        wave: u8,
    ) -> Result<()> {
        for case in cases.filter(|case| case.wave == wave) {
            for message in &case.sent {
                let sent = wire::publish(&self.platform, message).await;
                sent.with_context(|| format!("{} {}", case.row, case.what))?;
            }
        }
        Ok(())
    }

    /// What the command line and the fleet say now. Only accounts that exist are asked.
    async fn view(&mut self) -> Result<View> {
        let mut view = View::default();
        let list = ["quarantine", "list", "--limit", "5000"];
        let listed = self.platform.json(&list).await?;
        for row in listed.as_array().into_iter().flatten() {
            let id = row["id"].as_i64().context("an id")?;
            if !self.shown.contains_key(&id) {
                let show = ["quarantine", "show", &id.to_string()];
                self.shown.insert(id, self.platform.json(&show).await?);
            }
            let mut shown = self.shown.get(&id).cloned().unwrap_or_default();
            // What may have changed since it was asked for.
            shown["count"] = row["count"].clone();
            view.quarantined.push(shown);
        }
        let accounts = self.platform.json(&["account", "list"]).await?;
        for account in accounts.as_array().into_iter().flatten() {
            let account = account["account_id"].as_str().unwrap_or_default();
            let list = ["recording", "list", "--account", account, "--limit", "5000"];
            let listed = self.platform.json(&list).await?;
            for row in listed.as_array().into_iter().flatten() {
                let id = row["recording_id"].as_str().unwrap_or_default();
                let key = (account.to_owned(), id.to_owned());
                view.recordings.insert(key, row.clone());
            }
        }
        view.outcomes = self.outcomes().await?;
        Ok(view)
    }

    async fn outcomes(&self) -> Result<BTreeMap<(String, String), u64>> {
        let mut outcomes = BTreeMap::new();
        for (role, outcome) in [
            ("cleanup", "waits"),
            ("cleanup", "not_stored"),
            ("cleanup", "no_row"),
            ("transfer", "no_row"),
        ] {
            let labels = format!("outcome=\"{outcome}\",role=\"{role}\"");
            let count = self.counted("callferry_outcomes_total", &labels).await?;
            outcomes.insert((role.to_owned(), outcome.to_owned()), count);
        }
        Ok(outcomes)
    }

    /// The sum of a counter over the fleet.
    pub(crate) async fn counted(&self, name: &str, labels: &str) -> Result<u64> {
        let mut sum = 0.0;
        for member in &self.members {
            sum += member.metric(name, labels).await?;
        }
        let whole = format!("{sum:.0}");
        whole.parse().context("a counter is a whole number")
    }

    /// Waits until every case has ended as `end` says, and returns what is seen of each.
    pub(crate) async fn ended<'a>(
        &mut self,
        cases: &[&'a Case],
        end: impl Fn(&Case) -> End,
    ) -> Result<Vec<(&'a Case, Seen)>> {
        let mut wrong = BTreeSet::new();
        let all = patience::until("every case has ended", LONG, async || {
            let view = self.view().await?;
            wrong.clear();
            let mut seen = Vec::new();
            for case in cases {
                match judge(case, end(case), &view) {
                    Ok(one) => seen.push((*case, one)),
                    Err(why) => {
                        wrong.insert(format!("{} {} ({}): {why}", case.row, case.what, case.id));
                    }
                }
            }
            Ok(wrong.is_empty().then_some(seen))
        })
        .await;
        all.with_context(|| {
            let wrong: Vec<String> = wrong.iter().cloned().collect();
            format!("{} have not:\n  {}", wrong.len(), wrong.join("\n  "))
        })
    }
}
