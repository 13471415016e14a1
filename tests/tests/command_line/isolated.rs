//! `callferry transfer-one`: by hand, without a parent, and as `run transfer` starts it.

#![expect(
    clippy::indexing_slicing,
    reason = "a key that an answer lacks reads as null, and the comparison fails"
)]

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use callferry_tests::fleet::Member;
use callferry_tests::patience;
use callferry_tests::platform::Platform;
use callferry_tests::s3::{Fault, FaultId, FaultRule, Operation};
use callferry_tests::scratch::Scratch;
use serde_json::Value;

/// Bounds every wait; nothing is judged by how long it took.
const LONG: Duration = Duration::from_secs(180);
const ONE: [&str; 4] = ["transfer-one", "--account", "acme", "rec-1"];

async fn platform(scratch: &Scratch) -> Result<Platform> {
    let mut platform = Platform::start(scratch.path()).await?;
    for (key, value) in [
        // A lease that ran out is seen in seconds, and suspected at once.
        ("LEASE_S", "10"),
        ("ISOLATE_AFTER", "1"),
        ("TICK_MS", "200"),
        ("DRIVE_REDRIVE_S", "5"),
    ] {
        platform.fleet.set(&format!("CALLFERRY_{key}"), value);
    }
    let file = platform.staging.join("acme/rec-1.wav");
    fs::create_dir_all(file.parent().context("no folder")?)?;
    fs::write(file, "one")?;
    Ok(platform)
}

async fn publish(platform: &Platform) -> Result<()> {
    let publish = ["publish", "--account", "acme", "acme"];
    platform.fleet.must(&publish).await.map(drop)
}

async fn shown(platform: &Platform) -> Result<Value> {
    let show = ["recording", "show", "--account", "acme", "rec-1", "--json"];
    Ok(platform.fleet.run(&show).await?.json().unwrap_or_default())
}

async fn until_state(platform: &Platform, state: &str) -> Result<()> {
    patience::until(&format!("it is {state}"), LONG, async || {
        Ok((shown(platform).await?["state"] == state).then_some(()))
    })
    .await
}

/// The ids of processes of their own for the recording.
fn children(platform: &Platform) -> Vec<u32> {
    let ours = platform.staging.display().to_string();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    ids.filter(|id| {
        let of = |name: &str| fs::read(Path::new("/proc").join(id.to_string()).join(name));
        let line = of("cmdline").unwrap_or_default();
        let is_one = line.split(|b| *b == 0).any(|word| word == b"transfer-one");
        // Tests run side by side: only those over this platform's staging. To anybody but root
        // the environment of a callferry is closed; then it must descend from this very test.
        is_one
            && match of("environ") {
                Ok(env) => String::from_utf8_lossy(&env).contains(&ours),
                Err(_) => descends(*id),
            }
    })
    .collect()
}

/// Whether a process was started by this one, or by one that was.
fn descends(mut id: u32) -> bool {
    while id > 1 && id != std::process::id() {
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"));
        id = parent.and_then(|id| id.trim().parse().ok()).unwrap_or(0);
    }
    id == std::process::id()
}

#[tokio::test]
async fn one_recording_is_carried_to_an_outcome_by_hand() -> Result<()> {
    let scratch = Scratch::new("isolated-by-hand")?;
    let mut platform = platform(&scratch).await?;
    let external_id = platform.plain_account("acme").await?;
    let unknown = platform.fleet.run(&ONE).await?;
    assert_eq!(unknown.code, Some(1), "{unknown:?}");
    assert!(unknown.stderr.contains("is not known"), "{unknown:?}");

    let mut member = platform
        .fleet
        .start_ready("transfer", &["transfer"])
        .await?;
    publish(&platform).await?;
    until_state(&platform, "parked").await?;
    member.stop(LONG).await?;
    platform.destination("acme", &external_id).await?;
    let settled = platform.json(&ONE).await?;
    assert_eq!(settled["settled"], true, "{settled}");
    assert_eq!(shown(&platform).await?["state"], "stored");
    // Again: there is nothing left to do, and nothing is done.
    platform.fleet.must(&ONE).await?;
    let history = shown(&platform).await?["history"].as_array().map(Vec::len);
    let again = platform.fleet.must(&ONE).await?;
    assert!(again.stdout.contains("settled"), "{again:?}");
    assert_eq!(
        shown(&platform).await?["history"].as_array().map(Vec::len),
        history
    );
    Ok(())
}

/// A platform whose bucket answers no PUT, and a worker that was killed with the recording in hand:
/// its lease ran out, and the next claim suspects the recording.
struct Suspected {
    platform: Platform,
    /// The worker after that one.
    worker: Member,
    hangs: FaultId,
}

