//! A customer refuses, a producer sends rubbish: what waits becomes an alert, and the repair ends
//! it.

use anyhow::Result;
use callferry_tests::patience;
use serde_json::Value;

use super::watched::{LONG, Watched};

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_refuses_makes_the_oldest_unproven_warn_then_page_until_it_is_repaired()
-> Result<()> {
    let Some(mut watched) = Watched::new("alert-unproven").await? else {
        return Ok(());
    };
    watched.allow("acme", &["s3:GetObject"]).await?;
    watched
        .start(&["transfer", "cleanup", "housekeeping"])
        .await?;
    watched.announce(&["acme", "globex"], 8, 1).await?;
    watched.fires("CallferryOldestUnproven", "warn").await?;
    watched.fires("CallferryOldestUnproven", "page").await?;
    // Everybody else's recordings went through meanwhile.
    watched.until("released", 4).await?;

    let whole = ["s3:PutObject", "s3:GetObject", "s3:GetObjectVersion"];
    watched.allow("acme", &whole).await?;
    watched.retry().await?;
    watched.until("released", 8).await?;
    watched.ends("CallferryOldestUnproven", "page").await?;
    watched.ends("CallferryOldestUnproven", "warn").await
}

async fn quarantined(watched: &Watched) -> Result<Vec<String>> {
    let listed = watched.platform.json(&["quarantine", "list"]).await?;
    let rows = listed.as_array().cloned().unwrap_or_default();
    let id = |row: &Value| row["id"].as_i64().map(|id| id.to_string());
    Ok(rows.iter().filter_map(id).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_messages_warn_while_they_grow_and_when_nobody_looks_until_they_are_dropped()
-> Result<()> {
    let Some(mut watched) = Watched::new("alert-quarantine").await? else {
        return Ok(());
    };
    watched.start(&["transfer", "housekeeping"]).await?;
    for number in 0..15 {
        let rubbish = format!("{{\"rubbish\": {number}}}");
        let key = "recording.completed.v1";
        watched.platform.publish_raw(key, &rubbish).await?;
    }
    watched.fires("CallferryQuarantineGrowing", "warn").await?;
    watched
        .fires("CallferryQuarantineUnattended", "warn")
        .await?;
    // It does not grow any more, but they are still there.
    watched.ends("CallferryQuarantineGrowing", "warn").await?;

    let ids = patience::until("all are listed", LONG, async || {
        let ids = quarantined(&watched).await?;
        Ok((ids.len() == 15).then_some(ids))
    });
    let ids = ids.await?;
    let mut drop_all = vec!["quarantine", "drop"];
    drop_all.extend(ids.iter().map(String::as_str));
    watched.platform.fleet.must(&drop_all).await?;
    watched.ends("CallferryQuarantineUnattended", "warn").await
}
