//! What administrators do, through the interface and beside it on the command line: both give the
//! same answers, and everything that changes something is written down.

use anyhow::{Context, Result};
use callferry_tests::patience;
use callferry_tests::platform::{Platform, REGION};
use serde_json::{Value, json};

use super::contract::DOCUMENT;
use super::served::{EVERYTHING, LONG, Served};

pub(crate) const ROLE: &str = "arn:aws:iam::123456789012:role/callferry";
const KEY: &str = "bGFib3JhdG9yeS1vbmx5LW5vdC1hLXNlY3JldA==";

#[tokio::test]
async fn accounts_are_made_once_listed_by_the_page_and_shown_as_on_the_command_line() -> Result<()>
{
    let served = Served::new("http-accounts", &[]).await?;
    let empty = served.ask("GET /v1/accounts", None).await?.must(200);
    assert_eq!(empty, json!({"items": [], "next": null}));
    let made = json!({"account_id": "acme", "name": "Acme Ltd"});
    let made = served.ask("POST /v1/accounts", Some(made)).await?;
    assert_eq!(made.headers["location"], "/v1/accounts/acme");
    let made = made.must(201);
    let shown = served.platform.json(&["account", "show", "acme"]).await?;
    assert_eq!(made, shown);
    assert_eq!(
        served.ask("GET /v1/accounts/acme", None).await?.must(200),
        shown
    );
    let again = served.ask("POST /v1/accounts", Some(json!({"account_id": "acme"})));
    let again = again.await?.must(409);
    assert!(
        again["detail"].to_string().contains("acme exists already"),
        "{again}"
    );
    for (body, field) in [
        (json!({"account_id": "../x"}), "account_id"),
        (json!({"account_id": "default"}), ""),
        (json!({"account_id": "b", "name": "a\nb"}), "name"),
        (json!({"account_id": "b", "nome": "a"}), "nome"),
        (json!({"name": "a"}), "account_id"),
        (json!({"account_id": 7}), "account_id"),
        (json!([]), ""),
    ] {
        let refused = served
            .ask("POST /v1/accounts", Some(body.clone()))
            .await?
            .must(422);
        assert!(refused.to_string().contains(field), "{body}: {refused}");
    }
    for account in ["b", "c", "d", "e"] {
        let body = json!({"account_id": account});
        served.ask("POST /v1/accounts", Some(body)).await?.must(201);
    }
    let mut paged = Vec::new();
    let mut what = "GET /v1/accounts?limit=2".to_owned();
    loop {
        let page = served.ask(&what, None).await?.must(200);
        paged.extend(page["items"].as_array().context("no items")?.clone());
        let Some(next) = page["next"].as_str() else {
            break;
        };
        what = format!("GET /v1/accounts?limit=2&after={next}");
    }
    assert_eq!(
        Value::Array(paged),
        served.platform.json(&["account", "list"]).await?
    );
    let head = served.ask("HEAD /v1/accounts/acme", None).await?;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
    served.ask("PATCH /v1/accounts/acme", None).await?.must(405);
    served.ask("GET /v1/nothing", None).await?.must(404);
    let contract = served.ask("GET /v1/openapi.json", None).await?.must(200);
    assert_eq!(contract, *DOCUMENT);
    Ok(())
}

