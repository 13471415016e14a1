//! Retention through the interface: how long copies are kept, what stopped, and who may say that
//! it goes on.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::holds::ended;
use super::served::{EVERYTHING, Served};

const RETENTION: &str = "/v1/accounts/acme/retention";

#[tokio::test]
async fn policies_are_set_and_shown_as_on_the_command_line() -> Result<()> {
    let served = Served::new("http-retention", &[]).await?;
    served.platform.json(&["account", "create", "acme"]).await?;
    let (put, get) = (format!("PUT {RETENTION}"), format!("GET {RETENTION}"));
    for (body, days) in [
        (json!({"kind": "call", "days": 365}), json!(365)),
        (json!({"kind": "voicemail", "never": true}), Value::Null),
        (json!({"kind": "call", "days": 1, "never": false}), json!(1)),
    ] {
        let set = served.ask(&put, Some(body.clone())).await?.must(200);
        let meant = json!({"account_id": "acme", "kind": body["kind"], "days": days});
        assert_eq!(set, meant, "{body}");
    }
    let shown = served.ask(&get, None).await?.must(200);
    let there = served.platform.json(&["retention", "show", "acme"]).await?;
    assert_eq!(shown, there);
    let policies = shown["policies"].as_array().context("no policies")?;
    let said: Vec<_> = policies
        .iter()
        .map(|it| {
            (
                it["kind"].as_str(),
                it["days"].as_u64(),
                it["in_force"].as_bool(),
            )
        })
        .collect();
    assert_eq!(
        said,
        [
            (Some("call"), Some(365), Some(false)),
            (Some("call"), Some(1), Some(true)),
            (Some("voicemail"), None, Some(true)),
        ]
    );
    // For ever is said, and never what nothing said means.
    for (body, field) in [
        (json!({"kind": "call"}), "days"),
        (json!({"kind": "call", "days": null}), "never"),
        (json!({"kind": "call", "never": false}), "days"),
        (json!({"kind": "call", "days": 1, "never": true}), "never"),
        (json!({"kind": "call", "days": 0}), "days"),
        (json!({"kind": "call", "days": 36501}), "days"),
        (json!({"kind": "call", "days": -1}), "days"),
        (json!({"kind": "call", "days": "365"}), "days"),
        (json!({"kind": "fax", "days": 365}), "kind"),
        (json!({"days": 365}), "kind"),
        (json!({"kind": "call", "days": 365, "by": "me"}), "by"),
    ] {
        let refused = served.ask(&put, Some(body.clone())).await?.must(422);
        let fields = refused["fields"].to_string();
        assert!(fields.contains(field), "{body}: {refused}");
        assert!(!refused.to_string().contains("--"), "{refused}");
    }
    let same = served.ask(&get, None).await?.must(200);
    assert_eq!(same, shown, "nothing was changed");
    for what in [
        "GET /v1/accounts/nobody/retention",
        "GET /v1/accounts/nobody/retention/preview",
    ] {
        served.ask(what, None).await?.must(404);
    }
    let preview = format!("GET {RETENTION}/preview?until=tomorrow");
    served.ask(&preview, None).await?.must(400);
    Ok(())
}

#[tokio::test]
#[expect(
    clippy::too_many_lines,
    reason = "one story from its beginning to its end"
)]
async fn what_stopped_is_listed_and_confirmed_once_by_whoever_may() -> Result<()> {
    let served = Served::new("http-stops", &[]).await?;
    ended(&served, "acme", &["rec-1"]).await?;
    ended(&served, "globex", &[]).await?;
    let stops = "insert into retention_stops (account_id, reason, detail) values \
         ('acme', 'too_many', 'a test'), ('globex', 'too_many', 'a test'), \
         (null, 'clock_jump', 'a test')";
    served.platform.postgres.sql("callferry", stops).await?;
    let all = served.ask("GET /v1/retention/stops", None).await?.must(200);
    let there = served.platform.json(&["retention", "stops"]).await?;
    assert_eq!(all["items"], there);
    let page = "GET /v1/retention/stops?limit=2";
    let first = served.ask(page, None).await?.must(200);
    let next = first["next"].as_str().context("no next")?;
    let rest = served.ask(&format!("{page}&after={next}"), None).await?;
    let rest = rest.must(200);
    assert_eq!(
        (&rest["items"][0], &rest["next"]),
        (&there[2], &Value::Null)
    );
    let preview = format!("GET {RETENTION}/preview");
    let preview = served.ask(&preview, None).await?.must(200);
    assert_eq!(
        preview["stops"].as_array().map(Vec::len),
        Some(2),
        "{preview}"
    );

    // Bound to an account: its own, and what stops everybody, which is not its to confirm.
    let bound = served.token(Some("acme"), EVERYTHING)?;
    let list = "GET /v1/retention/stops?all=true";
    let own = served.ask_as(&bound, list, None).await?.must(200);
    let whose = |listed: &Value| -> Vec<Value> {
        let items = listed["items"].as_array().unwrap();
        items.iter().map(|it| it["account_id"].clone()).collect()
    };
    assert_eq!(whose(&own), [Value::Null, json!("acme")]);
    let why = json!({"why": "imported, ticket 4711"});
    let (one, every) = (
        format!("POST {RETENTION}/confirm"),
        "POST /v1/retention/confirm",
    );
    let foreign = "POST /v1/accounts/globex/retention/confirm";
    for what in [every, foreign] {
        served
            .ask_as(&bound, what, Some(why.clone()))
            .await?
            .must(404);
    }
    served.ask(&one, Some(json!({"why": " "}))).await?.must(422);
    let left = served.platform.json(&["retention", "stops"]).await?;
    assert_eq!(left, there, "nothing was confirmed");
    for (what, token, whose) in [
        (one.as_str(), &bound, json!("acme")),
        (every, &served.token(None, EVERYTHING)?, Value::Null),
    ] {
        let confirmed = served
            .ask_as(token, what, Some(why.clone()))
            .await?
            .must(200);
        let stop = &confirmed["items"][0];
        assert_eq!(stop["account_id"], whose, "{confirmed}");
        assert_eq!(
            (&stop["confirmed_by"], &stop["confirmed_why"]),
            (&json!("tester"), &why["why"])
        );
        served
            .ask_as(token, what, Some(why.clone()))
            .await?
            .must(404);
    }
    let left = served.platform.json(&["retention", "stops"]).await?;
    assert_eq!(left, json!([there[1]]), "globex's is not anybody else's");
    // Who confirmed what stopped everybody is the platform's own affair.
    let own = served.ask_as(&bound, list, None).await?.must(200);
    assert_eq!(whose(&own), [json!("acme")], "{own}");
    let every = served.ask(list, None).await?.must(200);
    assert_eq!(whose(&every).len(), 3, "{every}");
    Ok(())
}
