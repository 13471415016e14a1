//! Good days and bad ones: everything that can go wrong with a secret, while everything is logged.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use callferry_tests::entra::Mood;
use callferry_tests::fleet::Member;
use callferry_tests::patience;
use callferry_tests::platform::Platform;
use callferry_tests::s3::{Fault, FaultRule, Operation};
use serde_json::Value;

use super::world::World;

/// Bounds every wait; nothing is judged by how long it took.
pub(crate) const LONG: Duration = Duration::from_secs(240);

/// Accounts whose recordings arrive.
const GOOD: [&str; 5] = ["acme", "globex", "principal", "signed", "keyed"];
/// Accounts whose recordings are parked, and why.
const BAD: [(&str, &[&str]); 5] = [
    ("wrong-client", &["credential_refused"]),
    ("wrong-sas", &["credential_refused", "access_denied"]),
    ("wrong-key", &["credential_refused", "access_denied"]),
    ("unreachable", &["destination_unreachable"]),
    ("no-tls", &["destination_unreachable"]),
];

/// Stages one recording of each account and announces it.
async fn announce(platform: &Platform, account: &str, recording: &str) -> Result<()> {
    let folder = platform.staging.join(account);
    fs::create_dir_all(&folder)?;
    let file = folder.join(format!("{recording}.wav"));
    fs::write(&file, format!("RIFF {account} {recording}").repeat(1000))?;
    let file = file.display().to_string();
    platform
        .json(&["publish", "--account", account, &file])
        .await
        .map(drop)
}

async fn shown(platform: &Platform, account: &str, recording: &str) -> Result<Value> {
    let show = [
        "recording",
        "show",
        "--account",
        account,
        recording,
        "--json",
    ];
    let shown = platform.fleet.run(&show).await?.json().unwrap_or_default();
    Ok(if shown.is_array() {
        shown[0].clone()
    } else {
        shown
    })
}

async fn becomes(
    platform: &Platform,
    (account, recording): (&str, &str),
    is: impl Fn(&Value) -> bool,
) -> Result<()> {
    let mut last = Value::Null;
    let what = format!("{account}/{recording} comes to its outcome");
    let waited = patience::until(&what, LONG, async || {
        last = shown(platform, account, recording).await?;
        Ok(is(&last).then_some(()))
    });
    let waited = waited.await;
    waited.with_context(|| format!("it was last {last}"))
}

fn is_released(row: &Value) -> bool {
    row["state"] == "released"
}

/// A day on which everybody does what they can.
pub(crate) async fn good_and_wrong(world: &World) -> Result<()> {
    let platform = &world.platform;
    for account in GOOD.iter().chain(BAD.iter().map(|(account, _)| account)) {
        announce(platform, account, "day-1").await?;
    }
    for account in GOOD {
        becomes(platform, (account, "day-1"), is_released).await?;
    }
    for (account, reasons) in BAD {
        let parked = |row: &Value| {
            let reason = row["reason"].as_str().unwrap_or_default();
            row["state"] == "parked" && reasons.contains(&reason)
        };
        becomes(platform, (account, "day-1"), parked).await?;
    }
    Ok(())
}

/// Sessions and tokens run out, and the stores and token services refuse, break and hang up.
pub(crate) async fn expired_and_broken(world: &World) -> Result<()> {
    let platform = &world.platform;
    platform.lab.expire_sessions();
    platform.azure()?.entra.behave(Mood::Stale);
    for (operation, fault) in [
        (Operation::PutObject, Fault::CloseAfter),
        (
            Operation::PutObject,
            Fault::ErrorBefore {
                status: 403,
                code: "ExpiredToken".to_owned(),
            },
        ),
        (
            Operation::PutObject,
            Fault::ErrorAfter {
                status: 500,
                code: "InternalError".to_owned(),
            },
        ),
        (
            Operation::HeadObject,
            Fault::ErrorBefore {
                status: 403,
                code: "AccessDenied".to_owned(),
            },
        ),
        (
            Operation::AssumeRole,
            Fault::ErrorBefore {
                status: 403,
                code: "AccessDenied".to_owned(),
            },
        ),
    ] {
        platform.lab.arm(FaultRule::on(operation, fault).once());
    }
    for (number, account) in GOOD.iter().enumerate() {
        announce(platform, account, &format!("day-2-{number}")).await?;
    }
    platform.azure()?.entra.behave(Mood::Broken);
    announce(platform, "principal", "day-2-more").await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    platform.azure()?.entra.behave(Mood::Well);
    platform.lab.clear_faults();
    retried(platform).await?;
    for (number, account) in GOOD.iter().enumerate() {
        let recording = format!("day-2-{number}");
        becomes(platform, (account, &recording), is_released).await?;
    }
    becomes(platform, ("principal", "day-2-more"), is_released).await
}

