//! Every way that a request to listen can end, and what is written down of it.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use callferry_tests::fleet::Member;
use callferry_tests::platform::{AzureAccess, Platform};
use callferry_tests::s3::{Fault, FaultRule, Operation};
use callferry_tests::scratch::Scratch;
use serde_json::{Value, json};

use super::played::store;
use super::served::{Answered, Served, ask, start};

pub(crate) const PLAY: &str = "recordings:play";

/// Asks to listen with an account's token, and further headers.
pub(crate) async fn play(served: &Served, account: &str, rest: &str) -> Result<Answered> {
    let token = served.token(Some(account), PLAY)?;
    let what = format!("GET /v1/recordings/{rest}");
    served.ask_as(&token, &what, None).await
}

/// The access log as the command line exports it. What is there is made a minute older first: rows
/// of the last seconds are not exported yet.
pub(crate) async fn exported(
    platform: &Platform,
    account: &str,
    more: &[&str],
) -> Result<Vec<Value>> {
    let trigger = "trigger accesses_are_append_only";
    let age = format!(
        "alter table accesses disable {trigger}; \
         update accesses set at = at - interval '1 minute'; \
         alter table accesses enable {trigger}"
    );
    platform.postgres.sql("callferry", &age).await?;
    let args = ["access-log", "export", "--account", account];
    let outcome = platform.fleet.run(&[&args[..], more].concat()).await?;
    let outcome = outcome.success()?;
    let lines = outcome.stdout.lines();
    lines.map(|line| Ok(serde_json::from_str(line)?)).collect()
}

/// How each ended: `granted`, or why it was refused.
pub(crate) fn outcomes(log: &[Value]) -> Vec<String> {
    let word = |row: &Value| {
        let word = row["reason"].as_str().or(row["outcome"].as_str());
        word.unwrap_or("?").to_owned()
    };
    log.iter().map(word).collect()
}

/// A platform with two recordings of `acme` in a bucket, heard by nobody yet.
pub(crate) async fn served(name: &str, own: &[(&str, &str)]) -> Result<(Served, Vec<String>)> {
    let scratch = Scratch::new(name)?;
    let mut platform = Platform::start(scratch.path()).await?;
    platform.account("acme").await?;
    platform.plain_account("globex").await?;
    let staged = store(&platform, &["acme"], 0x81).await?;
    let ids = staged.keys().map(|(_, id)| id.clone()).collect();
    let served = Served::of(platform, scratch, own).await?;
    Ok((served, ids))
}

