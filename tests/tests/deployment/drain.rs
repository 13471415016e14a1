//! Ending within the grace that the manifests declare, in the middle of a big file.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use callferry_tests::load::{self, Load, Produce};
use callferry_tests::patience;
use callferry_tests::platform::Platform;
use callferry_tests::s3::{Fault, FaultRule, Operation};
use callferry_tests::scratch::Scratch;

use super::production::LONG;
use super::tools;

/// What follows `key` in the first line of a file beneath `deploy/` that has it.
fn declared(file: &str, key: &str) -> Result<u64> {
    let text = tools::text(file)?;
    let line = text.lines().find_map(|line| line.split_once(key));
    let (_, value) = line.with_context(|| format!("{file} does not say {key}"))?;
    let digits: String = value
        .chars()
        .skip_while(|c| !c.is_ascii_digit())
        .take_while(char::is_ascii_digit)
        .collect();
    digits
        .parse()
        .with_context(|| format!("{file}: {key}{value}"))
}

/// The grace that every shape of deployment gives, in seconds.
fn grace() -> Result<u64> {
    let key = "terminationGracePeriodSeconds:";
    let grace = declared("kubernetes/base/transfer.yaml", key)?;
    for role in ["cleanup", "housekeeping"] {
        let file = format!("kubernetes/base/{role}.yaml");
        assert_eq!(declared(&file, key)?, grace, "{file}");
    }
    let compose = declared("compose/compose.yaml", "stop_grace_period:")?;
    assert_eq!(compose, grace, "compose");
    let systemd = declared("systemd/callferry@.service", "TimeoutStopSec=")?;
    assert_eq!(systemd, grace, "systemd");
    Ok(grace)
}

#[test]
fn every_shape_gives_the_same_grace_and_it_is_longer_than_a_drain() -> Result<()> {
    let grace = grace()?;
    let drains = [
        declared("kubernetes/base/kustomization.yaml", "- CALLFERRY_DRAIN_S=")?,
        declared("compose/compose.yaml", "CALLFERRY_DRAIN_S:")?,
        declared("systemd/callferry@.service", "CALLFERRY_DRAIN_S=")?,
    ];
    for drain in drains {
        // After the drain, 3 s for publisher, notes and connections (`service::run::drain`).
        assert!(drain + 3 < grace, "{drain} s of {grace} s");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_stopped_in_the_middle_of_a_big_file_ends_in_time_and_another_finishes_it()
-> Result<()> {
    let grace = Duration::from_secs(grace()?);
    let drain = declared("kubernetes/base/kustomization.yaml", "- CALLFERRY_DRAIN_S=")?;
    let scratch = Scratch::new("drain")?;
    let mut platform = Platform::start(scratch.path()).await?;
    platform.account("acme").await?;
    platform.fleet.set("CALLFERRY_DRAIN_S", drain.to_string());
    // Nothing is driven on by the ledger before the end of the lease would have: only a lease
    // that was given back lets another process go on as soon as that.
    let load = Load {
        accounts: vec!["acme".to_owned()],
        recordings: 1,
        size_bytes: 48 << 20,
        seed: 1,
    };
    let produce: Produce = load.stage(&platform)?;
    // A part of 16 MiB at 300 kB a second takes longer than the whole grace.
    let slow = FaultRule::on(
        Operation::UploadPart,
        Fault::SlowBody {
            bytes_per_second: 300_000,
        },
    );
    let slow = platform.lab.arm(slow);
    let mut first = platform.fleet.start_ready("first", &["transfer"]).await?;
    load.publish(&platform).await?;
    patience::until("a part is on its way", LONG, async || {
        Ok((platform.lab.struck(slow) > 0).then_some(()))
    })
    .await?;

    let asked = Instant::now();
    first.sigterm()?;
    let status = first.wait(grace).await?;
    assert!(status.success(), "{status}: {}", first.log_text()?);
    assert!(asked.elapsed() < grace);
    let lease = "select lease_token is null, due_at <= now(), state from recordings";
    let lease = platform.postgres.sql("callferry", lease).await?;
    assert_eq!(lease, "t|t|staged", "the lease is given back");

    platform.lab.clear_fault(slow);
    let roles = ["transfer", "cleanup", "housekeeping"];
    let mut others = Vec::new();
    for role in roles {
        others.push(platform.fleet.start_ready(role, &[role]).await?);
    }
    load::until_released(&platform, 1, LONG).await?;
    for member in &mut others {
        member.stop(LONG).await?;
    }
    let differences = load::differences(&platform, &produce, None).await?;
    assert_eq!(differences, Vec::<String>::new());
    Ok(())
}
