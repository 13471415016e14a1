//! The end of copies on real servers.
//!
//! A fleet stores and releases recordings whose retention ended
//! long ago, some of them held, denied, locked or not due; then two housekeeping processes sweep,
//! one of which is killed in the middle. Exactly the due ones must go, each with its proof.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, ensure};

use crate::fleet::Member;
use crate::load::{self, Load};
use crate::patience;
use crate::platform::{AzureAccess, Platform};
use crate::s3::{Arranged, Policy, Role};

/// Half a year and some: the retention of an account without a policy has ended.
const LONG_AGO: Duration = Duration::from_secs(200 * 24 * 3600);
/// What a role must allow for storing, and not for deleting.
const STORING: [&str; 5] = [
    "s3:PutObject",
    "s3:GetObject",
    "s3:GetObjectVersion",
    "s3:AbortMultipartUpload",
    "s3:ListMultipartUploadParts",
];

/// What becomes of an account's copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// They go, from a bucket without versions.
    Plain,
    /// They go, from a bucket that keeps versions.
    Versioned,
    /// They go, from a container.
    Azure,
    /// A legal hold keeps them.
    Held,
    /// We may not delete them.
    Denied,
    /// They are locked at the store.
    Locked,
    /// Their time has not come.
    Young,
}

impl Fate {
    /// Those of S3, with their share of a hundred.
    const S3: [(Self, usize); 6] = [
        (Self::Plain, 40),
        (Self::Versioned, 35),
        (Self::Held, 8),
        (Self::Denied, 4),
        (Self::Locked, 3),
        (Self::Young, 10),
    ];

    /// The account's name.
    #[must_use]
    pub fn account(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Versioned => "versioned",
            // `azure` is a word of the command line.
            Self::Azure => "contoso",
            Self::Held => "held",
            Self::Denied => "denied",
            Self::Locked => "locked",
            Self::Young => "young",
        }
    }

    /// Whether its copies go.
    #[must_use]
    pub fn goes(self) -> bool {
        match self {
            Self::Plain | Self::Versioned | Self::Azure => true,
            Self::Held | Self::Denied | Self::Locked | Self::Young => false,
        }
    }

    /// What the ledger says of a copy that stays.
    fn outcome(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Denied => "denied",
            Self::Locked => "locked",
            Self::Plain | Self::Versioned | Self::Azure | Self::Young => "",
        }
    }
}

/// How much.
#[derive(Debug, Clone, Copy)]
pub struct Wish {
    /// Recordings in the laboratory's buckets.
    pub s3: usize,
    /// Recordings in Azurite, where it can be had.
    pub azure: usize,
    /// Size of each, in bytes.
    pub size_bytes: usize,
    /// Bounds every wait.
    pub limit: Duration,
}