/// Whatever is parked is tried again until the good accounts have nothing parked.
async fn retried(platform: &Platform) -> Result<()> {
    patience::until("the good accounts drain", LONG, async || {
        for account in GOOD {
            let retry = ["parked", "retry", "--account", account];
            platform.fleet.run(&retry).await?;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        let list = platform.json(&["parked", "list"]).await?.to_string();
        let left = GOOD
            .iter()
            .any(|account| list.contains(&format!("\"{account}\"")));
        Ok((!left).then_some(()))
    })
    .await
}

/// A process crashes in the middle of a transfer (SIGABRT, as a panic that aborts), then the
/// process of its own that its recording is lent to.
pub(crate) async fn crashes(world: &World, worker: &mut Member) -> Result<()> {
    let platform = &world.platform;
    let hangs = FaultRule::on(Operation::PutObject, Fault::HangBefore);
    let hangs = platform.lab.arm(hangs.bucket(&Platform::bucket("globex")));
    announce(platform, "globex", "day-3").await?;
    patience::until("the PUT hangs", LONG, async || {
        Ok((platform.lab.struck(hangs) > 0).then_some(()))
    })
    .await?;
    abort(worker.pid())?;
    let ended = worker.wait(LONG).await?;
    assert!(!format!("{ended:?}").contains("core dumped"), "{ended:?}");
    let mut next = platform
        .fleet
        .start_ready("transfer-again", &["transfer"])
        .await?;
    let child = patience::until("the recording is lent", LONG, async || {
        Ok(child_of(next.pid()))
    });
    abort(child.await?)?;
    platform.lab.clear_fault(hangs);
    becomes(platform, ("globex", "day-3"), is_released).await?;
    next.stop(LONG).await
}

fn abort(pid: u32) -> Result<()> {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    let pid = pid.context("no process id")?;
    Ok(rustix::process::kill_process(
        pid,
        rustix::process::Signal::ABORT,
    )?)
}

/// The process of its own that a worker waits for.
fn child_of(pid: u32) -> Option<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten();
    let children = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let children: Vec<String> = children.collect();
    children
        .iter()
        .flat_map(|ids| ids.split_whitespace())
        .find_map(|id| id.parse().ok())
}

/// Processes whose password for broker or database is wrong, or whose broker is not one.
pub(crate) async fn wrong_servers(world: &World, passwords: &[String; 2]) -> Result<Vec<Member>> {
    let fleet = &world.platform.fleet;
    let mut amqp = url::Url::parse(&world.platform.rabbit.amqp_url())?;
    let mut ledger = url::Url::parse(&world.platform.postgres.url("callferry"))?;
    for (url, password) in [(&mut amqp, &passwords[0]), (&mut ledger, &passwords[1])] {
        url.set_password(Some(password))
            .ok()
            .context("no password")?;
    }
    let mut not_one = amqp.clone();
    not_one
        .set_port(Some(world.platform.lab.address().port()))
        .ok()
        .context("no port")?;
    let mut members = Vec::new();
    for (name, own) in [
        ("wrong-broker", ("CALLFERRY_AMQP_URL", amqp.as_str())),
        ("wrong-ledger", ("CALLFERRY_DATABASE_URL", ledger.as_str())),
        ("no-broker", ("CALLFERRY_AMQP_URL", not_one.as_str())),
    ] {
        let member = fleet.start_with(name, &["transfer", "cleanup"], &[own])?;
        members.push(member);
    }
    for member in &members {
        patience::until("it says that it is not ready", LONG, async || {
            let page = member.page("/readyz").await;
            Ok(page.is_ok_and(|(status, _)| status == 503).then_some(()))
        })
        .await?;
    }
    // A few attempts each.
    tokio::time::sleep(Duration::from_secs(3)).await;
    Ok(members)
}
