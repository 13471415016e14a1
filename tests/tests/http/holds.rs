//! Legal holds and erasures through the interface: what is asked for here is what the command line
//! shows and what the sweep does.

use std::time::Duration;

use anyhow::{Context, Result};
use callferry_tests::load::{self, Load};
use callferry_tests::patience;
use callferry_tests::platform::Platform;
use serde_json::{Value, json};

use super::served::{EVERYTHING, LONG, Served};

const HOLDS: &str = "/v1/accounts/acme/holds";

/// Accounts with one released recording each of these, whose retention is over.
pub(crate) async fn ended(served: &Served, account: &str, recordings: &[&str]) -> Result<()> {
    served
        .platform
        .json(&["account", "create", account])
        .await?;
    let s3 = json!({"s3": {"bucket": format!("{account}-calls"), "region": "eu-central-1",
        "role_arn": "arn:aws:iam::123456789012:role/callferry"}, "force": true});
    let put = format!("PUT /v1/accounts/{account}/destination");
    served.ask(&put, Some(s3)).await?.must(200);
    for id in recordings {
        let sql = format!(
            "insert into recordings (account_id, recording_id, state, interaction_id, kind, \
               media_type, started_at, completed_at, path, size_bytes, attributes, \
               destination_revision, created_by, due_at, due_queue, retain_until) \
             select '{account}', '{id}', 'staged', 'call-of-{id}', 'call', 'audio/wav', now(), \
               now(), '{account}/{id}.wav', 1, '{{}}', max(revision), gen_random_uuid(), \
               now() + '1 day', 'transfer', now() - interval '1 day' \
               from destinations where account_id = '{account}'; \
             update recordings set state = 'stored', object_key = 'k', receipt_size_bytes = 1, \
               receipt_sha256 = sha256('x'), receipt_etag = 'e', receipt_checksum = 'c', \
               receipt_method = 'read_back', stored_at = now(), original_size_bytes = 1, \
               original_mtime_ns = 1, original_inode = 1, acknowledgment_id = gen_random_uuid(), \
               acknowledged_at = now() where state = 'staged'; \
             update recordings set state = 'released', due_at = null, due_queue = null, \
               released_at = now() where state = 'stored'"
        );
        served.platform.postgres.sql("callferry", &sql).await?;
    }
    Ok(())
}

#[tokio::test]
#[expect(
    clippy::too_many_lines,
    reason = "one story from its beginning to its end"
)]
async fn holds_are_placed_listed_and_released_as_on_the_command_line() -> Result<()> {
    let served = Served::new("http-holds", &[]).await?;
    let platform = &served.platform;
    ended(&served, "acme", &["rec-1", "rec-2"]).await?;
    ended(&served, "globex", &["rec-1"]).await?;
    let post = format!("POST {HOLDS}");
    let held = json!({"recording_id": "rec-1", "reason": " case 4711 "});
    let placed = served.ask(&post, Some(held.clone())).await?;
    let location = placed.headers["location"].to_str()?.to_owned();
    let placed = placed.must(201);
    assert_eq!(location, format!("{HOLDS}/{}", placed["hold_id"]));
    assert_eq!(placed["placed_by"], "tester", "the token's subject");
    assert_eq!(placed["reason"], "case 4711");
    assert_eq!(
        (&placed["covers"], &placed["too_late"]),
        (&json!(1), &json!([]))
    );
    // The command line and what the sweep would do say the same of it.
    let there = ["hold", "list", "--account", "acme"];
    let listed = served.ask(&format!("GET {HOLDS}"), None).await?.must(200);
    assert_eq!(listed["items"], platform.json(&there).await?);
    let shown = served
        .ask(&format!("GET {location}"), None)
        .await?
        .must(200);
    assert_eq!(shown, listed["items"][0]);
    let preview = "GET /v1/accounts/acme/retention/preview?until=2100-01-01T00:00:00Z";
    let preview = served.ask(preview, None).await?.must(200);
    let until = ["--until", "2100-01-01T00:00:00Z"];
    let there = [&["retention", "preview", "acme"][..], &until].concat();
    assert_eq!(preview, platform.json(&there).await?);
    assert_eq!(
        (&preview["would_go"], &preview["held_back"]),
        (&json!(1), &json!(1)),
        "{preview}"
    );
    assert_eq!(preview["holds"][0]["hold_id"], placed["hold_id"]);

    // Repeated, it is a hold of its own: each is released for itself, and the last one lets go.
    let again = served.ask(&post, Some(held)).await?.must(201);
    assert_ne!(again["hold_id"], placed["hold_id"]);
    let erase = "POST /v1/accounts/acme/recordings/rec-1/erase";
    let why = json!({"why": "request 4711"});
    for hold in [&placed, &again] {
        let refused = served.ask(erase, Some(why.clone())).await?.must(409);
        let detail = refused["detail"].as_str().context("no detail")?;
        assert!(
            detail.contains(&format!("hold {}", hold["hold_id"])),
            "{refused}"
        );
        let shown = platform.json(&["recording", "show", "--account", "acme", "rec-1"]);
        let history = shown.await?["history"].to_string();
        assert!(!history.contains("erasure"), "{history}");
        let release = format!("POST {HOLDS}/{}/release", hold["hold_id"]);
        let closed = json!({"reason": "closed"});
        let released = served.ask(&release, Some(closed.clone())).await?.must(200);
        assert_eq!(released["released"]["by"], "tester");
        let twice = served.ask(&release, Some(closed)).await?.must(409);
        assert!(twice["detail"].to_string().contains("before"), "{twice}");
        assert!(!twice.to_string().contains("--"), "{twice}");
    }
    // Nothing that is held can be passed over by asking twice; now nothing is.
    let asked = served.ask(erase, Some(why.clone())).await?.must(202);
    assert_eq!(asked["asked_by"], "tester");
    let other = json!({"why": "another reason"});
    let repeated = served.ask(erase, Some(other)).await?.must(202);
    assert_eq!(repeated, asked, "it was asked for once");
    let what = ["recording", "erase", "--account", "acme", "rec-1"];
    let who = ["--why", "once more", "--by", "Jo Doe"];
    assert_eq!(platform.json(&[&what[..], &who].concat()).await?, asked);

    for (body, covers) in [
        (
            json!({"interaction_id": "call-of-rec-2", "reason": "case"}),
            json!(1),
        ),
        (
            json!({"interaction_id": "nothing-yet", "reason": "case"}),
            json!(0),
        ),
        (
            json!({"whole_account": true, "reason": "case"}),
            Value::Null,
        ),
    ] {
        let placed = served.ask(&post, Some(body.clone())).await?.must(201);
        assert_eq!(placed["covers"], covers, "{body}");
    }
    paged(&served).await?;
    wrongly(&served).await
}