/// One account in the end.
#[derive(Debug, Clone)]
pub struct Row {
    /// What was to become of it.
    pub fate: Fate,
    /// Its recordings.
    pub recordings: usize,
    /// Expired, each with its proof and its history row.
    pub gone: usize,
    /// Versions that are still at the store.
    pub left: usize,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Ended {
    /// By account.
    pub rows: Vec<Row>,
    /// From the start of the sweep until the last due copy was gone, the kill included.
    pub took: Duration,
    /// What is not as it must be.
    pub differences: Vec<String>,
}

/// Does all of it on a platform without accounts.
///
/// # Errors
/// When a server or a command fails, or something takes too long.
pub async fn run(platform: &mut Platform, wish: &Wish) -> Result<Ended> {
    for (key, value) in [
        ("UNACKNOWLEDGED_S", "5"),
        ("UNRELEASED_S", "10"),
        ("REDRIVE_S", "10"),
        ("RETENTION_BATCH", "200"),
    ] {
        platform.fleet.set(&format!("CALLFERRY_DRIVE_{key}"), value);
    }
    let mut fates = Vec::new();
    for (fate, share) in Fate::S3 {
        let account = fate.account();
        let arn = platform.account(account).await?;
        if matches!(fate, Fate::Versioned | Fate::Locked) {
            let bucket = Platform::bucket(account);
            let owner = arn
                .split(':')
                .nth(4)
                .context("an ARN without its account")?;
            platform.lab.delete_bucket(&bucket)?;
            platform.lab.create_versioned_bucket(&bucket, owner)?;
        }
        fates.push((fate, (wish.s3 * share).div_ceil(100), arn));
    }
    if wish.azure > 0 && platform.start_azure().await? {
        let account = Fate::Azure.account();
        platform
            .azure_account(account, AzureAccess::AccessKey)
            .await?;
        fates.push((Fate::Azure, wish.azure, String::new()));
    }
    store(platform, wish, &fates).await?;
    arrange(platform, &fates).await?;
    let due = fates.iter().filter(|(fate, ..)| fate.goes());
    let due = due.map(|(_, count, _)| *count).sum();
    let took = sweep(platform, due, wish.limit).await?;
    judge(platform, &fates, took).await
}

/// Has a fleet without housekeeping store and release everything.
async fn store(platform: &Platform, wish: &Wish, fates: &[(Fate, usize, String)]) -> Result<()> {
    let mut members = Vec::new();
    for role in ["transfer", "cleanup"] {
        members.push(platform.fleet.start_ready(role, &[role]).await?);
    }
    let mut all = 0;
    for (number, (fate, recordings, _)) in (1_u64..).zip(fates) {
        let load = Load {
            accounts: vec![fate.account().to_owned()],
            recordings: *recordings,
            size_bytes: wish.size_bytes,
            seed: number,
        };
        load.stage(platform)?;
        if *fate != Fate::Young {
            age(&platform.staging.join(fate.account()))?;
        }
        load.publish(platform).await?;
        all += *recordings;
    }
    load::until_released(platform, u64::try_from(all)?, wish.limit).await?;
    // As if they had been announced when they completed: what is announced today is kept as if it
    // had completed a month ago.
    let stamped = "update recordings set retain_until = completed_at + interval '180 days' \
         where completed_at < now() - interval '100 days'";
    platform.postgres.sql("callferry", stamped).await?;
    for member in &mut members {
        member.stop(Duration::from_secs(60)).await?;
    }
    Ok(())
}

/// Makes every file in a folder long ago complete.
fn age(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            age(&path)?;
        } else {
            let file = fs::File::options().write(true).open(&path)?;
            let modified = file.metadata()?.modified()?;
            file.set_modified(
                modified
                    .checked_sub(LONG_AGO)
                    .unwrap_or(SystemTime::UNIX_EPOCH),
            )?;
        }
    }
    Ok(())
}

/// Holds, denials and locks, once everything is stored.
async fn arrange(platform: &Platform, fates: &[(Fate, usize, String)]) -> Result<()> {
    let hold = ["hold", "place", "--account", Fate::Held.account()];
    let why = ["--whole-account", "--reason", "case 4711", "--by", "Jo Doe"];
    platform.json(&[&hold[..], &why[..]].concat()).await?;
    let locks = Arranged {
        locks_versions: true,
        ..Arranged::default()
    };
    let bucket = Platform::bucket(Fate::Locked.account());
    platform.lab.arrange(&bucket, locks);
    for (fate, _, arn) in fates.iter().filter(|(fate, ..)| *fate == Fate::Denied) {
        let bucket = Platform::bucket(fate.account());
        let shown = platform.json(&["account", "show", fate.account()]).await?;
        let external_id = shown.get("external_id").and_then(serde_json::Value::as_str);
        let role = Role::new(arn, Policy::bucket(&bucket, "", &STORING))
            .external_id(external_id.context("no external id")?)
            .trusting("callferry");
        platform.lab.put_role(role);
    }
    Ok(())
}