#[tokio::test]
#[expect(
    clippy::too_many_lines,
    reason = "one story from its beginning to its end"
)]
async fn destinations_are_set_as_on_the_command_line_and_no_secret_comes_back() -> Result<()> {
    let served = Served::new("http-destinations", &[]).await?;
    served.platform.json(&["account", "create", "acme"]).await?;
    let place = "/v1/accounts/acme/destination";
    let (put, get) = (format!("PUT {place}"), format!("GET {place}"));
    served.ask(&get, None).await?.must(404);
    let s3 = json!({"s3": {"bucket": "acme-calls", "region": REGION, "role_arn": ROLE,
                           "prefix": "calls"}, "force": true});
    let set = served.ask(&put, Some(s3.clone())).await?.must(200);
    assert_eq!(set["location"], "s3://acme-calls");
    assert_eq!(set["expected_owner"], "123456789012");
    let again = served.ask(&put, Some(s3)).await?.must(200);
    assert_eq!(again["revision"], set["revision"], "nothing changed");
    let shown = served
        .platform
        .json(&["destination", "show", "acme"])
        .await?;
    assert_eq!(served.ask(&get, None).await?.must(200), shown);

    let azure = json!({"azure": {"storage_account": "acmecalls", "container": "calls",
                                 "access_key": KEY}, "force": true});
    let azure = served.ask(&put, Some(azure)).await?;
    assert!(!azure.text.contains(KEY), "{azure:?}");
    let azure = azure.must(200);
    assert_eq!(
        (&azure["cloud"], &azure["identity"]),
        (&json!("azure"), &json!("access_key"))
    );
    let all = served
        .ask("GET /v1/accounts/acme/destinations", None)
        .await?
        .must(200);
    let listed = served
        .platform
        .json(&["destination", "list", "acme"])
        .await?;
    assert_eq!(all["items"], listed);

    for (body, field) in [
        (json!({}), "s3"),
        (
            json!({"s3": {"bucket": "b!", "region": REGION, "role_arn": ROLE}}),
            "bucket",
        ),
        (
            json!({"s3": {"bucket": "acme-calls", "region": REGION}}),
            "role_arn",
        ),
        (
            json!({"s3": {"bucket": "acme-calls", "region": REGION, "role_arn": ROLE,
                       "endpoint": "http://169.254.169.254"}}),
            "",
        ),
        (
            json!({"s3": {"bucket": "acme-calls", "region": REGION, "role_arn": ROLE,
                       "no_owner_check": true}}),
            "no_owner_check",
        ),
        (
            json!({"s3": {"bucket": "acme-calls", "region": REGION, "role_arn": ROLE,
                       "prefix": "../x"}}),
            "prefix",
        ),
        (json!({"s3": {"bucket": 7, "region": REGION}}), "bucket"),
        (
            json!({"azure": {"storage_account": "acmecalls", "container": "calls"}}),
            "tenant_id",
        ),
        // A file that is named would be one of ours.
        (
            json!({"azure": {"storage_account": "acmecalls", "container": "calls",
                          "access_key_file": "/etc/passwd"}}),
            "access_key_file",
        ),
        (
            json!({"azure": {"storage_account": "acmecalls", "container": "calls",
                          "access_key": "canary canary"}}),
            "access_key",
        ),
        (
            json!({"azure": {"storage_account": "acmecalls", "container": "calls",
                          "sas_token": "canary"}}),
            "",
        ),
    ] {
        let refused = served.ask(&put, Some(body.clone())).await?;
        assert!(!refused.text.contains("canary"), "{refused:?}");
        let refused = refused.must(422);
        assert!(refused.to_string().contains(field), "{body}: {refused}");
        assert!(!refused.to_string().contains("--"), "{refused}");
    }
    let log = served.member.log_text()?;
    assert!(!log.contains(KEY) && !log.contains("canary"), "{log}");
    own_is_the_platforms(&served).await
}

async fn own_is_the_platforms(served: &Served) -> Result<()> {
    let s3 = json!({"s3": {"bucket": "our-calls", "region": REGION,
                           "expected_owner": "444455556666"}, "force": true});
    served
        .ask("GET /v1/default-destination", None)
        .await?
        .must(404);
    served
        .ask("PUT /v1/default-destination", Some(s3))
        .await?
        .must(200);
    let shown = served
        .platform
        .json(&["destination", "show", "default"])
        .await?;
    let asked = served
        .ask("GET /v1/default-destination", None)
        .await?
        .must(200);
    assert_eq!(asked, shown);
    let all = served
        .ask("GET /v1/default-destinations", None)
        .await?
        .must(200);
    let listed = served
        .platform
        .json(&["destination", "list", "default"])
        .await?;
    assert_eq!(all["items"], listed);
    // An account without its own uses it; a token that is bound to the account does not see it.
    served
        .platform
        .json(&["account", "create", "globex"])
        .await?;
    let what = "GET /v1/accounts/globex/destination";
    served.ask(what, None).await?.must(200);
    let bound = served.token(Some("globex"), EVERYTHING)?;
    served.ask_as(&bound, what, None).await?.must(404);
    Ok(())
}

/// Stages two recordings of an account without a destination, and waits until they are parked.
async fn parked(platform: &Platform, account: &str) -> Result<()> {
    let folder = platform.staging.join(account);
    std::fs::create_dir_all(&folder)?;
    for name in ["rec-1.wav", "rec-2.wav"] {
        std::fs::write(folder.join(name), name)?;
    }
    platform
        .json(&["publish", "--account", account, account])
        .await?;
    patience::until("both are parked", LONG, async || {
        let listed = platform
            .json(&["parked", "list", "--account", account])
            .await?;
        Ok((listed.as_array().map(Vec::len) == Some(2)).then_some(()))
    })
    .await
}

