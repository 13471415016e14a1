//! A recording that is erased after it was given another destination: what it left open at the old
//! one is ended, although nothing says any more which key was its own there.

use std::time::Duration;

use anyhow::Result;
use callferry_tests::patience;
use callferry_tests::platform::Platform;
use callferry_tests::scratch::Scratch;

use super::originals::{ALL, LONG, denied, erase, load, platform, until};

const HOURS: Duration = Duration::from_secs(2 * 3600);

/// Gives it another revision, of another prefix in the same bucket.
async fn reroute(platform: &Platform, arn: &str) -> Result<()> {
    let (bucket, endpoint) = (Platform::bucket("acme"), platform.lab.endpoint());
    let set = ["destination", "set", "acme", "s3", "--bucket", &bucket];
    let how = ["--region", "eu-central-1", "--role-arn", arn];
    let place = ["--endpoint", &endpoint, "--prefix", "moved"];
    platform
        .json(&[&set[..], &how[..], &place[..]].concat())
        .await?;
    let age = "update recordings set updated_at = updated_at - interval '1 hour'";
    platform.postgres.sql("callferry", age).await?;
    let reroute = ["recording", "reroute", "--account", "acme", "rec-1-00000"];
    let answer = platform.json(&reroute).await?;
    assert_eq!(answer["rerouted"], 1, "{answer}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_left_at_the_old_revision_is_ended_after_the_erasure() -> Result<()> {
    let scratch = Scratch::new("erasing-rerouted")?;
    let (platform, arn) = platform(&scratch).await?;
    let mut allowed = None;
    let save = |role: &mut callferry_tests::s3::Role| allowed = Some(role.permissions.clone());
    assert!(platform.lab.change_role(&arn, save));
    let mut all = denied(&platform, &arn, &load(1000)).await?;
    all.stop(Duration::from_secs(60)).await?;
    if let Some(allowed) = allowed {
        let repair = |role: &mut callferry_tests::s3::Role| role.permissions = allowed;
        assert!(platform.lab.change_role(&arn, repair));
    }
    reroute(&platform, &arn).await?;
    erase(&platform).await?;
    let mut all = platform.fleet.start_ready("again", &ALL).await?;
    until(&platform, "it is erased", |shown| {
        shown["erased_at"].is_string()
    })
    .await?;
    // What a claim had begun at the old revision, and the customer's own.
    let bucket = Platform::bucket("acme");
    let begin = |key: &str| platform.lab.begin_upload(&bucket, key, HOURS);
    begin("call/2026/11/23/rec-1-00000.wav")?;
    let theirs = [
        "call/2026/11/23/other.wav",
        "call/rec-1-00000.wav",
        "theirs/2026/11/23/rec-1-00000.wav",
    ];
    for key in theirs {
        begin(key)?;
    }
    let sweep = "insert into upload_sweeps (revision, account_id, begun_at, due_at) \
         select min(revision), 'acme', now() - interval '2 hours', now() \
           from destinations where account_id = 'acme' \
         on conflict do nothing";
    platform.postgres.sql("callferry", sweep).await?;
    patience::until("the upload is ended", LONG, async || {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let open = platform.lab.open_uploads(&bucket).into_iter();
        let mut keys: Vec<String> = open.map(|upload| upload.key).collect();
        keys.sort();
        Ok((keys == theirs).then_some(()))
    })
    .await?;
    all.stop(Duration::from_secs(60)).await?;
    Ok(())
}
