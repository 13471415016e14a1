//! The HTTP interface as its own user of the database: everything it does is granted to it.

use anyhow::{Context, Result};
use callferry_tests::issuer::{AUDIENCE, Algorithm, ISSUER, IssuerKey, claims};
use callferry_tests::ports::free_port;
use serde_json::json;

use super::production::{DATABASE, LONG, Production};

const SCOPE: &str = "accounts:read accounts:write destinations:read destinations:write \
    recordings:read recordings:play parked:read parked:write quarantine:read quarantine:write \
    recordings:erase holds:read holds:write retention:read retention:write status:read audit:read";

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::too_many_lines, reason = "one table of all that is asked for")]
async fn the_http_interface_does_all_of_its_work_as_its_own_user() -> Result<()> {
    let production = Production::new("http-user").await?;
    let refused_before = production.refusals()?;
    let message = "insert into quarantined_messages (reason, body_sha256, detail, queue, body, \
         body_bytes, requeuable) select 'not_json', sha256(body), 'a test', 'transfer', body, 1, \
         true from (values ('a'::bytea), ('b'::bytea)) given (body)";
    let ends = "insert into recordings (account_id, recording_id, state, interaction_id, kind, \
         media_type, started_at, completed_at, path, size_bytes, attributes, created_by, \
         destination_revision, due_at, due_queue) \
         select 'acme', 'rec-ends', 'staged', 'call-1', 'call', 'audio/wav', now(), now(), \
         'acme/rec-ends.wav', 1, '{}', gen_random_uuid(), revision, now(), 'transfer' \
         from destinations where account_id = 'acme'; \
         insert into retention_stops (account_id, reason, detail) \
         values ('acme', 'too_many', 'a test')";
    for sql in [message, ends] {
        production.platform.postgres.sql(DATABASE, sql).await?;
    }
    let key = IssuerKey::new(Algorithm::EdDSA)?;
    let file = production.secrets.join("jwt-keys");
    std::fs::write(&file, key.public_pem())?;
    let address = format!("127.0.0.1:{}", free_port()?);
    let fleet = production
        .fleet("playback")
        .with("CALLFERRY_HTTP_ADDR", &address)
        .with("CALLFERRY_JWT_ISSUER", ISSUER)
        .with("CALLFERRY_JWT_AUDIENCE", AUDIENCE)
        .with("CALLFERRY_JWT_KEYS", file.display().to_string());
    let mut member = fleet.start_ready("playback", &["playback"]).await?;
    let claims = claims("tester", None, SCOPE);
    let token = key.sign(Algorithm::EdDSA, &json!({"alg": "EdDSA"}), &claims)?;
    let azure = json!({"azure": {"storage_account": "umbrellacalls", "container": "calls",
        "access_key": "bGFib3JhdG9yeS1vbmx5LW5vdC1hLXNlY3JldA=="},
        "force": true});
    let erase = "POST /v1/accounts/acme/recordings/rec-ends/erase";
    let said = |field: &str| Some(json!({field: "case 4711"}));
    let held = Some(json!({"recording_id": "rec-ends", "reason": "case 4711"}));
    let requests = [
        (
            "POST /v1/accounts",
            Some(json!({"account_id": "umbrella"})),
            201,
        ),
        ("GET /v1/accounts", None, 200),
        ("GET /v1/accounts/umbrella", None, 200),
        ("PUT /v1/accounts/umbrella/destination", Some(azure), 200),
        ("GET /v1/accounts/umbrella/destination", None, 200),
        ("GET /v1/accounts/umbrella/destinations", None, 200),
        ("GET /v1/accounts/acme/recordings?interaction=x", None, 200),
        ("GET /v1/accounts/acme/recordings/x", None, 404),
        ("GET /v1/recordings?account_id=acme", None, 200),
        ("GET /v1/recordings/x?account_id=acme", None, 404),
        ("GET /v1/recordings/x/playback?account_id=acme", None, 404),
        ("POST /play/x?account_id=acme", None, 404),
        ("GET /v1/parked", None, 200),
        ("POST /v1/parked/retry", Some(json!({"all": true})), 200),
        ("GET /v1/quarantine", None, 200),
        ("GET /v1/quarantine/1", None, 200),
        ("POST /v1/quarantine/1/requeue", None, 200),
        ("DELETE /v1/quarantine/2", None, 200),
        ("GET /v1/accounts/acme/retention", None, 200),
        (
            "PUT /v1/accounts/acme/retention",
            Some(json!({"kind": "call", "days": 365})),
            200,
        ),
        ("GET /v1/accounts/acme/retention/preview", None, 200),
        ("GET /v1/retention/stops?all=true", None, 200),
        ("POST /v1/accounts/acme/retention/confirm", said("why"), 200),
        ("POST /v1/retention/confirm", said("why"), 404),
        ("POST /v1/accounts/acme/holds", held, 201),
        ("GET /v1/accounts/acme/holds", None, 200),
        ("GET /v1/accounts/acme/holds/1", None, 200),
        ("GET /v1/holds?all=true", None, 200),
        (erase, said("why"), 409),
        (
            "POST /v1/accounts/acme/holds/1/release",
            said("reason"),
            200,
        ),
        (erase, said("why"), 202),
        ("GET /v1/status", None, 200),
        ("GET /v1/audit", None, 200),
    ];
    let client = reqwest::Client::builder().no_proxy().build()?;
    for (what, body, status) in requests {
        let (method, path) = what.split_once(' ').context("a method and a path")?;
        let method = reqwest::Method::from_bytes(method.as_bytes())?;
        let mut request = client.request(method, format!("http://{address}{path}"));
        request = request.bearer_auth(&token);
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let response = request.send().await?;
        let (answered, text) = (response.status().as_u16(), response.text().await?);
        assert_eq!(answered, status, "{what}: {text}");
    }
    member.stop(LONG).await?;
    let refused = production.refusals()?;
    assert_eq!(refused.get(refused_before.len()..), Some(&[][..]));
    Ok(())
}