#[tokio::test]
#[expect(
    clippy::too_many_lines,
    reason = "one story from its beginning to its end"
)]
async fn recordings_parked_ones_and_quarantine_are_seen_and_driven_on() -> Result<()> {
    let served = Served::new("http-recordings", &[]).await?;
    let platform = &served.platform;
    let _workers = platform
        .fleet
        .start_ready("workers", &["transfer", "housekeeping"])
        .await?;
    for account in ["acme", "globex"] {
        platform.json(&["account", "create", account]).await?;
        parked(platform, account).await?;
    }
    let what = "GET /v1/accounts/acme/recordings";
    let listed = served.ask(what, None).await?.must(200);
    let listed_there = platform
        .json(&["recording", "list", "--account", "acme"])
        .await?;
    assert_eq!(listed["items"], listed_there);
    for (query, count) in [
        ("state=parked", 2),
        ("state=stored", 0),
        ("kind=call", 2),
        ("kind=screen", 0),
        ("interaction=rec-1", 1),
        ("interaction=nothing", 0),
    ] {
        let found = served
            .ask(&format!("{what}?{query}"), None)
            .await?
            .must(200);
        assert_eq!(
            found["items"].as_array().map(Vec::len),
            Some(count),
            "{query}"
        );
    }
    for query in [
        "state=gone",
        "kind=fax",
        "interaction=.",
        "after=x",
        "limit=0",
        "x=1",
    ] {
        served
            .ask(&format!("{what}?{query}"), None)
            .await?
            .must(400);
    }
    let first = served
        .ask(&format!("{what}?limit=1"), None)
        .await?
        .must(200);
    let next = first["next"].as_str().context("no next")?;
    let second = served
        .ask(&format!("{what}?limit=1&after={next}"), None)
        .await?
        .must(200);
    assert_eq!(second["items"][0]["recording_id"], "rec-2");
    let one = served.ask(&format!("{what}/rec-1"), None).await?.must(200);
    assert_eq!(
        (&one["state"], &one["reason"]),
        (&json!("parked"), &json!("no_destination"))
    );
    assert!(
        one["history"]
            .as_array()
            .is_some_and(|history| !history.is_empty()),
        "{one}"
    );
    served.ask(&format!("{what}/rec-9"), None).await?.must(404);
    parked_are_retried(&served).await?;
    quarantine_is_emptied(&served).await?;
    // What was tried again is parked again.
    patience::until("all four are parked again", LONG, async || {
        let status = served.ask("GET /v1/status", None).await?.must(200);
        Ok((status["parked"]["no_destination"] == 4).then_some(()))
    })
    .await
}

async fn parked_are_retried(served: &Served) -> Result<()> {
    let all = served.ask("GET /v1/parked", None).await?.must(200);
    assert_eq!(all["items"].as_array().map(Vec::len), Some(4), "{all}");
    let page = served.ask("GET /v1/parked?limit=3", None).await?.must(200);
    let next = page["next"].as_str().context("no next")?;
    let rest = served
        .ask(&format!("GET /v1/parked?limit=3&after={next}"), None)
        .await?
        .must(200);
    assert_eq!(rest["items"].as_array().map(Vec::len), Some(1), "{rest}");
    let of_reason = served
        .ask("GET /v1/parked?reason=access_denied", None)
        .await?
        .must(200);
    assert_eq!(of_reason["items"], json!([]));
    let bound = served.token(Some("acme"), EVERYTHING)?;
    let own = served
        .ask_as(&bound, "GET /v1/parked", None)
        .await?
        .must(200);
    assert_eq!(own["items"].as_array().map(Vec::len), Some(2), "{own}");

    let retry = "POST /v1/parked/retry";
    for (body, due) in [
        (json!({"all": true}), 4),
        (json!({"reason": "no_destination"}), 4),
        (json!({"reason": "access_denied"}), 0),
        (json!({"account_id": "acme"}), 2),
        (json!({"account_id": "acme", "reason": "no_destination"}), 2),
        (
            json!({"account_id": "acme", "recording_ids": ["rec-1", "rec-9"]}),
            1,
        ),
    ] {
        let retried = served.ask(retry, Some(body.clone())).await?.must(200);
        // A recording that is being tried is not parked at that moment.
        assert!(
            retried["due"].as_u64().is_some_and(|n| n <= due),
            "{body}: {retried}"
        );
        if body["recording_ids"].is_array() {
            assert!(
                retried["not_parked"].to_string().contains("rec-9"),
                "{retried}"
            );
        }
    }
    let own = served
        .ask_as(&bound, retry, Some(json!({"all": true})))
        .await?
        .must(200);
    assert!(own["due"].as_u64().is_some_and(|due| due <= 2), "{own}");
    for body in [
        json!({}),
        json!({"all": true, "account_id": "acme"}),
        json!({"recording_ids": ["rec-1"]}),
        json!({"account_id": "acme", "reason": "boredom"}),
    ] {
        served.ask(retry, Some(body)).await?.must(422);
    }
    Ok(())
}