/// By the page, with and without those that are over; of one account and of all.
async fn paged(served: &Served) -> Result<()> {
    let globex = "POST /v1/accounts/globex/holds";
    let body = json!({"whole_account": true, "reason": "case 4712"});
    served.ask(globex, Some(body)).await?.must(201);
    for (list, there) in [
        (format!("GET {HOLDS}?limit=2"), &["--account", "acme"][..]),
        (
            format!("GET {HOLDS}?all=true&limit=2"),
            &["--account", "acme", "--all"],
        ),
        ("GET /v1/holds?limit=2".to_owned(), &[]),
        ("GET /v1/holds?limit=2&all=true".to_owned(), &["--all"]),
        (
            "GET /v1/holds?limit=2&account_id=acme".to_owned(),
            &["--account", "acme"],
        ),
    ] {
        let (mut paged, mut what) = (Vec::new(), list.clone());
        loop {
            let page = served.ask(&what, None).await?.must(200);
            paged.extend(page["items"].as_array().context("no items")?.clone());
            let Some(next) = page["next"].as_str() else {
                break;
            };
            what = format!("{list}&after={next}");
        }
        let there = [&["hold", "list"][..], there].concat();
        let there = served.platform.json(&there).await?;
        assert!(there.as_array().is_some_and(|all| all.len() > 2), "{list}");
        assert_eq!(Value::Array(paged), there, "{list}");
    }
    let bound = served.token(Some("globex"), EVERYTHING)?;
    let own = served
        .ask_as(&bound, "GET /v1/holds?all=true", None)
        .await?;
    let own = own.must(200);
    assert_eq!(own["items"].as_array().map(Vec::len), Some(1), "{own}");
    // Another's hold is not there, whichever way it is asked for.
    for path in ["holds/1", "holds/1/release"] {
        let what = format!("/v1/accounts/globex/{path}");
        let (verb, body) = match path.ends_with("release") {
            true => ("POST", Some(json!({"reason": "mine"}))),
            false => ("GET", None),
        };
        let what = format!("{verb} {what}");
        served.ask_as(&bound, &what, body.clone()).await?.must(404);
        served.ask(&what, body).await?.must(404);
    }
    Ok(())
}

