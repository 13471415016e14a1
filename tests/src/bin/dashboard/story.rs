//! What happens to the fleet of the picture: a steady load, and in the middle of it one customer
//! who takes a permission away, a producer that sends rubbish, a copy that somebody overwrites, a
//! process that is killed and a store that is slow; then the repair.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use callferry_tests::fleet::Member;
use callferry_tests::patience;
use callferry_tests::platform::{AzureAccess, Platform};
use callferry_tests::s3::Policy;
use callferry_tests::servers::Prometheus;
use callferry_tests::servers::prometheus::shortened_rules;
use serde_json::json;

/// The accounts and their shares of the load, in sixteenths.
const ACCOUNTS: [(&str, usize); 5] = [
    ("acme", 6),
    ("globex", 4),
    ("initech", 3),
    ("umbrella", 2),
    ("hooli", 1),
];
/// The one with an Azure container.
const OTHER_CLOUD: &str = "globex";
/// The one who takes the permission away.
const INCIDENT: &str = "initech";
/// The role's permissions when all is well.
const WHOLE: [&str; 3] = ["s3:PutObject", "s3:GetObject", "s3:GetObjectVersion"];
/// A store is not next door.
const NEAR: Duration = Duration::from_millis(40);
/// Nor always well.
const FAR: Duration = Duration::from_millis(700);

/// The platform, its fleet and who watches it.
pub(crate) struct Story {
    transfers: Vec<Member>,
    others: Vec<Member>,
    pub(crate) prometheus: Prometheus,
    platform: Platform,
    announced: usize,
}

/// What is done at a moment of the story, and when: in hundredths of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Denied,
    Rubbish,
    Overwritten,
    Killed,
    Replaced,
    Slow,
    Fast,
    Repaired,
}

const EVENTS: [(u32, Event); 9] = [
    (30, Event::Denied),
    (38, Event::Rubbish),
    (44, Event::Overwritten),
    (50, Event::Killed),
    (54, Event::Replaced),
    (60, Event::Slow),
    (68, Event::Fast),
    (76, Event::Repaired),
    (96, Event::Rubbish),
];

impl Story {
    /// Starts everything. `None` where Prometheus is not installed.
    pub(crate) async fn begin(dir: &Path) -> Result<Option<Self>> {
        let rules = [shortened_rules(&dir.join("rules"))?];
        let state = dir.join("prometheus");
        let Some(prometheus) = Prometheus::start(&state, &rules, None).await? else {
            return Ok(None);
        };
        let mut platform = Platform::private(dir).await?;
        platform.fleet.set("CALLFERRY_DRIVE_READING_EVERY_S", "2");
        platform.lab.set_latency(NEAR);
        // One customer is with the other cloud, where Azurite can be had.
        let both_clouds = platform.start_azure().await?;
        for (account, _) in ACCOUNTS {
            if both_clouds && account == OTHER_CLOUD {
                let access = AzureAccess::ServicePrincipal;
                platform.azure_account(account, access).await?;
            } else {
                platform.account(account).await?;
            }
        }
        let mut story = Self {
            transfers: Vec::new(),
            others: Vec::new(),
            prometheus,
            platform,
            announced: 0,
        };
        for name in ["transfer-1", "transfer-2"] {
            let member = story
                .platform
                .fleet
                .start_ready(name, &["transfer"])
                .await?;
            story.transfers.push(member);
        }
        for role in ["cleanup", "housekeeping"] {
            let member = story.platform.fleet.start_ready(role, &[role]).await?;
            story.others.push(member);
        }
        story.watch().await?;
        Ok(Some(story))
    }

    async fn watch(&self) -> Result<()> {
        let all = self.transfers.iter().chain(&self.others);
        self.prometheus.watch(all).await
    }

    /// Tells it, from its peace to the end of the repair.
    pub(crate) async fn tell(&mut self, length: Duration) -> Result<()> {
        let began = Instant::now();
        let mut next = EVENTS.iter().peekable();
        let mut second: u32 = 0;
        while began.elapsed() < length {
            second += 1;
            let part = began.elapsed().as_secs_f64() / length.as_secs_f64();
            // Calls end in waves.
            let wave = 1.0 + 0.5 * (part * 18.0).sin();
            for (account, share) in ACCOUNTS {
                let sixteenths = f64::from(u32::try_from(share)?) * wave;
                let now = (1..=16).filter(|n| f64::from(*n) <= sixteenths).count();
                self.announce(account, now).await?;
            }
            while let Some((_, event)) = next.next_if(|(at, _)| f64::from(*at) / 100.0 <= part) {
                self.cause(*event).await?;
            }
            let due = Duration::from_secs(second.into());
            tokio::time::sleep(due.saturating_sub(began.elapsed())).await;
        }
        Ok(())
    }