async fn quarantine_is_emptied(served: &Served) -> Result<()> {
    let platform = &served.platform;
    let body = "not json <script>\u{1b}[2J";
    platform.publish_raw("recording.completed.v1", body).await?;
    let listed = patience::until("the message is in quarantine", LONG, async || {
        let listed = served.ask("GET /v1/quarantine", None).await?.must(200);
        Ok(listed["items"][0]["id"].is_i64().then_some(listed))
    })
    .await?;
    assert_eq!(
        listed["items"],
        platform.json(&["quarantine", "list"]).await?
    );
    let id = &listed["items"][0]["id"];
    let one = served
        .ask(&format!("GET /v1/quarantine/{id}"), None)
        .await?
        .must(200);
    assert_eq!(
        one,
        platform
            .json(&["quarantine", "show", &id.to_string()])
            .await?
    );
    assert_eq!(one["body"], body);
    let asked = served
        .ask(&format!("POST /v1/quarantine/{id}/requeue"), None)
        .await?
        .must(200);
    assert_eq!(asked, json!({"requeue_asked": [id], "refused": []}));
    patience::until("it is dropped", LONG, async || {
        let listed = served.ask("GET /v1/quarantine", None).await?.must(200);
        let id = &listed["items"][0]["id"];
        let dropped = served
            .ask(&format!("DELETE /v1/quarantine/{id}"), None)
            .await?;
        Ok((dropped.status == 200).then_some(()))
    })
    .await?;
    served
        .ask("DELETE /v1/quarantine/4711", None)
        .await?
        .must(404);
    Ok(())
}

#[tokio::test]
async fn a_destination_is_checked_before_it_is_set_and_whenever_it_is_asked_for() -> Result<()> {
    let mut served = Served::new("http-checks", &[]).await?;
    served.platform.account("acme").await?;
    let what = "POST /v1/accounts/acme/destination/check";
    let report = served.ask(what, None).await?.must(200);
    assert_eq!(report["usable"], true, "{report}");
    assert_eq!(report["owner"], "acme", "{report}");
    let put = "PUT /v1/accounts/acme/destination";
    let body = |force: bool| {
        json!({"s3": {"bucket": "not-there", "region": REGION, "role_arn": ROLE,
                      "endpoint": served.platform.lab.endpoint()}, "force": force})
    };
    let refused = served.ask(put, Some(body(false))).await?.must(409);
    assert_eq!(refused["check"]["usable"], false, "{refused}");
    let forced = served.ask(put, Some(body(true))).await?.must(200);
    assert_eq!(forced["location"], "s3://not-there", "{forced}");
    let shown = served
        .ask("GET /v1/accounts/acme/destination", None)
        .await?
        .must(200);
    assert_eq!(shown["last_check"]["forced"], true, "{shown}");
    // Whoever may only act for their own account does not send our own identity anywhere, and
    // insists on nothing.
    let bound = served.token(Some("acme"), EVERYTHING)?;
    let machine = json!({"managed_identity": true});
    let workload = json!({"federated": true, "tenant_id": "globex.onmicrosoft.com",
                          "client_id": "00001111-aaaa-2222-bbbb-3333cccc4444"});
    for mut ours in [machine, workload] {
        ours["storage_account"] = "acmecalls".into();
        ours["container"] = "calls".into();
        let refused = served
            .ask_as(&bound, put, Some(json!({ "azure": ours })))
            .await?;
        let refused = refused.must(409);
        let hint = refused["hint"].as_str().unwrap_or_default();
        assert!(hint.contains("operator"), "{refused}");
    }
    let refused = served
        .ask_as(&bound, put, Some(body(true)))
        .await?
        .must(409);
    assert!(
        refused["detail"]
            .as_str()
            .is_some_and(|it| it.contains("force")),
        "{refused}"
    );
    Ok(())
}
