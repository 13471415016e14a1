//! The interface under requests that nobody thought of: schemathesis makes them from the OpenAPI
//! document, good ones and bad ones, and finds no answer that the document does not promise.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use callferry_tests::{environment, scratch};
use serde_json::json;
use tokio::process::Command;
use tokio::time::timeout;

use super::served::{EVERYTHING, Served};

/// Far more than it takes.
const LIMIT: Duration = Duration::from_secs(600);
/// Requests for each operation and phase, at most.
const EXAMPLES: &str = "15";

#[tokio::test]
async fn no_request_is_answered_by_what_the_document_does_not_promise() -> Result<()> {
    let program = environment::local().join("tools/schemathesis/bin/schemathesis");
    if !program.exists() {
        let why = "deploy/local/install.sh schemathesis has not run or could not install it";
        return scratch::skip("fuzzing the HTTP interface", why);
    }
    let mut served = Served::new("http-fuzzed", &[]).await?;
    for account in ["acme", "globex"] {
        let body = json!({ "account_id": account });
        served.ask("POST /v1/accounts", Some(body)).await?.must(201);
    }
    let token = served.token(None, EVERYTHING)?;
    let document = environment::repository().join("schemas/http/openapi.json");
    let mut command = Command::new(program);
    command
        .arg("run")
        .arg(document)
        .args(["--url", &served.root])
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .args(["--phases", "examples,coverage,fuzzing"])
        .args(["--max-examples", EXAMPLES, "--seed", "1", "--workers", "1"])
        .args([
            "--checks",
            "not_a_server_error,status_code_conformance,content_type_conformance,\
             response_headers_conformance,response_schema_conformance,unsupported_method,\
             allow_header_conformance,ignored_auth",
        ])
        // Checks reach for buckets that such requests make up.
        .args(["--exclude-operation-id", "check_destination"])
        .args(["--exclude-operation-id", "check_default_destination"])
        .args(["--suppress-health-check", "all", "--warnings", "off"])
        .args([
            "--request-timeout",
            "60",
            "--continue-on-failure",
            "--no-shrink",
        ])
        .current_dir(served.scratch.path())
        .env("NO_COLOR", "1")
        .env("no_proxy", "127.0.0.1")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = timeout(LIMIT, command.output()).await;
    let output = output.context("schemathesis did not end")??;
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(served.member.runs()?, "{}", served.member.log_text()?);
    let answered = served.member.metric("callferry_http_requests_total", "");
    assert!(answered.await? > 500.0, "{said}");
    let broken = served
        .member
        .metric("callferry_http_requests_total", "class=\"5xx\"");
    assert!(broken.await?.abs() < 0.5, "{said}");
    Ok(())
}
