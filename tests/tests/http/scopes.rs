//! What a good token does not allow, and ids that are none.

use anyhow::Result;
use serde_json::json;

use super::served::{EVERYTHING, Served, ask};

#[tokio::test]
#[expect(
    clippy::too_many_lines,
    reason = "one story from its beginning to its end"
)]
async fn a_scope_that_is_missing_is_named_and_ids_are_judged_before_any_look() -> Result<()> {
    let served = Served::new("http-scopes", &[]).await?;
    for (scope, what, lacks) in [
        ("", "GET /v1/accounts", "accounts:read"),
        ("accounts:write", "GET /v1/accounts/acme", "accounts:read"),
        ("accounts:read", "POST /v1/accounts", "accounts:write"),
        ("accounts:reader", "GET /v1/accounts", "accounts:read"),
        ("ACCOUNTS:READ", "GET /v1/accounts", "accounts:read"),
        ("accounts:read,status:read", "GET /v1/status", "status:read"),
        (
            "destinations:read",
            "PUT /v1/default-destination",
            "destinations:write",
        ),
        ("parked:read", "POST /v1/parked/retry", "parked:write"),
        (
            "quarantine:read",
            "DELETE /v1/quarantine/1",
            "quarantine:write",
        ),
        ("recordings:read", "GET /v1/audit", "audit:read"),
        ("holds:write", "GET /v1/accounts/acme/holds", "holds:read"),
        ("holds:write", "GET /v1/holds", "holds:read"),
        (
            "recordings:read",
            "GET /v1/accounts/acme/holds/1",
            "holds:read",
        ),
        (
            "holds:read retention:write recordings:erase",
            "POST /v1/accounts/acme/holds",
            "holds:write",
        ),
        (
            "holds:read",
            "POST /v1/accounts/acme/holds/1/release",
            "holds:write",
        ),
        (
            "recordings:read recordings:play holds:write retention:write",
            "POST /v1/accounts/acme/recordings/rec-1/erase",
            "recordings:erase",
        ),
        (
            "retention:write",
            "GET /v1/accounts/acme/retention",
            "retention:read",
        ),
        (
            "recordings:read",
            "GET /v1/accounts/acme/retention/preview",
            "retention:read",
        ),
        (
            "retention:write",
            "GET /v1/retention/stops",
            "retention:read",
        ),
        (
            "retention:read holds:write",
            "PUT /v1/accounts/acme/retention",
            "retention:write",
        ),
        (
            "retention:read",
            "POST /v1/accounts/acme/retention/confirm",
            "retention:write",
        ),
        (
            "retention:read",
            "POST /v1/retention/confirm",
            "retention:write",
        ),
    ] {
        let token = served.token(None, scope)?;
        let body = what.starts_with('P').then(|| json!({}));
        let answered = served.ask_as(&token, what, body).await?;
        let detail = answered.must(403)["detail"].to_string();
        assert!(detail.contains(lacks), "{what}: {detail}");
    }
    let name = "callferry_ledger_statement_seconds_count";
    let before = served.member.metric(name, "statement=\"other\"").await?;
    let long = "x".repeat(129);
    for path in [
        "..%2f..%2fetc%2fpasswd",
        "acme%2fglobex",
        "acme%00",
        "acme%0d%0aset-cookie:%20x",
        "acme%20",
        "%20acme",
        "%D0%B0cme",
        "acme%E2%80%8B",
        "%ff%fe",
        ".acme",
        "-acme",
        "acme;id=globex",
        "a'or'1'='1",
        "*",
        long.as_str(),
    ] {
        for what in [
            format!("GET /v1/accounts/{path}"),
            format!("GET /v1/accounts/acme/recordings/{path}"),
            format!("GET /v1/accounts/{path}/recordings"),
        ] {
            let answered = served.ask(&what, None).await?;
            assert_eq!(answered.status, 400, "{what}: {}", answered.text);
            assert!(answered.headers.get("set-cookie").is_none(), "{what}");
        }
    }
    for id in ["x", "-1", "1e3", "99999999999999999999", "%31%00", "0x10"] {
        let what = format!("GET /v1/quarantine/{id}");
        let answered = served.ask(&what, None).await?;
        assert_eq!(answered.status, 400, "{what}: {}", answered.text);
        let what = format!("GET /v1/accounts/acme/holds/{id}");
        let answered = served.ask(&what, None).await?;
        assert_eq!(answered.status, 400, "{what}: {}", answered.text);
    }
    let enormous = format!("GET /v1/accounts/{}", "x".repeat(60_000));
    let token = format!("Bearer {}", served.token(None, EVERYTHING)?);
    let answered = ask(&served.root, &enormous, &[("authorization", &token)], None).await?;
    assert!(matches!(answered.status, 414 | 431), "{}", answered.status);
    let after = served.member.metric(name, "statement=\"other\"").await?;
    assert!(
        (after - before).abs() < 0.5,
        "the ledger was asked {before}, then {after} times"
    );
    Ok(())
}
