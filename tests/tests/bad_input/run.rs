//! The run: every row through one fleet on real servers, wave by wave; then what an operator does
//! about it; then the accounts of staging, buckets, acknowledgments and counters.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, Result, ensure};
use callferry_tests::platform::Platform;
use callferry_tests::scratch::Scratch;
use recording::{ParkReason, RefusalReason};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::acknowledgments::{self, KEPT};
use super::book::{self, Line};
use super::case::{Case, End, Lying, Row};
use super::floor;
use super::table::{self, ARRIVES, GROWS, HOMELESS, LATECOMER};
use super::wire;
use super::world::{ACCOUNTS, World};

/// What the customer puts in the place of a copy.
const OVERWRITTEN: &[u8] = b"not the recording";

fn cases(rows: &[Row]) -> Vec<&Case> {
    let cases = rows.iter().flat_map(|row| &row.cases);
    cases
        .filter(|case| case.end != End::Configuration)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_input_ends_where_the_table_says_and_nothing_is_lost() -> Result<()> {
    let scratch = Scratch::new("bad-input")?;
    let mut world = World::new(scratch.path()).await?;
    let homeless = world.platform.plain_account(HOMELESS).await?;
    let mut rows = table::rows();
    let mut lines = configured(&world, &rows).await?;

    let first = [cases(&rows), vec![]].concat();
    let kept = acknowledgments::kept();
    world.stage(first.iter().copied().chain([&kept]))?;
    let seen = first_waves(&mut world, &[first, vec![&kept]].concat()).await?;
    lines.extend(seen);
    let receipt = kept_receipt(&world).await?;
    rows.push(acknowledgments::row(&receipt, "b28-1", "b29-1"));

    let second: Vec<&Case> = cases(&rows).into_iter().filter(|c| c.wave == 2).collect();
    world.send(second.iter().copied(), 2).await?;
    let seen = world.ended(&second, |case| case.end).await?;
    lines.extend(seen.into_iter().map(|(case, seen)| Line::new(case, seen)));
    counters_fit(&world, &cases(&rows)).await?;

    let later: Vec<&Case> = cases(&rows)
        .into_iter()
        .filter(|c| c.later.is_some())
        .collect();
    lines.extend(later_on(&mut world, &later, &homeless).await?);
    world.stop().await?;
    let all = cases(&rows);
    nothing_is_lost(&world, &all)?;
    every_bucket_holds_its_own(&world.platform, &all).await?;
    only_what_is_stored_was_acknowledged(&world.platform, &all).await?;
    book::compare(&rows, &lines)
}

/// What the command line refuses before anything is written.
async fn configured(world: &World, rows: &[Row]) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    let cases = rows.iter().flat_map(|row| &row.cases);
    for case in cases.filter(|case| case.end == End::Configuration) {
        let args: Vec<&str> = case.args.iter().map(String::as_str).collect();
        let outcome = world.platform.fleet.run(&args).await?;
        ensure!(outcome.code == Some(2), "{}: {outcome:?}", case.what);
        ensure!(outcome.stdout.is_empty(), "{}: {outcome:?}", case.what);
        ensure!(
            outcome.stderr.contains(&case.says),
            "{}: {outcome:?}",
            case.what
        );
        lines.push(Line::refused(case, &outcome.stderr)?);
    }
    Ok(lines)
}