    async fn cause(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Denied => self.allow(&["s3:GetObject"]).await,
            Event::Repaired => {
                self.allow(&WHOLE).await?;
                let retry = ["parked", "retry", "--account", INCIDENT];
                self.platform.fleet.must(&retry).await.map(drop)
            }
            Event::Rubbish => self.rubbish().await,
            Event::Overwritten => self.overwrite().await,
            Event::Killed => {
                let mut killed = self.transfers.pop().context("a transfer process")?;
                killed.sigkill()
            }
            Event::Replaced => {
                let fleet = &self.platform.fleet;
                let member = fleet.start_ready("transfer-3", &["transfer"]).await?;
                self.transfers.push(member);
                self.watch().await
            }
            Event::Slow => {
                self.platform.lab.set_latency(FAR);
                Ok(())
            }
            Event::Fast => {
                self.platform.lab.set_latency(NEAR);
                Ok(())
            }
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a recorder's event has the time at which it is made"
    )]
    async fn announce(&mut self, account: &str, recordings: usize) -> Result<()> {
        for _ in 0..recordings {
            self.announced += 1;
            let id = format!("call-{:06}", self.announced);
            let path = format!("{account}/2026/11/23/{id}.wav");
            let file = self.platform.staging.join(&path);
            fs::create_dir_all(file.parent().context("a folder")?)?;
            let size_bytes = 40_000 + 997 * (self.announced % 300);
            fs::write(&file, vec![u8::try_from(self.announced % 251)?; size_bytes])?;
            let event = json!({
                "specversion": "1.0", "id": id, "source": "urn:story:recorder",
                "type": "callferry.recording.completed.v1",
                "time": chrono::Utc::now().to_rfc3339(),
                "data": {
                    "recording_id": id, "account_id": account, "interaction_id": id,
                    "kind": "call", "media_type": "audio/wav",
                    "started_at": "2026-11-22T09:58:00Z", "completed_at": "2026-11-22T10:00:00Z",
                    "original": {"path": path, "size_bytes": size_bytes}
                }
            });
            let key = "recording.completed.v1";
            self.platform.publish_raw(key, &event.to_string()).await?;
        }
        Ok(())
    }

    async fn rubbish(&mut self) -> Result<()> {
        for number in 0..14 {
            self.announced += 1;
            let id = format!("{}-{number}", self.announced);
            let rubbish = json!({"specversion": "1.0", "id": id, "source": "urn:story:recorder"});
            let key = "recording.completed.v1";
            self.platform.publish_raw(key, &rubbish.to_string()).await?;
        }
        Ok(())
    }

    /// Somebody writes over a copy between its proof and the second look.
    async fn overwrite(&mut self) -> Result<()> {
        let cleanup = self.others.first_mut().context("a cleanup process")?;
        cleanup.sigstop()?;
        let before = self.announced;
        self.announce("umbrella", 1).await?;
        let bucket = Platform::bucket("umbrella");
        let id = format!("call-{:06}", before + 1);
        let lab = &self.platform.lab;
        let show = ["recording", "show", "--account", "umbrella", &id, "--json"];
        patience::until("it is stored", Duration::from_secs(60), async || {
            let shown = self.platform.fleet.run(&show).await?;
            let stored = shown.code == Some(0) && shown.stdout.contains("\"stored\"");
            Ok(stored.then_some(()))
        })
        .await?;
        let objects = lab.objects(&bucket).into_iter().map(|object| object.key);
        let mine = objects.into_iter().find(|key| key.contains(&id));
        let key = mine.context("the copy is there")?;
        lab.overwrite_object(&bucket, &key, b"other bytes")?;
        self.others
            .first_mut()
            .context("a cleanup process")?
            .sigcont()
    }

    async fn allow(&self, actions: &[&str]) -> Result<()> {
        let listed = self
            .platform
            .json(&["destination", "list", INCIDENT])
            .await?;
        let listed = listed.to_string();
        let arn = listed.split("\"role_arn\":\"").nth(1);
        let arn = arn
            .and_then(|rest| rest.split('"').next())
            .context("no role")?;
        let policy = Policy::bucket(&Platform::bucket(INCIDENT), "", actions);
        self.platform
            .lab
            .change_role(arn, |role| role.permissions = policy);
        Ok(())
    }
}
