//! What the tests have in common: a platform with a fleet, and waiting for a recording.

use std::time::Duration;

use anyhow::{Context, Result};
use callferry_tests::fleet::Member;
use callferry_tests::load::Load;
use callferry_tests::patience;
use callferry_tests::platform::Platform;
use callferry_tests::scratch::Scratch;
use serde_json::Value;

/// Bounds every wait; nothing is judged by how long it took.
pub(crate) const LONG: Duration = Duration::from_secs(240);

/// A platform and its scratch directory, which must live longer.
pub(crate) struct Setting {
    pub(crate) platform: Platform,
    pub(crate) fleet: Vec<Member>,
    _scratch: Scratch,
}

impl Setting {
    /// Servers and two accounts with destinations, but no member yet.
    pub(crate) async fn new(name: &str) -> Result<Self> {
        let scratch = Scratch::new(name)?;
        let platform = Platform::start(scratch.path()).await?;
        Self::of(platform, scratch).await
    }

    /// The same with servers that may be killed.
    pub(crate) async fn private(name: &str) -> Result<Self> {
        let scratch = Scratch::new(name)?;
        let platform = Platform::private(scratch.path()).await?;
        Self::of(platform, scratch).await
    }

    async fn of(mut platform: Platform, scratch: Scratch) -> Result<Self> {
        // A drive that was lost with a killed broker comes back in seconds, not in minutes.
        for (key, value) in [
            ("UNACKNOWLEDGED_S", "5"),
            ("UNRELEASED_S", "10"),
            ("REDRIVE_S", "10"),
        ] {
            platform.fleet.set(&format!("CALLFERRY_DRIVE_{key}"), value);
        }
        for account in ["acme", "globex"] {
            platform.account(account).await?;
        }
        Ok(Self {
            platform,
            fleet: Vec::new(),
            _scratch: scratch,
        })
    }

    /// Starts members: one for each role named, all at once.
    pub(crate) async fn start(&mut self, roles: &[&str]) -> Result<()> {
        let first = self.fleet.len();
        for (number, role) in roles.iter().enumerate() {
            let name = format!("{role}-{}", first + number);
            self.fleet.push(self.platform.fleet.start(&name, &[role])?);
        }
        for member in self.fleet.iter_mut().skip(first) {
            member.ready(Duration::from_secs(60)).await?;
        }
        Ok(())
    }

    /// Ends every member in order.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        for member in &mut self.fleet {
            member.stop(Duration::from_secs(60)).await?;
        }
        self.fleet.clear();
        Ok(())
    }

    /// A load over the two accounts.
    pub(crate) fn load(recordings: usize, size_bytes: usize, seed: u64) -> Load {
        let accounts = vec!["acme".to_owned(), "globex".to_owned()];
        Load {
            accounts,
            recordings,
            size_bytes,
            seed,
        }
    }

    /// One recording as the command line shows it; `None` while it is unknown.
    pub(crate) async fn shown(&self, account: &str, id: &str) -> Result<Option<Value>> {
        let args = ["recording", "show", "--account", account, id, "--json"];
        let shown = self.platform.fleet.run(&args).await?;
        if shown.code != Some(0) {
            return Ok(None);
        }
        let shown = shown.json()?;
        Ok(Some(if shown.is_array() {
            shown[0].clone()
        } else {
            shown
        }))
    }

    /// Waits until a recording is parked for a reason, and returns it.
    pub(crate) async fn parked(&self, account: &str, id: &str, reason: &str) -> Result<Value> {
        let mut last = None;
        let what = format!("{account}/{id} is parked as {reason}");
        let parked = patience::until(&what, LONG, async || {
            last = self.shown(account, id).await?;
            Ok(last
                .clone()
                .filter(|row| row["state"] == "parked" && row["reason"] == reason))
        })
        .await;
        parked.with_context(|| format!("it was last: {last:?}"))
    }
}
