//! What is too much, too large or too slow.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use callferry_tests::patience;
use callferry_tests::s3::{Fault, FaultRule, Operation};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::served::{EVERYTHING, LONG, Served, ask};

#[tokio::test]
async fn who_asks_too_often_is_told_when_to_come_again_and_nobody_else_waits() -> Result<()> {
    let own = [
        ("CALLFERRY_HTTP_SUBJECT_RATE", "1"),
        ("CALLFERRY_HTTP_ACCOUNT_RATE", "2"),
    ];
    let served = Served::new("http-rates", &own).await?;
    served.platform.json(&["account", "create", "acme"]).await?;
    let as_subject = |subject: &str, account: Option<&str>| {
        let claims = callferry_tests::issuer::claims(subject, account, EVERYTHING);
        let header = json!({"alg": "EdDSA"});
        served
            .key
            .sign(callferry_tests::issuer::Algorithm::EdDSA, &header, &claims)
    };
    let eager = as_subject("eager", None)?;
    let mut refused = None;
    for _ in 0..50 {
        let answered = served.ask_as(&eager, "GET /v1/accounts", None).await?;
        if answered.status == 429 {
            refused = Some(answered);
            break;
        }
    }
    let refused = refused.context("never told to wait")?;
    let wait: u64 = refused.headers["retry-after"].to_str()?.parse()?;
    assert!((1..=10).contains(&wait), "{wait}");
    let calm = as_subject("calm", None)?;
    served
        .ask_as(&calm, "GET /v1/accounts", None)
        .await?
        .must(200);
    // Many subjects of one account share its limit.
    let mut statuses = Vec::new();
    for number in 0..60 {
        let token = as_subject(&format!("s{number}"), Some("acme"))?;
        statuses.push(
            served
                .ask_as(&token, "GET /v1/accounts/acme", None)
                .await?
                .status,
        );
    }
    assert!(
        statuses.contains(&429) && statuses.contains(&200),
        "{statuses:?}"
    );
    for reason in ["subject_rate", "account_rate"] {
        let labels = format!("reason=\"{reason}\"");
        let denied = served.member.metric("callferry_http_denied_total", &labels);
        assert!(denied.await? >= 1.0, "{reason}");
    }
    Ok(())
}

#[tokio::test]
async fn one_check_of_a_destination_runs_at_a_time_and_others_wait() -> Result<()> {
    let mut served = Served::new("http-checks-at-once", &[]).await?;
    served.platform.account("acme").await?;
    let what = "POST /v1/accounts/acme/destination/check";
    let lab = &served.platform.lab;
    let hang = lab.arm(FaultRule::on(Operation::ListObjectsV2, Fault::HangBefore));
    let second = async {
        patience::until("the first check hangs", LONG, async || {
            Ok((lab.struck(hang) > 0).then_some(()))
        })
        .await?;
        let second = served.ask(what, None).await;
        lab.release(hang);
        lab.clear_fault(hang);
        second
    };
    let (first, second) = tokio::join!(served.ask(what, None), second);
    let second = second?;
    assert!(second.headers.contains_key("retry-after"), "{second:?}");
    second.must(429);
    assert_eq!(first?.must(200)["usable"], true);
    assert_eq!(served.ask(what, None).await?.must(200)["usable"], true);
    Ok(())
}

#[tokio::test]
async fn bodies_and_heads_have_limits_and_must_be_json() -> Result<()> {
    let served = Served::new("http-bodies", &[]).await?;
    let what = "POST /v1/accounts";
    let large = json!({"account_id": "acme", "name": "x".repeat(70_000)});
    served.ask(what, Some(large)).await?.must(413);
    let token = format!("Bearer {}", served.token(None, EVERYTHING)?);
    let bearer = ("authorization", token.as_str());
    for (kind, encoding) in [
        ("text/plain", "identity"),
        ("application/json; charset=latin1", "identity"),
        ("application/jsonp", "identity"),
        ("application/json", "gzip"),
    ] {
        let headers = [
            bearer,
            ("content-type", kind),
            ("content-encoding", encoding),
        ];
        let answered = ask(&served.root, what, &headers, None).await?;
        assert_eq!(answered.status, 415, "{kind} {encoding}: {}", answered.text);
    }
    for body in ["{", "", "{\"account_id\": \"a\"} x", "\u{feff}{}"] {
        let client = reqwest::Client::builder().no_proxy().build()?;
        let response = client
            .post(format!("{}/v1/accounts", served.root))
            .header("authorization", &token)
            .header("content-type", "application/json; charset=utf-8")
            .body(body)
            .send()
            .await?;
        assert_eq!(response.status().as_u16(), 400, "{body:?}");
    }
    let padding = "x".repeat(17 * 1024);
    let headers = [bearer, ("x-padding", padding.as_str())];
    let answered = ask(&served.root, "GET /v1/accounts", &headers, None).await?;
    assert_eq!(answered.status, 431);
    let many: Vec<_> = (0..100)
        .map(|n| (format!("x-{n}"), n.to_string()))
        .collect();
    let mut headers: Vec<_> = many.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    headers.push(bearer);
    let answered = ask(&served.root, "GET /v1/accounts", &headers, None).await?;
    assert_eq!(answered.status, 431);
    Ok(())
}

/// Sends a text, then byte after byte of another until the other side has enough; says how long
/// that took.
async fn drip(address: &str, first: &str, byte: u8) -> Result<Duration> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(first.as_bytes()).await?;
    let begun = Instant::now();
    let (mut reading, mut writing) = stream.split();
    let dripping = async {
        loop {
            tokio::time::sleep(Duration::from_millis(300)).await;
            if writing.write_all(&[byte]).await.is_err() {
                break;
            }
        }
    };
    let closed = async {
        let mut rest = Vec::new();
        // Reset or closed: both are the end.
        drop(reading.read_to_end(&mut rest).await);
    };
    timeout(LONG, async {
        tokio::select! {
            () = dripping => {}
            () = closed => {}
        }
    })
    .await
    .context("a slow client was never cut off")?;
    Ok(begun.elapsed())
}

#[tokio::test]
async fn who_is_slow_is_cut_off_and_nobody_waits_for_them() -> Result<()> {
    let served = Served::new("http-slow", &[]).await?;
    let address = served.root.trim_start_matches("http://");
    let token = served.token(None, EVERYTHING)?;
    let head = "GET /v1/accounts HTTP/1.1\r\nhost: x\r\nx-slow: ";
    let body = format!(
        "POST /v1/accounts HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: 60000\r\n\r\n"
    );
    let (in_head, in_body, idle, prompt) = tokio::join!(
        drip(address, head, b'x'),
        drip(address, &body, b' '),
        drip_nothing(address),
        served.ask("GET /v1/accounts", None),
    );
    prompt?.must(200);
    for (what, took) in [("head", in_head?), ("body", in_body?), ("idle", idle?)] {
        assert!(took < Duration::from_secs(30), "{what}: {took:?}");
    }
    Ok(())
}

/// Connects and says nothing.
async fn drip_nothing(address: &str) -> Result<Duration> {
    let mut stream = TcpStream::connect(address).await?;
    let begun = Instant::now();
    let mut rest = Vec::new();
    let ended = timeout(LONG, stream.read_to_end(&mut rest)).await;
    drop(ended.context("an idle client was never cut off")?);
    Ok(begun.elapsed())
}
