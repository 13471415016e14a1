//! A handful of bad events and originals, and what must become of each.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use callferry_tests::patience;
use callferry_tests::platform::Platform;
use serde_json::{Value, json};

use crate::audio::Staged;

/// Something odd, and where it must end.
pub(crate) struct Oddity {
    /// What was done, for the report.
    pub(crate) what: &'static str,
    /// Where it must end.
    pub(crate) end: End,
    /// The files that must stay in staging because of it.
    pub(crate) stays: Vec<String>,
}

/// Where something odd ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// In quarantine with this reason.
    Quarantine(&'static str),
    /// Parked under this id with this reason.
    Parked(&'static str, &'static str),
}

const FOLDER: &str = "acme/odd";

fn event(account: &str, id: &str, path: &str, size: usize, sha256: Option<&str>) -> Value {
    let mut event = json!({
        "specversion": "1.0", "id": format!("odd-{id}"), "source": "urn:demo:recorder",
        "type": "callferry.recording.completed.v1",
        "data": {
            "recording_id": id, "account_id": account, "interaction_id": id, "kind": "call",
            "media_type": "audio/wav",
            "started_at": "2026-11-22T09:58:00Z", "completed_at": "2026-11-22T10:00:00Z",
            "original": {"path": path, "size_bytes": size}
        }
    });
    if let Some(sha256) = sha256 {
        let original = event
            .pointer_mut("/data/original")
            .and_then(Value::as_object_mut);
        if let Some(original) = original {
            original.insert("sha256".to_owned(), json!(sha256));
        }
    }
    event
}

#[expect(
    clippy::too_many_lines,
    reason = "a list of oddities, one paragraph each"
)]
pub(crate) async fn stage_and_publish(
    platform: &Platform,
    staged: &[Staged],
) -> Result<Vec<Oddity>> {
    let folder = platform.staging.join(FOLDER);
    fs::create_dir_all(&folder)?;
    let file = |name: &str, bytes: &[u8]| -> Result<String> {
        fs::write(folder.join(name), bytes)?;
        Ok(format!("{FOLDER}/{name}"))
    };
    let first = staged.first().context("nothing is staged")?;
    let mut oddities = Vec::new();
    let mut odd = |what, end, stays| oddities.push(Oddity { what, end, stays });
    let mut events: Vec<String> = Vec::new();

    odd(
        "an event that is not JSON",
        End::Quarantine("not_json"),
        vec![],
    );
    events.push("{\"specversion\": oops".to_owned());

    odd(
        "an event with the same key twice",
        End::Quarantine("duplicate_key"),
        vec![],
    );
    let twice = event("acme", "twice", "acme/odd/x.wav", 1, None).to_string();
    events.push(twice.replacen('{', "{\"id\":\"other\",", 1));

    odd(
        "a path in another account's folder",
        End::Quarantine("unsafe_path"),
        vec![],
    );
    events.push(event("globex", "thief", &first.path, 1, None).to_string());

    odd(
        "an account that does not exist",
        End::Quarantine("account_unknown"),
        vec![],
    );
    events.push(event("nobody", "orphan", "nobody/a.wav", 1, None).to_string());

    let other = file("other-content.wav", b"not the same recording")?;
    odd(
        "an id used again for other content",
        End::Quarantine("conflict"),
        vec![other.clone()],
    );
    let again = event("acme", "reused", &other, 22, None).to_string();

    let growing = End::Parked("unfinished", "still_growing");
    odd("an original that is not there yet", growing, vec![]);
    events.push(event("acme", "unfinished", "acme/odd/unfinished.wav", 7, None).to_string());

    let secret = file("target.wav", b"behind a link")?;
    let link = format!("{FOLDER}/link.wav");
    std::os::unix::fs::symlink("target.wav", platform.staging.join(&link))?;
    let plain = End::Parked("linked", "not_a_plain_file");
    odd(
        "a link instead of a file",
        plain,
        vec![link.clone(), secret],
    );
    events.push(event("acme", "linked", &link, 13, None).to_string());

    let damaged = file("damaged.wav", b"damaged on the way to staging")?;
    let digest = End::Parked("damaged", "digest_mismatch");
    odd(
        "an original whose SHA-256 is not the announced one",
        digest,
        vec![damaged.clone()],
    );
    let wrong = "0".repeat(64);
    events.push(event("acme", "damaged", &damaged, 29, Some(&wrong)).to_string());

    for event in &events {
        platform
            .publish_raw("recording.completed.v1", event)
            .await?;
    }
    reuse_an_id(platform, &again).await?;
    Ok(oddities)
}

/// The first use of the id is good and must be stored; the second must not touch it.
async fn reuse_an_id(platform: &Platform, again: &str) -> Result<()> {
    let bytes = b"the recording that came first";
    fs::write(platform.staging.join("acme/odd/reused.wav"), bytes)?;
    let first = event("acme", "reused", "acme/odd/reused.wav", bytes.len(), None).to_string();
    platform
        .publish_raw("recording.completed.v1", &first)
        .await?;
    // The conflict is only one after the first is known.
    let known = patience::until(
        "the first use of the id",
        Duration::from_secs(30),
        async || {
            let shown = platform
                .fleet
                .run(&["recording", "show", "reused", "--json"])
                .await?;
            Ok((shown.code == Some(0)).then_some(()))
        },
    );
    known.await?;
    platform.publish_raw("recording.completed.v1", again).await
}

/// Waits until every oddity is where it must be.
pub(crate) async fn settled(
    platform: &Platform,
    oddities: &[Oddity],
    limit: Duration,
) -> Result<()> {
    for oddity in oddities {
        let what = format!("{} → {:?}", oddity.what, oddity.end);
        patience::until(&what, limit, async || {
            Ok(is_settled(platform, oddity.end).await?.then_some(()))
        })
        .await?;
    }
    Ok(())
}

async fn is_settled(platform: &Platform, end: End) -> Result<bool> {
    match end {
        End::Quarantine(reason) => {
            let listed = platform.json(&["quarantine", "list"]).await?;
            Ok(rows(&listed)
                .iter()
                .any(|row| text(row, "/reason") == Some(reason)))
        }
        End::Parked(id, reason) => {
            let args = ["recording", "show", "--account", "acme", id, "--json"];
            let shown = platform.fleet.run(&args).await?;
            if shown.code != Some(0) {
                return Ok(false);
            }
            let shown = shown.json()?;
            Ok(text(&shown, "/state") == Some("parked") && text(&shown, "/reason") == Some(reason))
        }
    }
}

fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str)
}

/// The rows of a listing, whether it is an array or an object that holds one.
fn rows(listed: &Value) -> Vec<Value> {
    let array = listed
        .as_array()
        .or_else(|| listed.as_object()?.values().find_map(Value::as_array));
    array.cloned().unwrap_or_default()
}