/// Sweeps with two processes, kills one in the middle, and waits until as many are gone.
async fn sweep(platform: &Platform, due: usize, limit: Duration) -> Result<Duration> {
    let began = Instant::now();
    let mut one = platform
        .fleet
        .start_ready("sweep-1", &["housekeeping"])
        .await?;
    let mut two = platform
        .fleet
        .start_ready("sweep-2", &["housekeeping"])
        .await?;
    until_gone(platform, due.div_ceil(3), limit).await?;
    one.sigkill()?;
    one.wait(Duration::from_secs(60)).await?;
    let mut three = platform
        .fleet
        .start_ready("sweep-3", &["housekeeping"])
        .await?;
    until_gone(platform, due, limit).await?;
    let took = began.elapsed();
    until_told(platform, limit).await?;
    stop(&mut [&mut two, &mut three]).await?;
    Ok(took)
}

async fn stop(members: &mut [&mut Member]) -> Result<()> {
    for member in members {
        member.stop(Duration::from_secs(60)).await?;
    }
    Ok(())
}

async fn until_gone(platform: &Platform, count: usize, limit: Duration) -> Result<()> {
    let what = format!("{count} copies are gone");
    patience::until(&what, limit, async || {
        let states = load::states(platform).await?;
        let gone = states.get("expired").copied().unwrap_or(0);
        tokio::time::sleep(Duration::from_millis(200)).await;
        Ok((gone >= u64::try_from(count)?).then_some(()))
    })
    .await
}

/// Waits until it is written down of every copy that stays why it does.
async fn until_told(platform: &Platform, limit: Duration) -> Result<()> {
    patience::until("what stays has its reason", limit, async || {
        let silent = count(
            platform,
            "state = 'released' and retain_until <= now() and expiry_outcome is null",
        );
        let silent = silent.await?;
        tokio::time::sleep(Duration::from_millis(300)).await;
        Ok((silent == 0).then_some(()))
    })
    .await
}

async fn count(platform: &Platform, condition: &str) -> Result<usize> {
    let sql = format!("select count(*) from recordings r where {condition}");
    let counted = platform.postgres.sql("callferry", &sql).await?;
    counted.trim().parse().context("a count is a number")
}

async fn judge(
    platform: &Platform,
    fates: &[(Fate, usize, String)],
    took: Duration,
) -> Result<Ended> {
    let mut ended = Ended {
        rows: Vec::new(),
        took,
        differences: Vec::new(),
    };
    for (fate, recordings, _) in fates {
        let account = fate.account();
        let proven = format!(
            "account_id = '{account}' and state = 'expired' and expiry_proof <> '' \
             and expired_versions = 1 and exists (select from recording_history h \
             where h.account_id = r.account_id and h.recording_id = r.recording_id \
             and h.from_state = 'released' and h.to_state = 'expired')"
        );
        // Of a process that was killed in between, a successor finds nothing left to delete.
        let proven = proven.replace("expired_versions = 1", "expired_versions in (0, 1)");
        let gone = count(platform, &proven).await?;
        let left = match fate {
            Fate::Azure => platform
                .azure_objects(&Platform::bucket(account))
                .await?
                .len(),
            Fate::Plain
            | Fate::Versioned
            | Fate::Held
            | Fate::Denied
            | Fate::Locked
            | Fate::Young => platform.lab.versions(&Platform::bucket(account)).len(),
        };
        let (must_go, must_stay) = match fate.goes() {
            true => (*recordings, 0),
            false => (0, *recordings),
        };
        if (gone, left) != (must_go, must_stay) {
            ended.differences.push(format!(
                "{account}: {gone} proven gone and {left} left, of {recordings}"
            ));
        }
        let said = format!(
            "account_id = '{account}' and state = 'released' \
             and coalesce(expiry_outcome, '') = '{}'",
            fate.outcome()
        );
        let said = count(platform, &said).await?;
        if said != must_stay {
            ended.differences.push(format!(
                "{account}: {said} say why they stay, of {must_stay}"
            ));
        }
        ended.rows.push(Row {
            fate: *fate,
            recordings: *recordings,
            gone,
            left,
        });
    }
    ensure!(!ended.rows.is_empty(), "nothing was judged");
    Ok(ended)
}
