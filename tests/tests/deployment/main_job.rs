//! The main job, with its detours, by users who may do nothing else: whatever a role's statements
//! and messages need and its user may not do shows here.

use anyhow::Result;
use callferry_tests::fleet::Member;
use callferry_tests::load::{self, Load, Produce};
use callferry_tests::patience;
use callferry_tests::platform::Platform;
use serde_json::{Value, json};

use super::production::{LONG, Production};

fn load(accounts: &[&str], recordings: usize, size_bytes: usize, seed: u64) -> Load {
    let accounts = accounts.iter().map(|&account| account.to_owned()).collect();
    Load {
        accounts,
        recordings,
        size_bytes,
        seed,
    }
}

/// A queue that hears everything, as another service's would.
async fn witness(production: &Production) -> Result<()> {
    let management = production.platform.rabbit.management();
    let body = json!({"durable": true, "arguments": {"x-queue-type": "quorum"}});
    let queue = "/api/queues/callferry/witness";
    management.call("PUT", queue, Some(body)).await?;
    let binding = "/api/bindings/callferry/e/callferry.recordings/q/witness";
    let all = json!({"routing_key": "#"});
    management.call("POST", binding, Some(all)).await.map(drop)
}

/// The routing keys that it has heard so far.
async fn heard(production: &Production) -> Result<Vec<String>> {
    let ask = json!({"count": 1000, "ackmode": "ack_requeue_true", "encoding": "auto"});
    let management = production.platform.rabbit.management();
    let path = "/api/queues/callferry/witness/get";
    let messages = management.call("POST", path, Some(ask)).await?;
    let keys = messages.as_array().into_iter().flatten();
    let keys = keys.filter_map(|message| message["routing_key"].as_str());
    let mut keys: Vec<String> = keys.map(str::to_owned).collect();
    keys.sort();
    keys.dedup();
    Ok(keys)
}

/// Waits until quarantine holds a message for this reason.
async fn quarantined(production: &Production, reason: &str) -> Result<()> {
    let what = format!("a message is quarantined as {reason}");
    patience::until(&what, LONG, async || {
        let list = production.platform.json(&["quarantine", "list"]).await?;
        let rows = list.as_array().or_else(|| list["messages"].as_array());
        let found = rows
            .into_iter()
            .flatten()
            .any(|row| row["reason"] == reason);
        Ok(found.then_some(()))
    })
    .await
}

/// Announces what the account's own command line would refuse: as any recorder can.
async fn announce_unknown(production: &Production, produce: &Produce) -> Result<()> {
    let management = production.platform.rabbit.management();
    let path = "/api/exchanges/callferry/callferry.recordings/publish";
    for ((account, id), one) in produce {
        let event = json!({
            "specversion": "1.0", "id": format!("event-{id}"), "source": "urn:recorder:test",
            "type": "callferry.recording.completed.v1", "subject": id,
            "time": "2026-11-23T10:00:05Z", "datacontenttype": "application/json",
            "data": {
                "recording_id": id, "account_id": account, "interaction_id": id, "kind": "call",
                "media_type": "audio/wav", "started_at": "2026-11-23T09:58:00Z",
                "completed_at": "2026-11-23T10:00:00Z",
                "original": {
                    "path": format!("{account}/2026/11/23/{id}.wav"),
                    "size_bytes": one.size_bytes, "sha256": one.sha256,
                },
            },
        });
        let message = json!({
            "properties": {"delivery_mode": 2, "content_type": "application/cloudevents+json"},
            "routing_key": "recording.completed.v1", "payload": event.to_string(),
            "payload_encoding": "string",
        });
        let answer = management.call("POST", path, Some(message)).await?;
        assert_eq!(answer["routed"], Value::Bool(true), "{answer}");
    }
    Ok(())
}

/// One copy that is gone before anybody released its original, and one with other bytes at its
/// key: cleanup has the first sent again, and refuses the second until a person took them away.
async fn damaged_copies(production: &Production) -> Result<Member> {
    let lab = &production.platform.lab;
    let bucket = Platform::bucket("acme");
    for object in lab.objects(&bucket) {
        if object.key.contains("rec-1-00000") {
            assert!(lab.delete_object(&bucket, &object.key)?);
        }
        if object.key.contains("rec-2-00000") {
            lab.overwrite_object(&bucket, &object.key, b"somebody else's")?;
        }
    }
    let cleanup = production.start("cleanup", "cleanup").await?;
    let operator = &production.platform.fleet;
    patience::until("the release of other bytes is refused", LONG, async || {
        let parked = operator.must(&["parked", "list", "--json"]).await?;
        Ok(parked.stdout.contains("rec-2-00000").then_some(()))
    })
    .await?;
    lab.delete_object(&bucket, &key_of(production, &bucket, "rec-2-00000"))?;
    operator
        .must(&["parked", "retry", "--account", "acme"])
        .await?;
    Ok(cleanup)
}

/// An account that comes after its recordings, and its destination after that.
async fn late_account(production: &mut Production) -> Result<Produce> {
    let late = load(&["initech"], 2, 20_000, 4).stage(&production.platform)?;
    announce_unknown(production, &late).await?;
    quarantined(production, "account_unknown").await?;
    let external_id = production.platform.plain_account("initech").await?;
    production
        .becomes(("initech", "rec-4-00000"), "parked", Some("no_destination"))
        .await?;
    production
        .platform
        .destination("initech", &external_id)
        .await?;
    Ok(late)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_role_does_its_job_and_its_detours_as_a_user_who_may_do_nothing_else() -> Result<()> {
    let mut production = Production::new("users").await?;
    witness(&production).await?;
    let refused_before = production.refusals()?;
    let mut produce = Produce::new();
    for (size, seed) in [(0, 1), (480_000, 2), (17 << 20, 3)] {
        produce.extend(load(&["acme", "globex"], 4, size, seed).stage(&production.platform)?);
    }
    let mut transfer = production.start("transfer", "transfer").await?;
    let mut housekeeping = production.start("housekeeping", "housekeeping").await?;
    load(&["acme", "globex"], 0, 0, 0)
        .publish(&production.platform)
        .await?;
    for id in ["rec-1-00000", "rec-2-00000", "rec-3-00000"] {
        production.becomes(("acme", id), "stored", None).await?;
    }
    let mut cleanup = damaged_copies(&production).await?;
    produce.extend(late_account(&mut production).await?);

    let all = u64::try_from(produce.len())?;
    load::until_released(&production.platform, all, LONG).await?;
    let differences = load::differences(&production.platform, &produce, None).await?;
    assert_eq!(differences, Vec::<String>::new());
    for member in [&mut transfer, &mut cleanup, &mut housekeeping] {
        member.stop(LONG).await?;
    }
    let words = ["completed", "parked", "released", "stored"];
    let keys = words.map(|word| format!("recording.{word}.v1"));
    assert_eq!(heard(&production).await?, keys);
    let refused = production.refusals()?;
    assert_eq!(refused.get(refused_before.len()..), Some(&[][..]));
    Ok(())
}

fn key_of(production: &Production, bucket: &str, id: &str) -> String {
    let objects = production.platform.lab.objects(bucket);
    let found = objects.into_iter().find(|object| object.key.contains(id));
    found.expect("the copy is there").key
}