/// What is sent before any worker runs, and to a running one; cleanup begins when all is stored.
async fn first_waves(world: &mut World, all: &[&Case]) -> Result<Vec<Line>> {
    let early: Vec<&Case> = all.iter().copied().filter(|case| case.wave < 2).collect();
    world.send(early.iter().copied(), 0).await?;
    world.start("housekeeping").await?;
    // Nobody consumes, so this one runs out before it is taken.
    let expired = early.iter().filter(|case| case.wave == 0).count();
    let what = "what expired is quarantined";
    let reason = "outcome=\"delivery_limit\",role=\"intake\"";
    callferry_tests::patience::until(what, super::world::LONG, async || {
        let kept = world.counted("callferry_outcomes_total", reason).await?;
        Ok((kept == u64::try_from(expired)?).then_some(()))
    })
    .await?;
    world.start("transfer").await?;
    world.send(early.iter().copied(), 1).await?;
    // What is stored stays so while nothing cleans up.
    let before_release = |case: &Case| {
        if matches!(case.end, End::Kept(_)) {
            End::Stored
        } else {
            case.end
        }
    };
    world.ended(&early, before_release).await?;
    overwrite(&world.platform)?;
    world.start("cleanup").await?;
    let seen = world.ended(&early, |case| case.end).await?;
    until_released(world, &early).await?;
    Ok(seen
        .into_iter()
        .map(|(case, seen)| Line::new(case, seen))
        .collect())
}

fn overwrite(platform: &Platform) -> Result<()> {
    let bucket = Platform::bucket("acme");
    let objects = platform.lab.objects(&bucket);
    let copy = objects.iter().find(|object| object.key.contains(KEPT));
    let copy = copy.context("no copy to overwrite")?;
    Ok(platform
        .lab
        .overwrite_object(&bucket, &copy.key, OVERWRITTEN)?)
}

async fn until_released(world: &World, cases: &[&Case]) -> Result<()> {
    let what = "what is stored is released";
    callferry_tests::patience::until(what, super::world::LONG, async || {
        let floor = floor::survey(&world.platform.staging)?;
        let gone = |case: &&Case| case.end == End::Stored && floor.contains_key(case.path());
        Ok((!cases.iter().any(gone)).then_some(()))
    })
    .await
}

async fn kept_receipt(world: &World) -> Result<Value> {
    let show = ["recording", "show", "--account", "acme", KEPT];
    let shown = world.platform.json(&show).await?;
    Ok(shown["receipt"].clone())
}

/// The counters moved once for each refusal, and for nothing that the table does not know.
async fn counters_fit(world: &World, cases: &[&Case]) -> Result<()> {
    let mut refused: BTreeMap<RefusalReason, usize> = BTreeMap::new();
    let mut parked: BTreeMap<ParkReason, usize> = BTreeMap::new();
    for case in cases {
        match case.end {
            End::Quarantine(reason) => *refused.entry(reason).or_default() += case.sent.len(),
            End::Parked(reason) => *parked.entry(reason).or_default() += 1,
            End::Stored | End::Kept(_) | End::Counted(..) | End::Configuration => {}
        }
    }
    let mut wrong = Vec::new();
    for reason in RefusalReason::ALL {
        let labels = format!("reason=\"{reason}\"");
        let count = world
            .counted("callferry_refused_messages_total", &labels)
            .await?;
        let expected = u64::try_from(refused.get(reason).copied().unwrap_or_default())?;
        if count != expected {
            wrong.push(format!("{reason}: refused {count} times, not {expected}"));
        }
    }
    for reason in ParkReason::ALL {
        let labels = format!("reason=\"{reason}\"");
        let count = world
            .counted("callferry_transfer_parked_total", &labels)
            .await?;
        let expected = u64::try_from(parked.get(reason).copied().unwrap_or_default())?;
        // What is tried again by itself may have been parked more often. A recording without a
        // destination is parked by the ledger, in the claim.
        let fits = match expected {
            0 => count == 0,
            _ => count >= expected || *reason == ParkReason::NoDestination,
        };
        if !fits {
            wrong.push(format!("{reason}: parked {count} times, not {expected}"));
        }
    }
    // Somebody may be reaching for what is not theirs: counted once more, for the alarm.
    for reason in RefusalReason::ALL
        .iter()
        .filter(|reason| reason.is_suspicious())
    {
        let labels = format!("kind=\"{reason}\"");
        let count = world.counted("callferry_suspicious_total", &labels).await?;
        let expected = u64::try_from(refused.get(reason).copied().unwrap_or_default())?;
        if count != expected {
            wrong.push(format!(
                "{reason}: suspicious {count} times, not {expected}"
            ));
        }
    }
    let odd = world
        .counted("callferry_suspicious_total", "kind=\"not_a_plain_file\"")
        .await?;
    let links = parked
        .get(&ParkReason::NotAPlainFile)
        .copied()
        .unwrap_or_default();
    if odd != u64::try_from(links)? {
        wrong.push(format!(
            "not_a_plain_file: suspicious {odd} times, not {links}"
        ));
    }
    ensure!(wrong.is_empty(), "counters:\n  {}", wrong.join("\n  "));
    Ok(())
}