impl Suspected {
    async fn new(scratch: &Scratch) -> Result<Self> {
        let mut platform = platform(scratch).await?;
        platform.account("acme").await?;
        platform.fleet.set("CALLFERRY_DRAIN_S", "4");
        let hangs = FaultRule::on(Operation::PutObject, Fault::HangBefore);
        let hangs = platform.lab.arm(hangs);
        let mut first = platform.fleet.start_ready("first", &["transfer"]).await?;
        publish(&platform).await?;
        until_put(&platform, hangs, 1).await?;
        first.sigkill()?;
        let roles = ["transfer", "housekeeping"];
        let worker = platform.fleet.start_ready("second", &roles).await?;
        patience::until("it has a process of its own", LONG, async || {
            Ok((!children(&platform).is_empty()).then_some(()))
        })
        .await?;
        until_put(&platform, hangs, 2).await?;
        Ok(Self {
            platform,
            worker,
            hangs,
        })
    }

    async fn until_nobody_is_left(&self) -> Result<()> {
        patience::until("its own process has ended", LONG, async || {
            Ok(children(&self.platform).is_empty().then_some(()))
        })
        .await
    }
}

async fn until_put(platform: &Platform, hangs: FaultId, count: u64) -> Result<()> {
    patience::until("a PUT hangs", LONG, async || {
        Ok((platform.lab.struck(hangs) >= count).then_some(()))
    })
    .await
}

#[tokio::test]
async fn a_suspected_recording_runs_in_a_process_of_its_own_and_is_stored_by_it() -> Result<()> {
    let scratch = Scratch::new("isolated-suspected")?;
    let mut suspected = Suspected::new(&scratch).await?;
    suspected.platform.lab.clear_fault(suspected.hangs);
    until_state(&suspected.platform, "stored").await?;
    suspected.until_nobody_is_left().await?;
    let worker = &mut suspected.worker;
    let isolated = worker
        .metric("callferry_transfer_isolated_total", "")
        .await?;
    assert!(isolated >= 1.0, "{isolated}");
    let died = worker
        .metric("callferry_transfer_child_deaths_total", "")
        .await?;
    assert!(died.abs() < f64::EPSILON, "{died}");
    worker.stop(LONG).await
}

#[tokio::test]
async fn a_process_of_its_own_does_not_outlive_a_parent_that_is_killed() -> Result<()> {
    let scratch = Scratch::new("isolated-orphan")?;
    let mut suspected = Suspected::new(&scratch).await?;
    // Nothing of the parent runs any more; the kernel closes its end of the child's input.
    suspected.worker.sigkill()?;
    suspected.until_nobody_is_left().await?;
    let log = suspected.worker.log_text()?;
    assert!(log.contains("the parent is gone"), "{log}");
    assert_eq!(shown(&suspected.platform).await?["state"], "staged");
    Ok(())
}

#[tokio::test]
async fn a_parent_that_drains_has_its_children_give_their_leases_back() -> Result<()> {
    let scratch = Scratch::new("isolated-drain")?;
    let mut suspected = Suspected::new(&scratch).await?;
    suspected.worker.stop(LONG).await?;
    suspected.until_nobody_is_left().await?;
    let log = suspected.worker.log_text()?;
    assert!(log.contains("the parent is gone"), "{log}");
    let recording = shown(&suspected.platform).await?;
    assert_eq!(recording["state"], "staged");
    assert_eq!(recording["leased_until"], Value::Null, "{recording}");
    Ok(())
}

/// Kills what works on the recording now, and waits until it is gone.
async fn kill_child(platform: &Platform) -> Result<()> {
    let found = patience::until("it has a process of its own", LONG, async || {
        Ok(children(platform).first().copied())
    });
    let id = rustix::process::Pid::from_raw(i32::try_from(found.await?)?).context("no pid")?;
    rustix::process::kill_process(id, rustix::process::Signal::KILL)?;
    patience::until("the killed process is gone", LONG, async || {
        let id = u32::try_from(id.as_raw_pid())?;
        Ok((!children(platform).contains(&id)).then_some(()))
    })
    .await
}

#[tokio::test]
async fn a_recording_that_kills_its_process_three_times_waits_for_a_person() -> Result<()> {
    let scratch = Scratch::new("isolated-kills")?;
    let mut suspected = Suspected::new(&scratch).await?;
    let platform = &suspected.platform;
    for _ in 0..3 {
        kill_child(platform).await?;
    }
    until_state(platform, "parked").await?;
    let parked = shown(platform).await?;
    assert_eq!(parked["reason"], "kills_worker", "{parked}");
    assert_eq!(parked["next_attempt_at"], Value::Null, "{parked}");
    assert_eq!(fs::read(platform.staging.join("acme/rec-1.wav"))?, b"one");
    let died = suspected
        .worker
        .metric("callferry_transfer_child_deaths_total", "")
        .await?;
    assert!((died - 3.0).abs() < f64::EPSILON, "{died}");
    // Whoever looked at the file may say so: then it is tried again, and nothing is held against
    // it.
    platform.lab.clear_fault(suspected.hangs);
    platform
        .fleet
        .must(&["parked", "retry", "--account", "acme", "rec-1"])
        .await?;
    until_state(platform, "stored").await?;
    suspected.until_nobody_is_left().await?;
    suspected.worker.stop(LONG).await
}
