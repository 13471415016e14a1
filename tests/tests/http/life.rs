//! A process that serves: what it needs, what it does without the ledger, and how it ends.

use anyhow::Result;
use callferry_tests::issuer::{Algorithm, IssuerKey, claims};
use callferry_tests::patience;
use callferry_tests::platform::Platform;
use callferry_tests::scratch::Scratch;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::contract::assert_fits;
use super::served::{EVERYTHING, LONG, ask, start};

#[tokio::test]
async fn it_needs_no_broker_and_without_the_ledger_says_so() -> Result<()> {
    let scratch = Scratch::new("http-life")?;
    let mut platform = Platform::private(scratch.path()).await?;
    platform.rabbit.stop().await?;
    let key = IssuerKey::new(Algorithm::EdDSA)?;
    let file = scratch.path().join("issuer.pem");
    std::fs::write(&file, key.public_pem())?;
    // Neither the broker's address nor staging is its affair.
    let own = [("CALLFERRY_AMQP_URL", ""), ("CALLFERRY_STAGING_URL", "")];
    let (mut member, root) = start(&platform, &file.display().to_string(), &own).await?;
    let header = json!({"alg": "EdDSA"});
    let token = key.sign(
        Algorithm::EdDSA,
        &header,
        &claims("tester", None, EVERYTHING),
    )?;
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str())];
    let what = "GET /v1/accounts";
    assert_eq!(ask(&root, what, &headers, None).await?.status, 200);

    platform.postgres.kill9()?;
    let answered = ask(&root, what, &headers, None).await?;
    assert_eq!(answered.status, 503, "{}", answered.text);
    assert_fits(what, &answered);
    let made = json!({"account_id": "acme"});
    let refused = ask(&root, "POST /v1/accounts", &headers, Some(made)).await?;
    assert_eq!(refused.status, 503, "{}", refused.text);
    member.unready(LONG).await?;
    platform.postgres.restart().await?;
    member.ready(LONG).await?;
    assert_eq!(ask(&root, what, &headers, None).await?.status, 200);
    let log = member.log_text()?;
    let password = platform.postgres.url("callferry");
    let password = password.split([':', '@']).nth(2).unwrap_or_default();
    assert!(!log.contains(password) && !log.contains(&token), "{log}");
    member.stop(LONG).await
}

#[tokio::test]
async fn a_request_that_is_being_answered_ends_before_the_process_does() -> Result<()> {
    let scratch = Scratch::new("http-drain")?;
    let platform = Platform::start(scratch.path()).await?;
    let key = IssuerKey::new(Algorithm::EdDSA)?;
    let file = scratch.path().join("issuer.pem");
    std::fs::write(&file, key.public_pem())?;
    let (mut member, root) = start(&platform, &file.display().to_string(), &[]).await?;
    let address = root.trim_start_matches("http://");
    let header = json!({"alg": "EdDSA"});
    let token = key.sign(
        Algorithm::EdDSA,
        &header,
        &claims("tester", None, EVERYTHING),
    )?;
    let mut stream = TcpStream::connect(address).await?;
    let head = format!(
        "POST /v1/accounts HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: 21\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    patience::until("the request is in its hands", LONG, async || {
        let flying = member
            .metric("callferry_http_requests_in_flight", "")
            .await?;
        Ok((flying > 0.5).then_some(()))
    })
    .await?;
    let mut idle = TcpStream::connect(address).await?;
    member.sigterm()?;
    patience::until("it drains", LONG, async || {
        Ok(member.log_text()?.contains("draining").then_some(()))
    })
    .await?;
    stream.write_all(b"{\"account_id\":\"acme\"}").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    let mut nothing = Vec::new();
    drop(idle.read_to_end(&mut nothing).await);
    assert!(nothing.is_empty());
    let ended = member.wait(LONG).await?;
    assert!(ended.success(), "{}", member.log_text()?);
    platform.json(&["account", "show", "acme"]).await.map(drop)
}

#[tokio::test]
async fn every_role_in_one_process_serves_too_where_it_can_believe_tokens() -> Result<()> {
    let scratch = Scratch::new("http-all")?;
    let platform = Platform::start(scratch.path()).await?;
    let refused = platform.fleet.run(&["run", "playback"]).await?;
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("CALLFERRY_JWT_KEYS"), "{refused:?}");
    let key = IssuerKey::new(Algorithm::ES384)?;
    let file = scratch.path().join("issuer.pem");
    std::fs::write(&file, key.public_pem())?;
    let address = format!("127.0.0.1:{}", callferry_tests::ports::free_port()?);
    let all = super::served::variables(&address, &file.display().to_string());
    let all: Vec<_> = all.iter().map(|(k, v)| (*k, v.as_str())).collect();
    let mut member = platform.fleet.start_with("all", &["all"], &all)?;
    member.ready(LONG).await?;
    let token = key.sign(
        Algorithm::ES384,
        &json!({"alg": "ES384"}),
        &claims("tester", None, EVERYTHING),
    )?;
    let bearer = format!("Bearer {token}");
    let root = format!("http://{address}");
    let answered = ask(&root, "GET /v1/status", &[("authorization", &bearer)], None).await?;
    assert_eq!(answered.status, 200, "{}", answered.text);
    member.stop(LONG).await
}