/// What the operator and the recorder do, and an hour that passes in a second.
async fn later_on(world: &mut World, later: &[&Case], homeless: &str) -> Result<Vec<Line>> {
    world.stop().await?;
    world.set("CALLFERRY_DRIVE_GROWING_S", "1");
    for role in ["transfer", "housekeeping", "cleanup"] {
        world.start(role).await?;
    }
    for id in [ARRIVES, GROWS] {
        let path = format!("acme/bad/{id}.wav");
        fs::write(world.platform.staging.join(path), Case::bytes(id))?;
    }
    let created = world
        .platform
        .json(&["account", "create", LATECOMER])
        .await?;
    ensure!(created["waiting_in_quarantine"] == 1, "{created}");
    let shown = world.platform.json(&["account", "show", LATECOMER]).await?;
    let external_id = shown["external_id"].as_str().context("an external id")?;
    world.platform.destination(LATECOMER, external_id).await?;
    world.platform.destination(HOMELESS, homeless).await?;
    let retry = ["parked", "retry", "--all"];
    world.platform.json(&retry).await?;
    let stored: Vec<&Case> = later
        .iter()
        .copied()
        .filter(|c| c.last() == End::Stored)
        .collect();
    world.ended(&stored, Case::last).await?;
    until_released(world, &stored).await?;
    // A second look at what was absent, now that an hour has passed for it as well.
    let what = "what is absent waits for a person";
    callferry_tests::patience::until(what, super::world::LONG, async || {
        let parked = world.platform.json(&["parked", "list"]).await?;
        let growing = parked.to_string().contains("still_growing");
        if growing {
            world.platform.json(&retry).await?;
        }
        Ok((!growing).then_some(()))
    })
    .await?;
    let seen = world.ended(later, Case::last).await?;
    Ok(seen
        .into_iter()
        .map(|(case, seen)| Line::later(case, seen))
        .collect())
}

/// Everything that was put into staging lies there as it was, unless its copy is proven.
fn nothing_is_lost(world: &World, cases: &[&Case]) -> Result<()> {
    let stored = cases.iter().filter(|case| case.last() == End::Stored);
    let gone: BTreeSet<&str> = stored.map(|case| case.path()).collect();
    let mut expected = floor::Floor::new();
    for (path, lying) in world
        .put
        .iter()
        .filter(|(path, _)| !gone.contains(path.as_str()))
    {
        let lying = match lying {
            Lying::HardLink(other) => world.put.get(other).context("the other name")?,
            Lying::Nothing => continue,
            Lying::File(_)
            | Lying::Unreadable(_)
            | Lying::Link(_)
            | Lying::Fifo
            | Lying::Socket
            | Lying::Folder
            | Lying::Device => lying,
        };
        expected.insert(path.clone(), lying.clone());
    }
    let mut floor = floor::survey(&world.platform.staging)?;
    floor.retain(|path, lying| *lying != Lying::Folder || expected.contains_key(path));
    let mut wrong = Vec::new();
    for path in expected.keys().chain(floor.keys()).collect::<BTreeSet<_>>() {
        if expected.get(path) != floor.get(path) {
            wrong.push(format!(
                "{path}: {:?}, not {:?}",
                floor.get(path),
                expected.get(path)
            ));
        }
    }
    ensure!(wrong.is_empty(), "staging:\n  {}", wrong.join("\n  "));
    Ok(())
}