/// What is said to whoever asks wrongly: the field, and what would help.
#[expect(clippy::too_many_lines, reason = "one table of all that is asked for")]
async fn wrongly(served: &Served) -> Result<()> {
    let long = "x".repeat(2001);
    let erase = "POST /v1/accounts/acme/recordings/rec-2/erase";
    let place = format!("POST {HOLDS}");
    let release = format!("POST {HOLDS}/1/release");
    for (what, body, field) in [
        (place.as_str(), json!({"reason": "x"}), "whole_account"),
        (
            &place,
            json!({"whole_account": false, "reason": "x"}),
            "recording_id",
        ),
        (
            &place,
            json!({"recording_id": "a", "interaction_id": "b", "reason": "x"}),
            "interaction_id",
        ),
        (
            &place,
            json!({"recording_id": "a", "whole_account": true, "reason": "x"}),
            "whole_account",
        ),
        (
            &place,
            json!({"recording_id": "../x", "reason": "x"}),
            "recording_id",
        ),
        (&place, json!({"recording_id": "a"}), "reason"),
        (
            &place,
            json!({"recording_id": "a", "reason": " \t"}),
            "reason",
        ),
        (
            &place,
            json!({"recording_id": "a", "reason": "\u{0}"}),
            "reason",
        ),
        (
            &place,
            json!({"recording_id": "a", "reason": long}),
            "reason",
        ),
        // Who places it is who the token says.
        (
            &place,
            json!({"recording_id": "a", "reason": "x", "by": "me"}),
            "by",
        ),
        (&release, json!({}), "reason"),
        (&release, json!({"reason": ""}), "reason"),
        (erase, json!({}), "why"),
        (erase, json!({"why": ""}), "why"),
        (erase, json!({"why": "x", "by": "me"}), "by"),
    ] {
        let refused = served.ask(what, Some(body.clone())).await?.must(422);
        let fields = refused["fields"].to_string();
        assert!(
            fields.contains(&format!("\"{field}\"")),
            "{body}: {refused}"
        );
    }
    for (what, body) in [
        (
            "POST /v1/accounts/nobody/holds",
            json!({"whole_account": true, "reason": "x"}),
        ),
        (
            "POST /v1/accounts/acme/holds/999/release",
            json!({"reason": "x"}),
        ),
        (
            "POST /v1/accounts/acme/recordings/rec-9/erase",
            json!({"why": "x"}),
        ),
        (
            "POST /v1/accounts/nobody/recordings/rec-1/erase",
            json!({"why": "x"}),
        ),
    ] {
        served.ask(what, Some(body)).await?.must(404);
    }
    for what in [
        "GET /v1/accounts/acme/holds/x",
        "GET /v1/accounts/acme/holds/-1",
        "GET /v1/holds?all=1",
        "GET /v1/holds?after=x",
    ] {
        served.ask(what, None).await?.must(400);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sweep_keeps_what_is_held_here_and_carries_out_what_is_erased_here() -> Result<()> {
    let mut served = Served::new("http-sweep", &[]).await?;
    served.platform.account("acme").await?;
    let load = Load {
        accounts: vec!["acme".to_owned()],
        recordings: 2,
        size_bytes: 1000,
        seed: 1,
    };
    let platform = &served.platform;
    load.stage(platform)?;
    let roles = ["transfer", "cleanup"];
    let mut workers = platform.fleet.start_ready("workers", &roles).await?;
    load.publish(platform).await?;
    load::until_released(platform, 2, LONG).await?;
    workers.stop(Duration::from_secs(60)).await?;
    let place = format!("POST {HOLDS}");
    let held = json!({"recording_id": "rec-1-00000", "reason": "case 4711"});
    let placed = served.ask(&place, Some(held)).await?.must(201);
    let over = "update recordings set retain_until = now() - interval '1 hour' \
         where recording_id = 'rec-1-00000'";
    platform.postgres.sql("callferry", over).await?;
    let erase = "POST /v1/accounts/acme/recordings/rec-1-00001/erase";
    let why = json!({"why": "request 4711"});
    served.ask(erase, Some(why.clone())).await?.must(202);
    let sweeper = ["housekeeping"];
    let mut sweeper = platform.fleet.start_ready("sweeper", &sweeper).await?;
    patience::until("it is erased", LONG, async || {
        let asked = served.ask(erase, Some(why.clone())).await?;
        tokio::time::sleep(Duration::from_millis(200)).await;
        Ok((asked.status == 200).then(|| assert!(asked.json["erased_at"].is_string())))
    })
    .await?;
    let show = "GET /v1/accounts/acme/recordings/rec-1-00000";
    patience::until("the sweep has seen the hold", LONG, async || {
        let shown = served.ask(show, None).await?.must(200);
        assert_eq!(shown["state"], "released", "{shown}");
        tokio::time::sleep(Duration::from_millis(200)).await;
        Ok((shown["expiry"]["outcome"] == "held").then_some(()))
    })
    .await?;
    let left = platform.lab.versions(&Platform::bucket("acme"));
    assert_eq!(left.len(), 1, "{left:?}");
    let release = format!("POST {HOLDS}/{}/release", placed["hold_id"]);
    let closed = json!({"reason": "closed"});
    served.ask(&release, Some(closed)).await?.must(200);
    patience::until("nothing keeps it any more", LONG, async || {
        let shown = served.ask(show, None).await?.must(200);
        tokio::time::sleep(Duration::from_millis(200)).await;
        Ok((shown["state"] == "expired").then_some(()))
    })
    .await?;
    assert!(platform.lab.versions(&Platform::bucket("acme")).is_empty());
    sweeper.stop(Duration::from_secs(60)).await
}
