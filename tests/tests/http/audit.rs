//! The book of what was done through the interface: everything that changes something is in it, for
//! good.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use callferry_tests::platform::REGION;
use serde_json::{Value, json};

use super::administration::ROLE;
use super::contract::DOCUMENT;
use super::served::{EVERYTHING, Served};

#[tokio::test]
#[expect(
    clippy::too_many_lines,
    reason = "one story from its beginning to its end"
)]
async fn everything_that_changes_something_is_written_down_for_good() -> Result<()> {
    let served = Served::new("http-audit", &[]).await?;
    let s3 = json!({"s3": {"bucket": "acme-calls", "region": REGION, "role_arn": ROLE},
                    "force": true});
    let own = json!({"s3": {"bucket": "our-calls", "region": REGION,
                            "expected_owner": "444455556666"}, "force": true});
    let account = json!({"account_id": "acme"});
    let all = json!({"all": true});
    let (why, reason) = (json!({"why": "case 4711"}), json!({"reason": "case 4711"}));
    let held = json!({"whole_account": true, "reason": "case 4711"});
    let policy = json!({"kind": "call", "days": 365});
    let requests: [(&str, Option<&Value>, u16); 16] = [
        ("POST /v1/accounts", Some(&account), 201),
        ("POST /v1/accounts", Some(&account), 409),
        ("PUT /v1/accounts/acme/destination", Some(&s3), 200),
        ("PUT /v1/accounts/nobody/destination", Some(&s3), 404),
        ("PUT /v1/default-destination", Some(&own), 200),
        ("POST /v1/parked/retry", Some(&all), 200),
        ("POST /v1/quarantine/1/requeue", None, 404),
        ("DELETE /v1/quarantine/1", None, 404),
        ("POST /v1/accounts/acme/holds", Some(&held), 201),
        ("POST /v1/accounts/acme/holds/1/release", Some(&reason), 200),
        ("POST /v1/accounts/acme/holds/1/release", Some(&reason), 409),
        (
            "POST /v1/accounts/acme/recordings/rec-1/erase",
            Some(&why),
            404,
        ),
        ("PUT /v1/accounts/acme/retention", Some(&policy), 200),
        ("POST /v1/accounts/acme/retention/confirm", Some(&why), 404),
        ("POST /v1/retention/confirm", Some(&why), 404),
        ("GET /v1/accounts", None, 200),
    ];
    let mut ids = Vec::new();
    for (what, body, status) in requests {
        let answered = served.ask(what, body.cloned()).await?;
        assert_eq!(answered.status, status, "{what}: {}", answered.text);
        if !what.starts_with("GET") {
            let id = answered.headers["x-request-id"].to_str()?.to_owned();
            ids.push((id, status));
        }
    }
    let listed = served.ask("GET /v1/audit", None).await?.must(200);
    let rows = listed["items"].as_array().context("no items")?;
    let found: Vec<_> = rows
        .iter()
        .rev()
        .map(|row| {
            let id = row["request_id"].as_str().unwrap_or_default().to_owned();
            let status = row["status"]
                .as_u64()
                .and_then(|status| u16::try_from(status).ok());
            (id, status.unwrap_or_default())
        })
        .collect();
    assert_eq!(found, ids);
    let outcomes: BTreeSet<_> = rows.iter().map(|row| row["outcome"].to_string()).collect();
    assert_eq!(
        outcomes,
        ["\"done\"".to_owned(), "\"refused\"".to_owned()].into()
    );
    let targets = [
        ("place_hold", json!("all of the account")),
        ("release_hold", json!("hold 1")),
        ("erase_recording", json!("rec-1")),
        ("set_retention", json!("call: 365 days")),
        ("confirm_retention", Value::Null),
        ("confirm_all_retention", Value::Null),
    ];
    for (action, target) in targets {
        let row = rows.iter().find(|row| row["action"] == action);
        let row = row.with_context(|| format!("no row of {action}"))?;
        assert_eq!(
            (&row["subject"], &row["target"]),
            (&json!("tester"), &target)
        );
        let whose = (action != "confirm_all_retention").then_some("acme");
        assert_eq!(row["account_id"].as_str(), whose, "{row}");
    }
    let bound = served.token(Some("acme"), EVERYTHING)?;
    let own = served
        .ask_as(&bound, "GET /v1/audit", None)
        .await?
        .must(200);
    let own = own["items"].as_array().context("no items")?;
    assert!(
        !own.is_empty() && own.iter().all(|row| row["account_id"] == "acme"),
        "{own:?}"
    );
    let page = served.ask("GET /v1/audit?limit=1", None).await?.must(200);
    let next = page["next"].as_str().context("no next")?;
    let page = served
        .ask(&format!("GET /v1/audit?limit=1&after={next}"), None)
        .await?
        .must(200);
    assert_eq!(page["items"][0], rows[1]);
    for sql in [
        "update admin_actions set subject = 'nobody'",
        "delete from admin_actions",
        "truncate admin_actions",
    ] {
        let changed = served.platform.postgres.sql("callferry", sql).await;
        let said = format!("{:#}", changed.unwrap_err());
        assert!(said.contains("never changed"), "{sql}: {said}");
    }
    every_writing_operation_was_asked(&requests.map(|(what, _, _)| what));
    Ok(())
}

/// The table above has each operation that changes something, checks aside.
fn every_writing_operation_was_asked(asked: &[&str]) {
    let methods = asked.iter().map(|what| what.split(' ').next().unwrap());
    let methods: BTreeSet<_> = methods.map(str::to_ascii_lowercase).collect();
    assert_eq!(methods.len(), 4, "{methods:?}");
    let paths = DOCUMENT["paths"].as_object().unwrap();
    let writing = paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap().keys();
        let methods = methods.filter(|method| *method != "get");
        methods.map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    // Opening the player changes nothing: it is asked for with a token, which is not in a path.
    let changes = |what: &String| !what.ends_with("/check") && !what.starts_with("POST /play/");
    let writing: Vec<_> = writing.filter(changes).collect();
    for what in writing {
        let fits = |asked: &&str| {
            let (own, template): (Vec<_>, Vec<_>) =
                (asked.split('/').collect(), what.split('/').collect());
            own.len() == template.len()
                && own
                    .iter()
                    .zip(template)
                    .all(|(own, t)| t.starts_with('{') || *own == t)
        };
        assert!(asked.iter().any(fits), "{what} was not asked");
    }
}