/// By a client that is not ours: each bucket holds its own account's recordings, byte for byte.
async fn every_bucket_holds_its_own(platform: &Platform, cases: &[&Case]) -> Result<()> {
    let mut wrong = Vec::new();
    for account in ACCOUNTS.into_iter().chain([LATECOMER, HOMELESS]) {
        let bucket = Platform::bucket(account);
        let mut expected = BTreeMap::new();
        for case in cases.iter().filter(|case| case.account == account) {
            let bytes = match (case.last(), case.staged.first()) {
                (End::Kept(_), _) => OVERWRITTEN.to_vec(),
                (End::Stored, Some((_, Lying::File(bytes)))) if case.id != GROWS => bytes.clone(),
                (End::Stored, _) => Case::bytes(&case.id),
                _ => continue,
            };
            expected.insert(case.id.clone(), hex::encode(Sha256::digest(&bytes)));
        }
        for (key, found) in platform.auditor().fetch(&bucket).await? {
            let name = key.rsplit('/').next().unwrap_or_default();
            let id = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
            if expected.remove(id) != Some(found.sha256) {
                wrong.push(format!("{bucket}/{key} is not what was staged"));
            }
        }
        wrong.extend(
            expected
                .keys()
                .map(|id| format!("{bucket}: {id} is missing")),
        );
    }
    let objects = platform.lab.objects(&Platform::bucket("acme"));
    for case in cases.iter().filter(|case| case.media_type.is_some()) {
        let found = objects
            .iter()
            .find(|o| o.key.contains(&format!("/{}.", case.id)));
        let found = found.and_then(|object| object.content_type.as_deref());
        if found != case.media_type {
            wrong.push(format!("{}: stored as {found:?}", case.what));
        }
    }
    let named = |name: &str| name.contains("amz") || name.contains("rzel");
    let leaked = objects.iter().flat_map(|object| object.metadata.keys());
    wrong.extend(
        leaked
            .filter(|name| named(name))
            .map(|name| format!("metadata {name}")),
    );
    ensure!(wrong.is_empty(), "buckets:\n  {}", wrong.join("\n  "));
    Ok(())
}

/// What another service heard: an acknowledgment for each that is stored, the same one again for
/// what was published again, and none for anything else.
async fn only_what_is_stored_was_acknowledged(platform: &Platform, cases: &[&Case]) -> Result<()> {
    let mut heard: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for event in wire::heard(platform).await? {
        if event["type"] == "callferry.recording.stored.v1" {
            let part = |name: &str| event["data"][name].as_str().unwrap_or_default().to_owned();
            let key = (part("account_id"), part("recording_id"));
            let id = event["id"].as_str().unwrap_or_default().to_owned();
            heard.entry(key).or_default().push(id);
        }
    }
    let mut wrong = Vec::new();
    for case in cases {
        let key = (case.account.clone(), case.id.clone());
        let ids = heard.get(&key).cloned().unwrap_or_default();
        let stored = cases.iter().any(|other| {
            (&other.account, &other.id) == (&key.0, &key.1)
                && matches!(other.last(), End::Stored | End::Kept(_))
        });
        let times = if case.row == "B35" && case.wave == 2 {
            2
        } else {
            1
        };
        let distinct: BTreeSet<_> = ids.iter().collect();
        let fits = if stored {
            ids.len() >= times && distinct.len() == 1
        } else {
            ids.is_empty()
        };
        if !fits {
            wrong.push(format!(
                "{} {}: acknowledged as {ids:?}",
                case.row, case.what
            ));
        }
    }
    ensure!(
        wrong.is_empty(),
        "acknowledgments:\n  {}",
        wrong.join("\n  ")
    );
    Ok(())
}