/// An export says up to when it is whole, and takes no later end.
async fn ends_where_the_log_is_whole(platform: &Platform) -> Result<()> {
    let early = ["--until", "2020-01-01T00:00:00Z"];
    let none = exported(platform, "acme", &early).await?;
    assert!(none.is_empty(), "{none:?}");
    let export = ["access-log", "export", "--account", "acme", "--json"];
    let told = platform.fleet.run(&export).await?.success()?;
    let told: Value = serde_json::from_str(told.stderr.trim())?;
    assert_eq!(told["rows"], 3, "{told}");
    let until = told["until"].as_str().context("no end")?;
    let next = [&export[..], &["--since", until]].concat();
    let next = platform.fleet.run(&next).await?.success()?;
    assert_eq!(next.stdout, "");
    let later = [&export[..], &["--until", "2100-01-01T00:00:00Z"]].concat();
    let later = platform.fleet.run(&later).await?;
    assert_eq!(later.code, Some(2), "{}", later.stderr);
    assert!(later.stderr.contains("--until"), "{}", later.stderr);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_is_sent_to_the_copy_and_the_url_is_nowhere_else() -> Result<()> {
    let loud = [("CALLFERRY_LOG_FILTER", "trace")];
    let (served, ids) = served("http-granted", &loud).await?;
    let id = &ids[0];
    let sent = play(&served, "acme", &format!("{id}/playback")).await?;
    assert_eq!((sent.status, sent.text.as_str()), (302, ""));
    let place = sent.headers["location"].to_str()?.to_owned();
    let bucket = format!("{}/acme-recordings/", served.platform.lab.endpoint());
    assert!(place.starts_with(&bucket), "{place}");
    for word in [
        "response-content-type=audio%2Fwav",
        "X-Amz-Expires=300",
        &format!("{id}.wav"),
    ] {
        assert!(place.contains(word), "{word}: {place}");
    }
    // An administrator names the account; HEAD is answered as GET is.
    let admin = served.token(None, PLAY)?;
    let what = format!("HEAD /v1/recordings/{id}/playback?account_id=acme");
    let head = served.ask_as(&admin, &what, None).await?;
    assert_eq!(head.status, 302);
    assert!(head.headers["location"].to_str()?.starts_with(&bucket));
    let what = format!("GET /v1/recordings/{id}/playback");
    let unnamed = served.ask_as(&admin, &what, None).await?.must(400);
    assert_eq!(unnamed["fields"][0]["field"], "account_id");
    let json = play(&served, "acme", &format!("{id}/playback?format=json"))
        .await?
        .must(200);
    assert!(json["url"].as_str().context("no url")?.starts_with(&bucket));
    assert_eq!(
        (&json["size_bytes"], &json["media_type"]),
        (&json!(40_000), &json!("audio/wav"))
    );
    let xml = play(&served, "acme", &format!("{id}/playback?format=xml"))
        .await?
        .must(400);
    assert_eq!(xml["fields"][0]["field"], "format");

    let log = exported(&served.platform, "acme", &[]).await?;
    assert_eq!(outcomes(&log), ["granted"; 3], "{log:?}");
    assert_eq!(
        (&log[0]["subject"], &log[0]["recording_id"]),
        (&json!("tester"), &json!(id))
    );
    assert_eq!(
        (&log[0]["address"], &log[0]["life_s"]),
        (&json!("127.0.0.1"), &json!(300))
    );
    assert_eq!(log[0]["request_id"], sent.headers["x-request-id"].to_str()?);
    assert_eq!(
        (&log[0]["token_account_id"], &log[1]["token_account_id"]),
        (&json!("acme"), &Value::Null)
    );
    ends_where_the_log_is_whole(&served.platform).await?;
    // Not in the log, however much of it there is, and in no metric.
    let text = served.member.log_text()? + &served.member.metrics().await?;
    let signature = place
        .rsplit("X-Amz-Signature=")
        .next()
        .context("not signed")?;
    for secret in [signature, "X-Amz-Signature", "X-Amz-Credential", &bucket] {
        assert!(!text.contains(secret), "{secret} is in the log");
    }
    let metric = served
        .member
        .metric("callferry_playback_requests_total", "outcome=\"granted\"");
    assert!((metric.await? - 3.0).abs() < 0.5);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[expect(
    clippy::too_many_lines,
    reason = "one story from its beginning to its end"
)]
async fn what_is_foreign_is_not_there_and_what_is_no_id_is_looked_up_nowhere() -> Result<()> {
    let (served, ids) = served("http-refused", &[]).await?;
    let id = &ids[0];
    let mut answers = BTreeSet::new();
    for (account, rest) in [
        ("acme", "rec-unknown/playback".to_owned()),
        ("acme", format!("{id}/playback?account_id=globex")),
        ("globex", format!("{id}/playback")),
        ("globex", format!("{id}/playback?account_id=acme")),
        ("globex", format!("{id}/playback?format=json")),
        ("globex", format!("{id}/playback?account_id=nobody")),
        ("globex", id.clone()),
        ("globex", format!("{id}?account_id=acme")),
    ] {
        let token = served.token(Some(account), "recordings:play recordings:read")?;
        let what = format!("GET /v1/recordings/{rest}");
        let answered = served.ask_as(&token, &what, None).await?;
        assert_eq!(answered.status, 404, "{what}: {}", answered.text);
        answers.insert(answered.essence());
    }
    assert_eq!(answers.len(), 1, "{answers:#?}");
    let (acme, globex) = (
        exported(&served.platform, "acme", &[]).await?,
        exported(&served.platform, "globex", &[]).await?,
    );
    // Who asks for another's is in the log of their own account, and in no other's.
    assert_eq!(outcomes(&acme), ["not_found", "foreign"]);
    let foreign = ["not_found", "foreign", "not_found", "foreign"];
    assert_eq!(outcomes(&globex), foreign);
    let asked: Vec<_> = [&acme[1], &globex[1], &globex[3], &globex[0]]
        .map(|row| (&row["account_id"], &row["asked_account_id"]))
        .into();
    let (own, other, nobody) = (json!("acme"), json!("globex"), json!("nobody"));
    let none = Value::Null;
    assert_eq!(
        asked,
        [
            (&own, &other),
            (&other, &own),
            (&other, &nobody),
            (&other, &none)
        ]
    );

    let name = "callferry_ledger_statement_seconds_count";
    let asked = async |member: &Member| -> Result<f64> {
        let play = member.metric(name, "statement=\"playable\"").await?;
        Ok(play + member.metric(name, "statement=\"note_access\"").await?)
    };
    let before = asked(&served.member).await?;
    for path in [
        "..%2f..%2fetc%2fpasswd",
        "rec%00",
        "rec%0d%0aset-cookie:%20x",
        "%D0%B0cme",
        "%ff",
        ".rec",
        "-rec",
        "rec%2fplayback",
        "a'or'1'='1",
        &"x".repeat(129),
    ] {
        play(&served, "acme", &format!("{path}/playback"))
            .await?
            .must(400);
    }
    assert!(
        (asked(&served.member).await? - before).abs() < 0.5,
        "the ledger was asked"
    );
    // Only its own scope opens it.
    let others = super::served::EVERYTHING.replace(PLAY, "");
    let token = served.token(Some("acme"), &others)?;
    let what = format!("GET /v1/recordings/{id}/playback");
    let lacks = served.ask_as(&token, &what, None).await?.must(403);
    assert!(lacks["detail"].to_string().contains(PLAY), "{lacks}");
    // The same listing and story as by the account's own address.
    for (own, same) in [
        (
            "/v1/recordings?limit=1",
            "/v1/accounts/acme/recordings?limit=1",
        ),
        (
            &*format!("/v1/recordings/{id}"),
            &*format!("/v1/accounts/acme/recordings/{id}"),
        ),
    ] {
        let token = served.token(Some("acme"), "recordings:read")?;
        let own = served
            .ask_as(&token, &format!("GET {own}"), None)
            .await?
            .must(200);
        let same = served
            .ask_as(&token, &format!("GET {same}"), None)
            .await?
            .must(200);
        assert_eq!(own, same);
    }
    let token = served.token(Some("acme"), "recordings:read")?;
    for (time, count) in [
        ("since=2020-01-01T00:00:00Z", 2),
        ("until=2020-01-01T00:00:00Z", 0),
    ] {
        let listed = served
            .ask_as(&token, &format!("GET /v1/recordings?{time}"), None)
            .await?;
        let listed = listed.must(200);
        assert_eq!(
            listed["items"].as_array().map(Vec::len),
            Some(count),
            "{time}: {listed}"
        );
    }
    // By time the pages go on where they ended, and a place in one order is none in the other.
    let listing = "GET /v1/recordings?limit=1&since=2020-01-01T00:00:00Z";
    let first = served.ask_as(&token, listing, None).await?.must(200);
    let next = first["next"].as_str().context("no next page")?;
    let second = format!("{listing}&after={next}");
    let second = served.ask_as(&token, &second, None).await?.must(200);
    assert_eq!(second["next"], Value::Null);
    assert_ne!(
        first["items"][0]["recording_id"],
        second["items"][0]["recording_id"]
    );
    let other = format!("GET /v1/recordings?after={next}");
    let other = served.ask_as(&token, &other, None).await?.must(400);
    assert_eq!(other["fields"][0]["field"], "after");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[expect(
    clippy::too_many_lines,
    reason = "one story from its beginning to its end"
)]
async fn what_cannot_be_played_is_said_with_what_to_expect() -> Result<()> {
    let scratch = Scratch::new("http-unplayable")?;
    let mut platform = Platform::start(scratch.path()).await?;
    let with_azure = platform.start_azure().await?;
    platform.account("acme").await?;
    let mut accounts = vec!["acme"];
    if with_azure {
        platform.azure_account("globex", AzureAccess::Sas).await?;
        accounts.push("globex");
    }
    let staged = store(&platform, &accounts, 0x82).await?;
    let of = |account: &str| {
        let mut ids = staged.keys().filter(|(owner, _)| owner == account);
        ids.next().map(|(_, id)| id.clone()).unwrap_or_default()
    };
    // One that waits for a destination, and one whose time is over.
    let waits = "insert into recordings (account_id, recording_id, state, interaction_id, kind, \
        media_type, started_at, completed_at, path, size_bytes, created_by, attributes, \
        reason, due_at, due_queue, next_attempt_at) values ('acme', 'waits', 'parked', 'i', \
        'call', 'audio/wav', \
        now(), now(), 'acme/waits.wav', 1, gen_random_uuid(), '{}', \
        'no_destination', now() + interval '90 s', 'transfer', now() + interval '90 s')";
    platform.postgres.sql("callferry", waits).await?;
    let gone = staged.keys().rfind(|(owner, _)| owner == "acme");
    let gone = gone.context("none")?.1.clone();
    // Its copy is still there: whoever deletes it comes later, and nobody hears it meanwhile.
    let text = format!(
        "update recordings set state = 'released', released_at = now(), \
         retain_until = now() - interval '1 hour', due_at = null, due_queue = null, \
         acknowledged_at = now(), lease_token = null, lease_until = null \
         where recording_id = '{gone}'"
    );
    platform.postgres.sql("callferry", &text).await?;
    let served = Served::of(platform, scratch, &[]).await?;
    let waiting = play(&served, "acme", "waits/playback").await?;
    let wait: u64 = waiting.headers["retry-after"].to_str()?.parse()?;
    assert!((60..=95).contains(&wait), "{wait}");
    assert_eq!(
        waiting.must(409)["type"],
        "urn:callferry:problem:not_stored"
    );
    let expired = play(&served, "acme", &format!("{gone}/playback"))
        .await?
        .must(410);
    assert_eq!(expired["type"], "urn:callferry:problem:expired");
    if with_azure {
        let sas = play(&served, "globex", &format!("{}/playback", of("globex"))).await?;
        let needs = "urn:callferry:problem:playback_needs_signing_credential";
        assert_eq!(sas.must(409)["type"], needs);
        let log = exported(&served.platform, "globex", &[]).await?;
        assert_eq!(outcomes(&log), ["needs_signing_credential"]);
    }

    // What signs cannot be had: the customer, or STS, is the reason, which only the log says.
    let what = format!("{}/playback", of("acme"));
    let down = FaultRule::on(Operation::AssumeRole, Fault::CloseBefore);
    let fault = served.platform.lab.arm(down);
    let refused = play(&served, "acme", &what).await?;
    assert!(refused.headers.contains_key("retry-after"));
    let refused = refused.must(503).to_string().to_lowercase();
    for word in ["sts", "arn:", "role", "connect"] {
        assert!(!refused.contains(word), "{refused}");
    }
    assert!(served.member.log_text()?.contains("a URL cannot be signed"));
    served.platform.lab.clear_fault(fault);
    // Who cannot be written down is given nothing.
    let table = "alter table accesses add constraint never check (id < 0) not valid";
    served.platform.postgres.sql("callferry", table).await?;
    let unwritten = play(&served, "acme", &what).await?;
    assert!(unwritten.headers.contains_key("retry-after"));
    assert!(!unwritten.must(503).to_string().contains("Signature"));
    let table = "alter table accesses drop constraint never";
    served.platform.postgres.sql("callferry", table).await?;
    let heard = play(&served, "acme", &what).await?;
    assert_eq!(heard.status, 302, "{}", heard.text);
    let log = exported(&served.platform, "acme", &[]).await?;
    assert_eq!(
        outcomes(&log),
        ["not_stored", "expired", "cannot_sign", "granted"]
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_players_cookie_opens_one_recordings_playback_and_nothing_else() -> Result<()> {
    let (served, ids) = served("http-cookie", &[]).await?;
    let id = &ids[0];
    let token = served.token(Some("acme"), super::served::EVERYTHING)?;
    let page = ask(&served.root, &format!("GET /play/{id}"), &[], None).await?;
    super::contract::assert_fits("GET /play/x", &page);
    assert!(
        page.headers["content-security-policy"]
            .to_str()?
            .starts_with("default-src 'none'")
    );
    ask(&served.root, "GET /play/..%2fx", &[], None)
        .await?
        .must(400);
    let opened = served
        .ask_as(&token, &format!("POST /play/{id}"), None)
        .await?;
    let cookie = opened.headers["set-cookie"].to_str()?.to_owned();
    assert_eq!(opened.must(200)["recording_id"], json!(id));
    for word in [
        format!("Path=/v1/recordings/{id}/playback;"),
        "HttpOnly".to_owned(),
        "Secure".to_owned(),
        "SameSite=Strict".to_owned(),
    ] {
        assert!(cookie.contains(&word), "{word}");
    }
    let pair = cookie.split(';').next().context("no cookie")?;
    let playback = format!("GET /v1/recordings/{id}/playback");
    let with = async |what: &str, headers: &[(&str, &str)]| -> Result<u16> {
        Ok(ask(&served.root, what, headers, None).await?.status)
    };
    assert_eq!(with(&playback, &[("cookie", pair)]).await?, 302);
    let same = [("cookie", pair), ("sec-fetch-site", "same-origin")];
    assert_eq!(with(&playback, &same).await?, 302);
    for site in ["cross-site", "same-site"] {
        let headers = [("cookie", pair), ("sec-fetch-site", site)];
        assert_eq!(with(&playback, &headers).await?, 401, "{site}");
    }
    let twice = format!("{pair}; {pair}");
    assert_eq!(with(&playback, &[("cookie", &twice)]).await?, 401);
    // A header goes before it, and nothing else takes it.
    let both = [("cookie", pair), ("authorization", "Bearer x.y.z")];
    assert_eq!(with(&playback, &both).await?, 401);
    for what in [
        format!("GET /v1/recordings/{id}"),
        "GET /v1/recordings".to_owned(),
        "GET /v1/accounts".to_owned(),
        format!("POST /play/{id}"),
    ] {
        assert_eq!(with(&what, &[("cookie", pair)]).await?, 401, "{what}");
    }
    assert!(
        !served.member.log_text()?.contains(&token),
        "the token is in the log"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_names_the_listener_only_where_it_is_trusted() -> Result<()> {
    let (served, ids) = served("http-proxied", &[]).await?;
    let token = format!("Bearer {}", served.token(Some("acme"), PLAY)?);
    let what = format!("GET /v1/recordings/{}/playback", ids[0]);
    let headers = [
        ("authorization", token.as_str()),
        ("x-forwarded-for", "1.1.1.1, 198.51.100.7"),
    ];
    assert_eq!(ask(&served.root, &what, &headers, None).await?.status, 302);
    let keys = served
        .scratch
        .path()
        .join("issuer.pem")
        .display()
        .to_string();
    let trusting = [("CALLFERRY_HTTP_TRUSTED_PROXIES", "127.0.0.0/8")];
    let (_member, root) = start(&served.platform, &keys, &trusting).await?;
    assert_eq!(ask(&root, &what, &headers, None).await?.status, 302);
    let log = exported(&served.platform, "acme", &[]).await?;
    let from: Vec<_> = log
        .iter()
        .map(|row| (&row["address"], &row["via"]))
        .collect();
    let (own, named, proxy) = (
        json!("127.0.0.1"),
        json!("198.51.100.7"),
        json!("127.0.0.1"),
    );
    assert_eq!(from, [(&own, &Value::Null), (&named, &proxy)]);
    Ok(())
}
